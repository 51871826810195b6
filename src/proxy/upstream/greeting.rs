//! What a new connection to the upstream begins with, before any client's request: who the proxy
//! is, which RESP is spoken, which database is meant, and which commands there are.
//!
//! ```text
//!   HELLO 3 [AUTH <user> <password>] ──▶ [SELECT <n>] ──▶ [CLIENT TRACKING ON] ──▶ COMMAND ──▶
//!          └─ not known ──▶ [AUTH [<user>] <password>] ──┘                           greeted
//! ```
//!
//! One question is asked after the other. An error to one of them is sorted by its first word:
//!
//! | question | first word | what becomes of the connection |
//! | --- | --- | --- |
//! | `HELLO` | `ERR`, `NOPROTO`, `NOPERM` | RESP2 is spoken on it |
//! | `CLIENT TRACKING` | `ERR`, `NOPROTO`, `NOPERM` | it does not tell of changes: level 0 |
//! | `COMMAND` | `ERR`, `NOPERM` | it has no commands but those of our own table |
//! | any | any other | it is given up: to clients the upstream is unavailable, and tried again |
//!
//! The last row is `NOAUTH`, `WRONGPASS`, a database that is not there, `LOADING` and what else may
//! come; each is told in the log once. A password is never in the log: where it was in the
//! question, the words of the error, which may repeat the question, are not told either.

use super::connection::UpstreamConnection;
use super::credentials::{Credentials, Source};
use super::foreign::ForeignCommands;
use super::purpose::{Purpose, Question};
use crate::handler::Outbox;
use crate::protocol::resp::{Element, Elements, Version};
use crate::protocol::text::printable;
use crate::proxy::coherence::Level;
use crate::proxy::error::UnexpectedReply;
use log::info;
use std::time::Instant;

/// How many bytes of an upstream's error the log shows.
const MAX_SHOWN: usize = 128;

/// Greets each new connection to the upstream, and keeps what is known of the upstream from that.
pub struct Greeter {
    source: Source,
    /// The number of the database.
    database: u32,
    /// Who the proxy is, while a connection is greeted.
    credentials: Option<Credentials>,
    /// The version of RESP that the upstream speaks on this connection.
    pub version: Version,
    /// The upstream's own commands, once it has sent them on this connection.
    pub commands: Option<ForeignCommands>,
}

impl Greeter {
    /// Returns a greeter for connections that have not begun.
    pub fn new(source: Source, database: u32) -> Greeter {
        Greeter { source, database, credentials: None, version: Version::Two, commands: None }
    }

    /// Begins to greet a connection that is being made.
    ///
    /// # Errors
    /// The credentials cannot be read: says why.
    pub fn greet(
        &mut self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        self.version = Version::Two;
        self.commands = None;
        self.credentials = self.source.ask()?;
        self.put_question(connection, out, Question::Hello);
        Ok(())
    }

    fn put_question(
        &self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
        question: Question,
    ) {
        let database = self.database.to_string();
        let mut words: Vec<&[u8]> = match question {
            Question::Hello => vec![b"HELLO", b"3"],
            Question::Auth => vec![b"AUTH"],
            Question::Select => vec![b"SELECT", database.as_bytes()],
            Question::Tracking => vec![b"CLIENT", b"TRACKING", b"ON"],
            Question::Commands => vec![b"COMMAND"],
        };
        match (question, &self.credentials) {
            (Question::Hello, Some(it)) => words.extend([b"AUTH", it.user_name(), &it.password]),
            // Before there were users, it took the password alone.
            (Question::Auth, Some(it)) => {
                words.extend(it.user.as_deref());
                words.push(&it.password);
            }
            _ => {}
        }
        // It fails where the connection has gone, and all that waited on it has been told.
        let _ = connection.greet(out, &words, Purpose::Greeting(question));
    }

