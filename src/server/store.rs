//! The store: keys to values, for ever or until a deadline.
//!
//! An entry lives in a numbered *place* for as long as its key exists, also when its value is
//! replaced. The index leads from the hash of a key to its place:
//!
//! ```text
//!  index                 places, in pages of 1,024                 one allocation per entry
//!  hash(color) ─→ 0 ──→  0  used ──────────────────────────────→  │ 5 │ color │ blue    │
//!                        1  free, next free: 3                      4 bytes
//!  hash(size)  ─→ 2 ──→  2  used ──────────────────────────────→  │ 4 │ size  │ 42      │
//!                        3  free, the last                        key length, key, value
//!  first free: 1         4  not used so far
//! ```
//!
//! `SET shape …` would take place 1. A place is 16 bytes, and pages never move: the store grows
//! without copying anything.
//!
//! Since entries stay where they are, a walk over all keys is a walk over the places, and its
//! cursor is the number of the next one. Above, a scan of two places from 0 visits `color` and
//! returns 2. Whatever is then deleted or inserted, the next step from 2 visits `size`, if it is
//! still there, and `color` is behind it: so a key that stays is visited once. A hash table that
//! moves entries as it grows could promise only "at least once", as `SCAN` of Redis does.
//!
//! A key whose deadline has come is absent at once, for whoever asks: the deadline is compared.
//! Its memory goes later. Each entry with a deadline has a timer in a wheel, and [`Store::expire`]
//! removes what is due there, a bounded number at a time, and tells of each key. What else comes
//! upon an expired entry leaves it to that, or writes the key anew and so takes its place.
//!
//! Deadlines are in Unix time and timers are not. If the wall clock is set back, a timer fires too
//! early and is set anew. If it is set forward, a timer fires too late, and that costs memory only.
//! A deadline that moves later leaves its timer where it is, as with one that fires too early: so
//! a key that is kept alive by being set again and again costs the wheel next to nothing.

mod entry;

use crate::clock::Now;
use crate::index::Index;
use crate::timer_wheel::TimerWheel;
use ahash::RandomState;
use entry::{Entry, Lease};
use std::fmt;
use std::hint::black_box;
use std::mem;
use std::ops::ControlFlow;
use std::time::Instant;

/// Places in a page: 16 KiB, a microsecond's work to make ready.
const PAGE: usize = 1024;

/// No free place.
const NONE: u32 = u32::MAX;

/// The most keys that one [`Store::touch`] takes: enough to have as many misses under way as a
/// processor can.
pub const TOUCHED: usize = 32;

/// The most timers that one [`Store::expire`] takes: at some 200 ns each it ends within a
/// millisecond.
pub const EXPIRED_AT_ONCE: usize = 1000;

/// Places that [`Store::random`] looks at before it walks. Where every tenth place holds a live
/// key, one walk in a thousand calls is left.
const PROBES: u64 = 64;

enum Place {
    Used(Entry),
    Free { next: u32 },
}

const _: () = assert!(size_of::<Place>() == 16);

