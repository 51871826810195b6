//! The memory of caches that were cleared, which is given back a piece at a time.

use std::hint::black_box;

/// The entries between two that have the allocator settle.
const SETTLED_AFTER: usize = 4096;

/// What counts as large for [`settle_allocator`]: 64 KiB in glibc.
const LARGE: usize = 64 << 10;

/// What was dropped and is not freed.
#[derive(Default)]
pub struct Dropped {
    storages: Vec<Storage>,
}

/// What is left of one cache.
struct Storage {
    bytes: usize,
    /// Each gives back a piece when it is taken, and says how many bytes that were.
    pieces: Box<dyn Iterator<Item = usize> + Send>,
}

impl Dropped {
    /// Takes the storage of a cache: what it counted for, its entries, each to be freed as it is
    /// taken, with its bytes; and the pieces of the rest.
    pub fn put(
        &mut self,
        bytes: usize,
        entries: impl Iterator<Item = usize> + Send + 'static,
        rest: impl Iterator<Item = usize> + Send + 'static,
    ) {
        let entries = entries.enumerate().map(|(number, bytes)| {
            if number % SETTLED_AFTER == 0 {
                settle_allocator();
            }
            bytes
        });
        self.storages.push(Storage { bytes, pieces: Box::new(entries.chain(rest)) });
    }

    /// Returns whether all is freed.
    pub fn is_empty(&self) -> bool {
        self.storages.is_empty()
    }

    /// Returns what is left, in bytes.
    pub fn bytes(&self) -> usize {
        self.storages.iter().map(|storage| storage.bytes).sum()
    }

    /// Frees a piece, and says how many bytes. `None`: there is nothing.
    pub fn free_piece(&mut self) -> Option<usize> {
        let storage = self.storages.last_mut()?;
        match storage.pieces.next() {
            Some(freed) => {
                // The index was counted by its mean share, and is freed as it is.
                storage.bytes = storage.bytes.saturating_sub(freed);
                Some(freed)
            }
            None => {
                self.storages.pop();
                Some(0)
            }
        }
    }
}

/// Has the allocator do now, in small parts, what it puts off until it is asked for something
/// large: glibc joins small freed pieces only then. All at once, and whenever somebody happens to
/// ask, that takes milliseconds; see `docs/design.md`. There is no call for it, so something large
/// is asked for, and given back untouched.
fn settle_allocator() {
    black_box(Vec::<u8>::with_capacity(LARGE));
}
