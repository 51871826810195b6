//! The cache: values of the upstream, bounded by bytes and by time.
//!
//! SIEVE decides which entry is evicted when the bytes run out (Zhang et al., *SIEVE is Simpler
//! than LRU*, NSDI 2024). The entries stand in a queue in the order in which they came. A hit only
//! sets the entry's *visited* bit; it moves nothing. An eviction sends a *hand* along the queue,
//! from the oldest towards the newest: it clears the bits that it passes, and takes the first entry
//! without one. There it stays until next time. From the newest it goes on at the oldest.
//!
//! ```text
//!              newest      oldest
//!               D   C•  B   A•       room for four; A and C have been read since they came
//!                           ^hand
//!  insert E     E   D   C•  A        A loses its mark; B has none and is evicted
//!                       ^
//!  get D        E   D•  C•  A
//!                       ^
//!  insert F     F   D   C   A        C and D lose theirs; E is evicted: it came last, and was not
//!                           ^        read since; beyond the newest, the hand is back at A
//! ```
//!
//! Entries that are read once are evicted soon, while in LRU a scan of many keys would evict all
//! that are read often.
//!
//! Time is the other bound, on the monotonic clock. The entries are in a timer wheel, and a lookup
//! compares the deadline, too: an entry is never served at its deadline or later, however late the
//! wheel is turned.
//!
//! No call holds the loop for long: memory of entries whose deadline has come, and of a cache that
//! was cleared, is freed a bounded piece at a time.

use crate::base::age_list::{AgeList, LinkedEntries, Links};
use crate::base::dropped::{Dropped, settling};
use crate::base::index::Index;
use crate::base::output::{Block, SHARED_FROM, Value};
use crate::base::segmented_slab::SEGMENT;
use crate::base::timer_wheel::TimerWheel;
use crate::protocol::{KeyLookup, MAX_TOUCHED};
use ahash::RandomState;
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

/// An entry may take an eighth of the budget, lest one large value push out everything else.
const LARGEST_SHARE: usize = 8;

/// Bits that the hand clears at most before it takes an entry that has one. SIEVE has no such
/// bound: with every entry visited, one eviction would walk past them all, and that stops the loop
/// for 10 to 100 ms in a cache of a million entries. This many take a thousandth of it.
const HAND_STEPS: usize = 1024;

/// The entries that one insert looks at for evictions, or some more: some 400 µs. A large value
/// takes the place of tens of thousands of small ones.
const LOOKED_AT_ONCE: usize = 4096;

/// What an eviction counts for, beside the entries that the hand passes.
const EVICTION: usize = 8;

/// The bytes that one call of [`Cache::remove_expired`] or [`Cache::clear`] frees, or little more:
/// a thousand small entries, which take some 200 µs, or one large one.
const FREED_AT_ONCE: usize = 128 << 10;

/// An entry's place in the wheel, which is where it lives.
const ENTRY_BYTES: usize = TimerWheel::<CacheEntry>::TIMER_BYTES;

/// The share of an entry in the index; see `GROW_ABOVE` there.
const INDEX_BYTES: usize = 12;

/// Returns the bytes that an allocation takes in glibc: eight more than are requested, in multiples
/// of sixteen, at least 32.
fn allocated(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}

/// The upstream's answer to a `GET`, as it is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Its value.
    Value(Value<'a>),
    /// There is no such key.
    Absent,
}

struct CacheEntry {
    body: Body,
    key_length: u32,
    /// Whether there is no such key; then the value is empty.
    absent: bool,
    visited: bool,
    /// Nanoseconds after the origin of the cache: half as long as an `Instant`.
    deadline: u64,
    links: Links,
}

/// A key and its value.
enum Body {
    /// In one piece, the value behind the key.
    Own(Box<[u8]>),
    /// The value in a block that replies share.
    Shared(Box<SharedBody>),
}

struct SharedBody {
    key: Box<[u8]>,
    block: Block,
    value: Range<usize>,
}

const _: () = assert!(size_of::<Body>() == size_of::<Box<[u8]>>());

