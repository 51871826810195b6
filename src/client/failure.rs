//! The end of the client: its exit codes, and the failures that end it early, with their messages.

use crate::base::escape::for_terminal;
use std::io::{self, Write};

/// The outcome of a reply or of the whole program, in which case it is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Carried out.
    Done = 0,
    /// `Key not found` or `Key already exists`.
    Refused = 1,
    /// An error, or a [`Failure`].
    Error = 2,
}

/// The reason why the client cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// A wrong argument; the error message.
    Usage(String),
    /// No connection to this address; the error.
    Connect(String, io::Error),
    /// The connection to this address ended before the last reply.
    Lost(String),
    /// The connection ended while loading a file: the address, the number of replies, and the line
    /// that the last one was for.
    LostLoading(String, u64, u64),
    /// The server refused `ORIGIN ON`; its reply.
    NoOrigin(String),
    /// The list of keys is not complete; the error that the server sent after it.
    BrokenOff(String),
    /// Requests could not be read from this input.
    Input(String, io::Error),
    /// What answers at this address is no such server; what it did.
    NoServer(String, String),
    /// The server refused the connection; its error.
    Refused(String),
    /// What came from this address is no RESP.
    Garbled(String),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// Prints the failure on stderr, and returns the outcome of the program.
    ///
    /// A reader that closes our output early (`client … | head`) is no error.
    pub fn report(&self) -> Verdict {
        if matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return Verdict::Done;
        }
        print_error(&format!("client: {}", self.message()));
        Verdict::Error
    }

    fn message(&self) -> String {
        match self {
            Failure::Usage(message) => format!("{message}; try client --help"),
            Failure::Connect(peer, error) => {
                format!("cannot connect to {peer}: {}", reason(error))
            }
            Failure::Lost(peer) => format!("the connection to {peer} was lost"),
            Failure::LostLoading(peer, 0, _) => {
                format!("the connection to {peer} was lost before any request was answered")
            }
            Failure::LostLoading(peer, answered, line) => format!(
                "the connection to {peer} was lost, {answered} requests were answered, the last \
                 of them on line {line}"
            ),
            Failure::NoOrigin(reply) => format!("the server does not name origins: {reply}"),
            Failure::BrokenOff(reply) => format!("the list of keys is not complete: {reply}"),
            Failure::Input(name, error) => format!("cannot read {name}: {}", reason(error)),
            Failure::NoServer(peer, what) => {
                format!("{peer} is no server of Larder, Redis or Valkey: {what}")
            }
            Failure::Refused(reply) => reply.clone(),
            Failure::Garbled(peer) => format!("{peer} sent what is no reply of RESP"),
            Failure::Output(error) => {
                format!("cannot write to standard output: {}", reason(error))
            }
        }
    }
}

/// Prints one line on stderr; an error there is ignored.
pub fn print_error(line: &str) {
    let mut line = for_terminal(line.as_bytes()).into_owned();
    line.push(b'\n');
    let _ = io::stderr().write_all(&line);
}

/// Returns the message of a system error, without the number that the library appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}
