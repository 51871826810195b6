//! Storage that is kept for the next buffer that needs some.

use super::Buffer;

/// A bounded stock of storage, for buffers that are empty most of the time: that of small outputs,
/// and that of long inputs, for which an allocator may ask the system anew each time.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
    /// The one that came back last at the end.
    long: Vec<Vec<u8>>,
    /// The capacity of all of them.
    long_bytes: usize,
    /// How many of them were not needed since [`BufferPool::age`].
    long_unused: usize,
}

impl BufferPool {
    /// The size of what is lent: a full pipeline of small replies.
    pub const STORAGE_BYTES: usize = 16 * 1024;
    /// The most that is kept for later: 2 MiB altogether.
    const MOST: usize = 128;
    /// The most that is kept of long inputs, in bytes: for 16 clients that send a megabyte each.
    const MOST_LONG: usize = 16 * 1024 * 1024;

    /// Sees to it that the buffer owns memory.
    #[inline]
    pub fn lend(&mut self, buffer: &mut Buffer) {
        if buffer.capacity() == 0 {
            let fresh = || vec![0; Self::STORAGE_BYTES];
            buffer.give_storage(self.free.pop().unwrap_or_else(fresh));
        }
    }

    /// Takes back the memory of an empty buffer; keeps it if it is of the common size.
    #[inline]
    pub fn take_back(&mut self, buffer: &mut Buffer) {
        debug_assert!(buffer.is_empty());
        let storage = buffer.take_storage();
        if storage.capacity() == Self::STORAGE_BYTES && self.free.len() < Self::MOST {
            self.free.push(storage);
        }
    }

    /// A buffer for an input that will have `whole` bytes in all, of which so many have come;
    /// without memory, if there is none of that size.
    pub fn lend_long(&mut self, whole: usize, come: usize) -> Buffer {
        // Who has only said so gets no memory that others have touched.
        if whole > come * super::FORESIGHT {
            return Buffer::new();
        }
        let found = self.long.iter().rposition(|storage| storage.capacity() >= whole);
        let storage = found.map_or(Vec::new(), |at| self.long.remove(at));
        self.long_bytes -= storage.capacity();
        self.long_unused = self.long_unused.min(self.long.len());
        Buffer { storage, start: 0, end: 0 }
    }

    /// Takes back the memory of a long input that has been used up, if it is still long; what has
    /// lain here longest makes room for it.
    pub fn take_back_long(&mut self, buffer: Buffer) {
        if buffer.capacity() <= Self::STORAGE_BYTES {
            return;
        }
        self.long_bytes += buffer.capacity();
        self.long.push(buffer.storage);
        while self.long_bytes > Self::MOST_LONG {
            self.drop_oldest();
        }
    }

    /// Gives back the storage of long inputs that was not needed since the last time. To be called
    /// now and then.
    pub fn age(&mut self) {
        for _ in 0..self.long_unused {
            self.drop_oldest();
        }
        self.long_unused = self.long.len();
    }

    fn drop_oldest(&mut self) {
        self.long_bytes -= self.long.remove(0).capacity();
        self.long_unused = self.long_unused.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn storage_of_long_inputs_is_lent_again_to_what_fits_in() {
        let mut pool = BufferPool::default();
        let long = |kibibytes: usize| Buffer::with_capacity(kibibytes << 10);
        for kibibytes in [100, 1000, 200] {
            pool.take_back_long(long(kibibytes));
        }
        let mut lent =
            |kibibytes: usize| pool.lend_long(kibibytes << 10, kibibytes << 10).capacity() >> 10;
        assert_eq!([lent(150), lent(150), lent(150), lent(1)], [200, 1000, 0, 100]);
        assert_eq!(pool.long_bytes, 0);
        for kibibytes in [1000, 8000, 8000, 20_000] {
            pool.take_back_long(long(kibibytes));
            let kept: usize = pool.long.iter().map(Vec::capacity).sum();
            assert_eq!(kept, pool.long_bytes);
            assert!(kept <= BufferPool::MOST_LONG && (kept > 0 || kibibytes == 20_000));
        }
    }

    #[test]
    fn storage_of_long_inputs_goes_when_it_is_not_needed_for_a_while() {
        let mut pool = BufferPool::default();
        for _ in 0..5 {
            pool.take_back_long(Buffer::with_capacity(1 << 20));
        }
        pool.age();
        let lent = [pool.lend_long(1 << 20, 1 << 15), pool.lend_long(1 << 20, 1 << 15)];
        lent.into_iter().for_each(|buffer| pool.take_back_long(buffer));
        pool.age();
        assert_eq!((pool.long.len(), pool.long_bytes), (2, 2 << 20), "no more were needed at once");
        pool.age();
        assert_eq!((pool.long.len(), pool.long_bytes), (0, 0));
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