impl Body {
    fn new(key: &[u8], value: Value<'_>) -> Body {
        match value {
            Value::Long(block, start, end) if end - start >= SHARED_FROM => {
                let (key, block) = (key.into(), block.clone());
                Body::Shared(Box::new(SharedBody { key, block, value: start..end }))
            }
            _ => Body::Own([key, value.bytes()].concat().into_boxed_slice()),
        }
    }

    /// Returns the bytes that it takes. A block counts in full, also while an output shares it.
    fn bytes(&self) -> usize {
        match self {
            Body::Own(bytes) => allocated(bytes.len()),
            Body::Shared(shared) => {
                let SharedBody { key, block, .. } = &**shared;
                // Beside the strings: the entry's part, and the block's counts and vector.
                let parts = [key.len(), block.capacity(), size_of::<SharedBody>(), BLOCK_HEAD];
                parts.into_iter().map(allocated).sum()
            }
        }
    }
}

/// The bytes of a block beside its content: the counts of its owners, and its vector.
const BLOCK_HEAD: usize = 2 * size_of::<usize>() + size_of::<Vec<u8>>();

impl CacheEntry {
    #[inline]
    fn key(&self) -> &[u8] {
        match &self.body {
            Body::Own(bytes) => &bytes[..self.key_length as usize],
            Body::Shared(shared) => &shared.key,
        }
    }

    fn found(&self) -> Found<'_> {
        match &self.body {
            _ if self.absent => Found::Absent,
            Body::Own(bytes) => Found::Value(Value::Short(&bytes[self.key_length as usize..])),
            Body::Shared(shared) => Found::Value(Value::long(&shared.block, shared.value.clone())),
        }
    }

    fn cost(&self) -> usize {
        cost(self.body.bytes())
    }
}

/// Returns the cost of an entry whose key and value take so many bytes.
fn cost(bytes: usize) -> usize {
    bytes + ENTRY_BYTES + INDEX_BYTES
}

/// Answers by key, each until its deadline; see the head of the file.
///
/// Keys shorter than 4 GiB; fewer than 2^32 entries. A hit allocates nothing.
pub struct Cache {
    budget: usize,
    /// The sum of the entries' costs.
    bytes: usize,
    origin: Instant,
    /// Random for each process, so that no client can choose keys that collide.
    hasher: RandomState,
    index: Index,
    entries: TimerWheel<CacheEntry>,
    queue: AgeList,
    /// Where the next eviction begins; `None`: at the oldest.
    hand: Option<u32>,
    evicted: u64,
    expired: u64,
    too_large: u64,
    dropped: Dropped,
}

impl KeyLookup for Cache {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn touch(&self, hashes: &[u64]) {
        let mut entries = [None; MAX_TOUCHED];
        for (handle, hash) in entries.iter_mut().zip(hashes) {
            *handle = self.index.likely(*hash);
        }
        let entries = entries.map(|handle| handle.map(|handle| self.entries.value(handle)));
        let first = |entry: &CacheEntry| entry.key().first().copied().unwrap_or_default();
        black_box(entries.into_iter().flatten().map(first).fold(0, u8::wrapping_add));
    }
}

impl Cache {
    /// Returns an empty cache that takes at most `budget_bytes` (see [`bytes`](Self::bytes)); 0: it
    /// stays empty. No deadline may lie before `now`.
    pub fn new(budget_bytes: usize, now: Instant) -> Self {
        Self {
            budget: budget_bytes,
            bytes: 0,
            origin: now,
            hasher: RandomState::new(),
            index: Index::default(),
            entries: TimerWheel::new(now),
            queue: AgeList::EMPTY,
            hand: None,
            evicted: 0,
            expired: 0,
            too_large: 0,
            dropped: Dropped::default(),
        }
    }

    /// Returns the number of entries, also of those whose deadline has come and that are not
    /// removed yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes that it takes: of each entry key and value as allocated, the entry itself
    /// and its share of the index; the slots that the wheel has opened; the places of entries that
    /// have left, and what [`clear`](Self::clear) has dropped, until they are freed. Never more
    /// than the budget.
    ///
    /// Not counted are the 80 KiB of an empty cache, places for 64 entries, and what the allocator
    /// cannot use because it lies in pieces between what is used.
    pub fn bytes(&self) -> usize {
        self.bytes + self.spare_bytes() + self.dropped.bytes()
    }

