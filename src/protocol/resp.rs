//! RESP, the protocol of Redis (<https://redis.io/docs/latest/develop/reference/protocol-spec/>):
//! requests and replies for our clients, and the other way round for the proxy, which is a client
//! of its upstream.
//!
//! ```text
//!   request   *2 CRLF $3 CRLF GET CRLF $1 CRLF k CRLF
//!   reply     +OK  -ERR ...  :7  $1 CRLF v CRLF  $-1  *2 CRLF ...
//! ```
//!
//! Announced lengths reserve nothing: memory is taken only for bytes that came.
//!
//! This file reads requests; `encode.rs` writes replies and requests, `scan.rs` reads replies, and
//! `convert.rs` writes what was read in the other version of RESP.

mod convert;
mod encode;
mod scan;

pub use convert::{ReplyRule, convert};
pub use encode::{
    Version, Writer, push_bulk, push_error, push_header, push_request, push_value, reply,
};
pub use scan::{Element, Elements, ReplyKind, ReplyScanner, Scanned, next_element};

use super::{Decoded, Form, Refusal, Request, Span, Words};
use crate::base::units;
use crate::protocol::command::Command;
use crate::settings::limits::{self, Limits};
use std::fmt;

/// The longest header line of RESP (`*<n>`, `$<n>`), as in Redis.
pub const MAX_HEADER: usize = 64 * 1024;

/// The most arguments of one RESP request, as in Redis.
pub const MAX_ARGUMENTS: usize = 1024 * 1024;

/// Malformed RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*` without a number.
    ArrayLength,
    /// `*` with more arguments than [`MAX_ARGUMENTS`].
    TooManyArguments,
    /// `$` without a length.
    BulkLength,
    /// `$` with a length over the limit of a value.
    BulkTooLong,
    /// Another byte in place of `$`.
    ExpectedBulk(u8),
    /// `*` without an end of its line.
    ArrayHeaderTooLong,
    /// `$` without an end of its line.
    BulkHeaderTooLong,
    /// A header of a reply without an end.
    HeaderTooLong,
    /// No CRLF at the end of a value.
    MissingEnd,
    /// Quotes in a line that are not closed, or followed by more of a word.
    UnbalancedQuotes,
    /// A request, or a reply, over the limit.
    TooLarge,
    /// A reply of no known type.
    UnknownType(u8),
    /// A reply that no request waits for.
    Unrequested,
}

impl ProtocolError {
    /// Returns whether a limit is exceeded.
    pub fn is_over_limit(self) -> bool {
        match self {
            Self::ArrayLength | Self::BulkLength | Self::ExpectedBulk(_) => false,
            Self::MissingEnd | Self::UnbalancedQuotes => false,
            Self::UnknownType(_) | Self::Unrequested => false,
            Self::TooManyArguments | Self::BulkTooLong | Self::TooLarge => true,
            Self::ArrayHeaderTooLong | Self::BulkHeaderTooLong | Self::HeaderTooLong => true,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::text::printable;
        match *self {
            // Redis has one message for both.
            Self::ArrayLength | Self::TooManyArguments => write!(f, "invalid multibulk length"),
            Self::BulkLength | Self::BulkTooLong => write!(f, "invalid bulk length"),
            // A line end would end the error itself; Redis makes it a space.
            Self::ExpectedBulk(b'\r' | b'\n') => write!(f, "expected '$', got ' '"),
            Self::ExpectedBulk(byte) => write!(f, "expected '$', got '{}'", printable(&[byte], 1)),
            Self::ArrayHeaderTooLong => write!(f, "too big mbulk count string"),
            Self::BulkHeaderTooLong => write!(f, "too big bulk count string"),
            Self::HeaderTooLong => write!(f, "too big count string"),
            Self::MissingEnd => write!(f, "expected CRLF after a bulk string"),
            Self::UnbalancedQuotes => write!(f, "unbalanced quotes in request"),
            Self::TooLarge => write!(f, "request too large"),
            Self::UnknownType(byte) => write!(f, "unknown reply type '{}'", printable(&[byte], 1)),
            Self::Unrequested => write!(f, "no request waits for it"),
        }
    }
}

/// A request that has begun and not ended.
#[derive(Debug)]
pub struct Partial {
    /// Its position in the request.
    pub scanner: RequestScanner,
    /// The words that are complete.
    pub words: Vec<Span>,
}

/// A scanner of one request, which looks at no byte twice however the request is split.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestScanner {
    position: usize,
    /// The number of words in its header; 0 before that was read.
    announced: usize,
    /// The length of the word whose header has been read.
    bulk: Option<usize>,
}

impl RequestScanner {
    /// Returns the least length of the request, in bytes, as far as it is known.
    pub fn expected_len(&self) -> usize {
        self.position + self.bulk.map_or(0, |length| length + 2)
    }

