//! The connection commands: those that a session executes by itself, and those that need more.

use super::clients::{self, ClientsRequest, USER};
use super::{
    Identity, NO_SUCH_DATABASE, Names, Origin, RequestError, Session, SessionFlags, Style, absent,
    command_docs,
};
use crate::base::output::Output;
use crate::base::units;
use crate::handler::ConnId;
use crate::protocol::command::{Command, Verb};
use crate::protocol::resp::{Version, Writer};
use crate::protocol::text::printable;
use crate::protocol::{Form, Reply, Request};
use crate::stats::{Stat, Stats};
use std::time::Duration;

/// The longest name of a client or its library; `CLIENT LIST` shows those of all connections.
pub const MAX_NAME: usize = 1024;

/// The outcome of a connection command.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The reply is written.
    Answered,
    /// The reply is written; then the connection is to be closed.
    Last,
    /// The reply to `RESET` is written; other state of the client is to be dropped.
    Reset,
    /// The request is to be executed by [`super::program::answer`].
    Program,
    /// The request is to be executed by [`super::clients::answer`].
    Clients(ClientsRequest),
}

const WRONG_PASSWORD: RequestError =
    RequestError::with_code("WRONGPASS", "invalid username-password pair or user is disabled.");

impl Session {
    /// Executes a command whose access is `Connection`, at `unix`, the time since 1970, as the
    /// server that `identity` names. Writes its reply to `out`, unless the outcome is that another
    /// function does.
    pub fn connection_command(
        &mut self,
        request: &Request<'_>,
        conn: ConnId,
        unix: Duration,
        identity: &Identity,
        out: &mut Output,
        stats: &mut Stats,
    ) -> Outcome {
        let (style, mark) = (self.style(request.form, Some(request.command.verb)), out.len());
        // The commands of the text protocol have replies in both forms.
        let reply = match request.command.verb {
            Verb::Ping if request.len() == 1 => Reply::Pong,
            Verb::Help => return answered(style, out, Reply::Lines(&help()), Outcome::Answered),
            Verb::Bye | Verb::Quit | Verb::Exit => {
                return answered(style, out, Reply::Goodbye, Outcome::Last);
            }
            Verb::Origin => match self.set_origin(request) {
                Ok(()) => return answered(style.part(), out, Reply::Ok, Outcome::Answered),
                Err(error) => {
                    error.write(style, out, stats);
                    return Outcome::Answered;
                }
            },
            _ => {
                let done = self.resp_command(request, conn, unix, identity, out);
                return done.unwrap_or_else(|error| {
                    out.truncate(mark);
                    error.write(style, out, stats);
                    Outcome::Answered
                });
            }
        };
        answered(style, out, reply, Outcome::Answered)
    }

    fn set_origin(&mut self, request: &Request<'_>) -> Result<(), RequestError> {
        let word = request.word(1);
        if request.form == Form::Resp && self.version == Version::Two {
            return Err("ORIGIN needs RESP3: say HELLO 3 first".into());
        }
        if !word.eq_ignore_ascii_case(b"ON") && !word.eq_ignore_ascii_case(b"OFF") {
            return Err("usage: ORIGIN ON|OFF".into());
        }
        self.origin = word.len() == 2;
        Ok(())
    }

    /// Executes a command that only RESP has. Output written before an error is to be removed.
    fn resp_command(
        &mut self,
        request: &Request<'_>,
        conn: ConnId,
        unix: Duration,
        identity: &Identity,
        out: &mut Output,
    ) -> Result<Outcome, RequestError> {
        if request.command.verb == Verb::Hello {
            // The reply is in the version that the request has chosen.
            self.hello(request)?;
            let style = self.style(request.form, None);
            self.greet(conn, identity, &mut style.writer(out));
            return Ok(Outcome::Answered);
        }
        if request.command.verb == Verb::Reset {
            // So is this one.
            self.reset();
            self.style(request.form, None).writer(out).simple("RESET");
            return Ok(Outcome::Reset);
        }
        let (style, mark) = (self.style(request.form, None), out.len());
        let mut reply = style.writer(out);
        let begun = reply.len();
        let outcome = self.carry_out(request, conn, unix, &mut reply)?;
        if reply.len() == begun {
            // There is no reply, or another function writes it.
            out.truncate(mark);
        }
        Ok(outcome)
    }

