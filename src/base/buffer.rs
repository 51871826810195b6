//! Bytes in a row: filled at the end, consumed at the front.
//!
//! ```text
//!   storage  [ consumed | live bytes        | free            |  not touched so far  ]
//!            0        start                end           its length            its capacity
//! ```
//!
//! An empty buffer goes back to the left edge, so that a connection which keeps up never moves a
//! byte. Storage is initialised before it is handed out: reading into it needs no `unsafe`, and a
//! pool hands it from one connection to the next. But it is initialised only a little ahead: of a
//! large storage, the system gives no memory for what was not used yet. It grows by reallocation,
//! which moves a large block without copying it.

mod pool;

pub use pool::BufferPool;

use std::io::{self, Read};
use std::ops::Range;

/// One read from a socket, and so one client's share of a tick. Redis reads 16 KiB at a time; with
/// 64 KiB a pipeline of 64 requests with small values still arrives in one read, and with a little
/// more a value of 64 KiB and its key do.
pub const SCRATCH_BYTES: usize = 68 * 1024;

/// The smallest storage a buffer takes when it has to grow by itself.
const SMALLEST: usize = 64;

/// Storage up to this size is not worth giving back in part.
const MIN_SHRINK: usize = 4096;

/// Bytes that are initialised ahead, where there is capacity. Fewer than [`MIN_SHRINK`].
const AHEAD: usize = MIN_SHRINK / 2;

