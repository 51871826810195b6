//! Replies of an upstream, in RESP2 or RESP3: the end of each, and its elements.
//!
//! ```text
//!   + - :           lines: simple string, error, integer
//!   _ # , (         lines of RESP3: null, boolean, double, big number
//!   $ = !           blobs: bulk string, verbatim string, error
//!   * ~ % > |       announce elements: array, set, map, push; attributes of what follows them
//! ```
//!
//! The streamed types of RESP3 are not read: Redis has never sent them. Nesting is only counted, so
//! that depth costs nothing.

use super::{ProtocolError, header, line_end};

/// One element of a reply. An array, a set or a map only announces its elements, which follow.
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
    /// `#`
    Boolean(bool),
    /// `,`, as it was written.
    Double(&'a [u8]),
    /// `(`, as it was written.
    BigNumber(&'a [u8]),
    /// `=`, without the format that stands before the text.
    Verbatim(&'a [u8]),
    /// `!`
    BlobError(&'a [u8]),
    /// `*`, with the number of elements that follow.
    Array(usize),
    /// `~`, with the number of elements that follow.
    Set(usize),
    /// `%`, with the number of pairs that follow.
    Map(usize),
    /// `>`, with the number of elements that follow: no reply, but a push.
    Push(usize),
    /// `|`, with the number of pairs that follow, before the element that they describe.
    Attribute(usize),
}

impl Element<'_> {
    /// Returns the number of its elements, which follow it; of an attribute, with the element that
    /// it describes. `None`: more than can be counted.
    pub fn elements(self) -> Option<usize> {
        match self {
            Element::Array(count) | Element::Set(count) | Element::Push(count) => Some(count),
            Element::Map(pairs) => pairs.checked_mul(2),
            Element::Attribute(pairs) => pairs.checked_mul(2)?.checked_add(1),
            _ => Some(0),
        }
    }
}

/// The kind of a server's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A reply to a request.
    Reply,
    /// A push, which comes between replies.
    Push,
}

/// The progress of a [`ReplyScanner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// No reply is complete.
    Midway,
    /// A reply of this length is complete; the scanner is ready for the next.
    Whole(usize, ReplyKind),
    /// These bytes are of a reply that is too large to be kept, and can be consumed. `Some`: they
    /// are its last.
    Dropped(usize, Option<ReplyKind>),
}

/// Finds the end of a reply that comes in pieces; no byte is looked at twice, save those of a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyScanner {
    /// The start of the next element.
    position: usize,
    /// Elements that are still to come; `None` between replies.
    left: Option<usize>,
    is_push: bool,
    /// The reply is too large: its bytes are dropped as they come.
    dropping: bool,
    /// The bytes still to come of a blob, with the line end.
    skipping: usize,
    /// The end of a blob that is not complete.
    announced: usize,
}

impl ReplyScanner {
    /// Reads on in `bytes`, which begin with the part of the reply that was not dropped. A reply of
    /// more than `most` bytes is not kept.
    ///
    /// # Errors
    /// The reply is malformed; nothing after it can be understood.
    pub fn advance(&mut self, bytes: &[u8], most: usize) -> Result<Scanned, ProtocolError> {
        let skipped = self.skipping.min(bytes.len());
        self.skipping -= skipped;
        self.position += skipped;
        while self.skipping == 0 && self.left != Some(0) {
            let Some((head, at)) = head(bytes, self.position)? else { return Ok(self.midway()) };
            if self.left.is_none() {
                self.is_push = matches!(head, Head::Line(Element::Push(_)));
            }
            let end = match head {
                Head::Line(_) => at,
                Head::Blob(_, length) => {
                    let end = at.checked_add(length).and_then(|end| end.checked_add(2));
                    end.ok_or(ProtocolError::BulkLength)?
                }
            };
            self.dropping |= end > most;
            if !self.dropping {
                match bytes.get(end - 2..end) {
                    None => {
                        self.announced = end;
                        return Ok(Scanned::Midway);
                    }
                    Some(b"\r\n") => {}
                    Some(_) => return Err(ProtocolError::MissingEnd),
                }
            }
            self.position = end.min(bytes.len());
            self.skipping = end - self.position;
            let others = self.left.map_or(0, |left| left - 1);
            let left = head.elements().and_then(|own| own.checked_add(others));
            self.left = Some(left.ok_or(ProtocolError::ArrayLength)?);
        }
        if self.skipping > 0 {
            return Ok(self.midway());
        }
        let kind = if self.is_push { ReplyKind::Push } else { ReplyKind::Reply };
        let ReplyScanner { position, dropping, .. } = std::mem::take(self);
        Ok(if dropping {
            Scanned::Dropped(position, Some(kind))
        } else {
            Scanned::Whole(position, kind)
        })
    }

    /// Returns the least length of a reply that has begun, in bytes; 0: unknown, or dropped.
    pub fn expected_len(&self) -> usize {
        if self.dropping { 0 } else { self.announced }
    }

