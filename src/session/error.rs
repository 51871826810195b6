//! The one error type of requests that are refused or fail: code, message and counter.

use crate::base::output::Output;
use crate::protocol::command::Verb;
use crate::protocol::{Refusal, Reply};
use crate::session::{Origin, Style};
use crate::settings::limits;
use crate::stats::{Stat, Stats};
use std::borrow::Cow;
use std::fmt;

/// The code of errors that programs need not distinguish.
const ERR: &str = "ERR";

/// The reason why a request fails. `Display` gives the error in RESP: code, blank, message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// The code, for programs: `ERR`, `OOM`, `EXECABORT`.
    code: &'static str,
    /// The message, for people: one line, printable.
    message: Cow<'static, str>,
    /// The counter of the limit that the request exceeds.
    counter: Option<Stat>,
}

impl RequestError {
    /// Redis's error for words that do not fit together.
    pub const SYNTAX: RequestError = RequestError::new("syntax error");

    /// Returns an error with code `ERR`.
    pub const fn new(message: &'static str) -> RequestError {
        RequestError::with_code(ERR, message)
    }

    /// Returns an error with a code of its own.
    pub const fn with_code(code: &'static str, message: &'static str) -> RequestError {
        RequestError { code, message: Cow::Borrowed(message), counter: None }
    }

    /// Returns an error with code `ERR` for a limit that `counter` counts.
    pub fn counted(counter: Stat, message: impl Into<Cow<'static, str>>) -> RequestError {
        RequestError { code: ERR, message: message.into(), counter: Some(counter) }
    }

    /// Returns the error of a transaction that is discarded because of this one.
    pub(super) fn aborting(self) -> RequestError {
        let message = format!("Transaction discarded because of: {self}");
        RequestError { code: "EXECABORT", message: message.into(), counter: self.counter }
    }

    /// Counts the error as the reply to `verb`, and for its own counter, if it has one. Returns its
    /// message.
    pub fn count_and_message(&self, verb: Option<Verb>, stats: &mut Stats) -> &str {
        stats.count_error(self.code.as_bytes(), verb);
        if let Some(counter) = self.counter {
            stats.add(counter, 1);
        }
        &self.message
    }

    /// Counts the error, and appends it to a client's output.
    pub fn write(&self, style: Style, out: &mut Output, stats: &mut Stats) {
        let message = self.count_and_message(style.verb, stats);
        if self.code == ERR {
            style.write(out, Origin::Server, Reply::Error(message));
        } else {
            style.write(out, Origin::Server, Reply::Failure(self.to_string().as_bytes()));
        }
    }
}

impl From<&'static str> for RequestError {
    fn from(message: &'static str) -> RequestError {
        RequestError::new(message)
    }
}

impl From<String> for RequestError {
    fn from(message: String) -> RequestError {
        RequestError { code: ERR, message: message.into(), counter: None }
    }
}

impl From<&Refusal<'_>> for RequestError {
    fn from(refusal: &Refusal<'_>) -> RequestError {
        let counter = match refusal {
            Refusal::OutOfMemory => Some(Stat::OutOfMemory),
            refusal if refusal.is_over_limit() => Some(Stat::TooLargeRequests),
            _ => None,
        };
        RequestError { code: refusal.code(), message: refusal.message().into(), counter }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// Checks that one pattern, or several together, are not longer than one may be: see
/// [`limits::MAX_PATTERN`].
///
/// # Errors
/// They are longer.
pub fn check_pattern(bytes: usize) -> Result<(), RequestError> {
    if bytes <= limits::MAX_PATTERN {
        return Ok(());
    }
    let message = format!("pattern longer than {} bytes", limits::MAX_PATTERN);
    Err(RequestError::counted(Stat::TooLargeRequests, message))
}
