//! Walks over all keys (`SCAN`, `KEYS`, `DUMP`), and one key by chance (`RANDOMKEY`).
//!
//! Entries move from place to place in the pages, so a walk goes by the index, in an order that no
//! move and no growth changes (see the head of `index.rs`). Its cursor is a position there.

use super::Store;
use super::entry::StoredEntry;
use super::pages::Handle;
use crate::base::clock::Now;
use crate::base::index;
use std::ops::ControlFlow;

/// Places that [`Store::random`] looks at before it walks. One in six has a key, so that one walk
/// in a hundred thousand calls is left.
const PROBES: u64 = 64;

/// Places in a bucket that [`Store::random`] chooses from. More have next to no bucket.
const PROBED_PLACES: u64 = 32;

/// The most buckets over which [`Store::random`] walks: a millisecond's work.
const WALKED: usize = 4096;

impl Store {
    /// Returns some key, each as likely as any other; another for another `seed`. `None`, if there
    /// is none, or hardly one that has not expired.
    ///
    /// Looks at some places of the index and, if no key is in them, walks over a part of it.
    pub fn random(&self, seed: u64, now: Now) -> Option<&[u8]> {
        let buckets = self.index.buckets();
        let probe = |n| {
            let number = mixed(seed, n);
            let (bucket, place) = (number / PROBED_PLACES, number % PROBED_PLACES);
            self.index.handles((bucket % buckets as u64) as usize).nth(place as usize)
        };
        let begin = (seed % buckets as u64) as usize;
        let walk = (begin..buckets).chain(0..begin).take(WALKED);
        let walk = walk.flat_map(|number| self.index.handles(number));
        let mut entries = (0..PROBES).filter_map(probe).chain(walk).map(|it| self.pages.entry(it));
        entries.find(|entry| entry.is_live(now.unix_millis)).map(StoredEntry::key)
    }

    /// Takes one step of a walk over all entries, in no particular order.
    ///
    /// Begins at `cursor` (0 for the first step), looks at `most` entries or some more, calls
    /// `visit(key, value)` for each of them that has not expired, and returns the cursor of the
    /// next step; 0 when there is none. An empty bucket of the index counts as an entry. If `visit`
    /// breaks, the step ends after that entry, and those whose hashes are equal in 53 bits.
    ///
    /// An entry that exists from the first step to the last is visited exactly once, whatever is
    /// inserted, replaced, given a deadline or deleted between the steps; a key that is deleted and
    /// inserted again at most once. Any `cursor` is allowed; one past the end ends the walk.
    pub fn scan(
        &self,
        cursor: u64,
        most: usize,
        now: Now,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> u64 {
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
                    return at;
                }
                let entry = self.pages.entry(handle);
                let (key, value) = entry.split();
                if entry.is_live(now.unix_millis) && visit(key, value).is_break() {
                    last = Some(at);
                }
            }
            if last.is_some() || looked_at >= most || next == 0 {
                return next;
            }
            position = next;
        }
        0
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