    fn midway(&mut self) -> Scanned {
        if !self.dropping || self.position == 0 {
            return Scanned::Midway;
        }
        Scanned::Dropped(std::mem::take(&mut self.position), None)
    }
}

/// The first line of an element.
#[derive(Clone, Copy)]
enum Head<'a> {
    /// It is the whole element.
    Line(Element<'a>),
    /// The type, and the number of bytes that follow before a line end.
    Blob(u8, usize),
}

impl Head<'_> {
    fn elements(&self) -> Option<usize> {
        match self {
            Head::Line(element) => element.elements(),
            Head::Blob(..) => Some(0),
        }
    }
}

/// Reads the first line of the element at `position`. Returns it and the start of the next line;
/// `Ok(None)`: it is not complete.
#[inline]
fn head(bytes: &[u8], position: usize) -> Result<Option<(Head<'_>, usize)>, ProtocolError> {
    let Some(&kind) = bytes.get(position) else { return Ok(None) };
    match kind {
        b'$' | b'*' | b':' | b'=' | b'!' | b'~' | b'%' | b'>' | b'|' => {}
        b'+' | b'-' | b'_' | b'#' | b',' | b'(' => return line(bytes, position),
        _ => return Err(ProtocolError::UnknownType(kind)),
    }
    let Some((number, at)) = header(bytes, position + 1)? else { return Ok(None) };
    let is_blob = matches!(kind, b'$' | b'=' | b'!');
    let wrong = if is_blob || kind == b':' {
        ProtocolError::BulkLength
    } else {
        ProtocolError::ArrayLength
    };
    let number = number.ok_or(wrong)?;
    let head = match (kind, usize::try_from(number)) {
        (b':', _) => Head::Line(Element::Integer(number)),
        (b'$' | b'*', _) if number == -1 => Head::Line(Element::Null),
        (_, Err(_)) => return Err(wrong),
        (_, Ok(length)) if is_blob => Head::Blob(kind, length),
        (b'~', Ok(count)) => Head::Line(Element::Set(count)),
        (b'%', Ok(pairs)) => Head::Line(Element::Map(pairs)),
        (b'>', Ok(count)) => Head::Line(Element::Push(count)),
        (b'|', Ok(pairs)) => Head::Line(Element::Attribute(pairs)),
        (_, Ok(count)) => Head::Line(Element::Array(count)),
    };
    Ok(Some((head, at)))
}

/// Reads an element that is a line of text. Returns it with its end, once that has come.
fn line(bytes: &[u8], position: usize) -> Result<Option<(Head<'_>, usize)>, ProtocolError> {
    let rest = &bytes[position + 1..];
    let Some(end) = line_end(rest, b'\n')? else { return Ok(None) };
    let line = rest[..end].strip_suffix(b"\r").ok_or(ProtocolError::MissingEnd)?;
    let element = match (bytes[position], line) {
        (b'+', _) => Element::Simple(line),
        (b'-', _) => Element::Error(line),
        (b',', _) => Element::Double(line),
        (b'(', _) => Element::BigNumber(line),
        (b'#', b"t") => Element::Boolean(true),
        (b'#', b"f") => Element::Boolean(false),
        (b'_', b"") => Element::Null,
        (kind, _) => return Err(ProtocolError::UnknownType(kind)),
    };
    Ok(Some((Head::Line(element), position + end + 2)))
}

/// Reads the element at the front of `bytes`. Returns it with its length; `Ok(None)`: it is not
/// complete.
///
/// # Errors
/// It is malformed.
#[inline]
pub fn next_element(bytes: &[u8]) -> Result<Option<(Element<'_>, usize)>, ProtocolError> {
    let Some((head, at)) = head(bytes, 0)? else { return Ok(None) };
    let (kind, length) = match head {
        Head::Line(element) => return Ok(Some((element, at))),
        Head::Blob(kind, length) => (kind, length),
    };
    let end = at.checked_add(length).filter(|end| *end < usize::MAX - 2);
    let end = end.ok_or(ProtocolError::BulkLength)?;
    let Some(line_end) = bytes.get(end..end + 2) else { return Ok(None) };
    if line_end != b"\r\n" {
        return Err(ProtocolError::MissingEnd);
    }
    let text = &bytes[at..end];
    let element = match kind {
        b'=' => Element::Verbatim(text.get(4..).unwrap_or_default()),
        b'!' => Element::BlobError(text),
        _ => Element::Bulk(text),
    };
    Ok(Some((element, end + 2)))
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

    /// Passes over the next element and all that belongs to it; returns their bytes.
    pub fn take_one(&mut self) -> &'a [u8] {
        let (start, mut left) = (self.position, 1usize);
        while left > 0
            && let Some(element) = self.next()
        {
            left = (left - 1).saturating_add(element.elements().unwrap_or(usize::MAX));
        }
        &self.bytes[start..self.position]
    }

    /// Passes over `count` elements, each with all that belongs to it.
    pub fn pass_over(&mut self, count: usize) {
        for _ in 0..count {
            self.take_one();
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, length) = next_element(&self.bytes[self.position..]).ok()??;
        self.position += length;
        Some(element)
    }
}