/// The most that a buffer reserves for an announced length, in multiples of what it needs: a
/// megabyte of which 64 KiB have come does not have to grow any more. If the rest does not come,
/// that has cost address space only.
const MAX_RESERVE: usize = 32;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Returns an empty buffer that owns no memory.
    pub fn new() -> Buffer {
        Buffer::default()
    }

    /// Returns an empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Buffer {
        Buffer { storage: vec![0; capacity], start: 0, end: 0 }
    }

    /// Returns the number of bytes that wait to be consumed.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns whether no bytes wait to be consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the memory it holds, in bytes.
    pub fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// Returns the bytes that wait, oldest first.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    /// Drops the oldest `count` bytes, which must be there.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed more than there is");
        self.start += count;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Drops everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Drops the newest bytes, so that `len` bytes remain.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len(), "truncated to more than there is");
        self.end = self.start + len;
        if len == 0 {
            self.clear();
        }
    }

    /// Moves the bytes from position `from` on to position `to`, which is no more than `from`.
    pub fn bring_forward(&mut self, from: usize, to: usize) {
        assert!(to <= from && from <= self.len(), "brought forward more than there is");
        let moved = self.len() - from;
        self.storage[self.start + to..self.end].rotate_right(moved);
    }

    /// Appends `bytes`.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        if self.storage.len() - self.end < bytes.len() {
            return self.push_growing(bytes);
        }
        self.storage[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Appends `count` bytes for the caller to overwrite; what they hold before is unspecified.
    #[inline]
    pub fn append(&mut self, count: usize) -> &mut [u8] {
        if self.storage.len() - self.end < count {
            self.make_room(count);
        }
        let from = self.end;
        self.end += count;
        &mut self.storage[from..self.end]
    }

    /// Makes room for `count` bytes more, where `whole` bytes are to come in all, those that wait
    /// included. A buffer that has to grow grows to `whole`, but to no more than 32 times what it
    /// needs now; the new memory is not touched.
    pub fn make_room_towards(&mut self, whole: usize, count: usize) {
        let needed = self.len() + count;
        self.reserve(count, whole.clamp(needed, needed.saturating_mul(MAX_RESERVE)));
    }

    /// Returns how many bytes more it can take without growing.
    #[inline]
    pub fn room(&self) -> usize {
        self.storage.capacity() - self.end
    }

    /// Returns how much of the room has been touched before, in bytes.
    pub fn used_room(&self) -> usize {
        self.storage.len() - self.end
    }

    /// Reads once from `source`, at most `most` bytes and the room; returns the number of bytes.
    ///
    /// # Errors
    /// What the source returns; the buffer is then unchanged.
    #[inline]
    pub fn fill(&mut self, source: &mut impl Read, most: usize) -> io::Result<usize> {
        let room = self.room().min(most);
        if self.storage.len() - self.end < room {
            self.initialise(room);
        }
        let count = source.read(&mut self.storage[self.end..][..room])?;
        debug_assert!(count <= room, "a read brings no more than there is room for");
        self.end += count;
        Ok(count)
    }

    /// Gives back memory that is far more than what waits needs: all of it, if nothing waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.storage = Vec::new();
        } else if self.storage.len() > MIN_SHRINK && self.len() < self.storage.len() / 4 {
            self.storage = self.bytes().to_vec();
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Takes the oldest `count` bytes out, in memory of their own, and returns their range in it.
    /// If they are more than a scratch buffer holds, that is the memory of this buffer, and only
    /// what follows them is copied.
    pub fn take(&mut self, count: usize) -> (Vec<u8>, Range<usize>) {
        assert!(count <= self.len(), "took more than there is");
        if count <= SCRATCH_BYTES {
            let taken = self.bytes()[..count].to_vec();
            self.consume(count);
            return (taken, 0..count);
        }
        let (start, end) = (self.start, self.start + count);
        let rest = self.bytes()[count..].to_vec();
        let mut taken = std::mem::replace(&mut self.storage, rest);
        (self.start, self.end) = (0, self.storage.len());
        taken.truncate(end);
        // What is kept for long is not to keep much more with it.
        if taken.capacity() - end > end / 8 {
            taken.shrink_to_fit();
        }
        (taken, start..end)
    }

    /// Appends a number in decimal.
    pub fn push_decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    #[cold]
    fn push_growing(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len(), 0);
        // What is overwritten is not initialised before.
        self.storage.truncate(self.end);
        self.storage.extend_from_slice(bytes);
        self.end += bytes.len();
        debug_assert_eq!(self.storage.len(), self.end);
        self.initialise(0);
    }

    #[cold]
    fn make_room(&mut self, count: usize) {
        self.reserve(count, 0);
        self.initialise(count);
    }

    /// Reserves room for `count` bytes more, and grows to `capacity` if it must; 0: by doubling.
    fn reserve(&mut self, count: usize, capacity: usize) {
        let len = self.len();
        let needed = len.checked_add(count).expect("a buffer fits the address space");
        if self.capacity() - self.end >= count {
            return;
        }
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
        }
        // Moving alone is worth it only when it frees at least as much as it moves: the cost per
        // byte stays constant.
        let is_enough = needed <= self.capacity() && self.start >= len;
        self.start = 0;
        self.end = len;
        if !is_enough {
            let doubled = needed.next_power_of_two().max(SMALLEST);
            let capacity = if capacity == 0 { doubled } else { capacity };
            self.storage.truncate(len);
            debug_assert!(capacity >= needed, "it grows as far as it needs to");
            self.storage.reserve_exact(capacity - len);
        }
        debug_assert!(self.capacity() - self.end >= count && self.len() == len);
    }

    /// Initialises storage for `count` bytes more, which have capacity, and [`AHEAD`] beyond.
    #[cold]
    fn initialise(&mut self, count: usize) {
        debug_assert!(self.end + count <= self.capacity(), "there is capacity for it");
        let ready = (self.end + count + AHEAD).min(self.capacity());
        if ready > self.storage.len() {
            self.storage.resize(ready, 0);
        }
    }

    /// Panics unless its positions are in order, and an empty buffer is at the left edge.
    pub fn check_invariants(&self) {
        assert!(self.start <= self.end && self.end <= self.storage.len());
        assert!(!self.is_empty() || self.start == 0, "an empty buffer is at the left edge");
    }
}

#[cfg(test)]
mod tests;
