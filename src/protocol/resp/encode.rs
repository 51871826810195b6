//! Replies to clients, and requests to an upstream, as RESP.

use crate::base::buffer::Buffer;
use crate::base::output::{Output, Value};
use crate::protocol::Reply;
use crate::protocol::command::Verb;

/// The version of RESP that a client speaks, chosen by `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// RESP2.
    #[default]
    Two = 2,
    /// RESP3, which has nulls, maps, sets and pushes of their own.
    Three = 3,
}

impl Version {
    /// Returns 2 or 3.
    pub fn number(self) -> i64 {
        self as i64
    }
}

/// Writes a reply piece by piece, in the client's version of RESP.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Output,
    version: Version,
}

impl<'a> Writer<'a> {
    /// Returns a writer that appends to `out`.
    pub fn new(out: &'a mut Output, version: Version) -> Writer<'a> {
        Writer { out, version }
    }

    /// Returns the number of bytes in the output, with those that were there before.
    #[allow(clippy::len_without_is_empty)] // a position, rather than a length
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Inserts at `position` what `write` appends: a header that was not known sooner.
    pub fn put_before(&mut self, position: usize, write: impl FnOnce(&mut Self)) {
        let from = self.out.len();
        write(self);
        self.out.bring_forward(from, position);
    }

    /// Appends a simple string.
    #[inline]
    pub fn simple(&mut self, word: &str) {
        push_line(self.out.plain(), b"+", word.as_bytes());
    }

    /// Appends `-ERR ` and a message, in which bytes from a peer have been made printable.
    pub fn error(&mut self, message: &str) {
        push_error(self.out.plain(), message);
    }

    /// Appends a number.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => push_header(self.out.plain(), b':', number),
            Err(_) => {
                self.out.push(b":-");
                self.out.plain().push_decimal(number.unsigned_abs());
                self.out.push(b"\r\n");
            }
        }
    }

    /// Appends a bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        push_bulk(self.out.plain(), bytes);
    }

    /// Appends several bulk strings.
    pub fn bulks(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.bulk(text.as_bytes()));
    }

    /// Appends a bulk string that may be shared.
    #[inline]
    pub fn value(&mut self, value: Value<'_>) {
        push_value(self.out, value);
    }

    /// Appends a null in place of a bulk string.
    #[inline]
    pub fn null(&mut self) {
        self.out.push(match self.version {
            Version::Two => b"$-1\r\n",
            Version::Three => b"_\r\n",
        });
    }

    /// Appends a null in place of an array.
    pub fn null_array(&mut self) {
        self.out.push(match self.version {
            Version::Two => b"*-1\r\n",
            Version::Three => b"_\r\n",
        });
    }

    /// Appends the header of an array, whose elements follow.
    pub fn array(&mut self, len: usize) {
        push_header(self.out.plain(), b'*', len as u64);
    }

    /// Appends the header of a map, whose pairs follow; in RESP2 an array of twice the length.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Two => push_header(self.out.plain(), b'*', 2 * pairs as u64),
            Version::Three => push_header(self.out.plain(), b'%', pairs as u64),
        }
    }

    /// Appends the header of a set, whose members follow; in RESP2 an array.
    pub fn set(&mut self, len: usize) {
        let kind = if self.version == Version::Two { b'*' } else { b'~' };
        push_header(self.out.plain(), kind, len as u64);
    }

    /// Appends the header of a push, whose elements follow; RESP3 only.
    pub fn push(&mut self, len: usize) {
        push_header(self.out.plain(), b'>', len as u64);
    }

    /// Appends a text for people; in RESP2 a bulk string.
    pub fn verbatim(&mut self, text: &[u8]) {
        self.verbatim_head(text.len());
        self.out.push(text);
        self.out.push(b"\r\n");
    }

    /// Begins a text of so many bytes, which follow, with a line end.
    pub fn verbatim_head(&mut self, length: usize) {
        match self.version {
            Version::Two => push_header(self.out.plain(), b'$', length as u64),
            Version::Three => {
                push_header(self.out.plain(), b'=', length as u64 + 4);
                self.out.push(b"txt:");
            }
        }
    }
}

/// Appends a reply to the request of `verb`.
#[inline]
pub fn reply(out: &mut Output, version: Version, verb: Option<Verb>, reply: Reply<'_>) {
    match reply {
        Reply::Value(value) => push_value(out, value),
        Reply::NotFound => Writer::new(out, version).null(),
        Reply::Ok => out.push(b"+OK\r\n"),
        Reply::Exists => push_error(out.plain(), "Key already exists"),
        Reply::Deleted(count) => push_header(out.plain(), b':', count),
        Reply::Pong => out.push(b"+PONG\r\n"),
        Reply::Goodbye if verb == Some(Verb::Quit) => out.push(b"+OK\r\n"),
        Reply::Goodbye => out.push(b"+Goodbye\r\n"),
        Reply::Lines(lines) => push_bulk(out.plain(), lines),
        Reply::Error(message) => push_error(out.plain(), message),
        Reply::Failure(message) => push_line(out.plain(), b"-", message),
        Reply::Raw(bytes) => out.push_value(bytes),
    }
}

/// Appends `-ERR` and a message, which holds no line end.
pub fn push_error(out: &mut Buffer, message: &str) {
    push_line(out, b"-ERR ", message.as_bytes());
}

/// Appends a line: its type, then text without a line end.
#[inline]
pub(super) fn push_line(out: &mut Buffer, kind: &[u8], text: &[u8]) {
    out.push(kind);
    out.push(text);
    out.push(b"\r\n");
}

/// Appends a header such as `*2` or `:7`.
#[inline]
pub fn push_header(out: &mut Buffer, kind: u8, number: u64) {
    out.push(&[kind]);
    if number < 10 {
        out.push(&[b'0' + number as u8, b'\r', b'\n']);
    } else {
        out.push_decimal(number);
        out.push(b"\r\n");
    }
}

/// Appends a bulk string.
#[inline]
pub fn push_bulk(out: &mut Buffer, bytes: &[u8]) {
    if bytes.len() < 100 {
        // The common case in one go: two digits at most, one check of the room.
        let (tens, ones) = ((bytes.len() / 10) as u8, (bytes.len() % 10) as u8);
        let digits = 1 + usize::from(tens > 0);
        let head = 1 + digits + 2;
        let room = out.append(head + bytes.len() + 2);
        room[0] = b'$';
        room[1] = b'0' + tens;
        room[digits] = b'0' + ones;
        room[1 + digits] = b'\r';
        room[2 + digits] = b'\n';
        room[head..head + bytes.len()].copy_from_slice(bytes);
        room[head + bytes.len()] = b'\r';
        room[head + bytes.len() + 1] = b'\n';
    } else {
        push_header(out, b'$', bytes.len() as u64);
        out.push(bytes);
        out.push(b"\r\n");
    }
}

/// Appends a bulk string that may be shared.
#[inline]
pub fn push_value(out: &mut Output, value: Value<'_>) {
    match value {
        Value::Short(bytes) => push_bulk(out.plain(), bytes),
        Value::Long(..) => push_long(out, value),
    }
}

/// Appends a bulk string that may be shared; apart, so that [`push_value`] can be inlined.
#[cold]
fn push_long(out: &mut Output, value: Value<'_>) {
    push_header(out.plain(), b'$', value.len() as u64);
    out.push_value(value);
    out.push(b"\r\n");
}

/// Appends a request.
pub fn push_request(out: &mut Buffer, words: &[&[u8]]) {
    push_header(out, b'*', words.len() as u64);
    for word in words {
        push_bulk(out, word);
    }
}
