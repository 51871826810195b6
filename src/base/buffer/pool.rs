//! Storage that is kept for the next buffer that needs some.

use super::Buffer;

/// A bounded stock of storage, for buffers that are empty most of the time: that of small outputs,
/// and that of long inputs, for which an allocator may go to the system each time.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
    /// The storage of long inputs, latest last.
    long: Vec<Vec<u8>>,
    /// The capacity of all of `long`.
    long_bytes: usize,
    /// The number of the first of `long` that were not needed since [`BufferPool::age`].
    long_unused: usize,
}

impl BufferPool {
    /// The size of storage for outputs, in bytes: a full pipeline of small replies.
    pub const STORAGE_BYTES: usize = 16 * 1024;
    /// The most storage for outputs that is kept: 2 MiB altogether.
    const MAX: usize = 128;
    /// The most storage for long inputs that is kept, in bytes: 16 clients with a megabyte each.
    const MAX_LONG: usize = 16 * 1024 * 1024;

    /// Gives a buffer memory, if it has none.
    #[inline]
    pub fn lend(&mut self, buffer: &mut Buffer) {
        if buffer.capacity() == 0 {
            let fresh = || vec![0; Self::STORAGE_BYTES];
            buffer.storage = self.free.pop().unwrap_or_else(fresh);
        }
    }

    /// Takes back the memory of an empty buffer; keeps it if it is of the common size.
    #[inline]
    pub fn take_back(&mut self, buffer: &mut Buffer) {
        debug_assert!(buffer.is_empty());
        let storage = std::mem::take(&mut buffer.storage);
        if storage.capacity() == Self::STORAGE_BYTES && self.free.len() < Self::MAX {
            self.free.push(storage);
        }
    }

    /// Returns an empty buffer for an input of `whole` bytes, of which `come` have come; without
    /// memory, if the pool has none of that size.
    pub fn lend_long(&mut self, whole: usize, come: usize) -> Buffer {
        // An announcement alone gets no memory that others have touched.
        if whole > come * super::MAX_RESERVE {
            return Buffer::new();
        }
        let found = self.long.iter().rposition(|storage| storage.capacity() >= whole);
        let storage = found.map_or(Vec::new(), |at| self.long.remove(at));
        self.long_bytes -= storage.capacity();
        self.long_unused = self.long_unused.min(self.long.len());
        Buffer { storage, start: 0, end: 0 }
    }

    /// Takes back the memory of a long input that has been used up, if it is still long; the oldest
    /// storage makes room for it.
    pub fn take_back_long(&mut self, buffer: Buffer) {
        debug_assert!(buffer.is_empty(), "what is lent next is empty");
        if buffer.capacity() <= Self::STORAGE_BYTES {
            return;
        }
        self.long_bytes += buffer.capacity();
        self.long.push(buffer.storage);
        while self.long_bytes > Self::MAX_LONG {
            self.drop_oldest();
        }
    }

    /// Gives back the storage of long inputs that was not needed since the last call; to be called
    /// about once a second.
    pub fn age(&mut self) {
        for _ in 0..self.long_unused {
            self.drop_oldest();
        }
        self.long_unused = self.long.len();
    }

    /// Panics unless all storage is of the sizes that it may have, and the sums are right.
    pub fn check_invariants(&self) {
        assert!(self.free.len() <= Self::MAX);
        assert!(self.free.iter().all(|it| it.capacity() == Self::STORAGE_BYTES));
        assert!(self.long.iter().all(|it| it.capacity() > Self::STORAGE_BYTES));
        assert_eq!(self.long_bytes, self.long.iter().map(Vec::capacity).sum());
        assert!(self.long_bytes <= Self::MAX_LONG && self.long_unused <= self.long.len());
    }

    fn drop_oldest(&mut self) {
        self.long_bytes -= self.long.remove(0).capacity();
        self.long_unused = self.long_unused.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