    /// Executes a command that only RESP has, and is not `HELLO`.
    fn carry_out(
        &mut self,
        request: &Request<'_>,
        conn: ConnId,
        unix: Duration,
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, RequestError> {
        match request.command.verb {
            Verb::Ping if request.len() > 2 => {
                return Err(request.command.wrong_arity().into());
            }
            Verb::Ping | Verb::Echo => reply.bulk(request.word(1)),
            Verb::Auth => {
                authenticate(request)?;
                reply.simple("OK");
            }
            Verb::Select => {
                self.select(request.word(1))?;
                reply.simple("OK");
            }
            Verb::Time => {
                reply.array(2);
                reply.bulks(&[&unix.as_secs().to_string(), &unix.subsec_micros().to_string()]);
            }
            Verb::Role => {
                reply.array(3);
                reply.bulk(b"master");
                reply.integer(0);
                reply.array(0);
            }
            Verb::Cluster => return Err("This instance has cluster support disabled".into()),
            Verb::ClientHelp | Verb::CommandHelp | Verb::ConfigHelp => {
                command_docs::help(request.command, reply);
            }
            Verb::Command
            | Verb::CommandCount
            | Verb::CommandDocs
            | Verb::CommandGetkeys
            | Verb::CommandGetkeysandflags
            | Verb::CommandInfo
            | Verb::CommandList => command_docs::answer(request, reply)?,
            Verb::Stats
            | Verb::Info
            | Verb::ConfigGet
            | Verb::ConfigResetstat
            | Verb::ConfigSet => return Ok(Outcome::Program),
            _ if absent::answer(request, reply)? => {}
            _ => return self.client_command(request, conn, unix, reply),
        }
        Ok(Outcome::Answered)
    }

    /// Executes `CLIENT` and its subcommands. Returns the outcome.
    fn client_command(
        &mut self,
        request: &Request<'_>,
        conn: ConnId,
        unix: Duration,
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, RequestError> {
        match request.command.verb {
            Verb::ClientId => reply.integer(i64::from(conn.number())),
            Verb::ClientInfo => {
                let line = clients::line(conn, self, unix.as_secs() as u32);
                reply.verbatim(line.as_bytes());
            }
            Verb::ClientList => return Ok(Outcome::Clients(ClientsRequest::list(request)?)),
            Verb::ClientKill => return Ok(Outcome::Clients(ClientsRequest::kill(request)?)),
            Verb::ClientGetname => match self.names.as_deref() {
                Some(Names { name, .. }) if !name.is_empty() => reply.bulk(name.as_bytes()),
                _ => reply.null(),
            },
            Verb::ClientTrackinginfo => self.write_tracking(reply),
            Verb::ClientGetredir => reply.integer(self.redirection()),
            _ => self.set_option(request, reply)?,
        }
        Ok(Outcome::Answered)
    }

    /// Executes the subcommands of `CLIENT` whose reply is `OK`.
    fn set_option(
        &mut self,
        request: &Request<'_>,
        reply: &mut Writer<'_>,
    ) -> Result<(), RequestError> {
        match request.command.verb {
            Verb::ClientSetname => self.set_name(name(request.word(2), "Client names")?),
            Verb::ClientSetinfo => self.set_library(request.word(2), request.word(3))?,
            Verb::ClientTracking => self.set_tracking(request)?,
            Verb::ClientCaching => self.set_caching(request.word(2))?,
            Verb::ClientReply if !self.set_replies(request.word(2))? => return Ok(()),
            Verb::ClientReply => {}
            verb => unreachable!("{verb:?} has no arm in src/session/commands.rs"),
        }
        reply.simple("OK");
        Ok(())
    }

    /// Executes `SELECT`. Clients go on after a database that there is not as if they had it.
    fn select(&mut self, word: &[u8]) -> Result<(), RequestError> {
        let number = units::integer(word).map(i32::try_from);
        if let Some(Ok(number)) = number {
            self.flags.set(SessionFlags::SELECT_REFUSED, number != 0);
        }
        match number {
            Some(Ok(0)) => Ok(()),
            Some(Ok(_)) => Err(NO_SUCH_DATABASE),
            Some(Err(_)) => Err("value is out of range, value must between -2147483648 and \
                                 2147483647"
                .into()),
            None => Err("value is not an integer or out of range".into()),
        }
    }

    /// Executes `HELLO`. As in Redis, a name before a mistake is set.
    fn hello(&mut self, request: &Request<'_>) -> Result<(), RequestError> {
        let mut words = request.arguments();
        let version = match words.next().map(units::integer) {
            None => self.version,
            Some(Some(2)) => Version::Two,
            Some(Some(3)) => Version::Three,
            Some(Some(_)) => {
                return Err(RequestError::with_code("NOPROTO", "unsupported protocol version"));
            }
            Some(None) => {
                return Err("Protocol version is not an integer or out of range".into());
            }
        };
        while let Some(option) = words.next() {
            if option.eq_ignore_ascii_case(b"AUTH") && words.len() >= 2 {
                check_user(words.next().unwrap_or_default())?;
                words.next(); // any password is right
            } else if option.eq_ignore_ascii_case(b"SETNAME")
                && let Some(word) = words.next()
            {
                self.set_name(name(word, "Client names")?);
            } else {
                let option = printable(option, 128);
                return Err(format!("Syntax error in HELLO option '{option}'").into());
            }
        }
        self.version = version;
        if version == Version::Two {
            self.stop_tracking();
        }
        Ok(())
    }

    fn greet(&self, conn: ConnId, identity: &Identity, reply: &mut Writer<'_>) {
        reply.map(8);
        reply.bulks(&["server", &identity.server, "version", &identity.version, "proto"]);
        reply.integer(self.version.number());
        reply.bulk(b"id");
        reply.integer(i64::from(conn.number()));
        reply.bulks(&["mode", "standalone", "role", "master"]);
        reply.bulks(&["larder_version", env!("CARGO_PKG_VERSION"), "modules"]);
        reply.array(0);
    }

    /// Resets the session to its first state, but for the name of the client's library.
    fn reset(&mut self) {
        self.end_transaction();
        self.version = Version::Two;
        self.stop_tracking();
        self.origin = false;
        self.set_name(String::new());
        self.flags.0 &= SessionFlags::SKIP;
    }

    fn set_library(&mut self, what: &[u8], word: &[u8]) -> Result<(), RequestError> {
        let shown = printable(what, 128).to_string();
        let is_name = what.eq_ignore_ascii_case(b"LIB-NAME");
        if !is_name && !what.eq_ignore_ascii_case(b"LIB-VER") {
            return Err(format!("Unrecognized option '{shown}'").into());
        }
        let value = name(word, &shown)?;
        self.change_names(|names| {
            *(if is_name { &mut names.library } else { &mut names.library_version }) = value;
        });
        Ok(())
    }

    /// Sets which replies the client wants. Returns whether this request has one.
    fn set_replies(&mut self, word: &[u8]) -> Result<bool, RequestError> {
        let (on, off) = (word.eq_ignore_ascii_case(b"ON"), word.eq_ignore_ascii_case(b"OFF"));
        if on {
            self.flags.set(SessionFlags::REPLY_OFF | SessionFlags::SKIP, false);
        } else if off {
            self.flags.set(SessionFlags::REPLY_OFF, true);
        } else if !word.eq_ignore_ascii_case(b"SKIP") {
            return Err(RequestError::SYNTAX);
        } else if !self.flags.has(SessionFlags::REPLY_OFF) {
            self.flags.set(SessionFlags::SKIP_NEXT, true);
        }
        Ok(on)
    }

    fn set_name(&mut self, name: String) {
        self.change_names(|names| names.name = name);
    }
}

/// Writes a reply, and returns the outcome.
fn answered(style: Style, out: &mut Output, reply: Reply<'_>, outcome: Outcome) -> Outcome {
    style.write(out, Origin::Server, reply);
    outcome
}

fn authenticate(request: &Request<'_>) -> Result<(), RequestError> {
    match request.len() {
        2 => Err("AUTH <password> called without any password configured for the default \
                  user. Are you sure your configuration is correct?"
            .into()),
        3 => check_user(request.word(1)),
        _ => Err(RequestError::SYNTAX),
    }
}

fn check_user(user: &[u8]) -> Result<(), RequestError> {
    if user == USER.as_bytes() { Ok(()) } else { Err(WRONG_PASSWORD) }
}

/// Checks a name for `CLIENT LIST`, and returns it. The error message begins with `whose`.
fn name(word: &[u8], whose: &str) -> Result<String, RequestError> {
    if word.len() > MAX_NAME {
        let most = MAX_NAME;
        let message = format!("{whose} cannot be longer than {most} bytes");
        return Err(RequestError::counted(Stat::TooLargeRequests, message));
    }
    match std::str::from_utf8(word) {
        Ok(word) if word.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(word.to_string()),
        _ => Err(format!("{whose} cannot contain spaces, newlines or special characters.").into()),
    }
}

/// Returns the list of text commands, as lines ended by LF.
pub fn help() -> Vec<u8> {
    let text = Command::all().iter().filter(|command| command.is_text());
    let lines = text.map(|command| format!("{:<22} {}\n", command.usage(), command.summary));
    lines.collect::<String>().into_bytes()
}
