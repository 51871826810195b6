//! The greeting of a new connection to the upstream, before any client's request: it settles the
//! version of RESP, the user and the database, and reads the upstream's commands.
//!
//! ```text
//!   HELLO 3 [AUTH <user> <password>] ──▶ [SELECT <n>] ──▶ [CLIENT TRACKING ON] ──▶ COMMAND ──▶
//!          └─ not known ──▶ [AUTH [<user>] <password>] ──┘                           greeted
//! ```
//!
//! Each request is sent when the one before is answered. An error has its meaning by its first
//! word:
//!
//! | request | first word | meaning for the connection |
//! | --- | --- | --- |
//! | `HELLO` | `ERR`, `NOPROTO`, `NOPERM` | it goes on in RESP2 |
//! | `CLIENT TRACKING` | `ERR`, `NOPROTO`, `NOPERM` | it reports no changes: level 0 |
//! | `COMMAND` | `ERR`, `NOPERM` | it has no commands but those of our own table |
//! | any | any other | it is given up, and the next attempt follows after a backoff |
//!
//! The last row is `NOAUTH`, `WRONGPASS`, a database that is not there, `LOADING` and others; each
//! is logged once. A password is never logged: of an error to a request that had it, only the first
//! word is, since the others may repeat the request.

use super::connection::UpstreamConnection;
use super::credentials::{Credentials, Source};
use super::foreign::ForeignCommands;
use super::purpose::{GreetingStep, Purpose};
use crate::handler::Outbox;
use crate::protocol::resp::{Element, Elements, Version};
use crate::protocol::text::printable;
use crate::proxy::coherence::Level;
use crate::proxy::no_reply::UnexpectedReply;
use crate::session::Identity;
use log::info;
use std::time::Instant;

/// The most bytes of an upstream's error that are logged.
const MAX_SHOWN: usize = 128;

/// Greets each new connection to the upstream, and keeps what the upstream has answered.
pub struct Greeter {
    source: Source,
    database: u32,
    /// The user and password, while a connection is greeted.
    credentials: Option<Credentials>,
    /// The version of RESP on this connection.
    pub version: Version,
    /// The upstream's own commands, once it has sent them on this connection.
    pub commands: Option<ForeignCommands>,
    /// The kind of server that the upstream says it is, or said last.
    pub identity: Identity,
}

impl Greeter {
    /// Returns a greeter for connections that are yet to come.
    pub fn new(source: Source, database: u32) -> Greeter {
        let (version, identity) = (Version::Two, Identity::default());
        Greeter { source, database, credentials: None, version, commands: None, identity }
    }

    /// Begins to greet a connection that is being made.
    ///
    /// # Errors
    /// The credentials cannot be read: returns the reason.
    pub fn greet(
        &mut self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        self.version = Version::Two;
        self.commands = None;
        self.credentials = self.source.load()?;
        self.send_step(connection, out, GreetingStep::Hello);
        Ok(())
    }

    fn send_step(
        &self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
        step: GreetingStep,
    ) {
        let database = self.database.to_string();
        let mut words: Vec<&[u8]> = match step {
            GreetingStep::Hello => vec![b"HELLO", b"3"],
            GreetingStep::Auth => vec![b"AUTH"],
            GreetingStep::Select => vec![b"SELECT", database.as_bytes()],
            GreetingStep::Tracking => vec![b"CLIENT", b"TRACKING", b"ON"],
            GreetingStep::Commands => vec![b"COMMAND"],
        };
        match (step, &self.credentials) {
            (GreetingStep::Hello, Some(it)) => {
                words.extend([b"AUTH", it.user_name(), &it.password]);
            }
            // Before Redis 6 it takes the password alone.
            (GreetingStep::Auth, Some(it)) => {
                words.extend(it.user.as_deref());
                words.push(&it.password);
            }
            _ => {}
        }
        // It fails if the connection is lost: then every waiter has its error.
        let _ = connection.greet(out, &words, Purpose::Greeting(step));
    }

