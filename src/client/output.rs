//! How replies look on standard output.
//!
//! A reply is written as it comes, an element at a time. Elements stand one a line, pairs of a map
//! as `key = value`, and what is nested is indented below a line that announces it.

use super::connection::{ReplyOrigin, ServerConnection};
use super::failure::{Failure, Verdict};
use super::request::Kind;
use crate::base::escape::{escape, for_terminal};
use crate::protocol::resp::Element;
use crate::protocol::text::is_one_line;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// The bytes that are collected before they are written: a dump of many lines takes few calls.
const WRITE_BYTES: usize = 64 * 1024;

/// The deepest nesting that is shown; no server sends more.
const MAX_DEPTH: usize = 64;

/// The text around a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// `Server replied: ` before it, and in a session prompts around it.
    Labelled,
    /// Nothing: the reply alone.
    Bare,
}

/// Standard output, with the look that replies have on it.
#[derive(Debug)]
pub struct ClientOutput {
    out: BufWriter<Stdout>,
    look: Look,
    /// The label names the origin of the reply; else each line does, if the user asked for it.
    origin: bool,
    /// `ORIGIN ON` was accepted.
    names_origins: bool,
    /// Control characters are escaped: no value may move a terminal's cursor or change its title.
    escapes: bool,
    /// What stands before the next line.
    before: Vec<u8>,
    prefix: &'static str,
}

impl ClientOutput {
    /// Returns standard output. `origin`: the label names the origin of the reply.
    pub fn new(look: Look, origin: bool) -> ClientOutput {
        let stdout = io::stdout();
        let escapes = stdout.is_terminal();
        let out = BufWriter::with_capacity(WRITE_BYTES, stdout);
        let (before, prefix) = (Vec::new(), "");
        ClientOutput { out, look, origin, names_origins: origin, escapes, before, prefix }
    }

    /// Returns the look of replies.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Writes text of our own.
    ///
    /// # Errors
    /// [`Failure::Output`], as of all that write.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Begins a reply: its first line has the label, and all of them the prefix.
    pub fn begin(&mut self, origin: ReplyOrigin) {
        let is_labelled = self.look == Look::Labelled;
        let by_label = is_labelled && self.origin;
        self.prefix = match (by_label || !self.names_origins, origin) {
            (true, _) => "",
            (false, ReplyOrigin::Server) => "server: ",
            (false, ReplyOrigin::Proxy) => "proxy: ",
        };
        let label = match (is_labelled, by_label, origin) {
            (false, ..) => "",
            (true, true, ReplyOrigin::Proxy) => "Proxy replied: ",
            (true, ..) => "Server replied: ",
        };
        self.before.clear();
        self.before.extend_from_slice(label.as_bytes());
        self.before.extend_from_slice(self.prefix.as_bytes());
    }

    /// Writes a part of a line.
    pub fn part(&mut self, text: &[u8]) -> Result<(), Failure> {
        let before = std::mem::take(&mut self.before);
        let shown = if self.escapes { for_terminal(text) } else { text.into() };
        let written = self.out.write_all(&before).and_then(|()| self.out.write_all(&shown));
        written.map_err(Failure::Output)
    }

    /// Writes a line, or the rest of one.
    pub fn line(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.part(text)?;
        self.before.extend_from_slice(self.prefix.as_bytes());
        self.out.write_all(b"\n").map_err(Failure::Output)
    }

    /// Writes lines that each end in LF, and `END`.
    pub fn lines_and_end(&mut self, lines: &[u8]) -> Result<(), Failure> {
        self.lines(lines)?;
        self.line(b"END")
    }

