//! Walks over all keys (`SCAN`, `KEYS`, `DUMP`), and one key by chance (`RANDOMKEY`).
//!
//! Entries move from place to place in the pages, so a walk goes by the index, in an order that no
//! move and no growth changes (see the head of `index.rs`). Its cursor is a position there.

use super::Store;
use super::entry::StoredEntry;
use super::pages::Handle;
use crate::base::clock::Now;
use crate::base::index;
use crate::base::output::Value;
use std::ops::ControlFlow;

/// Places that a [`RandomWalk`] looks at before it walks. One in six has a key, so that one walk in
/// a hundred thousand calls is left.
const PROBES: u64 = 64;

/// Places in a bucket that a [`RandomWalk`] chooses from. More have next to no bucket.
const PROBED_PLACES: u64 = 32;

/// One step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkStep {
    /// The cursor of the next step; 0 when there is none.
    pub next: u64,
    /// The number of entries that it looked at, and of empty buckets.
    pub looked_at: usize,
}

/// The search for some key, each as likely as any other where most have not expired: it looks at
/// some places of the index and, if no key is in them, walks over all of it from some position on.
#[derive(Clone, Copy, Debug)]
pub struct RandomWalk {
    seed: u64,
    /// `None`: it has not begun.
    cursor: Option<u64>,
    /// It has come to the end, and goes on from 0 to where it began.
    is_second: bool,
}

impl RandomWalk {
    /// Returns a search; another `seed` finds another key.
    pub fn new(seed: u64) -> RandomWalk {
        RandomWalk { seed, cursor: None, is_second: false }
    }

    /// Looks at `most` entries, or some more. Returns the number of those that it looked at, and
    /// breaks with the key that it found, or with `None` where there is none.
    pub fn step(
        &mut self,
        store: &Store,
        most: usize,
        now: Now,
    ) -> (usize, ControlFlow<Option<Vec<u8>>>) {
        let Some(cursor) = self.cursor else {
            if store.is_empty() {
                return (0, ControlFlow::Break(None));
            }
            self.cursor = Some(self.begin());
            let found = store.probe(self.seed, now).map(<[u8]>::to_vec);
            let found =
                found.map_or(ControlFlow::Continue(()), |key| ControlFlow::Break(Some(key)));
            return (PROBES as usize, found);
        };
        let mut found = None;
        let WalkStep { next, looked_at } = store.walk(cursor, most, now, |key, _| {
            found = Some(key.to_vec());
            ControlFlow::Break(())
        });
        if found.is_some() {
            return (looked_at, ControlFlow::Break(found));
        }
        let is_over = self.is_second && (next == 0 || next > self.begin());
        self.is_second |= next == 0;
        self.cursor = Some(next);
        let step = if is_over { ControlFlow::Break(None) } else { ControlFlow::Continue(()) };
        (looked_at, step)
    }

    fn begin(&self) -> u64 {
        index::position(mixed(self.seed, PROBES))
    }
}

impl Store {
    /// Returns a key of those at some places of the index; another for another `seed`.
    fn probe(&self, seed: u64, now: Now) -> Option<&[u8]> {
        let buckets = self.index.buckets();
        let probe = |n| {
            let number = mixed(seed, n);
            let (bucket, place) = (number / PROBED_PLACES, number % PROBED_PLACES);
            self.index.handles((bucket % buckets as u64) as usize).nth(place as usize)
        };
        let mut entries = (0..PROBES).filter_map(probe).map(|it| self.pages.entry(it));
        entries.find(|entry| entry.is_live(now.unix_millis)).map(StoredEntry::key)
    }

    /// Takes one step of a walk as [`walk`](Self::walk) does, and returns the cursor of the next.
    pub fn scan(
        &self,
        cursor: u64,
        most: usize,
        now: Now,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> u64 {
        self.walk(cursor, most, now, |key, value| visit(key, value.bytes())).next
    }

    /// Takes one step of a walk over all entries, in no particular order.
    ///
    /// Begins at `cursor` (0 for the first step), looks at `most` entries or some more, and calls
    /// `visit(key, value)` for each of them that has not expired. An empty bucket of the index
    /// counts as an entry. If `visit` breaks, the step ends after that entry, and those whose
    /// hashes are equal in 53 bits.
    ///
    /// An entry that exists from the first step to the last is visited exactly once, whatever is
    /// inserted, replaced, given a deadline or deleted between the steps; a key that is deleted and
    /// inserted again at most once. Any `cursor` is allowed; one past the end ends the walk.
    pub fn walk(
        &self,
        cursor: u64,
        most: usize,
        now: Now,
        mut visit: impl FnMut(&[u8], Value<'_>) -> ControlFlow<()>,
    ) -> WalkStep {
        let mut position = cursor;
        let mut looked_at = 0;
        let mut bucket: Vec<(u64, Handle)> = Vec::new();
        while position <= index::MAX_POSITION {
            let (handles, next) = self.index.bucket_at(position);
            bucket.clear();
            bucket.extend(handles.map(|handle| {
                let hash = self.hash(self.pages.entry(handle).key());
                (index::position(hash), handle)
            }));
            looked_at += bucket.len().max(1);
            bucket.retain(|&(at, _)| at >= position);
            bucket.sort_unstable();
            let mut last = None;
            for &(at, handle) in &bucket {
                if last.is_some_and(|last| last != at) {
                    return WalkStep { next: at, looked_at };
                }
                let entry = self.pages.entry(handle);
                if entry.is_live(now.unix_millis)
                    && visit(entry.key(), self.pages.value(handle)).is_break()
                {
                    last = Some(at);
                }
            }
            if last.is_some() || looked_at >= most || next == 0 {
                return WalkStep { next, looked_at };
            }
            position = next;
        }
        WalkStep { next: 0, looked_at }
    }
}

/// Returns the `n`th number that a seed leads to; all bits look random (Steele et al., *SplitMix*,
/// 2014).
fn mixed(seed: u64, n: u64) -> u64 {
    let number = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
