//! RESP, the protocol of Redis (<https://redis.io/docs/latest/develop/reference/protocol-spec/>):
//! requests and replies for our clients, and the other way round for the proxy, which is a client
//! of its upstream.
//!
//! ```text
//!   request   *2 CRLF $3 CRLF GET CRLF $1 CRLF k CRLF
//!   reply     +OK  -ERR ...  :7  $1 CRLF v CRLF  $-1  *2 CRLF ...
//! ```
//!
//! Lengths that are claimed reserve nothing: memory is taken only for bytes that came.

use super::text::Reply;
use super::{Decoded, Form, Refusal, Request, Span};
use crate::buffer::Buffer;
use crate::command::{Command, Verb};
use crate::limits::{self, Limits};
use std::fmt;

/// RESP that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*` with something else than a number of arguments we take.
    ArrayLength,
    /// `$` with something else than a length we take.
    BulkLength,
    /// Another byte where `$` should be.
    ExpectedBulk(u8),
    /// A header without an end.
    HeaderTooLong,
    /// No CRLF where a value ends.
    MissingEnd,
    /// More bytes than a request, or a reply, may have.
    TooLarge,
    /// A reply of no known type.
    UnknownType(u8),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::ArrayLength => write!(f, "invalid multibulk length"),
            ProtocolError::BulkLength => write!(f, "invalid bulk length"),
            ProtocolError::ExpectedBulk(byte) => {
                write!(f, "expected '$', got '{}'", super::text::printable(&[*byte], 1))
            }
            ProtocolError::HeaderTooLong => write!(f, "too big count string"),
            ProtocolError::MissingEnd => write!(f, "expected CRLF after a bulk string"),
            ProtocolError::TooLarge => write!(f, "request too large"),
            ProtocolError::UnknownType(byte) => {
                write!(f, "unknown reply type '{}'", super::text::printable(&[*byte], 1))
            }
        }
    }
}

/// A request that has begun and not ended.
#[derive(Debug)]
pub struct Partial {
    /// How far it was read.
    pub place: Place,
    /// The words that are whole.
    pub words: Vec<Span>,
}

/// How far a request was read, so that no byte is looked at twice however it is split.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    position: usize,
    /// How many words it says it has; 0 before its header was read.
    announced: usize,
    /// The length of the word whose header has been read.
    bulk: Option<usize>,
}

impl Place {
    /// Reads on in `bytes`, which begin with the request's `*`. `Some(length)`: it is whole.
    ///
    /// # Errors
    /// What is wrong with it; nothing after it can be understood.
    #[inline]
    pub fn advance(
        &mut self,
        bytes: &[u8],
        words: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        if self.announced == 0 {
            let Some((count, at)) = header(bytes, 1)? else { return Ok(None) };
            let count = count.ok_or(ProtocolError::ArrayLength)?;
            self.position = at;
            if count <= 0 {
                return Ok(Some(at));
            }
            self.announced = usize::try_from(count).map_err(|_| ProtocolError::ArrayLength)?;
            if self.announced > limits::MAX_ARGUMENTS {
                return Err(ProtocolError::ArrayLength);
            }
        }
        while words.len() < self.announced {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match bytes.get(self.position) {
                        None => return Ok(None),
                        Some(b'$') => {}
                        Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
                    }
                    let Some((length, at)) = header(bytes, self.position + 1)? else {
                        return Ok(None);
                    };
                    let length = length.and_then(|length| usize::try_from(length).ok());
                    let length = length.filter(|&length| length <= limits.max_value);
                    let length = length.ok_or(ProtocolError::BulkLength)?;
                    if at + length > limits.max_request {
                        return Err(ProtocolError::TooLarge);
                    }
                    self.position = at;
                    self.bulk = Some(length);
                    length
                }
            };
            let end = self.position + length;
            match bytes.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::MissingEnd),
                None => return Ok(None),
            }
            words.push(Span::new(self.position, end));
            self.position = end + 2;
            self.bulk = None;
        }
        Ok(Some(self.position))
    }
}

