//! Replies of an upstream: where each ends, and what is in it.

use super::{ProtocolError, header};
use crate::limits;

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
