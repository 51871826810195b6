//! One client's protocol state, and the commands that concern the connection or the program and not
//! the keys. Server and proxy share it.
//!
//! - `commands.rs`: the commands that a session executes by itself
//! - `clients.rs`: `CLIENT LIST` and `KILL`, which concern all sessions
//! - `command_docs.rs`: `COMMAND`, the table of commands · `key_flags.rs`: what becomes of keys
//! - `absent.rs`: `SLOWLOG`, `LATENCY` and others, about what there is not
//! - `tracking.rs`: `CLIENT TRACKING`, which reads a client tracks
//! - `work.rs`: how much of it a client's turn does
//! - `error.rs`: why a request fails · `text_dump.rs`: the reply to a `DUMP` in text
//! - `identity.rs`: the server that `HELLO` and `INFO` name
//! - `program.rs`: `STATS`, `INFO` and `CONFIG`, which concern the program
//! - `info.rs`, `config.rs`: two of these

mod absent;
pub mod clients;
mod command_docs;
mod commands;
mod config;
mod error;
mod identity;
mod info;
mod key_flags;
pub mod program;
mod text_dump;
mod tracking;
pub mod transaction;
pub mod work;

pub use commands::{MAX_NAME, Outcome, help};
pub use error::{RequestError, check_pattern};
pub use identity::Identity;
pub use text_dump::TextDump;

use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next};
use crate::protocol::command::{Command, TABLE, Verb};
use crate::protocol::resp::{self, Version, Writer};
use crate::protocol::{Decoded, Decoder, Form, Midway, Reply, Request, Scratch, text};
use crate::session::transaction::Transaction;
use crate::settings::limits::Limits;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tracking::TrackingModes;

/// The style of the reply to one request: fixed when the request is decoded, so that a later reply
/// still has the style that its client had chosen then.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The protocol.
    pub form: Form,
    /// The version of RESP.
    pub version: Version,
    /// The command, where it is known; some replies differ by it.
    pub verb: Option<Verb>,
    /// The client does not want this reply.
    pub quiet: bool,
    origin: bool,
}

/// The origin of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server, or a proxy in its place.
    Server,
    /// The proxy's cache.
    Cache,
}

impl Style {
    /// Returns the style of a client that has chosen nothing.
    pub fn plain(form: Form) -> Style {
        Style { form, version: Version::Two, verb: None, quiet: false, origin: false }
    }

    /// Appends a reply in this style, also if the client does not want it.
    #[inline]
    pub fn write(self, out: &mut Output, origin: Origin, reply: Reply<'_>) {
        match self.form {
            Form::Text => text::reply(out, self.prefix(origin), reply),
            Form::Resp => {
                self.write_origin(out, origin);
                resp::reply(out, self.version, self.verb, reply);
            }
        }
    }

    /// Returns a writer for a reply that only RESP has, and that is not the cache's.
    pub fn writer(self, out: &mut Output) -> Writer<'_> {
        self.write_origin(out, Origin::Server);
        Writer::new(out, self.version)
    }

    /// Appends the attribute that names the origin of the RESP reply after it, if the client has
    /// chosen that; RESP2 has no attributes.
    #[inline]
    pub fn write_origin(self, out: &mut Output, origin: Origin) {
        if self.origin && self.form == Form::Resp && self.version == Version::Three {
            out.push(match origin {
                Origin::Server => b"|1\r\n$6\r\norigin\r\n$6\r\nserver\r\n",
                Origin::Cache => b"|1\r\n$6\r\norigin\r\n$5\r\nproxy\r\n",
            });
        }
    }

    /// Returns the style of a part of a reply, whose origin is named before the whole.
    pub fn part(self) -> Style {
        Style { origin: false, ..self }
    }

    /// Returns the prefix of each line of a text reply.
    pub fn prefix(self, origin: Origin) -> text::Prefix {
        match (self.origin, origin) {
            (false, _) => b"",
            (true, Origin::Server) => b"server: ",
            (true, Origin::Cache) => b"proxy: ",
        }
    }
}

/// A request that is executed, with what its execution needs to know of its client.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The connection of the client.
    pub conn: ConnId,
    /// The request itself.
    pub request: &'a Request<'a>,
    /// The style of its reply.
    pub style: Style,
    /// The time at which it is executed.
    pub now: Now,
}