/// How long a value is to live.
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
/// Keys of 0 to 2^31 − 1 bytes (the protocol allows 64 KiB), values of any length, up to 2^32 − 1
/// entries. Places that become free are used again, but their 16 bytes are not given back before
/// [`clear`](Self::clear). A deadline costs 16 bytes in the entry and 24 in the wheel.
///
/// `now` may not go back on the monotonic clock; on the wall clock it may.
pub struct Store {
    /// Random per process, so that nobody can choose keys that collide.
    hasher: RandomState,
    index: Index,
    pages: Vec<Box<[Place; PAGE]>>,
    /// Places used so far; those beyond were never used.
    used: usize,
    first_free: u32,
    key_bytes: u64,
    value_bytes: u64,
    /// The place of each entry with a lease.
    timers: Box<TimerWheel<u32>>,
    expired: u64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store, of 64 KiB.
    pub fn new(now: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            index: Index::new(),
            pages: Vec::new(),
            used: 0,
            first_free: NONE,
            key_bytes: 0,
            value_bytes: 0,
            timers: Box::new(TimerWheel::new(now)),
            expired: 0,
        }
    }

    /// The number of keys, also of those that have expired and are not removed yet.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no keys, not even expired ones.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The length of all keys together, in bytes; of those that [`len`](Self::len) counts.
    pub fn key_bytes(&self) -> u64 {
        self.key_bytes
    }

    /// The length of all values together, in bytes; of those that [`len`](Self::len) counts.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// The number of keys with a deadline; of those that [`len`](Self::len) counts.
    pub fn expiring(&self) -> usize {
        self.timers.len()
    }

    /// How many keys have been removed so far because their deadline had come.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: &[u8], now: Now) -> Option<&[u8]> {
        let place = self.find_live(key, now)?;
        Some(self.entry(place).value())
    }

    /// When a key expires, in Unix milliseconds: `None`, if there is no such key, and `Some(None)`,
    /// if it does not.
    pub fn deadline(&self, key: &[u8], now: Now) -> Option<Option<u64>> {
        let place = self.find_live(key, now)?;
        Some(self.entry(place).lease().map(|lease| lease.deadline))
    }

    /// Brings the entries with these hashes into the processor's cache. A lookup is a chain
    /// of cache misses, each waiting for the one before; here all keys take each step together, so
    /// that the misses of different keys overlap. Changes nothing.
    pub fn touch(&self, hashes: &[u64]) {
        let mut likely = [None; TOUCHED];
        let mut entries = [None; TOUCHED];
        for (place, hash) in likely.iter_mut().zip(hashes) {
            *place = self.index.likely(*hash);
        }
        for (found, place) in entries.iter_mut().zip(likely) {
            *found = place.map(|place| self.entry(place));
        }
        let first = |entry: &Option<&Entry>| entry.map_or(0, Entry::first_byte);
        black_box(entries.iter().map(first).fold(0, u8::wrapping_add));
    }

    /// Stores a value, in place of one that is there. If it is to live until a time that has come
    /// already, it is absent at once: better not to store it, but to [`remove`](Self::remove) what
    /// is there.
    pub fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry, now: Now) {
        let hash = self.hash(key);
        let Some(place) = self.find_to_write(hash, key, now) else {
            let deadline = if let Expiry::At(deadline) = expiry { Some(deadline) } else { None };
            return self.insert(hash, key, value, deadline, now);
        };
        let entry = entry_mut(&mut self.pages, place);
        let lease = match (expiry, entry.lease()) {
            (Expiry::Never, None) => None,
            (Expiry::Keep, old) => old,
            (Expiry::Never, old) => renew(&mut self.timers, place, old, None, now),
            (Expiry::At(at), old) => renew(&mut self.timers, place, old, Some(at), now),
        };
        let old_length = entry.replace(value, lease);
        self.value_bytes = self.value_bytes - old_length as u64 + value.len() as u64;
    }

    /// Stores a value, for ever, unless the key exists: then nothing changes, and the answer is
    /// `false`.
    pub fn put(&mut self, key: &[u8], value: &[u8], now: Now) -> bool {
        let hash = self.hash(key);
        let absent = self.find_to_write(hash, key, now).is_none();
        if absent {
            self.insert(hash, key, value, None, now);
        }
        absent
    }

    /// Sets or takes away the deadline of a key, in Unix milliseconds. `false`: there is no such
    /// key. With a time that has come already, the key is absent at once: better to
    /// [`remove`](Self::remove) it.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<u64>, now: Now) -> bool {
        let Some(place) = self.find_live(key, now) else {
            return false;
        };
        let entry = entry_mut(&mut self.pages, place);
        entry.set_lease(renew(&mut self.timers, place, entry.lease(), deadline, now));
        true
    }

    /// Appends to the value of a key, which lives as long as before; an absent one counts as
    /// empty, and lives for ever. Gives the new length in bytes.
    pub fn append(&mut self, key: &[u8], tail: &[u8], now: Now) -> usize {
        let hash = self.hash(key);
        let Some(place) = self.find_to_write(hash, key, now) else {
            self.insert(hash, key, tail, None, now);
            return tail.len();
        };
        self.value_bytes += tail.len() as u64;
        let entry = entry_mut(&mut self.pages, place);
        entry.append(tail);
        entry.value().len()
    }

    /// Moves a value and its deadline to another key, in place of what is there. `false`: there is
    /// nothing to move, and nothing changes.
    pub fn rename(&mut self, from: &[u8], to: &[u8], now: Now) -> bool {
        if from == to {
            return self.find_live(from, now).is_some();
        }
        let Some(moved) = self.take_out_live(from, now) else {
            return false;
        };
        let expiry = moved.lease().map_or(Expiry::Never, |lease| Expiry::At(lease.deadline));
        self.set(to, moved.value(), expiry, now);
        true
    }

    /// Deletes a key. `false`: it does not exist. One that has expired is left to
    /// [`expire`](Self::expire), which tells of it.
    pub fn remove(&mut self, key: &[u8], now: Now) -> bool {
        self.take_out_live(key, now).is_some()
    }

    /// Deletes a key that has expired, before [`expire`](Self::expire) does. `false`: it lives, or
    /// there is none.
    pub fn purge(&mut self, key: &[u8], now: Now) -> bool {
        let found = self.find(self.hash(key), key);
        let expired = found.filter(|&place| !self.entry(place).is_live(now.unix_millis));
        if let Some(place) = expired {
            self.take_out_expired(place);
        }
        expired.is_some()
    }

    /// Deletes all keys and gives the memory back, which takes some 50 ns for each. The count of
    /// the expired stays.
    pub fn clear(&mut self) {
        self.index.clear();
        self.timers.clear();
        self.pages = Vec::new();
        (self.used, self.first_free) = (0, NONE);
        (self.key_bytes, self.value_bytes) = (0, 0);
    }

    /// Removes keys whose deadline has come, and tells of each before it goes. Takes a bounded
    /// number of them ([`EXPIRED_AT_ONCE`]): after it, [`next_deadline`](Self::next_deadline) says
    /// when there is more to do, which may be now.
    ///
    /// A key is removed at most 2 ms after its deadline, if the wall clock is not set forward and
    /// the calls come when they should.
    pub fn expire(&mut self, now: Now, mut tell: impl FnMut(&[u8])) {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(place) = self.timers.expire(now.instant) else {
                return;
            };
            let entry = entry_mut(&mut self.pages, place);
            if entry.is_live(now.unix_millis) {
                let deadline = entry.lease().map(|lease| lease.deadline);
                entry.set_lease(renew(&mut self.timers, place, None, deadline, now));
            } else {
                tell(entry.key());
                self.take_out_expired(place);
            }
        }
    }

    /// When [`expire`](Self::expire) should be called next; `None`: no need while no deadline is
    /// set.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Some key; `None`, if there is none. Another for another `seed`, and each as likely as any
    /// other, as long as most places are used; where few are, one that has many free places before
    /// it comes more often.
    ///
    /// Looks at some places and, if no key is in them, walks from one to the next key: a nanosecond
    /// for each place between.
    pub fn random(&self, seed: u64, now: Now) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        let probe = |n| (mixed(seed, n) % self.used as u64) as usize;
        let begin = probe(PROBES);
        let walk = (begin..self.used).chain(0..begin);
        (0..PROBES).map(probe).chain(walk).find_map(|place| Some(self.live_at(place, now)?.key()))
    }

    /// One step of a walk over all entries, in no particular order.
    ///
    /// Begins at `cursor` (0 for the first step), looks at no more than `places` places (at least
    /// one), calls `visit(key, value)` for each entry found that has not expired, and returns the
    /// cursor of the next step; 0 when there is none. If `visit` breaks, the step ends after that
    /// entry.
    ///
    /// An entry that exists from the first step to the last is visited exactly once, whatever is
    /// inserted, replaced, given a deadline or deleted between the steps; others at most once for
    /// each time that their key was inserted. Any `cursor` is allowed; one past the end ends the
    /// walk.
    pub fn scan(
        &self,
        cursor: u64,
        places: usize,
        now: Now,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> u64 {
        let begin = usize::try_from(cursor).unwrap_or(usize::MAX).min(self.used);
        let end = begin.saturating_add(places.max(1)).min(self.used);
        let mut next = begin;
        while next < end {
            let entry = self.live_at(next, now);
            next += 1;
            if let Some(entry) = entry {
                let (key, value) = entry.split();
                if visit(key, value).is_break() {
                    break;
                }
            }
        }
        if next == self.used { 0 } else { next as u64 }
    }

    /// The hash of a key, in this process.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The place of a key, whether it has expired or not.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |place| self.entry(place).key() == key)
    }

    #[inline]
    fn find_live(&self, key: &[u8], now: Now) -> Option<u32> {
        let place = self.find(self.hash(key), key)?;
        self.entry(place).is_live(now.unix_millis).then_some(place)
    }

    /// The place of a key that is about to be written; if it has expired, it makes room first.
    #[inline]
    fn find_to_write(&mut self, hash: u64, key: &[u8], now: Now) -> Option<u32> {
        let place = self.find(hash, key)?;
        if self.entry(place).is_live(now.unix_millis) {
            return Some(place);
        }
        self.take_out_expired(place);
        None
    }

    #[inline]
    fn live_at(&self, place: usize, now: Now) -> Option<&Entry> {
        match &self.pages[place / PAGE][place % PAGE] {
            Place::Used(entry) => Some(entry).filter(|entry| entry.is_live(now.unix_millis)),
            Place::Free { .. } => None,
        }
    }

    #[inline]
    fn entry(&self, place: u32) -> &Entry {
        entry(&self.pages, place)
    }

    fn place_mut(&mut self, place: u32) -> &mut Place {
        &mut self.pages[place as usize / PAGE][place as usize % PAGE]
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: &[u8], deadline: Option<u64>, now: Now) {
        let place = self.take_place();
        let lease = deadline.and_then(|at| renew(&mut self.timers, place, None, Some(at), now));
        *self.place_mut(place) = Place::Used(Entry::new(key, value, lease));
        self.key_bytes += key.len() as u64;
        self.value_bytes += value.len() as u64;
        let Self { hasher, index, pages, .. } = self;
        index.insert(hash, place, |place| hasher.hash_one(entry(pages, place).key()));
    }

    #[inline]
    fn take_out_live(&mut self, key: &[u8], now: Now) -> Option<Entry> {
        self.take_out(self.hash(key), |_, entry| {
            entry.key() == key && entry.is_live(now.unix_millis)
        })
    }

    #[cold]
    fn take_out_expired(&mut self, place: u32) {
        let hash = self.hash(self.entry(place).key());
        self.take_out(hash, |it, _| it == place);
        self.expired += 1;
    }

    /// Removes the entry for which `is_it` says yes from everything, and frees its place.
    #[inline]
    fn take_out(&mut self, hash: u64, is_it: impl Fn(u32, &Entry) -> bool) -> Option<Entry> {
        let Self { hasher, index, pages, .. } = self;
        let place = index.remove(
            hash,
            |place| is_it(place, entry(pages, place)),
            |place| hasher.hash_one(entry(pages, place).key()),
        )?;
        let free = Place::Free { next: self.first_free };
        let Place::Used(entry) = mem::replace(self.place_mut(place), free) else {
            unreachable!("the index leads to used places only");
        };
        self.first_free = place;
        if let Some(lease) = entry.lease() {
            self.timers.cancel(lease.timer);
        }
        let (key, value) = entry.split();
        self.key_bytes -= key.len() as u64;
        self.value_bytes -= value.len() as u64;
        Some(entry)
    }

    /// A free place, the one freed last if there is any: it is likely to be in the processor's
    /// cache.
    fn take_place(&mut self) -> u32 {
        let place = self.first_free;
        if place != NONE {
            let Place::Free { next } = *self.place_mut(place) else {
                unreachable!("the free list leads to free places only");
            };
            self.first_free = next;
            return place;
        }
        if self.used == self.pages.len() * PAGE {
            self.pages.push(Box::new([const { Place::Free { next: NONE } }; PAGE]));
        }
        let place = u32::try_from(self.used).ok().filter(|&place| place != NONE);
        self.used += 1;
        place.expect("fewer than 2^32 entries")
    }

    /// Panics unless: the index leads to every used place and to nothing else; every free place is
    /// in the free list once; every lease has a timer and every timer a lease; the sums are right.
    /// For tests.
    pub fn check_invariants(&self) {
        self.index.check_invariants(|place| self.hash(self.entry(place).key()));
        let (mut entries, mut leases, mut key_bytes, mut value_bytes) = (0, 0, 0, 0);
        for place in 0..self.used {
            if let Place::Used(entry) = &self.pages[place / PAGE][place % PAGE] {
                let (key, value) = entry.split();
                assert_eq!(self.find(self.hash(key), key), Some(place as u32));
                entries += 1;
                key_bytes += key.len() as u64;
                value_bytes += value.len() as u64;
                if let Some(lease) = entry.lease() {
                    // No two leases share a timer: it names one place.
                    assert_eq!(self.timers.get(lease.timer), Some(&(place as u32)));
                    leases += 1;
                }
            }
        }
        assert_eq!((entries, leases), (self.len(), self.expiring()));
        assert_eq!((key_bytes, value_bytes), (self.key_bytes, self.value_bytes));
        let mut free = self.first_free;
        for _ in entries..self.used {
            match self.pages[free as usize / PAGE][free as usize % PAGE] {
                Place::Free { next } => free = next,
                Place::Used(_) => panic!("a used place in the free list"),
            }
        }
        assert_eq!(free, NONE, "the free list is longer than the free places");
    }
}

