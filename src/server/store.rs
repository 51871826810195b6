//! The store: keys to values, for ever or until a deadline.
//!
//! The index leads from the hash of a key to the place of its entry, in a page of entries of about
//! the same length:
//!
//! ```text
//!  index                  pages                                 page 1, in places of 24 bytes
//!  hash(color) ─→ 1:0 ──→  0  entries of up to 16 bytes         0  color blue
//!  hash(shape) ─→ 1:1 ──→  1  entries of 17 to 24 bytes ──────→ 1  shape square
//!  hash(size)  ─→ 0:0      2  …                                 2  (not used so far)
//! ```
//!
//! `pages.rs` has no holes: when an entry goes, the last of its class moves to its place, and the
//! index and the timers are updated. A value that is replaced by one of about the same length
//! stays; else its entry goes from one class to another. So memory is always that of the entries
//! that there are, whatever came before; of those over 16 KiB, the allocator may keep what was
//! freed.
//!
//! A key whose deadline has come is absent at once for every lookup: the deadline is compared. Its
//! memory goes later. Each entry with a deadline has a timer in a wheel, and
//! [`Store::remove_expired`] removes what is due there, a bounded number at a time, and reports
//! each key. What else comes upon an expired entry leaves it to that, or writes the key anew and so
//! takes its place.
//!
//! Deadlines are in Unix time; timers are on the monotonic clock. If the wall clock is set back, a
//! timer fires too early and is set anew. If it is set forward, a timer fires too late, and that
//! costs memory only. A deadline that moves later leaves its timer where it is, as with one that
//! fires too early: so a key that is kept alive by being set again and again costs the wheel next
//! to nothing.
//!
//! Nothing here takes long, however many keys there are: what would ([`Store::clear`], deadlines
//! that come for many at a time) is done in parts by [`Store::remove_expired`].

mod entry;
mod expiry;
mod growth;
mod pages;
mod walk;

use crate::base::clock::Now;
use crate::base::dropped::Dropped;
use crate::base::index::Index;
use crate::base::output::Value;
use crate::base::timer_wheel::TimerWheel;
use crate::protocol::{Key, MAX_TOUCHED};
use ahash::RandomState;
use entry::{Lease, Parts, StoredEntry};
pub use expiry::EXPIRED_AT_ONCE;
pub use pages::MAX_PAGED;
use pages::{Handle, Moved, Pages};
use std::hint::black_box;
use std::time::Instant;
pub use walk::{RandomWalk, WalkStep};

/// The lifetime of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    Never,
    /// As long as the value in whose place it comes; for ever, if there is none.
    Keep,
    /// Until this Unix time, in milliseconds.
    At(u64),
}

/// Keys and their values; see the head of the file.
///
/// Keys of 0 to 128 KiB (the protocol allows 64 KiB), values of any length; up to 60 GiB of
/// entries of up to 16 KiB, and 2^28 larger ones. An entry takes 16 bytes more than key and value,
/// 12 in the index and 4 in front. It is rounded up to 8 bytes; above 128 bytes by an eighth at
/// most, above 4 KiB by a quarter, above 16 KiB not at all. A deadline costs 16 bytes in the entry
/// and some 40 in the wheel.
///
/// `now` may not go back on the monotonic clock; on the wall clock it may.
pub struct Store {
    /// Random for each process, so that no client can choose keys that collide.
    hasher: RandomState,
    index: Index,
    pages: Pages,
    key_bytes: u64,
    value_bytes: u64,
    /// The place of each entry with a lease.
    timers: Box<TimerWheel<Handle>>,
    /// The sum of all deadlines, in Unix milliseconds.
    deadline_sum: u128,
    expired: u64,
    /// What [`clear`](Self::clear) has put aside. Its bytes are counted elsewhere.
    cleared: Dropped,
}

