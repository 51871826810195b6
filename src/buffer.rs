//! Bytes in a row: filled at the end, consumed at the front.
//!
//! ```text
//!   storage  [ consumed | live bytes        | free            ]
//!            0        start                end             capacity
//! ```
//!
//! An empty buffer goes back to the left edge, so that a connection which keeps up never moves a
//! byte. Storage is always initialised memory: reading into it needs no `unsafe`, and a pool hands
//! it from one connection to the next.

use std::io::{self, Read};

/// The smallest storage a buffer takes when it has to grow by itself.
const SMALLEST: usize = 64;

/// Storage up to this size is not worth giving back in part.
const KEPT: usize = 4096;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer that owns no memory.
    pub fn new() -> Buffer {
        Buffer::default()
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Buffer {
        Buffer { storage: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    /// How many bytes wait to be consumed.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing waits to be consumed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The memory it holds, in bytes.
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// The bytes that wait, oldest first.
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

    /// Takes back what was appended last, so that `len` bytes remain.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len(), "truncated to more than there is");
        self.end = self.start + len;
    }

    /// Moves what stands from position `from` on to before what stands from position `to` on; `to`
    /// is no more than `from`.
    pub fn bring_forward(&mut self, from: usize, to: usize) {
        assert!(to <= from && from <= self.len(), "brought forward more than there is");
        let moved = self.len() - from;
        self.storage[self.start + to..self.end].rotate_right(moved);
    }

    /// Appends `bytes`.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.append(bytes.len()).copy_from_slice(bytes);
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

    /// Reads once from `source` into the free room of the storage, and says how many bytes came.
    ///
    /// # Errors
    /// What the source returns; the buffer is then unchanged.
    #[inline]
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        let count = source.read(&mut self.storage[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Gives back memory that is far more than what waits needs: all of it, if nothing waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.storage = Box::default();
        } else if self.storage.len() > KEPT && self.len() < self.storage.len() / 4 {
            self.storage = self.bytes().into();
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends a number in decimal.
    pub fn push_decimal(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    /// Gives the memory away and is empty; an empty slice if there was none.
    pub fn take_storage(&mut self) -> Box<[u8]> {
        self.clear();
        std::mem::take(&mut self.storage)
    }

    /// Takes memory to fill. Only for a buffer that owns none.
    pub fn give_storage(&mut self, storage: Box<[u8]>) {
        assert!(self.storage.is_empty(), "the buffer already has memory");
        self.storage = storage;
    }

    #[cold]
    fn make_room(&mut self, count: usize) {
        let len = self.len();
        let needed = len.checked_add(count).expect("a buffer fits the address space");
        // Moving is worth it only when it frees at least as much as it moves: the cost per byte
        // stays constant.
        if needed <= self.storage.len() && self.start >= len {
            self.storage.copy_within(self.start..self.end, 0);
        } else {
            let capacity = needed.next_power_of_two().max(SMALLEST);
            let mut larger = vec![0; capacity].into_boxed_slice();
            larger[..len].copy_from_slice(&self.storage[self.start..self.end]);
            self.storage = larger;
        }
        self.start = 0;
        self.end = len;
    }

    /// Asserts what must hold between any two calls.
    #[cfg(test)]
    fn check_invariants(&self) {
        assert!(self.start <= self.end && self.end <= self.storage.len());
        assert!(!self.is_empty() || self.start == 0, "an empty buffer is at the left edge");
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A bounded stock of storage, for buffers that are empty most of the time.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Vec<Box<[u8]>>,
}

impl BufferPool {
    /// The size of what is lent: a full pipeline of small replies.
    pub const STORAGE_BYTES: usize = 16 * 1024;
    /// The most that is kept for later: 2 MiB altogether.
    const MOST: usize = 128;

    /// Sees to it that the buffer owns memory.
    #[inline]
    pub fn lend(&mut self, buffer: &mut Buffer) {
        if buffer.capacity() == 0 {
            let fresh = || vec![0; Self::STORAGE_BYTES].into_boxed_slice();
            buffer.give_storage(self.free.pop().unwrap_or_else(fresh));
        }
    }

    /// Takes back the memory of an empty buffer; keeps it if it is of the common size.
    #[inline]
    pub fn take_back(&mut self, buffer: &mut Buffer) {
        debug_assert!(buffer.is_empty());
        let storage = buffer.take_storage();
        if storage.len() == Self::STORAGE_BYTES && self.free.len() < Self::MOST {
            self.free.push(storage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Step {
        Push(Vec<u8>),
        Consume(usize),
        Truncate(usize),
        BringForward(usize, usize),
        Fill(Vec<u8>),
        Decimal(u64),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Push),
            (0..300usize).prop_map(Step::Consume),
            (0..300usize).prop_map(Step::Truncate),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Fill),
            any::<u64>().prop_map(Step::Decimal),
            (0..300usize, 0..300usize).prop_map(|(from, to)| Step::BringForward(from, to)),
            Just(Step::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_queue(steps in prop::collection::vec(step(), 0..80)) {
            let mut buffer = Buffer::new();
            let mut model = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push(bytes) => {
                        buffer.push(&bytes);
                        model.extend(bytes);
                    }
                    Step::Consume(count) => {
                        let count = count.min(model.len());
                        buffer.consume(count);
                        model.drain(..count);
                    }
                    Step::Truncate(len) => {
                        let len = len.min(model.len());
                        buffer.truncate(len);
                        model.truncate(len);
                    }
                    Step::BringForward(from, to) => {
                        let from = from.min(model.len());
                        let to = to.min(from);
                        buffer.bring_forward(from, to);
                        let moved = model.split_off(from);
                        let passed = model.split_off(to);
                        model.extend(moved.into_iter().chain(passed));
                    }
                    Step::Shrink => buffer.shrink(),
                    Step::Fill(bytes) => {
                        let count = buffer.fill(&mut &bytes[..]).expect("a slice reads");
                        model.extend(&bytes[..count]);
                    }
                    Step::Decimal(number) => {
                        buffer.push_decimal(number);
                        model.extend(number.to_string().into_bytes());
                    }
                }
                if buffer.is_empty() {
                    buffer.clear();
                }
                buffer.check_invariants();
                prop_assert_eq!(buffer.bytes(), model.make_contiguous());
            }
        }
    }

    #[test]
    fn a_large_buffer_gives_back_what_a_small_rest_does_not_need() {
        let mut buffer = Buffer::new();
        buffer.push(&[b'x'; 100_000]);
        buffer.consume(99_990);
        buffer.shrink();
        assert_eq!((buffer.capacity(), buffer.bytes()), (10, &[b'x'; 10][..]));
        buffer.consume(10);
        buffer.shrink();
        assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn storage_goes_round_through_the_pool() {
        let mut pool = BufferPool::default();
        let mut buffer = Buffer::new();
        pool.lend(&mut buffer);
        buffer.push(b"x");
        buffer.consume(1);
        pool.take_back(&mut buffer);
        assert_eq!((buffer.capacity(), pool.free.len()), (0, 1));
        pool.lend(&mut buffer);
        assert_eq!((buffer.capacity(), pool.free.len()), (BufferPool::STORAGE_BYTES, 0));
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound_and_nothing_large() {
        let mut pool = BufferPool::default();
        for capacity in [BufferPool::STORAGE_BYTES, BufferPool::STORAGE_BYTES * 8] {
            for _ in 0..2 * BufferPool::MOST {
                pool.take_back(&mut Buffer::with_capacity(capacity));
            }
        }
        assert_eq!(pool.free.len(), BufferPool::MOST);
        assert!(pool.free.iter().all(|storage| storage.len() == BufferPool::STORAGE_BYTES));
    }
}