#[inline]
fn entry(pages: &[Box<[Place; PAGE]>], place: u32) -> &Entry {
    match &pages[place as usize / PAGE][place as usize % PAGE] {
        Place::Used(entry) => entry,
        Place::Free { .. } => unreachable!("the index leads to used places only"),
    }
}

#[inline]
fn entry_mut(pages: &mut [Box<[Place; PAGE]>], place: u32) -> &mut Entry {
    match &mut pages[place as usize / PAGE][place as usize % PAGE] {
        Place::Used(entry) => entry,
        Place::Free { .. } => unreachable!("the index leads to used places only"),
    }
}

/// The lease of a place until a new deadline, with its timer, in place of an old lease.
fn renew(
    timers: &mut TimerWheel<u32>,
    place: u32,
    old: Option<Lease>,
    deadline: Option<u64>,
    now: Now,
) -> Option<Lease> {
    match (old, deadline) {
        (Some(old), Some(deadline)) if old.deadline <= deadline => {
            return Some(Lease { deadline, ..old });
        }
        (Some(old), _) => _ = timers.cancel(old.timer),
        (None, _) => {}
    }
    let deadline = deadline?;
    Some(Lease { deadline, timer: timers.insert(now.instant_of(deadline), place) })
}

/// The `n`th number that a seed leads to; all bits look random (Steele et al., *SplitMix*, 2014).
fn mixed(seed: u64, n: u64) -> u64 {
    let number = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
