//! Refusals of requests, and their messages.

use super::{Form, Words, resp, text};
use crate::protocol::command::{Command, Verb};
use crate::settings::limits;
use std::fmt;

/// The reason why a request is not executed. `Display` gives the whole message, with its prefix:
/// `ERR …`.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// No such command.
    Unknown(Words<'a>, Form),
    /// No such subcommand of this command; the word in its place.
    UnknownSubcommand(&'static Command, &'a [u8]),
    /// The words are not what the command takes.
    Usage(&'static Command, Form),
    /// A key over [`limits::MAX_KEY`].
    KeyTooLong,
    /// A value over the limit, which is given.
    ValueTooLong(usize),
    /// A line over the limit, which is given.
    LineTooLong(usize),
    /// It would store something, and there is no memory.
    OutOfMemory,
    /// Malformed RESP; the connection cannot go on.
    Protocol(resp::ProtocolError),
}

impl Refusal<'_> {
    /// Returns the code that programs go by.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::OutOfMemory => "OOM",
            refusal if refusal.discards_transaction() => "EXECABORT",
            _ => "ERR",
        }
    }

    /// Returns the message without its code.
    pub fn message(&self) -> String {
        RefusalMessage(self).to_string()
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
        write!(f, "{} {}", self.code(), RefusalMessage(self))
    }
}

/// Shows a refusal without its code.
struct RefusalMessage<'a>(&'a Refusal<'a>);

impl fmt::Display for RefusalMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.discards_transaction() {
            write!(f, "Transaction discarded because of: ")?;
        }
        match *self.0 {
            Refusal::Unknown(words, form) => {
                let verb = text::printable(words.get(0).unwrap_or_default(), SHOWN);
                match form {
                    Form::Text => write!(f, "unknown command '{verb}', try HELP"),
                    Form::Resp => {
                        write!(f, "unknown command '{verb}', with args beginning with: ")?;
                        show_arguments(words, f)
                    }
                }
            }
            Refusal::UnknownSubcommand(command, word) => {
                let (word, name) = (text::printable(word, SHOWN), command.name);
                write!(f, "unknown subcommand '{word}'. Try {name} HELP.")
            }
            Refusal::Usage(command, Form::Text) => write!(f, "usage: {}", command.usage()),
            Refusal::Usage(command, Form::Resp) => f.write_str(&command.wrong_arity()),
            Refusal::KeyTooLong => write!(f, "key longer than {} bytes", limits::MAX_KEY),
            Refusal::ValueTooLong(most) => write!(f, "value longer than {most} bytes"),
            Refusal::LineTooLong(most) => write!(f, "line longer than {most} bytes"),
            Refusal::OutOfMemory => {
                f.write_str("out of memory: nothing is stored until some is free")
            }
            Refusal::Protocol(error) => write!(f, "Protocol error: {error}"),
        }
    }
}

/// The most bytes of a client's words that an error shows.
const SHOWN: usize = 128;

fn show_arguments(words: Words<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut left = SHOWN;
    for word in words.iter().skip(1) {
        if left == 0 {
            break;
        }
        write!(f, "'{}' ", text::printable(word, left))?;
        left = left.saturating_sub(word.len() + "'' ".len());
    }
    Ok(())
}