impl Store {
    /// Returns an empty store, of some 20 KiB: most of that is its timer wheel.
    pub fn new(now: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            index: Index::default(),
            pages: Pages::new(),
            key_bytes: 0,
            value_bytes: 0,
            timers: Box::new(TimerWheel::new(now)),
            deadline_sum: 0,
            expired: 0,
            cleared: Dropped::default(),
        }
    }

    /// Returns the number of keys, also of those that have expired and are not removed yet.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns whether there are no keys, not even expired ones.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Returns the length of all keys together, in bytes; of those that [`len`](Self::len) counts.
    pub fn key_bytes(&self) -> u64 {
        self.key_bytes
    }

    /// Returns the length of all values together, in bytes; of those that [`len`](Self::len)
    /// counts.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// Returns the number of keys with a deadline; of those that [`len`](Self::len) counts.
    pub fn expiring(&self) -> usize {
        self.timers.len()
    }

    /// Returns the mean time until the keys with a deadline expire, in milliseconds; 0 without any.
    pub fn mean_ttl_millis(&self, now: Now) -> u64 {
        let mean = self.deadline_sum.checked_div(self.expiring() as u128).unwrap_or(0);
        (mean as u64).saturating_sub(now.unix_millis)
    }

    /// Returns how many times all keys were deleted whose memory is not all given back yet.
    pub fn pending_clears(&self) -> usize {
        self.cleared.len()
    }

    /// Returns the number of keys that have been removed so far because their deadline had come.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Returns the value of a key.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<Key<'k>>, now: Now) -> Option<Value<'_>> {
        let (handle, _) = self.find_live(key.into(), now)?;
        Some(self.pages.value(handle))
    }

    /// Returns the deadline of a key, in Unix milliseconds: `None`, if there is no such key, and
    /// `Some(None)`, if it does not expire.
    pub fn deadline<'k>(&self, key: impl Into<Key<'k>>, now: Now) -> Option<Option<u64>> {
        let (_, entry) = self.find_live(key.into(), now)?;
        Some(entry.lease().map(|lease| lease.deadline))
    }

    /// Brings the entries with these hashes into the processor's cache. A lookup is a chain
    /// of cache misses, each waiting for the one before; here all keys take each step together, so
    /// that the misses of different keys overlap. Changes nothing.
    pub fn touch(&self, hashes: &[u64]) {
        let mut likely = [None; MAX_TOUCHED];
        for (handle, hash) in likely.iter_mut().zip(hashes) {
            *handle = self.index.likely(*hash);
        }
        let near = |handle| self.pages.entry(handle).ends();
        black_box(likely.into_iter().flatten().map(near).fold(0, u8::wrapping_add));
    }

    /// Stores a value, in place of one that is there. If it is to live until a time that has come
    /// already, it is absent at once: better not to store it, but to [`remove`](Self::remove) what
    /// is there.
    pub fn set<'k>(&mut self, key: impl Into<Key<'k>>, value: &[u8], expiry: Expiry, now: Now) {
        let (hash, key) = self.hashed(key.into());
        let Some(handle) = self.find_to_write(hash, key, now) else {
            let deadline = if let Expiry::At(deadline) = expiry { Some(deadline) } else { None };
            self.insert(hash, key, value, deadline, now);
            return;
        };
        let entry = self.pages.entry(handle);
        let old_length = entry.value().len();
        let lease = match (expiry, entry.lease()) {
            (Expiry::Never, None) => None,
            (Expiry::Keep, old) => old,
            (Expiry::Never, old) => self.renew(handle, old, None, now),
            (Expiry::At(at), old) => self.renew(handle, old, Some(at), now),
        };
        self.value_bytes = self.value_bytes - old_length as u64 + value.len() as u64;
        self.rewrite(hash, handle, &Parts { key, value, lease });
    }

    /// Stores a value, for ever, unless the key exists: then nothing changes. Returns whether
    /// it was stored.
    pub fn put<'k>(&mut self, key: impl Into<Key<'k>>, value: &[u8], now: Now) -> bool {
        let (hash, key) = self.hashed(key.into());
        let absent = self.find_to_write(hash, key, now).is_none();
        if absent {
            self.insert(hash, key, value, None, now);
        }
        absent
    }

    /// Moves a value and its deadline to another key, in place of what is there. Returns whether
    /// there was a value to move; else nothing changes.
    pub fn rename(&mut self, from: &[u8], to: &[u8], now: Now) -> bool {
        let Some((_, entry)) = self.find_live(from.into(), now) else {
            return false;
        };
        if from != to {
            let expiry = entry.lease().map_or(Expiry::Never, |lease| Expiry::At(lease.deadline));
            let value = entry.value().to_vec();
            self.remove(from, now);
            self.set(to, &value, expiry, now);
        }
        true
    }

    /// Deletes a key, and returns whether it existed. One that has expired is left to
    /// [`remove_expired`](Self::remove_expired), which reports it.
    pub fn remove<'k>(&mut self, key: impl Into<Key<'k>>, now: Now) -> bool {
        let (hash, key) = self.hashed(key.into());
        self.take_out(hash, |_, entry| entry.key() == key && entry.is_live(now.unix_millis))
    }

    /// Returns the memory that it has and that entries of up to 16 KiB can still fill, in bytes.
    pub fn spare_bytes(&self) -> usize {
        self.pages.spare_bytes()
    }

    /// Returns whether there are nearly as many entries as handles: nothing more should be stored.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.pages.is_full()
    }

    /// Returns the hash of a key, in this process.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns the hash of a key, and the key itself.
    #[inline]
    fn hashed<'k>(&self, key: Key<'k>) -> (u64, &'k [u8]) {
        (key.hash(|bytes| self.hash(bytes)), key.bytes)
    }

    /// Returns the entry of a key, whether it has expired or not.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<(Handle, StoredEntry<'_>)> {
        let handle = self.index.find(hash, |handle| self.pages.entry(handle).key() == key)?;
        Some((handle, self.pages.entry(handle)))
    }

    #[inline]
    fn find_live(&self, key: Key<'_>, now: Now) -> Option<(Handle, StoredEntry<'_>)> {
        let (hash, key) = self.hashed(key);
        self.find(hash, key).filter(|(_, entry)| entry.is_live(now.unix_millis))
    }

    /// Returns the place of a key that is about to be written; an expired one is removed first.
    #[inline]
    fn find_to_write(&mut self, hash: u64, key: &[u8], now: Now) -> Option<Handle> {
        let (handle, entry) = self.find(hash, key)?;
        if entry.is_live(now.unix_millis) {
            return Some(handle);
        }
        self.take_out_expired(handle);
        None
    }

    fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        value: &[u8],
        deadline: Option<u64>,
        now: Now,
    ) -> Handle {
        // The timer must name a place, and the entry its timer.
        let timer = deadline.map(|at| self.timers.insert(now.instant_of(at), Handle::MAX));
        let lease = deadline.zip(timer).map(|(deadline, timer)| Lease { deadline, timer });
        self.deadline_sum += u128::from(deadline.unwrap_or(0));
        let handle = self.pages.insert(&Parts { key, value, lease });
        point(&mut self.timers, lease, handle);
        self.key_bytes += key.len() as u64;
        self.value_bytes += value.len() as u64;
        let Self { hasher, index, pages, .. } = self;
        index.insert(hash, handle, |handle| hasher.hash_one(pages.entry(handle).key()));
        handle
    }

    /// Writes an entry anew, where it is or where it fits.
    #[inline]
    fn rewrite(&mut self, hash: u64, handle: Handle, parts: &Parts<'_>) {
        if !self.pages.replace(handle, parts) {
            let new = self.pages.insert(parts);
            self.relocate(hash, handle, new, parts.lease);
        }
    }

    /// Has everything lead to the new place of an entry, and frees the old one.
    fn relocate(&mut self, hash: u64, old: Handle, new: Handle, lease: Option<Lease>) {
        self.index.replace(hash, old, new);
        point(&mut self.timers, lease, new);
        self.vacate(old);
    }

    /// Frees a place to which nothing leads any more.
    #[inline]
    fn vacate(&mut self, handle: Handle) {
        if let Some(from) = self.pages.remove(handle) {
            let moved = self.pages.entry(handle);
            self.index.replace(self.hasher.hash_one(moved.key()), from, handle);
            point(&mut self.timers, moved.lease(), handle);
        }
        if let Some(Moved { from, to }) = self.pages.move_last() {
            for (old, new) in from.zip(to..) {
                let moved = self.pages.entry(new);
                self.index.replace(self.hasher.hash_one(moved.key()), old, new);
                point(&mut self.timers, moved.lease(), new);
            }
        }
    }

    /// Removes the entry that `is_it` accepts from everything. Returns whether there was one.
    #[inline]
    fn take_out(&mut self, hash: u64, is_it: impl Fn(Handle, StoredEntry<'_>) -> bool) -> bool {
        let Self { hasher, index, pages, .. } = self;
        let removed = index.remove(
            hash,
            |handle| is_it(handle, pages.entry(handle)),
            |handle| hasher.hash_one(pages.entry(handle).key()),
        );
        let Some(handle) = removed else { return false };
        let entry = self.pages.entry(handle);
        let (key, value) = entry.split();
        self.key_bytes -= key.len() as u64;
        self.value_bytes -= value.len() as u64;
        if let Some(lease) = entry.lease() {
            self.timers.cancel(lease.timer);
            self.deadline_sum -= u128::from(lease.deadline);
        }
        self.vacate(handle);
        true
    }

    /// Panics unless: the index leads to every entry and to nothing else; every lease has a timer
    /// and every timer a lease; the sums are right. For tests.
    pub fn check_invariants(&self) {
        self.index.check_invariants(|handle| self.hash(self.pages.entry(handle).key()));
        let (mut entries, mut leases, mut key_bytes, mut value_bytes) = (0, 0, 0, 0);
        let mut deadline_sum = 0;
        for handle in (0..self.index.buckets()).flat_map(|number| self.index.handles(number)) {
            let entry = self.pages.entry(handle);
            let (key, value) = entry.split();
            assert_eq!(self.find(self.hash(key), key).map(|(found, _)| found), Some(handle));
            entries += 1;
            key_bytes += key.len() as u64;
            value_bytes += value.len() as u64;
            if let Some(lease) = entry.lease() {
                // No two leases share a timer: it names one place.
                assert_eq!(self.timers.get(lease.timer), Some(&handle));
                leases += 1;
                deadline_sum += u128::from(lease.deadline);
            }
        }
        assert_eq!(entries, self.pages.check_invariants());
        assert_eq!((entries, leases), (self.len(), self.expiring()));
        assert_eq!((key_bytes, value_bytes), (self.key_bytes, self.value_bytes));
        assert_eq!(deadline_sum, self.deadline_sum);
    }
}

/// Has the timer of a lease lead to the place of its entry.
#[inline]
fn point(timers: &mut TimerWheel<Handle>, lease: Option<Lease>, handle: Handle) {
    if let Some(lease) = lease {
        *timers.value_mut(lease.timer.number()) = handle;
    }
}

#[cfg(test)]
mod tests;
