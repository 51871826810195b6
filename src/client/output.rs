//! How replies look on standard output.

use super::connection::{Line, Origin, Reply, Verdict};
use super::failure::Failure;
use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// Collected before it is written: a dump of many lines takes few calls.
const WRITE_BYTES: usize = 64 * 1024;

/// What stands around a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// `Server replied: ` before it, and in a session prompts around it.
    Labelled,
    /// Nothing: the reply alone, as it came.
    Bare,
}

/// Standard output, with the look that replies have on it.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<Stdout>,
    look: Look,
    /// Whether the label says who replied; else a line keeps what the server put before it.
    origin: bool,
    /// On a terminal a value must not move the cursor or change the title: whoever stored it could
    /// make the screen say anything.
    escapes: bool,
}

impl Output {
    /// Writes to standard output. `origin`: the label names who replied.
    pub fn new(look: Look, origin: bool) -> Output {
        let stdout = io::stdout();
        let escapes = stdout.is_terminal();
        Output { out: BufWriter::with_capacity(WRITE_BYTES, stdout), look, origin, escapes }
    }

    /// The look of replies.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Writes text of our own.
    ///
    /// # Errors
    ///
    /// [`Failure::Output`], as for everything that writes here.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Writes a whole reply as it comes in; says what it came to.
    ///
    /// # Errors
    ///
    /// [`Failure::Output`], and [`Failure::Lost`] when the reply does not end.
    pub fn reply(&mut self, reply: &mut Reply<'_>) -> Result<Verdict, Failure> {
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
            (Look::Labelled, true, Origin::Proxy) => ("Proxy replied: ", line.text),
            (Look::Labelled, true, Origin::Server) => ("Server replied: ", line.text),
            (Look::Labelled, false, _) => ("Server replied: ", line.whole),
        };
        if first {
            self.out.write_all(label.as_bytes())?;
        }
        match self.escapes {
            true => self.out.write_all(&printable(text))?,
            false => self.out.write_all(text)?,
        }
        self.out.write_all(b"\n")
    }

    /// Lets the reader see what was written so far.
    ///
    /// # Errors
    ///
    /// [`Failure::Output`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Text for a terminal: control characters as `\xHH`, tabs and everything else as they are.
pub fn printable(text: &[u8]) -> Cow<'_, [u8]> {
    const C1_LEAD: u8 = 0xc2;
    // C1 controls are two bytes in UTF-8, and some terminals obey them.
    let is_control = |index: usize| match text[index] {
        b'\t' => false,
        0x80..=0x9f => index > 0 && text[index - 1] == C1_LEAD,
        C1_LEAD => matches!(text.get(index + 1), Some(0x80..=0x9f)),
        byte => byte < b' ' || byte == 0x7f,
    };
    if !(0..text.len()).any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for (index, &byte) in text.iter().enumerate() {
        match is_control(index) {
            true => shown.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            false => shown.push(byte),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[u8]) {
        assert_eq!(printable(text).as_ref(), expected);
    }

    #[test]
    fn a_terminal_is_shown_no_control_characters() {
        check("a\tß€".as_bytes(), "a\tß€".as_bytes());
        check(b"\x1b]0;x\x07", b"\\x1b]0;x\\x07");
        check("\u{9b}2J".as_bytes(), b"\\xc2\\x9b2J");
        check(b"\xe2\x82\xac\x80", b"\xe2\x82\xac\x80");
    }
}
