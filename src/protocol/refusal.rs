//! Refusals of requests, and their messages.

use super::{Form, Words, resp, text};
use crate::protocol::command::{Command, Verb};
use crate::settings::limits;
use std::fmt;

/// The reason why a request is not executed. `Display` gives the code and the message: `ERR …`.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// No such command.
    Unknown(Words<'a>, Form),
    /// No such subcommand of this command.
    UnknownSubcommand(&'static Command, Words<'a>),
    /// The command takes other words.
    Usage(&'static Command, Form),
    /// A key over [`limits::MAX_KEY`].
    KeyTooLong,
    /// A value over this limit.
    ValueTooLong(usize),
    /// A line over this limit.
    LineTooLong(usize),
    /// There is no memory for what the request would store.
    OutOfMemory,
    /// HTTP, from a web browser or a program like one; the connection cannot go on.
    Http,
    /// Malformed RESP; the connection cannot go on.
    Protocol(resp::ProtocolError),
}

impl<'a> Refusal<'a> {
    /// Returns the words of a request that an upstream may know: its command is not in our table,
    /// or is a subcommand for the keys that we do not have.
    pub fn foreign(&self) -> Option<Words<'a>> {
        match *self {
            Refusal::Unknown(words, Form::Resp) => Some(words),
            Refusal::UnknownSubcommand(container, words) => {
                container.is_for_keys().then_some(words)
            }
            _ => None,
        }
    }

    /// Returns the code, by which programs distinguish errors.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::OutOfMemory => "OOM",
            refusal if refusal.discards_transaction() => "EXECABORT",
            _ => "ERR",
        }
    }

    /// Returns the message without its code.
    pub fn message(&self) -> String {
        match *self {
            Refusal::Unknown(words, form) => {
                let verb = text::printable(words.get(0).unwrap_or_default(), SHOWN);
                let shown = match form {
                    Form::Text => ", try HELP".to_string(),
                    Form::Resp => format!(", with args beginning with: {}", arguments(words)),
                };
                format!("unknown command '{verb}'{shown}")
            }
            Refusal::UnknownSubcommand(command, words) => {
                let word = text::printable(words.get(1).unwrap_or_default(), SHOWN);
                format!("unknown subcommand '{word}'. Try {} HELP.", command.name)
            }
            Refusal::Usage(command, Form::Text) => format!("usage: {}", command.usage()),
            Refusal::Usage(command, Form::Resp) if self.discards_transaction() => {
                format!("Transaction discarded because of: {}", command.wrong_arity())
            }
            Refusal::Usage(command, Form::Resp) => command.wrong_arity(),
            Refusal::KeyTooLong => format!("key longer than {} bytes", limits::MAX_KEY),
            Refusal::ValueTooLong(most) => format!("value longer than {most} bytes"),
            Refusal::LineTooLong(most) => format!("line longer than {most} bytes"),
            Refusal::OutOfMemory => "out of memory: nothing is stored until some is free".into(),
            Refusal::Http => "HTTP is not spoken on this port".into(),
            Refusal::Protocol(error) => format!("Protocol error: {error}"),
        }
    }

    /// Returns the command, where it is known.
    pub fn command(&self) -> Option<&'static Command> {
        if let Refusal::Usage(command, _) = self { Some(command) } else { None }
    }

    /// Returns whether the request exceeds a limit of size.
    pub fn is_over_limit(&self) -> bool {
        match self {
            Refusal::KeyTooLong | Refusal::ValueTooLong(_) | Refusal::LineTooLong(_) => true,
            Refusal::Protocol(error) => error.is_over_limit(),
            _ => false,
        }
    }

    /// Returns whether the transaction around the request is discarded for it, and not only fails.
    pub fn discards_transaction(&self) -> bool {
        matches!(self, Refusal::Usage(command, Form::Resp) if command.verb == Verb::Exec)
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.message())
    }
}

/// The most bytes of a client's words that an error shows.
const SHOWN: usize = 128;

/// Returns the words after the verb, quoted, up to [`SHOWN`] bytes of them.
fn arguments(words: Words<'_>) -> String {
    let (mut shown, mut left) = (String::new(), SHOWN);
    for word in words.iter().skip(1) {
        if left == 0 {
            break;
        }
        shown += &format!("'{}' ", text::printable(word, left));
        left = left.saturating_sub(word.len() + "'' ".len());
    }
    shown
}