/// Reads the number of a header line from `start` on: the number, `None` if it is none, and where
/// the next line begins. `Ok(None)` if the line has not ended yet.
#[inline]
fn header(bytes: &[u8], start: usize) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
    let mut at = start;
    let mut number: i64 = 0;
    // The plain case: a few digits and CRLF. 18 of them cannot overflow.
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
        && at < start + 18
    {
        number = number * 10 + i64::from(digit);
        at += 1;
    }
    if at > start && bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n') {
        return Ok(Some((Some(number), at + 2)));
    }
    rare_header(bytes, start)
}

#[cold]
fn rare_header(bytes: &[u8], start: usize) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
    let rest = &bytes[start.min(bytes.len())..];
    let searched = &rest[..rest.len().min(limits::MAX_HEADER)];
    let Some(end) = memchr::memchr(b'\n', searched) else {
        let too_long = rest.len() >= limits::MAX_HEADER;
        return if too_long { Err(ProtocolError::HeaderTooLong) } else { Ok(None) };
    };
    let digits = searched[..end].strip_suffix(b"\r");
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    // `parse` takes a plus sign, which Redis does not.
    let number = number.filter(|digits| !digits.starts_with('+'));
    Ok(Some((number.and_then(|digits| digits.parse().ok()), start + end + 1)))
}

/// Finds the command of a whole request and checks its words.
#[inline]
pub fn check<'a>(bytes: &'a [u8], words: &'a [Span]) -> Decoded<'a> {
    let Some(command) = Command::find(words[0].of(bytes)) else {
        return Decoded::Refused(Form::Resp, Refusal::Unknown(words, bytes, Form::Resp));
    };
    let (least, most) = command.words;
    if words.len() < least || words.len() > most {
        return Decoded::Refused(Form::Resp, Refusal::Usage(command, Form::Resp));
    }
    let request = Request { command, form: Form::Resp, words, bytes };
    if request.keys().any(|key| key.len() > limits::MAX_KEY) {
        return Decoded::Refused(Form::Resp, Refusal::KeyTooLong);
    }
    Decoded::Request(request)
}

/// Appends a reply to the request of `verb`.
#[inline]
pub fn reply(out: &mut Buffer, verb: Option<Verb>, reply: Reply<'_>) {
    match reply {
        Reply::Value(value) => push_bulk(out, value),
        Reply::NotFound => out.push(b"$-1\r\n"),
        Reply::Ok => out.push(b"+OK\r\n"),
        Reply::Exists => push_error(out, "Key already exists"),
        Reply::Deleted(count) => push_header(out, b':', count),
        Reply::Pong => out.push(b"+PONG\r\n"),
        Reply::Goodbye if verb == Some(Verb::Quit) => out.push(b"+OK\r\n"),
        Reply::Goodbye => out.push(b"+Goodbye\r\n"),
        Reply::Lines(lines) => push_bulk(out, lines),
        Reply::Error(message) => push_error(out, message),
        Reply::UpstreamError(message) => {
            out.push(b"-");
            out.push(message);
            out.push(b"\r\n");
        }
        Reply::Raw(bytes) => out.push(bytes),
    }
}

/// Appends `-ERR` and a message, which holds no line end.
pub fn push_error(out: &mut Buffer, message: &str) {
    out.push(b"-ERR ");
    out.push(message.as_bytes());
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

/// Appends a request.
pub fn push_request(out: &mut Buffer, words: &[&[u8]]) {
    push_header(out, b'*', words.len() as u64);
    for word in words {
        push_bulk(out, word);
    }
}

/// One element of a reply. An array or a map only announces its elements, which follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// `+`
    Simple(&'a [u8]),
    /// `-`, with its prefix, without the dash.
    Error(&'a [u8]),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(&'a [u8]),
    /// `$-1`, `*-1` or `_`
    Null,
    /// `*`, with the number of elements that follow.
    Array(usize),
}

/// Finds the end of a reply that comes in pieces; no byte is looked at twice. Nesting is only
/// counted, so that depth costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyScanner {
    position: usize,
    /// Elements that are still to come, less one: 0 both at the start and at the last one.
    owed: usize,
    /// Bytes still to come of a value that is too large, which are dropped as they come.
    dropping: usize,
}

