//! One client's protocol state, and the commands that concern the connection and not the keys.
//! Server and proxy share it.

use crate::buffer::Buffer;
use crate::command::{TABLE, Verb};
use crate::limits::Limits;
use crate::protocol::text::{self, Reply};
use crate::protocol::{Decoded, Decoder, Form, Midway, Request, Scratch, resp};
use std::time::{Duration, Instant};

/// How the reply to one request is to look: fixed when the request is decoded, so that a reply that
/// comes later still has the look its client asked for then.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The protocol.
    pub form: Form,
    /// The command, where it is known; some replies differ by it.
    pub verb: Option<Verb>,
    origin: bool,
}

/// Where a reply was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By the server, or by a program in its place.
    Server,
    /// From the proxy's cache.
    Cache,
}

impl Style {
    /// Appends a reply in this style.
    #[inline]
    pub fn write(self, out: &mut Buffer, origin: Origin, reply: Reply<'_>) {
        match self.form {
            Form::Text => text::reply(out, self.prefix(origin), reply),
            Form::Resp => resp::reply(out, self.verb, reply),
        }
    }

    /// What stands before each line of a text reply.
    pub fn prefix(self, origin: Origin) -> text::Prefix {
        match (self.origin, origin) {
            (false, _) => b"",
            (true, Origin::Server) => b"server: ",
            (true, Origin::Cache) => b"proxy: ",
        }
    }
}

/// What a connection command comes to.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// This reply.
    Reply(Reply<'a>),
    /// This reply; then the connection is closed.
    Last(Reply<'a>),
    /// The list of commands: see [`help`].
    Help,
    /// The counters.
    Stats,
}

/// One client's protocol state.
#[derive(Debug, Default)]
pub struct Session {
    decoder: Decoder,
    /// When the request that has begun and not ended began.
    midway_since: Option<Instant>,
    origin: bool,
}

impl Session {
    /// Decodes the request at the front of `input`: see [`Decoder::decode`].
    #[inline]
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        scratch: &'a mut Scratch,
        limits: &Limits,
    ) -> (usize, Decoded<'a>) {
        let (consumed, decoded) = self.decoder.decode(input, scratch, limits);
        if !matches!(decoded, Decoded::Incomplete | Decoded::Telnet(_)) {
            self.midway_since = None;
        }
        (consumed, decoded)
    }

    /// Takes back the request that was last decoded: see [`Decoder::put_back`].
    pub fn put_back(&mut self, scratch: &mut Scratch) -> usize {
        self.decoder.put_back(scratch)
    }

    /// Whether the next byte of the input is the first of a request.
    pub fn is_between_requests(&self) -> bool {
        self.decoder.midway(b"") == Midway::Nothing
    }

    /// The style of a reply to a request that came now.
    #[inline]
    pub fn style(&self, form: Form, verb: Option<Verb>) -> Style {
        Style { form, verb, origin: self.origin }
    }

    /// How long to wait for more, after all whole requests in `input` were decoded.
    #[inline]
    pub fn patience(&mut self, input: &[u8], now: Instant, limits: &Limits) -> Option<Instant> {
        let timeout = match self.decoder.midway(input) {
            Midway::Nothing => {
                self.midway_since = None;
                let never = limits.idle_timeout == Duration::ZERO;
                return if never { None } else { Some(now + limits.idle_timeout) };
            }
            Midway::Line => limits.line_timeout,
            Midway::Array => limits.request_timeout,
        };
        Some(*self.midway_since.get_or_insert(now) + timeout)
    }

    /// What to say to a client whose time is up; nothing to one that is only idle, which does not
    /// expect a reply.
    pub fn timed_out(&self, limits: &Limits) -> Option<(Style, String)> {
        let (form, what, timeout) = match self.decoder.midway(b"") {
            Midway::Nothing => return None,
            Midway::Line => (Form::Text, "line", limits.line_timeout),
            Midway::Array => (Form::Resp, "request", limits.request_timeout),
        };
        let message = format!("no complete {what} within {} seconds", timeout.as_secs_f64());
        Some((self.style(form, None), message))
    }

    /// Carries out a command that concerns only the connection or the program. `None`: it is not of
    /// that kind.
    pub fn connection_command<'a>(&mut self, request: &Request<'a>) -> Option<(Style, Answer<'a>)> {
        let mut style = self.style(request.form, Some(request.command.verb));
        let answer = match request.command.verb {
            Verb::Ping if request.len() > 1 => Answer::Reply(Reply::Value(request.word(1))),
            Verb::Ping => Answer::Reply(Reply::Pong),
            Verb::Help => Answer::Help,
            Verb::Stats => Answer::Stats,
            Verb::Bye | Verb::Quit | Verb::Exit => Answer::Last(Reply::Goodbye),
            Verb::Origin if request.form != Form::Text => {
                Answer::Reply(Reply::Error("text protocol only"))
            }
            Verb::Origin => {
                let word = request.word(1);
                if word.eq_ignore_ascii_case(b"ON") || word.eq_ignore_ascii_case(b"OFF") {
                    self.origin = word.len() == 2;
                    style.origin = false;
                    Answer::Reply(Reply::Ok)
                } else {
                    Answer::Reply(Reply::Error("usage: ORIGIN ON|OFF"))
                }
            }
            Verb::Get | Verb::Set | Verb::Put | Verb::Del | Verb::Scan | Verb::Dump => return None,
        };
        Some((style, answer))
    }
}

/// The list of text commands, as lines ended by LF.
pub fn help() -> Vec<u8> {
    let text = TABLE.iter().filter(|command| command.is_text());
    let lines = text.map(|command| format!("{:<22} {}\n", command.usage(), command.summary));
    lines.collect::<String>().into_bytes()
}