/// The end of a batch of requests, which are executed without a pause.
pub enum BatchEnd {
    /// The batch ends for what comes before the next request: there may be more.
    Pause,
    /// There is nothing more to do for now.
    Stop(Next),
    /// No request follows.
    Close,
}

/// The result of [`Session::collect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// The request is to be executed now.
    Not,
    /// The request was kept for `EXEC`.
    Kept,
    /// The request was refused, and the transaction has failed.
    Refused(RequestError),
}

/// What earlier commands mean for later ones, in bits; none is set for most clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SessionFlags(u8);

impl SessionFlags {
    /// `CLIENT REPLY OFF`: no replies.
    const REPLY_OFF: u8 = 1;
    /// `CLIENT REPLY SKIP`: no reply to the next request.
    const SKIP_NEXT: u8 = 2;
    /// No reply to this request.
    const SKIP: u8 = 4;
    /// A database was selected that there is not: commands for keys are refused.
    const SELECT_REFUSED: u8 = 8;
    /// A `WATCH` was refused: so is the next `EXEC`.
    const WATCH_REFUSED: u8 = 16;
    /// The requests of a transaction are being executed.
    const IN_EXEC: u8 = 32;

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.0 = if on { self.0 | flag } else { self.0 & !flag };
    }
}

/// The error for a database that there is not, and for keys in it.
const NO_SUCH_DATABASE: RequestError = RequestError::new("DB index is out of range");

/// One client's protocol state.
#[derive(Debug)]
pub struct Session {
    /// The state of the stream of requests; they are decoded with [`Session::decode`].
    pub decoder: Decoder,
    /// The time at which the request began that has not ended.
    midway_since: Option<Instant>,
    /// The peer's address and port, smaller than a `SocketAddr`.
    address: IpAddr,
    port: u16,
    /// The times of the connect and of the latest input, in Unix seconds.
    opened: u32,
    last_active: u32,
    origin: bool,
    version: Version,
    flags: SessionFlags,
    tracking: TrackingModes,
    /// The latest command, for `CLIENT LIST`.
    latest: Option<Verb>,
    names: Option<Box<Names>>,
    transaction: Option<Box<Transaction>>,
}

/// The names of a client and its library: printable, without spaces.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    name: String,
    library: String,
    library_version: String,
}

impl Session {
    /// Returns the session of a client that has just connected from `peer`.
    pub fn new(peer: SocketAddr, now: Now) -> Session {
        let seconds = now.unix_seconds();
        Session {
            decoder: Decoder::default(),
            midway_since: None,
            address: peer.ip(),
            port: peer.port(),
            opened: seconds,
            last_active: seconds,
            origin: false,
            version: Version::Two,
            flags: SessionFlags::default(),
            tracking: TrackingModes::default(),
            latest: None,
            names: None,
            transaction: None,
        }
    }

    /// Decodes the request at the front of `input`: see [`Decoder::decode`].
    #[inline(always)]
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

    /// Drops a partly received request, and the rest of it as it comes: see [`Decoder::skip`].
    pub fn drop_partial(&mut self, input: &mut Buffer, limits: &Limits) -> Form {
        // The end of the request will not be noticed, and the next one has its own timeout.
        self.midway_since = None;
        self.decoder.skip(input, limits)
    }

    /// Notes that the client has sent something.
    pub fn note_activity(&mut self, now: Now) {
        self.last_active = now.unix_seconds();
    }

    /// Notes the command that the client has sent.
    pub fn note_command(&mut self, verb: Verb) {
        self.latest = Some(verb);
    }

