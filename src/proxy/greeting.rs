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

use super::foreign::Commands;
use super::purpose::{Purpose, Question, UnexpectedReply};
use super::state::{Level, Proxy};
use super::upstream::Trouble;
use crate::handler::Outbox;
use crate::protocol::resp::{Element, Elements, Version};
use crate::protocol::text::printable;
use log::info;
use std::time::Instant;

/// How much of an upstream's words is told.
const MAX_TOLD: usize = 128;

impl Proxy {
    /// Begins with a connection that is being made.
    pub(super) fn greet(&mut self, out: &mut Outbox, now: Instant) {
        self.version = Version::Two;
        self.commands = None;
        match self.options.credentials.ask() {
            Ok(credentials) => {
                self.credentials = credentials;
                self.ask(out, Question::Hello);
            }
            Err(why) => {
                self.upstream.complain(why);
                self.lose_upstream(out, Trouble::Unavailable, now);
            }
        }
    }

    fn ask(&mut self, out: &mut Outbox, question: Question) {
        let database = self.options.database.to_string();
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
        let _ = self.upstream.greet(out, &words, Purpose::Greeting(question));
    }

    /// Goes on with the next question.
    pub(super) fn greeting_answered(
        &mut self,
        out: &mut Outbox,
        question: Question,
        reply: &[u8],
        now: Instant,
    ) -> Result<(), UnexpectedReply> {
        let is_early = self.upstream.is_ahead(out);
        let next = match (question, Elements::new(reply).next()) {
            (_, Some(Element::Error(error))) if is_early || !is_passable(question, error) => {
                self.upstream.complain(self.refusal(question, error));
                return Err(UnexpectedReply);
            }
            _ if is_early => return Err(UnexpectedReply),
            (Question::Hello, Some(Element::Map(_))) => {
                self.version = Version::Three;
                self.after_login(out)
            }
            (Question::Hello, Some(Element::Error(_))) => {
                if !self.upstream.is_retrying() {
                    info!("the upstream speaks RESP2");
                }
                if self.credentials.is_some() { Question::Auth } else { self.after_login(out) }
            }
            (Question::Auth, Some(Element::Simple(b"OK"))) => self.after_login(out),
            (Question::Select, Some(Element::Simple(b"OK"))) => self.after_select(out),
            (Question::Tracking, Some(Element::Simple(b"OK"))) => {
                self.begin_level(out, Level::One);
                Question::Commands
            }
            (Question::Tracking, Some(Element::Error(_))) => {
                self.begin_level(out, Level::Zero);
                Question::Commands
            }
            (Question::Commands, Some(Element::Array(_))) => {
                self.commands = Some(Commands::read(reply));
                return self.greeted(out, now);
            }
            (Question::Commands, Some(Element::Error(_))) => {
                self.commands = Some(Commands::default());
                return self.greeted(out, now);
            }
            _ => return Err(UnexpectedReply),
        };
        self.ask(out, next);
        Ok(())
    }

    /// Database 0 is the one that a connection begins with.
    fn after_login(&mut self, out: &mut Outbox) -> Question {
        if self.options.database == 0 { self.after_select(out) } else { Question::Select }
    }

    /// In RESP2 it has no way to tell of changes, and without a cache there is no need.
    fn after_select(&mut self, out: &mut Outbox) -> Question {
        if self.options.cache_bytes == 0 {
            return Question::Commands;
        }
        if self.version == Version::Three {
            return Question::Tracking;
        }
        self.begin_level(out, Level::Zero);
        Question::Commands
    }

    fn greeted(&mut self, out: &mut Outbox, now: Instant) -> Result<(), UnexpectedReply> {
        self.credentials = None;
        self.upstream.greeted(out, now);
        Ok(())
    }

    /// Why there is no upstream, in plain words.
    fn refusal(&self, question: Question, error: &[u8]) -> String {
        let code = code(error);
        let has_password = self.credentials.is_some();
        let is_login = matches!(question, Question::Hello | Question::Auth);
        let told = if is_login && has_password { code } else { error };
        let told = printable(told, MAX_TOLD);
        match (question, code) {
            (_, b"NOAUTH") if !has_password => {
                "it wants a password: see --upstream-auth-file in --help".to_string()
            }
            (Question::Auth, _) | (_, b"WRONGPASS" | b"NOAUTH") => {
                format!("it does not take the user or the password ({told})")
            }
            (Question::Select, b"ERR" | b"NOPERM") => {
                format!("it does not give database {}: {told}", self.options.database)
            }
            _ => format!("it is not ready: {told}"),
        }
    }
}

/// Whether the connection is of use in spite of this error.
fn is_passable(question: Question, error: &[u8]) -> bool {
    match question {
        Question::Hello | Question::Tracking => {
            matches!(code(error), b"ERR" | b"NOPROTO" | b"NOPERM")
        }
        Question::Commands => matches!(code(error), b"ERR" | b"NOPERM"),
        Question::Auth | Question::Select => false,
    }
}

/// The first word of an error, in capitals, which tells its kind.
fn code(error: &[u8]) -> &[u8] {
    let word = error.split(|&byte| byte == b' ').next().unwrap_or_default();
    if word.iter().all(u8::is_ascii_uppercase) { word } else { b"ERR" }
}