    /// Goes on with the next question. Returns the level of the cache, once that is known; it is
    /// asked for if `wants_tracking`.
    ///
    /// # Errors
    /// The connection is of no use.
    pub fn answered(
        &mut self,
        connection: &mut UpstreamConnection<Purpose>,
        out: &mut Outbox,
        (question, reply): (Question, &[u8]),
        wants_tracking: bool,
        now: Instant,
    ) -> Result<Option<Level>, UnexpectedReply> {
        let is_early = connection.is_ahead(out);
        let (next, level) = match (question, Elements::new(reply).next()) {
            (_, Some(Element::Error(error))) if is_early || !is_passable(question, error) => {
                connection.log_failure(self.refusal(question, error));
                return Err(UnexpectedReply);
            }
            _ if is_early => return Err(UnexpectedReply),
            (Question::Hello, Some(Element::Map(_))) => {
                self.version = Version::Three;
                self.after_login(wants_tracking)
            }
            (Question::Hello, Some(Element::Error(_))) => {
                if !connection.is_retrying() {
                    info!("the upstream speaks RESP2");
                }
                match self.credentials {
                    Some(_) => (Question::Auth, None),
                    None => self.after_login(wants_tracking),
                }
            }
            (Question::Auth, Some(Element::Simple(b"OK"))) => self.after_login(wants_tracking),
            (Question::Select, Some(Element::Simple(b"OK"))) => self.after_select(wants_tracking),
            (Question::Tracking, Some(Element::Simple(b"OK"))) => {
                (Question::Commands, Some(Level::One))
            }
            (Question::Tracking, Some(Element::Error(_))) => {
                (Question::Commands, Some(Level::Zero))
            }
            (Question::Commands, Some(Element::Array(_) | Element::Error(_))) => {
                self.commands = Some(ForeignCommands::read(reply));
                self.credentials = None;
                connection.greeted(out, now);
                return Ok(None);
            }
            _ => return Err(UnexpectedReply),
        };
        self.put_question(connection, out, next);
        Ok(level)
    }

    /// Database 0 is the one that a connection begins with.
    fn after_login(&self, wants_tracking: bool) -> (Question, Option<Level>) {
        if self.database == 0 {
            self.after_select(wants_tracking)
        } else {
            (Question::Select, None)
        }
    }

    /// In RESP2 it has no way to tell of changes, and without a cache there is no need.
    fn after_select(&self, wants_tracking: bool) -> (Question, Option<Level>) {
        match self.version {
            _ if !wants_tracking => (Question::Commands, None),
            Version::Three => (Question::Tracking, None),
            Version::Two => (Question::Commands, Some(Level::Zero)),
        }
    }

    /// Returns why there is no upstream, in plain words.
    fn refusal(&self, question: Question, error: &[u8]) -> String {
        let code = code(error);
        let has_password = self.credentials.is_some();
        let is_login = matches!(question, Question::Hello | Question::Auth);
        let shown = if is_login && has_password { code } else { error };
        let shown = printable(shown, MAX_SHOWN);
        match (question, code) {
            (_, b"NOAUTH") if !has_password => {
                "it wants a password: see --upstream-auth-file in --help".to_string()
            }
            (Question::Auth, _) | (_, b"WRONGPASS" | b"NOAUTH") => {
                format!("authentication failed ({shown})")
            }
            (Question::Select, b"ERR" | b"NOPERM") => {
                format!("it does not give database {}: {shown}", self.database)
            }
            _ => format!("it is not ready: {shown}"),
        }
    }
}

/// Returns whether the connection is of use in spite of this error.
fn is_passable(question: Question, error: &[u8]) -> bool {
    match question {
        Question::Hello | Question::Tracking => {
            matches!(code(error), b"ERR" | b"NOPROTO" | b"NOPERM")
        }
        Question::Commands => matches!(code(error), b"ERR" | b"NOPERM"),
        Question::Auth | Question::Select => false,
    }
}

/// Returns the first word of an error, in capitals, which tells its kind.
fn code(error: &[u8]) -> &[u8] {
    let word = error.split(|&byte| byte == b' ').next().unwrap_or_default();
    if word.iter().all(u8::is_ascii_uppercase) { word } else { b"ERR" }
}