    /// Returns the command that the client has sent last.
    pub fn latest_command(&self) -> Option<&'static Command> {
        self.latest.map(|verb| &TABLE[verb as usize])
    }

    fn peer(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.port))
    }

    /// Changes the names, which are kept only while there are any.
    fn change_names(&mut self, change: impl FnOnce(&mut Names)) {
        let mut names = self.names.take().unwrap_or_default();
        change(&mut names);
        self.names = Some(names).filter(|names| **names != Names::default());
    }

    /// Returns whether requests are simply executed: no transaction is open, each has a reply, and
    /// none is refused for what was refused before.
    pub fn is_plain(&self) -> bool {
        self.transaction.is_none() && self.flags == SessionFlags::default()
    }

    /// Checks that commands for keys may be executed: not in a database that there is not.
    ///
    /// # Errors
    /// The latest `SELECT` was refused.
    pub fn check_database(&self) -> Result<(), RequestError> {
        let is_refused = self.flags.has(SessionFlags::SELECT_REFUSED);
        if is_refused { Err(NO_SUCH_DATABASE) } else { Ok(()) }
    }

    /// Notes that a `WATCH` was refused: what the client executes next must not be taken for
    /// guarded.
    pub fn watch_refused(&mut self) {
        self.flags.set(SessionFlags::WATCH_REFUSED, true);
    }

    /// Returns the transaction that is open.
    pub fn transaction(&mut self) -> Option<&mut Transaction> {
        self.transaction.as_deref_mut()
    }

    /// Closes the transaction that is open, and returns it.
    pub fn end_transaction(&mut self) -> Option<Box<Transaction>> {
        self.transaction.take()
    }

    /// Keeps a request for `EXEC`, if a transaction is open and the request does not end it or the
    /// connection. All requests of one transaction have at most `most` bytes.
    pub fn collect(&mut self, request: &Request<'_>, most: usize) -> Collected {
        use Verb::{Bye, ClientReply, Discard, Exec, Exit, Multi, Quit, Reset, Watch};
        let Some(transaction) = &mut self.transaction else { return Collected::Not };
        transaction.note(request.command);
        match request.command.verb {
            Multi | Exec | Discard | Watch | Reset | Bye | Quit | Exit => Collected::Not,
            _ if self.flags.has(SessionFlags::SELECT_REFUSED) && request.command.is_for_keys() => {
                transaction.fail();
                Collected::Refused(NO_SUCH_DATABASE)
            }
            // Without its own reply, that to EXEC would have fewer than it says.
            ClientReply if !is_reply_on(request) => {
                transaction.fail();
                Collected::Refused(
                    "CLIENT REPLY OFF and SKIP are not allowed in transactions".into(),
                )
            }
            _ if request.form == Form::Text => {
                transaction.fail();
                Collected::Refused("a transaction takes RESP requests only".into())
            }
            _ => match transaction.push(request.words, most) {
                Ok(()) => Collected::Kept,
                Err(error) => Collected::Refused(error),
            },
        }
    }

    /// Fails the open transaction, as a request was refused. Returns the style of the error.
    pub fn refuse(&mut self, form: Form) -> Style {
        if let Some(transaction) = &mut self.transaction {
            transaction.fail();
        }
        let style = self.style(form, None);
        self.end_request();
        style
    }

    /// Returns whether the client does not want the reply to the present request.
    pub fn is_quiet(&self) -> bool {
        self.flags.has(SessionFlags::REPLY_OFF | SessionFlags::SKIP)
    }

    /// Goes on to the next request: to be called unless [`is_plain`](Self::is_plain).
    pub fn end_request(&mut self) {
        let skip = self.flags.has(SessionFlags::SKIP_NEXT);
        self.flags.set(SessionFlags::SKIP, skip);
        self.flags.set(SessionFlags::SKIP_NEXT, false);
    }

    /// Returns the style of a reply to a request that came now.
    #[inline]
    pub fn style(&self, form: Form, verb: Option<Verb>) -> Style {
        let quiet = self.is_quiet();
        Style {
            form,
            version: self.version,
            verb,
            quiet,
            origin: self.origin && !self.flags.has(SessionFlags::IN_EXEC),
        }
    }

    /// Notes whether the replies to come are parts of the reply to an `EXEC`.
    pub fn set_in_exec(&mut self, in_exec: bool) {
        self.flags.set(SessionFlags::IN_EXEC, in_exec);
    }

    /// Returns the deadline for more input, after all whole requests in `input` were decoded.
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

    /// Returns the error for a client that has timed out; `None` for one that is only idle, which
    /// does not expect a reply.
    pub fn timed_out(&self, limits: &Limits) -> Option<(Style, String)> {
        let (form, what, timeout) = match self.decoder.midway(b"") {
            Midway::Nothing => return None,
            Midway::Line => (self.decoder.line_form(limits), "line", limits.line_timeout),
            Midway::Array => (Form::Resp, "request", limits.request_timeout),
        };
        let message = format!("no complete {what} within {} seconds", timeout.as_secs_f64());
        Some((self.style(form, None), message))
    }
}

/// Returns whether a `CLIENT REPLY` is not `OFF` or `SKIP`.
fn is_reply_on(request: &Request<'_>) -> bool {
    let word = request.word(2);
    !word.eq_ignore_ascii_case(b"OFF") && !word.eq_ignore_ascii_case(b"SKIP")
}

#[cfg(test)]
mod tests;
