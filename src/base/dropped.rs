//! Memory that is freed a piece at a time: to free all of it at once would hold the loop.

use std::hint::black_box;

/// The small pieces between two that have the allocator settle: see [`settling`].
const SETTLED_AFTER: usize = 4096;

/// What counts as large in the allocator of glibc, in bytes.
const LARGE: usize = 64 << 10;

/// Storages that were dropped and are not freed yet.
#[derive(Default)]
pub struct Dropped {
    storages: Vec<Storage>,
}

struct Storage {
    bytes: usize,
    pieces: Box<dyn Iterator<Item = usize> + Send>,
}

impl Dropped {
    /// Adds a storage that counts for so many [`bytes`](Self::bytes), in pieces: the iterator frees
    /// each as it is taken, and returns its size.
    pub fn put(&mut self, bytes: usize, pieces: impl Iterator<Item = usize> + Send + 'static) {
        self.storages.push(Storage { bytes, pieces: Box::new(pieces) });
    }

    /// Returns whether all is freed.
    pub fn is_empty(&self) -> bool {
        self.storages.is_empty()
    }

    /// Returns the number of storages that are not freed yet.
    pub fn len(&self) -> usize {
        self.storages.len()
    }

    /// Returns what is left, in bytes.
    pub fn bytes(&self) -> usize {
        self.storages.iter().map(|storage| storage.bytes).sum()
    }

    /// Frees a piece, and returns its size; `None`: there is nothing to free.
    pub fn free_piece(&mut self) -> Option<usize> {
        let storage = self.storages.last_mut()?;
        let freed = storage.pieces.next();
        match freed {
            // A storage may count for less than all of its pieces.
            Some(bytes) => storage.bytes = storage.bytes.saturating_sub(bytes),
            None => _ = self.storages.pop(),
        }
        Some(freed.unwrap_or(0))
    }

    /// Frees `most` bytes, or up to a piece more.
    pub fn free(&mut self, most: usize) {
        let mut freed = 0;
        while freed < most
            && let Some(bytes) = self.free_piece()
        {
            freed += bytes;
        }
    }
}

/// The bytes of a piece of [`shrinking`].
const SHRUNK: usize = 1 << 20;

/// Returns the memory of a vector in pieces, as their sizes: from its end, as each is taken. The
/// system takes the pages of a large one back without a copy.
pub fn shrinking<T: Send + 'static>(
    mut vector: Vec<T>,
) -> impl Iterator<Item = usize> + Send + 'static {
    std::iter::from_fn(move || {
        let before = vector.capacity() * size_of::<T>();
        let kept = before.saturating_sub(SHRUNK) / size_of::<T>().max(1);
        vector.truncate(kept);
        vector.shrink_to(kept);
        (before > 0).then(|| before - vector.capacity() * size_of::<T>())
    })
    .fuse()
}

/// Returns the same pieces, and has the allocator settle as they are taken: glibc joins small freed
/// pieces only when something large is allocated. All at once, for a request that happens to need
/// that, it takes milliseconds; see `docs/design.md`. There is no call for it, so something large
/// is allocated now and then, and given back untouched.
pub fn settling(pieces: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    pieces.enumerate().map(|(number, bytes)| {
        if number % SETTLED_AFTER == 0 {
            black_box(Vec::<u8>::with_capacity(LARGE));
        }
        bytes
    })
}

#[cfg(test)]
mod tests;
