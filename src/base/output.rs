//! The output that waits to be sent to one peer: bytes that were written for it, and between them
//! large values, where they are stored.
//!
//! ```text
//!   plain    $1048576 ▸◂ \r\n$5\r\nsmall\r\n$20000\r\n ▸◂ \r\n        a `Buffer`
//!   shared            │                               │
//!                     at 10: block ①, 7..1048583      at 37: block ②, 0..20000
//! ```
//!
//! A shared piece is a part of a block of memory with several owners: the store has one, each
//! output that it waits in another. So a large value is not copied for being sent, and one that is
//! replaced or deleted meanwhile lives until it is. Its bytes count like all others in
//! [`Output::len`], and so for the high-water mark and the output limit: no output keeps more alive
//! than it may hold, and the rest of the piece that it is sending.
//!
//! An output without shared pieces is a `Buffer` and an empty list, and is written with one plain
//! write.

use crate::base::buffer::Buffer;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::sync::Arc;

/// The bytes from which on a value is sent from where it is stored; smaller ones are copied. To
/// copy that many takes about as long as to keep a list of shared parts; and together with a few
/// small replies they just fit the storage of an output.
pub const SHARED_FROM: usize = 16 * 1024;

/// Bytes with several owners, never changed while there is more than one. Counted atomically, since
/// a server that a proxy runs for itself moves to another thread with its values; next to 16 KiB
/// that are written to a socket the difference cannot be measured.
pub type Block = Arc<Vec<u8>>;

/// The most slices of one write: 32 large values, with the plain bytes between them.
const MAX_SLICES: usize = 64;

/// A value on its way to an output.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Bytes that are to be copied.
    Short(&'a [u8]),
    /// The part of a block between two positions, which can be shared.
    Long(&'a Block, usize, usize),
}

impl<'a> Value<'a> {
    /// Returns a part of a block, which can be shared.
    pub fn long(block: &'a Block, range: Range<usize>) -> Value<'a> {
        Value::Long(block, range.start, range.end)
    }

    /// Returns the bytes of the value.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Short(bytes) => bytes,
            Value::Long(block, start, end) => &block[start..end],
        }
    }

    /// Returns the number of its bytes.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Value::Short(bytes) => bytes.len(),
            Value::Long(_, start, end) => end - start,
        }
    }

    /// Returns whether it has no bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns a part of it.
    pub fn part(self, range: Range<usize>) -> Value<'a> {
        match self {
            Value::Short(bytes) => Value::Short(&bytes[range]),
            Value::Long(block, start, _) => {
                Value::Long(block, start + range.start, start + range.end)
            }
        }
    }
}

/// Values are equal if their bytes are.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Value<'_>) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Value<'_> {}

/// The output that waits to be sent to one peer: see the head of the file.
#[derive(Debug, Default)]
pub struct Output {
    plain: Buffer,
    shared: Option<Box<SharedParts>>,
}

/// The shared pieces of an output, of which there is at least one.
#[derive(Debug, Default)]
struct SharedParts {
    pieces: VecDeque<SharedPart>,
    /// Their bytes, together.
    bytes: usize,
    /// Plain bytes that were consumed since the first piece came.
    consumed: usize,
}

/// A part of a block, never empty.
#[derive(Debug)]
struct SharedPart {
    block: Block,
    range: Range<usize>,
    /// The plain bytes before it, those consumed included.
    at: usize,
}

impl Output {
    /// Returns an empty output that owns no memory.
    pub fn new() -> Output {
        Output::default()
    }

    /// Returns the number of bytes that wait, the shared ones among them.
    #[inline]
    pub fn len(&self) -> usize {
        self.plain.len() + self.shared.as_ref().map_or(0, |shared| shared.bytes)
    }

