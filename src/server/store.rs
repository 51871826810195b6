//! The store: keys to values.
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

use crate::clock::Now;
use crate::index::Index;
use ahash::RandomState;
use std::fmt;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

/// Places in a page: 16 KiB, a microsecond's work to make ready.
const PAGE: usize = 1024;

/// No free place.
const NONE: u32 = u32::MAX;

/// Bytes that hold the length of the key at the start of an entry. Here they mostly vanish in the
/// allocator's rounding; as a field they would make every place larger by eight.
const KEY_LENGTH: usize = size_of::<u32>();

/// The key's length, the key, the value.
/// The most keys that one [`Store::touch`] takes: enough to have as many misses under way as a
/// processor can.
pub const TOUCHED: usize = 32;

type Entry = Box<[u8]>;

/// When a value that is stored expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// When the one before did.
    Keep,
    /// At this time, in Unix milliseconds.
    At(u64),
}

enum Place {
    Used(Entry),
    Free { next: u32 },
}

const _: () = assert!(size_of::<Place>() == 16);

/// Keys and their values; see the head of the file.
///
/// Keys of 0 to 2^32 − 1 bytes (the protocol allows 64 KiB), values of any length, up to 2^32 − 1
/// entries. Places that become free are used again, but their 16 bytes are not given back.
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
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store, of 64 KiB.
    pub fn new(_now: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            index: Index::new(),
            pages: Vec::new(),
            used: 0,
            first_free: NONE,
            key_bytes: 0,
            value_bytes: 0,
        }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The length of all keys together, in bytes.
    pub fn key_bytes(&self) -> u64 {
        self.key_bytes
    }

    /// The length of all values together, in bytes.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8], _now: Now) -> Option<&[u8]> {
        let place = self.find(self.hash(key), key)?;
        Some(split(self.entry(place)).1)
    }

    /// Brings the entries with these hashes into the processor's cache. A lookup is a chain
    /// of cache misses, each waiting for the one before; here all keys take each step together, so
    /// that the misses of different keys overlap. Changes nothing.
    pub fn touch(&self, hashes: &[u64]) {
        let mut likely = [None; TOUCHED];
        let mut entries: [&[u8]; TOUCHED] = [&[]; TOUCHED];
        for (place, hash) in likely.iter_mut().zip(hashes) {
            *place = self.index.likely(*hash);
        }
        for (found, place) in entries.iter_mut().zip(likely) {
            if let Some(place) = place {
                *found = self.entry(place);
            }
        }
        let first = |entry: &&[u8]| entry.first().copied().unwrap_or(0);
        black_box(entries.iter().map(first).fold(0, u8::wrapping_add));
    }

    /// Stores a value, in place of one that is there.
    pub fn set(&mut self, key: &[u8], value: &[u8], _expiry: Expiry, _now: Now) {
        let hash = self.hash(key);
        match self.find(hash, key) {
            Some(place) => self.replace(place, key, value),
            None => self.insert(hash, key, value),
        }
    }

    /// Stores a value unless the key exists: then nothing changes, and the answer is `false`.
    pub fn put(&mut self, key: &[u8], value: &[u8], _now: Now) -> bool {
        let hash = self.hash(key);
        let absent = self.find(hash, key).is_none();
        if absent {
            self.insert(hash, key, value);
        }
        absent
    }

    /// Deletes a key. `false`: it does not exist.
    pub fn remove(&mut self, key: &[u8], _now: Now) -> bool {
        let Self { hasher, index, pages, .. } = self;
        let removed = index.remove(
            hasher.hash_one(key),
            |place| split(entry(pages, place)).0 == key,
            |place| hasher.hash_one(split(entry(pages, place)).0),
        );
        let Some(place) = removed else {
            return false;
        };
        let (key, value) = split(entry(pages, place));
        self.key_bytes -= key.len() as u64;
        self.value_bytes -= value.len() as u64;
        *self.place_mut(place) = Place::Free { next: self.first_free };
        self.first_free = place;
        true
    }

    /// One step of a walk over all entries, in no particular order.
    ///
    /// Begins at `cursor` (0 for the first step), looks at no more than `places` places (at least
    /// one), calls `visit(key, value)` for each entry found, and returns the cursor of the next
    /// step; 0 when there is none. If `visit` breaks, the step ends after that entry.
    ///
    /// An entry that exists from the first step to the last is visited exactly once, whatever is
    /// inserted, replaced or deleted between the steps; others at most once for each time that
    /// their key was inserted. Any `cursor` is allowed; one past the end ends the walk.
    pub fn scan(
        &self,
        cursor: u64,
        places: usize,
        _now: Now,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> u64 {
        let begin = usize::try_from(cursor).unwrap_or(usize::MAX).min(self.used);
        let end = begin.saturating_add(places.max(1)).min(self.used);
        let mut next = begin;
        while next < end {
            let place = &self.pages[next / PAGE][next % PAGE];
            next += 1;
            if let Place::Used(entry) = place {
                let (key, value) = split(entry);
                if visit(key, value).is_break() {
                    break;
                }
            }
        }
        if next == self.used { 0 } else { next as u64 }
    }

    pub fn purge(&mut self, _key: &[u8], _now: Now) -> bool {
        false
    }
    pub fn append(&mut self, _key: &[u8], _tail: &[u8], _now: Now) -> usize {
        0
    }
    pub fn set_deadline(&mut self, _key: &[u8], _deadline: Option<u64>, _now: Now) -> bool {
        false
    }
    pub fn deadline(&self, _key: &[u8], _now: Now) -> Option<Option<u64>> {
        None
    }
    pub fn rename(&mut self, _from: &[u8], _to: &[u8], _now: Now) -> bool {
        false
    }
    pub fn random(&self, _seed: u64, _now: Now) -> Option<&[u8]> {
        None
    }
    pub fn clear(&mut self) {}
    pub fn expiring(&self) -> usize {
        0
    }
    pub fn expired(&self) -> u64 {
        0
    }
    pub fn expire(&mut self, _now: Now, _expired: impl FnMut(&[u8])) {}
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The hash of a key, in this process.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |place| split(self.entry(place)).0 == key)
    }

    fn entry(&self, place: u32) -> &[u8] {
        entry(&self.pages, place)
    }

    fn place_mut(&mut self, place: u32) -> &mut Place {
        &mut self.pages[place as usize / PAGE][place as usize % PAGE]
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: &[u8]) {
        let place = self.take_place();
        *self.place_mut(place) = Place::Used(join(key, value));
        self.key_bytes += key.len() as u64;
        self.value_bytes += value.len() as u64;
        let Self { hasher, index, pages, .. } = self;
        index.insert(hash, place, |place| hasher.hash_one(split(entry(pages, place)).0));
    }

    fn replace(&mut self, place: u32, key: &[u8], value: &[u8]) {
        let Place::Used(entry) = self.place_mut(place) else {
            unreachable!("the index leads to used places only");
        };
        let old_length = split(entry).1.len();
        if old_length == value.len() {
            entry[KEY_LENGTH + key.len()..].copy_from_slice(value);
        } else {
            *entry = join(key, value);
        }
        self.value_bytes = self.value_bytes - old_length as u64 + value.len() as u64;
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
    /// in the free list once; the sums are right. For tests.
    pub fn check_invariants(&self) {
        self.index.check_invariants(|place| self.hash(split(self.entry(place)).0));
        let (mut entries, mut key_bytes, mut value_bytes) = (0, 0, 0);
        for place in 0..self.used {
            if let Place::Used(entry) = &self.pages[place / PAGE][place % PAGE] {
                let (key, value) = split(entry);
                assert_eq!(self.find(self.hash(key), key), Some(place as u32));
                entries += 1;
                key_bytes += key.len() as u64;
                value_bytes += value.len() as u64;
            }
        }
        assert_eq!(entries, self.len());
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
fn entry(pages: &[Box<[Place; PAGE]>], place: u32) -> &[u8] {
    match &pages[place as usize / PAGE][place as usize % PAGE] {
        Place::Used(entry) => entry,
        Place::Free { .. } => unreachable!("the index leads to used places only"),
    }
}

fn join(key: &[u8], value: &[u8]) -> Entry {
    let key_length = u32::try_from(key.len()).expect("keys are shorter than 4 GiB");
    let mut entry = Vec::with_capacity(KEY_LENGTH + key.len() + value.len());
    entry.extend_from_slice(&key_length.to_ne_bytes());
    entry.extend_from_slice(key);
    entry.extend_from_slice(value);
    entry.into_boxed_slice()
}

/// The key and the value of an entry.
#[inline]
fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    let (key_length, rest) = entry.split_first_chunk().expect("an entry begins with a length");
    rest.split_at(u32::from_ne_bytes(*key_length) as usize)
}

#[cfg(any())]
mod tests;