    /// Takes the reply to a request of the greeting, and sends the next one. Returns the level of
    /// the cache, once it is known; without `wants_tracking` it never is.
    ///
    /// # Errors
    /// The connection is of no use.
    pub fn answered(
        &mut self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
        (step, reply): (GreetingStep, &[u8]),
        wants_tracking: bool,
        now: Instant,
    ) -> Result<Option<Level>, UnexpectedReply> {
        let is_early = connection.is_ahead(out);
        let (next, level) = match (step, Elements::new(reply).next()) {
            (_, Some(Element::Error(error))) if is_early || !is_passable(step, error) => {
                connection.log_failure(self.refusal(step, error));
                return Err(UnexpectedReply);
            }
            _ if is_early => return Err(UnexpectedReply),
            (GreetingStep::Hello, Some(Element::Map(_))) => {
                self.version = Version::Three;
                self.identity = Identity::of_hello(reply).unwrap_or_default();
                self.after_login(wants_tracking)
            }
            (GreetingStep::Hello, Some(Element::Error(_))) => {
                self.identity = Identity::default();
                if !connection.is_retrying() {
                    info!("the upstream speaks RESP2");
                }
                match self.credentials {
                    Some(_) => (GreetingStep::Auth, None),
                    None => self.after_login(wants_tracking),
                }
            }
            (GreetingStep::Auth, Some(Element::Simple(b"OK"))) => self.after_login(wants_tracking),
            (GreetingStep::Select, Some(Element::Simple(b"OK"))) => {
                self.after_select(wants_tracking)
            }
            (GreetingStep::Tracking, Some(Element::Simple(b"OK"))) => {
                (GreetingStep::Commands, Some(Level::One))
            }
            (GreetingStep::Tracking, Some(Element::Error(_))) => {
                (GreetingStep::Commands, Some(Level::Zero))
            }
            (GreetingStep::Commands, Some(Element::Array(_) | Element::Error(_))) => {
                self.commands = Some(ForeignCommands::read(reply));
                self.credentials = None;
                connection.greeted(out, now);
                return Ok(None);
            }
            _ => return Err(UnexpectedReply),
        };
        self.send_step(connection, out, next);
        Ok(level)
    }

    /// Returns the step after the login. A connection begins with database 0.
    fn after_login(&self, wants_tracking: bool) -> (GreetingStep, Option<Level>) {
        if self.database == 0 {
            self.after_select(wants_tracking)
        } else {
            (GreetingStep::Select, None)
        }
    }

    /// Returns the step after the database is selected, and the level if it is known. In RESP2
    /// there is no way to report changes, and without a cache no need.
    fn after_select(&self, wants_tracking: bool) -> (GreetingStep, Option<Level>) {
        match self.version {
            _ if !wants_tracking => (GreetingStep::Commands, None),
            Version::Three => (GreetingStep::Tracking, None),
            Version::Two => (GreetingStep::Commands, Some(Level::Zero)),
        }
    }

    /// Returns why there is no upstream, for the log.
    fn refusal(&self, step: GreetingStep, error: &[u8]) -> String {
        let code = code(error);
        let has_password = self.credentials.is_some();
        let is_login = matches!(step, GreetingStep::Hello | GreetingStep::Auth);
        let shown = if is_login && has_password { code } else { error };
        let shown = printable(shown, MAX_SHOWN);
        match (step, code) {
            (_, b"NOAUTH") if !has_password => {
                "it wants a password: see --upstream-auth-file in --help".to_string()
            }
            (GreetingStep::Auth, _) | (_, b"WRONGPASS" | b"NOAUTH") => {
                format!("authentication failed ({shown})")
            }
            (GreetingStep::Select, b"ERR" | b"NOPERM") => {
                format!("it does not give database {}: {shown}", self.database)
            }
            _ => format!("it is not ready: {shown}"),
        }
    }
}

/// Returns whether the connection is of use in spite of this error.
fn is_passable(step: GreetingStep, error: &[u8]) -> bool {
    match step {
        GreetingStep::Hello | GreetingStep::Tracking => {
            matches!(code(error), b"ERR" | b"NOPROTO" | b"NOPERM")
        }
        GreetingStep::Commands => matches!(code(error), b"ERR" | b"NOPERM"),
        GreetingStep::Auth | GreetingStep::Select => false,
    }
}

/// Returns the kind of an error: its first word, if that is in capitals.
fn code(error: &[u8]) -> &[u8] {
    let word = error.split(|&byte| byte == b' ').next().unwrap_or_default();
    if word.iter().all(u8::is_ascii_uppercase) { word } else { b"ERR" }
}