    fn lines(&mut self, text: &[u8]) -> Result<(), Failure> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for line in text.split(|&byte| byte == b'\n') {
            self.line(line.strip_suffix(b"\r").unwrap_or(line))?;
        }
        Ok(())
    }

    /// Writes the next reply as it comes in, and returns its outcome.
    ///
    /// # Errors
    /// Also [`Failure::Lost`] when the reply does not end.
    pub fn reply(
        &mut self,
        connection: &mut ServerConnection,
        kind: Kind,
    ) -> Result<Verdict, Failure> {
        let origin = connection.next_reply()?;
        let element = connection.element()?;
        let (verdict, nested) = (judge(kind, element), element_count(element));
        if let Kind::Origin(on) = kind
            && verdict == Verdict::Done
        {
            self.names_origins = false;
            self.begin(origin);
            self.names_origins = on;
        } else {
            self.begin(origin);
        }
        match (kind, element) {
            (Kind::Put, _) if verdict == Verdict::Refused => self.line(b"Key already exists")?,
            (_, _) if verdict == Verdict::Refused => self.line(b"Key not found")?,
            (_, Element::Error(text) | Element::BlobError(text)) => self.error(text)?,
            (Kind::Delete, Element::Integer(_)) => self.line(b"OK")?,
            (Kind::Farewell, Element::Simple(b"OK")) => self.line(b"Goodbye")?,
            (Kind::LinesAndEnd, Element::Bulk(text) | Element::Verbatim(text)) => {
                self.lines_and_end(text)?;
            }
            (Kind::Lines, Element::Bulk(text)) => self.lines(text)?,
            (_, Element::Verbatim(text)) => self.lines(text)?,
            (_, Element::Bulk(value)) if is_one_line(value) => self.line(value)?,
            (_, Element::Bulk(value)) => self.line(&quoted(value))?,
            (_, element) => match scalar(element) {
                Some(text) => self.line(&text)?,
                None => self.elements(connection, nested, 0)?,
            },
        }
        Ok(verdict)
    }

    /// Writes an error: without the code that means any error, as in text.
    pub fn error(&mut self, error: &[u8]) -> Result<(), Failure> {
        let text = error_text(error);
        if is_one_line(&text) { self.line(&text) } else { self.line(&quoted(&text)) }
    }

    /// Writes the elements of an array, or the pairs of a map.
    fn elements(
        &mut self,
        connection: &mut ServerConnection,
        (count, is_map): (usize, bool),
        depth: usize,
    ) -> Result<(), Failure> {
        let indent = vec![b' '; 2 * depth];
        if depth > MAX_DEPTH {
            return Err(Failure::Garbled(connection.peer().to_string()));
        }
        if count == 0 {
            self.part(&indent)?;
            return self.line(b"(empty)");
        }
        for index in 0..count {
            self.part(&indent)?;
            if is_map {
                let key = connection.element()?;
                let (shown, nested) = (shown(key), element_count(key).0);
                self.part(&shown)?;
                self.part(b" =")?;
                connection.skip(nested)?;
            }
            let element = connection.element()?;
            let nested = element_count(element);
            match scalar(element).or_else(|| bulk(element)) {
                Some(text) if is_map => {
                    self.part(b" ")?;
                    self.line(&text)?;
                }
                Some(text) => self.line(&text)?,
                None => {
                    let head = if is_map { String::new() } else { format!("{})", index + 1) };
                    self.line(head.as_bytes())?;
                    self.elements(connection, nested, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Writes all text so far to the system.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Returns the outcome of a reply that begins with this element.
pub fn judge(kind: Kind, element: Element<'_>) -> Verdict {
    match (kind, element) {
        (Kind::Put, Element::Error(b"ERR Key already exists")) => Verdict::Refused,
        (Kind::Put | Kind::Value, Element::Null) => Verdict::Refused,
        (Kind::Delete, Element::Integer(0)) => Verdict::Refused,
        (_, Element::Error(_) | Element::BlobError(_)) => Verdict::Error,
        _ => Verdict::Done,
    }
}

/// Returns the text of an error as it is shown: without the code that means any error, as in text.
pub fn error_text(error: &[u8]) -> Vec<u8> {
    if let Some(message) = error.strip_prefix(b"OOM ") {
        return [b"ERR ", message].concat();
    }
    if !error.starts_with(b"ERR unknown command") {
        return error.to_vec();
    }
    let end = memchr::memmem::find(error, b", with args beginning with");
    [&error[..end.unwrap_or(error.len())], b", try HELP"].concat()
}

/// Returns the number of elements that are nested in one, or of pairs, and whether they are pairs.
fn element_count(element: Element<'_>) -> (usize, bool) {
    match element {
        Element::Map(pairs) => (pairs, true),
        element => (element.elements().unwrap_or(usize::MAX), false),
    }
}

/// Returns the text of an element that is neither a string nor nested.
fn scalar(element: Element<'_>) -> Option<Vec<u8>> {
    Some(match element {
        Element::Integer(number) => number.to_string().into_bytes(),
        Element::Null => b"(nil)".to_vec(),
        Element::Boolean(is_true) => is_true.to_string().into_bytes(),
        Element::Simple(text) | Element::Error(text) => text.to_vec(),
        Element::Double(text) | Element::BigNumber(text) => text.to_vec(),
        _ => return None,
    })
}

/// Returns the text of a string among others: quoted if it looks like something else.
fn bulk(element: Element<'_>) -> Option<Vec<u8>> {
    let (Element::Bulk(value) | Element::Verbatim(value) | Element::BlobError(value)) = element
    else {
        return None;
    };
    let is_plain = is_one_line(value) && !matches!(value.first(), None | Some(b'"' | b'('));
    Some(if is_plain { value.to_vec() } else { quoted(value) })
}

fn shown(element: Element<'_>) -> Vec<u8> {
    scalar(element).or_else(|| bulk(element)).unwrap_or_else(|| b"(nested)".to_vec())
}

/// Returns bytes between quotes, as `DUMP` shows them.
pub fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut text = b"\"".to_vec();
    escape(bytes, |piece| text.extend_from_slice(piece));
    text.push(b'"');
    text
}