/// How far a [`ReplyScanner`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The reply is not whole.
    Midway,
    /// It is, with so many bytes; the scanner stands ready for the next one.
    Whole(usize),
    /// It is a value that is too large, and these bytes of it can be consumed; whether they are the
    /// last.
    Dropped(usize, bool),
}

impl ReplyScanner {
    /// Reads on in `bytes`, which begin with the reply, less what was dropped of it. A value of
    /// more than `most` bytes is not kept.
    ///
    /// # Errors
    /// What is wrong with it; nothing after it can be understood.
    pub fn advance(&mut self, bytes: &[u8], most: usize) -> Result<Scanned, ProtocolError> {
        if self.dropping > 0 {
            return Ok(self.drop_on(bytes.len()));
        }
        loop {
            if self.position == 0
                && bytes.first() == Some(&b'$')
                && let Some((Some(length), at)) = header(bytes, 1)?
                && usize::try_from(length).is_ok_and(|length| length > most)
            {
                let whole = (length as usize).checked_add(at + 2);
                self.dropping = whole.ok_or(ProtocolError::BulkLength)?;
                return Ok(self.drop_on(bytes.len()));
            }
            let Some((element, at)) = element(bytes, self.position, most)? else {
                return Ok(Scanned::Midway);
            };
            self.position = at;
            if let Element::Array(count) = element {
                self.owed = self.owed.checked_add(count).ok_or(ProtocolError::ArrayLength)?;
            }
            if self.owed == 0 {
                self.position = 0;
                return Ok(Scanned::Whole(at));
            }
            self.owed -= 1;
        }
    }

    fn drop_on(&mut self, available: usize) -> Scanned {
        let count = available.min(self.dropping);
        self.dropping -= count;
        Scanned::Dropped(count, self.dropping == 0)
    }
}

/// Reads the element at `position`: it, and where the next begins. `Ok(None)`: it is not whole.
#[inline]
fn element(
    bytes: &[u8],
    position: usize,
    most: usize,
) -> Result<Option<(Element<'_>, usize)>, ProtocolError> {
    let Some(&kind) = bytes.get(position) else { return Ok(None) };
    if kind == b'+' || kind == b'-' {
        let rest = &bytes[position + 1..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            let too_long = rest.len() >= limits::MAX_HEADER;
            return if too_long { Err(ProtocolError::HeaderTooLong) } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(ProtocolError::MissingEnd)?;
        let element = if kind == b'+' { Element::Simple(line) } else { Element::Error(line) };
        return Ok(Some((element, position + end + 2)));
    }
    if !matches!(kind, b':' | b'$' | b'*' | b'_') {
        return Err(ProtocolError::UnknownType(kind));
    }
    let Some((number, at)) = header(bytes, position + 1)? else { return Ok(None) };
    match (kind, number) {
        (b'_', _) | (b'$' | b'*', Some(-1)) => Ok(Some((Element::Null, at))),
        (b':', Some(number)) => Ok(Some((Element::Integer(number), at))),
        (b'*', Some(count)) => {
            let count = usize::try_from(count).map_err(|_| ProtocolError::ArrayLength)?;
            Ok(Some((Element::Array(count), at)))
        }
        (b'$', Some(length)) => {
            let length = usize::try_from(length).map_err(|_| ProtocolError::BulkLength)?;
            if length > most {
                return Err(ProtocolError::TooLarge);
            }
            match bytes.get(at + length..at + length + 2) {
                Some(b"\r\n") => {
                    Ok(Some((Element::Bulk(&bytes[at..at + length]), at + length + 2)))
                }
                Some(_) => Err(ProtocolError::MissingEnd),
                None => Ok(None),
            }
        }
        _ => Err(ProtocolError::BulkLength),
    }
}

/// The elements of a whole reply, one after the other.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Elements<'a> {
    /// Reads `reply`, which a [`ReplyScanner`] found to be whole.
    pub fn new(reply: &'a [u8]) -> Elements<'a> {
        Elements { bytes: reply, position: 0 }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, at) = element(self.bytes, self.position, usize::MAX).ok()??;
        self.position = at;
        Some(element)
    }
}