    /// Returns the number of entries that were evicted.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns the number of entries that reached their deadline here.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Returns the number of values that were too large to be kept.
    pub fn too_large(&self) -> u64 {
        self.too_large
    }

    /// Returns what is cached of a key, unless its deadline has come. Marks the entry as visited.
    /// Here and below, `hash` is that of the key: the [`KeyLookup::hash`] of this cache.
    #[inline]
    pub fn get(&mut self, hash: u64, key: &[u8], now: Instant) -> Option<Found<'_>> {
        let handle = self.find(hash, key)?;
        let now = self.since_origin(now);
        let entry = self.entries.value_mut(handle);
        entry.visited = true;
        if entry.deadline <= now {
            self.take_out(hash, handle);
            self.expired += 1;
            return None;
        }
        Some(self.entries.value(handle).found())
    }

    /// Keeps the answer for a key until `deadline`, as the newest entry, in place of an older one.
    /// Evicts others until it fits.
    ///
    /// Returns `false` if it is not kept, since it would cost more than an eighth of the budget,
    /// its deadline is not after `now`, or it would take the place of too many entries: then some
    /// are evicted, so that it is kept when it has come again. The key then has no entry.
    pub fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        found: Found<'_>,
        deadline: Instant,
        now: Instant,
    ) -> bool {
        self.remove(hash, key);
        let (value, absent) = match found {
            Found::Value(value) => (value, false),
            Found::Absent => (Value::Short(b""), true),
        };
        let body = Body::new(key, value);
        let cost = cost(body.bytes());
        if cost > self.budget / LARGEST_SHARE {
            self.too_large += 1;
            return false;
        }
        if deadline <= now {
            return false;
        }
        if !self.make_some_room(cost) {
            return false;
        }
        self.bytes += cost;
        let entry = CacheEntry {
            body,
            key_length: u32::try_from(key.len()).expect("keys are shorter than 4 GiB"),
            absent,
            visited: false,
            deadline: self.since_origin(deadline),
            links: Links::NONE,
        };
        let handle = self.entries.insert(deadline, entry).number();
        self.queue.push(handle, &mut self.entries);
        let Self { hasher, index, entries, .. } = self;
        let hash_of = |handle| hasher.hash_one(entries.value(handle).key());
        index.insert(hash, handle, hash_of);
        // The wheel may have opened a slot.
        self.make_room(0);
        true
    }

    /// Drops the entry of a key. Returns `false` if there is none.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> bool {
        let found = self.find(hash, key);
        if let Some(handle) = found {
            self.take_out(hash, handle);
        }
        found.is_some()
    }

    /// Drops all entries; the counts stay. Takes no longer for many than for a thousand: the rest
    /// of their memory is put aside, for [`remove_expired`](Self::remove_expired) and
    /// [`insert`](Self::insert) to free.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes) + self.spare_bytes();
        let index = std::mem::take(&mut self.index);
        let now = self.entries.latest();
        let entries = std::mem::replace(&mut self.entries, TimerWheel::new(now)).into_values();
        let entries = entries.map(|entry| entry.body.bytes() + ENTRY_BYTES);
        // The index counted by its mean share, and is freed as it is.
        self.dropped.put(bytes, settling(entries).chain(index.into_pieces()));
        (self.queue, self.hand) = (AgeList::EMPTY, None);
        self.dropped.free(FREED_AT_ONCE);
    }

    /// Drops entries whose deadline has come, to the millisecond, and frees what was cleared. Does
    /// a bounded part of it: after it, [`next_deadline`](Self::next_deadline) returns when there is
    /// more to do, which may be now.
    pub fn remove_expired(&mut self, now: Instant) {
        let mut freed = 0;
        while freed < FREED_AT_ONCE {
            if let Some(id) = self.entries.due(now) {
                debug_assert!(self.entries.value(id.number()).deadline <= self.since_origin(now));
                freed += self.take_out(self.hash_of(id.number()), id.number());
                self.expired += 1;
            } else if let Some(bytes) = self.dropped.free_piece() {
                freed += bytes;
            } else {
                return;
            }
        }
    }

    /// Returns when [`remove_expired`](Self::remove_expired) should be called next; `None`: no need
    /// while nothing is inserted or cleared.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.dropped.is_empty() {
            true => self.entries.next_deadline(),
            false => Some(self.entries.latest()),
        }
    }

    /// Makes room, if that does not take too many evictions; else it makes some. Returns whether
    /// there is enough.
    fn make_some_room(&mut self, bytes: usize) -> bool {
        let mut looked_at = 0;
        while self.bytes() + bytes > self.budget {
            if looked_at >= LOOKED_AT_ONCE {
                return false;
            }
            looked_at += EVICTION;
            if self.dropped.free_piece().is_none() {
                looked_at += self.evict();
            }
        }
        true
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes() + bytes > self.budget {
            // Before an entry is evicted, dropped ones are freed.
            if self.dropped.free_piece().is_none() {
                _ = self.evict();
            }
        }
    }

    /// Returns the bytes that the wheel takes beside its entries.
    fn spare_bytes(&self) -> usize {
        let places = self.entries.vacant().saturating_sub(SEGMENT) * ENTRY_BYTES;
        places + self.entries.opened() * allocated(TimerWheel::<CacheEntry>::OPENED_BYTES)
    }

    fn since_origin(&self, at: Instant) -> u64 {
        let nanoseconds = at.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }

    fn hash_of(&self, handle: u32) -> u64 {
        self.hash(self.entries.value(handle).key())
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        debug_assert_eq!(hash, self.hash(key), "the hash is another key's, or another cache's");
        self.index.find(hash, |handle| self.entries.value(handle).key() == key)
    }

    /// Evicts an entry, by a step of SIEVE. Returns the number of entries that the hand passed.
    fn evict(&mut self) -> usize {
        let oldest = self.queue.oldest().expect("the cache is over its budget, so it has entries");
        let mut hand = self.hand.unwrap_or(oldest);
        let mut passed = 0;
        while passed < HAND_STEPS {
            let entry = self.entries.value_mut(hand);
            if !entry.visited {
                break;
            }
            passed += 1;
            entry.visited = false;
            hand = entry.links.newer().unwrap_or(oldest);
        }
        self.hand = Some(hand);
        self.take_out(self.hash_of(hand), hand);
        self.evicted += 1;
        passed
    }

    /// Removes an entry, and returns its cost. A hand that stood at it moves to its newer
    /// neighbour.
    fn take_out(&mut self, hash: u64, handle: u32) -> usize {
        let Self { hasher, index, entries, .. } = self;
        let hash_of = |handle| hasher.hash_one(entries.value(handle).key());
        index.remove(hash, |it| it == handle, hash_of);
        let entry = self.entries.take(handle);
        self.bytes -= entry.cost();
        self.queue.remove(entry.links, &mut self.entries);
        if self.hand == Some(handle) {
            self.hand = entry.links.newer();
        }
        entry.cost()
    }

    /// Panics unless: the queue and the index hold exactly the entries; the hand is in the queue;
    /// the bytes are right and within the budget. For tests.
    pub fn check_invariants(&self) {
        self.index.check_invariants(|handle| self.hash_of(handle));
        self.queue.check_invariants(&self.entries);
        let (mut len, mut bytes, mut hand_found) = (0, 0, self.hand.is_none());
        for handle in self.queue.iter(&self.entries) {
            let entry = self.entries.value(handle);
            assert_eq!(self.find(self.hash_of(handle), entry.key()), Some(handle));
            hand_found |= self.hand == Some(handle);
            len += 1;
            bytes += entry.cost();
        }
        assert!(hand_found, "the hand is at an entry that is gone");
        assert_eq!((len, len), (self.entries.len(), self.index.len()));
        assert_eq!(bytes, self.bytes);
        assert!(self.bytes() <= self.budget);
    }
}

impl LinkedEntries for TimerWheel<CacheEntry> {
    fn links(&self, number: u32) -> Links {
        self.value(number).links
    }

    #[inline]
    fn links_mut(&mut self, number: u32) -> &mut Links {
        &mut self.value_mut(number).links
    }
}

#[cfg(test)]
mod tests;
