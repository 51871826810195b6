//! How the client ends: its exit codes, and what ends it early, with the one line that says so.

use crate::base::escape::for_terminal;
use std::io::{self, Write};

/// Exit code: the request was carried out.
pub const DONE: u8 = 0;
/// Exit code: the server declined: no such key, or the key exists.
pub const REFUSED: u8 = 1;
/// Exit code: an error: of usage, of the connection, or an `ERR` reply.
pub const FAILED: u8 = 2;

/// Why the client cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// A wrong argument; what is wrong with it.
    Usage(String),
    /// No connection to this address, and why.
    Connect(String, io::Error),
    /// The connection to this address ended before the last reply.
    Lost(String),
    /// The same while loading a file: the address, how many replies came, and for which line the
    /// last one was.
    LostLoading(String, u64, u64),
    /// The server did not take `ORIGIN ON`; what it said.
    NoOrigin(String),
    /// The list of keys has a part only; what the server said after it.
    BrokenOff(String),
    /// Requests could not be read from this input.
    Input(String, io::Error),
    /// A line that no server would read as one line of text.
    NotText,
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// Says what happened on stderr, and gives the exit code for it.
    ///
    /// A reader of our output that has had enough (`client … | head`) is no error.
    pub fn report(&self) -> u8 {
        if matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return DONE;
        }
        complain(&format!("client: {}", self.message()));
        FAILED
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
            Failure::NoOrigin(said) => format!("the server does not tell origins: {said}"),
            Failure::BrokenOff(said) => format!("the list of keys is not complete: {said}"),
            Failure::Input(name, error) => format!("cannot read {name}: {}", reason(error)),
            Failure::NotText => "this line cannot be sent as one line of text".to_string(),
            Failure::Output(error) => {
                format!("cannot write to standard output: {}", reason(error))
            }
        }
    }
}

/// One line on stderr. There is nobody to tell if that fails.
pub fn complain(line: &str) {
    let mut line = for_terminal(line.as_bytes()).into_owned();
    line.push(b'\n');
    let _ = io::stderr().write_all(&line);
}

/// An error of the system in words, without the number that the library puts behind them.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}