    /// Reads on in `bytes`, which begin with the request's `*`. Returns its length once it ends.
    ///
    /// # Errors
    /// The request is malformed; nothing after it can be understood.
    #[inline]
    pub fn advance(
        &mut self,
        bytes: &[u8],
        words: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        if self.announced == 0 {
            let header = header(bytes, 1).map_err(|_| ProtocolError::ArrayHeaderTooLong)?;
            let Some((count, at)) = header else { return Ok(None) };
            let count = count.ok_or(ProtocolError::ArrayLength)?;
            self.position = at;
            if count <= 0 {
                return Ok(Some(at));
            }
            self.announced = usize::try_from(count).map_err(|_| ProtocolError::ArrayLength)?;
            if self.announced > MAX_ARGUMENTS {
                return Err(ProtocolError::TooManyArguments);
            }
        }
        while words.len() < self.announced {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match bytes.get(self.position) {
                        None => return Ok(None),
                        Some(b'$') => {}
                        Some(&other) => return not_a_bulk(other, &bytes[self.position..]),
                    }
                    let header = header(bytes, self.position + 1);
                    let header = header.map_err(|_| ProtocolError::BulkHeaderTooLong)?;
                    let Some((length, at)) = header else { return Ok(None) };
                    let length = length.and_then(|length| usize::try_from(length).ok());
                    let length = length.ok_or(ProtocolError::BulkLength)?;
                    if length > limits.max_value {
                        return Err(ProtocolError::BulkTooLong);
                    }
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

/// Reads a request of one word or more that is whole, and returns its length; `None` for whatever
/// only [`RequestScanner::advance`] can read.
#[inline]
pub fn whole_request(bytes: &[u8], words: &mut Vec<Span>, limits: &Limits) -> Option<usize> {
    words.clear();
    let (count, mut rest) = plain_header(bytes, b'*')?;
    if count == 0 || count > MAX_ARGUMENTS {
        return None;
    }
    for _ in 0..count {
        let (length, word) = plain_header(rest, b'$')?;
        let start = bytes.len() - word.len();
        rest = word.get(length..)?.strip_prefix(b"\r\n")?;
        if length > limits.max_value {
            return None;
        }
        words.push(Span::new(start, start + length));
    }
    let length = bytes.len() - rest.len();
    (length <= limits.max_request).then_some(length)
}

/// Returns the number in a header line that begins with `kind`, and what follows it.
#[inline]
fn plain_header(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let digit = |byte: u8| usize::from(byte - b'0');
    // Less than eight bytes are no whole request, whichever line they begin with.
    match bytes.first_chunk::<8>()? {
        [first, ..] if *first != kind => None,
        [_, ones @ b'0'..=b'9', b'\r', b'\n', ..] => Some((digit(*ones), &bytes[4..])),
        [_, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Some((10 * digit(*tens) + digit(*ones), &bytes[5..]))
        }
        _ => long_header(bytes),
    }
}

#[inline(never)]
fn long_header(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, next) = header(bytes, 1).ok()??;
    Some((usize::try_from(number?).ok()?, &bytes[next..]))
}

/// Reads the number of a header line from `start` on. Returns the number, `None` if malformed, and
/// the start of the next line; `Ok(None)` if the line has not ended yet.
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
    let is_plain = at == start + 1 || (at > start && bytes[start] != b'0');
    if is_plain && bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n') {
        return Ok(Some((Some(number), at + 2)));
    }
    rare_header(bytes, start)
}

#[cold]
fn rare_header(bytes: &[u8], start: usize) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
    let rest = &bytes[start.min(bytes.len())..];
    let Some(end) = line_end(rest, b'\n')? else { return Ok(None) };
    let number = rest[..end].strip_suffix(b"\r").and_then(units::integer);
    Ok(Some((number, start + end + 1)))
}

/// Refuses a line in place of a bulk string, once it has come whole, as Redis does.
#[cold]
fn not_a_bulk(byte: u8, rest: &[u8]) -> Result<Option<usize>, ProtocolError> {
    match line_end(rest, b'\r') {
        Ok(None) => Ok(None),
        Ok(Some(_)) => Err(ProtocolError::ExpectedBulk(byte)),
        Err(_) => Err(ProtocolError::BulkHeaderTooLong),
    }
}

/// Returns the end of a line that is a header or stands for one, if it has come. A line longer than
/// a header is refused also if it has come whole: the result must not depend on how it is split.
fn line_end(rest: &[u8], end: u8) -> Result<Option<usize>, ProtocolError> {
    match memchr::memchr(end, &rest[..rest.len().min(MAX_HEADER)]) {
        None if rest.len() >= MAX_HEADER => Err(ProtocolError::HeaderTooLong),
        found => Ok(found),
    }
}

/// Finds the command of a whole request, checks its words, and returns it.
#[inline]
pub fn check<'a>(bytes: &'a [u8], spans: &'a [Span]) -> Decoded<'a> {
    let words = Words { spans, bytes };
    let Some(mut command) = Command::find(spans[0].of(bytes)) else {
        return Decoded::Refused(Form::Resp, Refusal::Unknown(words, Form::Resp));
    };
    if command.is_container()
        && let Some(word) = words.get(1)
    {
        let Some(subcommand) = command.subcommand(word) else {
            return Decoded::Refused(Form::Resp, Refusal::UnknownSubcommand(command, words));
        };
        command = subcommand;
    }
    if !command.takes(words.len()) {
        return Decoded::Refused(Form::Resp, Refusal::Usage(command, Form::Resp));
    }
    let request = Request { command, form: Form::Resp, words, key_hash: None };
    if bytes.len() > limits::MAX_KEY && request.keys().any(|key| key.len() > limits::MAX_KEY) {
        return Decoded::Refused(Form::Resp, Refusal::KeyTooLong);
    }
    Decoded::Request(request)
}