    /// Returns whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.shared.is_none()
    }

    /// Returns the end of the output, to append plain bytes to, and for nothing else.
    pub fn plain(&mut self) -> &mut Buffer {
        &mut self.plain
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.plain.push(bytes);
    }

    /// Appends a value: shared, if it can be and has at least [`SHARED_FROM`] bytes.
    #[inline]
    pub fn push_value(&mut self, value: Value<'_>) {
        match value {
            Value::Long(block, start, end) if end - start >= SHARED_FROM => {
                self.push_shared(block, start..end);
            }
            _ => self.plain.push(value.bytes()),
        }
    }

    /// Appends a part of a block, and shares the block until it is sent.
    pub fn push_shared(&mut self, block: &Block, range: Range<usize>) {
        assert!(range.end <= block.len(), "shared more than there is");
        if range.is_empty() {
            return;
        }
        let shared = self.shared.get_or_insert_default();
        shared.bytes += range.len();
        let at = shared.consumed + self.plain.len();
        shared.pieces.push_back(SharedPart { block: block.clone(), range, at });
    }

    /// Appends all that waits in another output.
    pub fn push_all(&mut self, other: &Output) {
        let plain = other.plain.bytes();
        let mut done = 0;
        if let Some(shared) = &other.shared {
            for piece in &shared.pieces {
                let before = piece.at - shared.consumed;
                self.push(&plain[done..before]);
                self.push_shared(&piece.block, piece.range.clone());
                done = before;
            }
        }
        self.push(&plain[done..]);
    }

    /// Drops the oldest `count` bytes, which must be there.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        match self.shared {
            None => self.plain.consume(count),
            Some(_) => self.consume_shared(count),
        }
    }

    /// Drops everything and keeps the memory that is its own.
    #[inline]
    pub fn clear(&mut self) {
        self.plain.clear();
        self.shared = None;
    }

    /// Drops the newest bytes, so that `len` bytes remain.
    pub fn truncate(&mut self, len: usize) {
        let (index, plain) = self.cut(len);
        self.plain.truncate(plain);
        if let Some(shared) = &mut self.shared {
            shared.drop_pieces(index..);
        }
        self.drop_empty_list();
    }

    /// Moves the bytes from position `from` on to position `to`, which is no more than `from`.
    pub fn bring_forward(&mut self, from: usize, to: usize) {
        assert!(to <= from, "brought forward is what stands behind");
        let (first, to) = self.cut(to);
        let (moved, from) = self.cut(from);
        let moved_bytes = self.plain.len() - from;
        self.plain.bring_forward(from, to);
        if let Some(shared) = &mut self.shared {
            let pieces = &mut shared.pieces.make_contiguous()[first..];
            let (passed, brought) = pieces.split_at_mut(moved - first);
            passed.iter_mut().for_each(|piece| piece.at += moved_bytes);
            brought.iter_mut().for_each(|piece| piece.at -= from - to);
            pieces.rotate_left(moved - first);
        }
    }

    /// Writes once, at most `most` bytes. Returns whether the peer took all that was offered.
    ///
    /// # Errors
    /// What the peer's stream returns; nothing is then consumed.
    #[inline]
    pub fn send(&mut self, to: &mut impl Write, most: usize) -> io::Result<bool> {
        if self.shared.is_some() {
            return self.send_shared(to, most);
        }
        let offered = self.plain.len().min(most);
        let count = to.write(&self.plain.bytes()[..offered])?;
        debug_assert!(count <= offered, "a write takes no more than it is offered");
        self.plain.consume(count);
        Ok(count == offered)
    }

    /// Returns a copy of all that waits.
    pub fn to_vec(&self) -> Vec<u8> {
        self.slices().collect::<Vec<_>>().concat()
    }

    fn send_shared(&mut self, to: &mut impl Write, most: usize) -> io::Result<bool> {
        let mut slices = [IoSlice::new(b""); MAX_SLICES];
        let (mut used, mut offered) = (0, 0);
        for (place, bytes) in slices.iter_mut().zip(self.slices()) {
            if offered == most {
                break;
            }
            let bytes = &bytes[..bytes.len().min(most - offered)];
            *place = IoSlice::new(bytes);
            used += 1;
            offered += bytes.len();
        }
        let count = to.write_vectored(&slices[..used])?;
        debug_assert!(count <= offered, "a write takes no more than it is offered");
        self.consume(count);
        Ok(count == offered)
    }

    /// Returns all that waits, in its order; no slice is empty.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let (plain, shared) = (self.plain.bytes(), self.shared.as_deref());
        let mut done = 0;
        let pieces = shared.into_iter().flat_map(|shared| {
            shared.pieces.iter().map(|piece| (piece.at - shared.consumed, piece))
        });
        let upto_piece = pieces.map(move |(at, piece)| {
            let before = &plain[done..at];
            done = at;
            [before, &piece.block[piece.range.clone()]]
        });
        let last = shared.and_then(|shared| Some(shared.pieces.back()?.at - shared.consumed));
        let rest = &plain[last.unwrap_or(0)..];
        upto_piece.flatten().chain([rest]).filter(|bytes| !bytes.is_empty())
    }

    #[cold]
    fn consume_shared(&mut self, count: usize) {
        let (index, plain) = self.cut(count);
        self.plain.consume(plain);
        if let Some(shared) = &mut self.shared {
            shared.consumed += plain;
            shared.drop_pieces(..index);
        }
        self.drop_empty_list();
    }

    /// Splits the piece at a position; returns the numbers of pieces and of plain bytes before it.
    fn cut(&mut self, position: usize) -> (usize, usize) {
        assert!(position <= self.len(), "there is less than that");
        let Some(shared) = &mut self.shared else { return (0, position) };
        let mut before = 0;
        for index in 0..shared.pieces.len() {
            let piece = &mut shared.pieces[index];
            let plain = piece.at - shared.consumed;
            if position <= plain + before {
                return (index, position - before);
            }
            let within = position - before - plain;
            if within < piece.range.len() {
                let middle = piece.range.start + within;
                let (block, range) = (piece.block.clone(), middle..piece.range.end);
                piece.range.end = middle;
                let rest = SharedPart { block, range, at: piece.at };
                shared.pieces.insert(index + 1, rest);
                return (index + 1, plain);
            }
            before += piece.range.len();
        }
        (shared.pieces.len(), position - before)
    }

    fn drop_empty_list(&mut self) {
        if self.shared.as_ref().is_some_and(|shared| shared.pieces.is_empty()) {
            self.shared = None;
        }
    }

    /// Panics unless: there is a list of parts only while there are parts, none of them empty, in
    /// the order of their places among the plain bytes; and the sums are right.
    pub fn check_invariants(&self) {
        self.plain.check_invariants();
        let Some(shared) = &self.shared else { return };
        assert!(!shared.pieces.is_empty());
        assert_eq!(shared.bytes, shared.pieces.iter().map(|piece| piece.range.len()).sum());
        assert!(shared.pieces.iter().all(|piece| !piece.range.is_empty()));
        assert!(shared.pieces.iter().is_sorted_by_key(|piece| piece.at));
        assert!(shared.pieces.iter().all(|piece| piece.at >= shared.consumed));
        let last = shared.pieces.back().map_or(0, |piece| piece.at);
        assert!(last <= shared.consumed + self.plain.len());
    }
}

impl SharedParts {
    fn drop_pieces(&mut self, which: impl std::ops::RangeBounds<usize>) {
        let dropped: usize = self.pieces.drain(which).map(|piece| piece.range.len()).sum();
        debug_assert!(!self.pieces.is_empty() || dropped == self.bytes);
        self.bytes -= dropped;
    }
}

#[cfg(test)]
mod tests;
