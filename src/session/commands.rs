//! The connection commands that a session answers by itself, and which of them need more.

use super::clients::Ask;
use super::{Origin, Session, Style};
use crate::buffer::Buffer;
use crate::clock::Now;
use crate::command::{TABLE, Verb};
use crate::handler::ConnId;
use crate::protocol::text::Reply;
use crate::protocol::{Form, Request};

/// What a connection command comes to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The reply is written.
    Answered,
    /// The reply is written; then the connection is to be closed.
    Last,
    /// The reply to `RESET` is written; what else is kept for the client is to be forgotten.
    Reset,
    /// The program answers `STATS`.
    Stats,
    /// The program answers `INFO`.
    Info,
    /// The program answers `CONFIG`.
    Config,
    /// All sessions answer this: see [`super::clients`].
    Clients(Ask),
}

impl Session {
    /// Carries out a command whose access is `Connection`, and writes its reply to `out` unless the
    /// outcome says that somebody else does.
    pub fn connection_command(
        &mut self,
        request: &Request<'_>,
        conn: ConnId,
        now: Now,
        out: &mut Buffer,
    ) -> Outcome {
        let style = self.style(request.form, Some(request.command.verb));
        let _ = (conn, now);
        let reply = match request.command.verb {
            Verb::Ping if request.len() > 1 => Reply::Value(request.word(1)),
            Verb::Ping => Reply::Pong,
            Verb::Help => return self.say(style, out, Reply::Lines(&help()), Outcome::Answered),
            Verb::Stats => return Outcome::Stats,
            Verb::Bye | Verb::Quit | Verb::Exit => {
                return self.say(style, out, Reply::Goodbye, Outcome::Last);
            }
            Verb::Origin if request.form != Form::Text => Reply::Error("text protocol only"),
            Verb::Origin => {
                let word = request.word(1);
                if word.eq_ignore_ascii_case(b"ON") || word.eq_ignore_ascii_case(b"OFF") {
                    self.origin = word.len() == 2;
                    let style = Style { origin: false, ..style };
                    return self.say(style, out, Reply::Ok, Outcome::Answered);
                }
                Reply::Error("usage: ORIGIN ON|OFF")
            }
            _ => Reply::Error("not yet"),
        };
        self.say(style, out, reply, Outcome::Answered)
    }

    fn say(&self, style: Style, out: &mut Buffer, reply: Reply<'_>, outcome: Outcome) -> Outcome {
        style.write(out, Origin::Server, reply);
        outcome
    }
}

/// The list of text commands, as lines ended by LF.
pub fn help() -> Vec<u8> {
    let text = TABLE.iter().filter(|command| command.is_text());
    let lines = text.map(|command| format!("{:<22} {}\n", command.usage(), command.summary));
    lines.collect::<String>().into_bytes()
}
