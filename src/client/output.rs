//! How replies look on standard output.

use super::connection::{Line, ReceivedReply, ReplyOrigin};
use super::failure::{Failure, Verdict};
use crate::base::escape::for_terminal;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// The bytes that are collected before they are written: a dump of many lines takes few calls.
const WRITE_BYTES: usize = 64 * 1024;

/// The text around a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// `Server replied: ` before it, and in a session prompts around it.
    Labelled,
    /// Nothing: the reply alone, as it came.
    Bare,
}

/// Standard output, with the look that replies have on it.
#[derive(Debug)]
pub struct ClientOutput {
    out: BufWriter<Stdout>,
    look: Look,
    /// The label names the origin of the reply; else a line keeps the server's prefix.
    origin: bool,
    /// Control characters are escaped: no value may move a terminal's cursor or change its title.
    escapes: bool,
}

impl ClientOutput {
    /// Returns standard output. `origin`: the label names the origin of the reply.
    pub fn new(look: Look, origin: bool) -> ClientOutput {
        let stdout = io::stdout();
        let escapes = stdout.is_terminal();
        ClientOutput { out: BufWriter::with_capacity(WRITE_BYTES, stdout), look, origin, escapes }
    }

    /// Returns the look of replies.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Writes text of our own.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Writes a whole reply as it comes in, and returns its outcome.
    ///
    /// # Errors
    /// [`Failure::Output`], and [`Failure::Lost`] when the reply does not end.
    pub fn reply(&mut self, reply: &mut ReceivedReply<'_>) -> Result<Verdict, Failure> {
        let mut first = true;
        while let Some(line) = reply.next_line()? {
            self.line(line, first).map_err(Failure::Output)?;
            first = false;
        }
        Ok(reply.verdict())
    }

    fn line(&mut self, line: Line<'_>, first: bool) -> io::Result<()> {
        let (label, text) = match (self.look, self.origin, line.origin) {
            (Look::Bare, _, _) => ("", line.whole),
            (Look::Labelled, true, ReplyOrigin::Proxy) => ("Proxy replied: ", line.text),
            (Look::Labelled, true, ReplyOrigin::Server) => ("Server replied: ", line.text),
            (Look::Labelled, false, _) => ("Server replied: ", line.whole),
        };
        if first {
            self.out.write_all(label.as_bytes())?;
        }
        match self.escapes {
            true => self.out.write_all(&for_terminal(text))?,
            false => self.out.write_all(text)?,
        }
        self.out.write_all(b"\n")
    }

    /// Writes all text so far to the system.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}
