//! The cache: answers of the upstream, bounded by bytes and by time.
//!
//! What has to go when the bytes run out is decided by SIEVE (Zhang et al., *SIEVE is Simpler than
//! LRU*, NSDI 2024). The entries stand in a queue in the order in which they came. A hit only sets
//! the entry's *visited* bit; it moves nothing. An eviction sends a *hand* along the queue, from
//! the oldest towards the newest: it clears the bits that it passes, and takes the first entry
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
//!  insert F     F   D   C   A        C and D lose theirs; E is evicted: it came last, and nobody
//!                           ^        asked for it; beyond the newest, the hand is back at A
//! ```
//!
//! Newcomers that are read once are sieved out soon, while LRU
//! would let a scan of many keys push out everything that is read often.
//!
//! Time is the other bound. Every entry has a timer in a wheel, and its deadline is also looked at
//! when it is found: it is never served at its deadline or later, however late the wheel is turned.

use crate::index::Index;
use crate::timer_wheel::{TimerId, TimerWheel};
use ahash::RandomState;
use slab::Slab;
use std::fmt;
use std::time::Instant;

/// An entry may take an eighth of the budget, lest one large value push out everything else.
const LARGEST_SHARE: usize = 8;

/// Bits that the hand clears at most before it takes an entry that has one. SIEVE has no such
/// bound: with every entry visited, one eviction would walk past them all, and that stops the loop
/// for 10 to 100 ms in a cache of a million entries. This many take a thousandth of it.
const HAND_STEPS: usize = 1024;

/// A slab entry of this file.
const ENTRY_BYTES: usize = size_of::<Entry>();

/// The share of an entry in the index; see `GROW_ABOVE` there.
const INDEX_BYTES: usize = 12;

/// A node of the timer wheel.
const TIMER_BYTES: usize = 24;

/// What an allocation takes in the allocator of glibc: eight bytes more than asked for, in
/// multiples of sixteen, at least 32.
fn allocated(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}

/// No entry.
const NONE: u32 = u32::MAX;

struct Entry {
    /// The key, then the value.
    bytes: Box<[u8]>,
    key_length: u32,
    deadline: Instant,
    timer: TimerId,
    /// Neighbours in the queue.
    newer: u32,
    older: u32,
    visited: bool,
}

impl Entry {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_length as usize]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[self.key_length as usize..]
    }

    fn cost(&self) -> usize {
        cost(self.key(), self.value())
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    allocated(key.len() + value.len()) + ENTRY_BYTES + INDEX_BYTES + TIMER_BYTES
}

/// Answers by key, each until its deadline; see the head of the file.
///
/// Keys shorter than 4 GiB; fewer than 2^32 entries. A hit allocates nothing.
pub struct Cache {
    budget: usize,
    bytes: usize,
    /// Random per process, so that nobody can choose keys that collide.
    hasher: RandomState,
    index: Index,
    entries: Slab<Entry>,
    timers: TimerWheel<u32>,
    newest: u32,
    oldest: u32,
    /// Where the next eviction begins; [`NONE`]: at the oldest.
    hand: u32,
    evicted: u64,
    expired: u64,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Cache {
    /// An empty cache that keeps at most `budget_bytes` (see [`bytes`](Self::bytes)); 0: nothing.
    /// No deadline may lie before `now`.
    pub fn new(budget_bytes: usize, now: Instant) -> Self {
        Self {
            budget: budget_bytes,
            bytes: 0,
            hasher: RandomState::new(),
            index: Index::new(),
            entries: Slab::new(),
            timers: TimerWheel::new(now),
            newest: NONE,
            oldest: NONE,
            hand: NONE,
            evicted: 0,
            expired: 0,
        }
    }

    /// The number of entries, also those past their deadline that nobody has noticed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entries cost in memory: key and value as allocated, the entry itself, its timer
    /// and its share of the index. Never more than the budget.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries had to make room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many entries reached their deadline here.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The value of a key, unless its deadline has come. Marks the entry as visited.
    pub fn get(&mut self, key: &[u8], now: Instant) -> Option<&[u8]> {
        let handle = self.find(key)?;
        let entry = &mut self.entries[handle as usize];
        if entry.deadline <= now {
            self.take_out(handle);
            self.expired += 1;
            return None;
        }
        entry.visited = true;
        Some(self.entries[handle as usize].value())
    }

    /// Keeps a value until `deadline`, as the newest entry, in place of one under the same key.
    /// Evicts others until it fits.
    ///
    /// `false`: it is not kept, since it would cost more than an eighth of the budget or its
    /// deadline is not after `now`; the key is then absent.
    pub fn insert(&mut self, key: &[u8], value: &[u8], deadline: Instant, now: Instant) -> bool {
        self.remove(key);
        let cost = cost(key, value);
        if cost > self.budget / LARGEST_SHARE || deadline <= now {
            return false;
        }
        while self.bytes + cost > self.budget {
            self.evict();
        }
        self.bytes += cost;
        let handle = u32::try_from(self.entries.vacant_key()).ok().filter(|&it| it != NONE);
        let handle = handle.expect("fewer than 2^32 entries");
        self.entries.insert(Entry {
            bytes: [key, value].concat().into_boxed_slice(),
            key_length: u32::try_from(key.len()).expect("keys are shorter than 4 GiB"),
            deadline,
            timer: self.timers.insert(deadline, handle),
            newer: NONE,
            older: self.newest,
            visited: false,
        });
        match self.newest {
            NONE => self.oldest = handle,
            second => self.entries[second as usize].newer = handle,
        }
        self.newest = handle;
        let Self { hasher, index, entries, .. } = self;
        let hash_of = |handle| hasher.hash_one(entries[handle as usize].key());
        index.insert(hash_of(handle), handle, hash_of);
        true
    }

    /// Drops the entry of a key. `false`: there is none.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let found = self.find(key);
        if let Some(handle) = found {
            self.take_out(handle);
        }
        found.is_some()
    }

    /// Drops all entries; the counts stay. Takes some milliseconds for 64 MiB.
    pub fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.timers.clear();
        self.bytes = 0;
        (self.newest, self.oldest, self.hand) = (NONE, NONE, NONE);
    }

    /// Drops the entries whose deadline has come, to the millisecond.
    pub fn expire(&mut self, now: Instant) {
        while let Some(handle) = self.timers.expire(now) {
            self.take_out(handle);
            self.expired += 1;
        }
    }

    /// When [`expire`](Self::expire) should be called next; `None`: no need while nothing is
    /// inserted.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |handle| self.entries[handle as usize].key() == key)
    }

    /// One step of SIEVE.
    fn evict(&mut self) {
        let mut hand = if self.hand == NONE { self.oldest } else { self.hand };
        for _ in 0..HAND_STEPS {
            let entry = &mut self.entries[hand as usize];
            if !entry.visited {
                break;
            }
            entry.visited = false;
            hand = if entry.newer == NONE { self.oldest } else { entry.newer };
        }
        self.hand = hand;
        self.take_out(hand);
        self.evicted += 1;
    }

    /// Removes an entry from everything. A hand that stood at it stands at its newer neighbour.
    fn take_out(&mut self, handle: u32) {
        let Self { hasher, index, entries, .. } = self;
        let hash_of = |handle| hasher.hash_one(entries[handle as usize].key());
        index.remove(hash_of(handle), |it| it == handle, hash_of);
        let entry = self.entries.remove(handle as usize);
        self.timers.cancel(entry.timer);
        self.bytes -= entry.cost();
        match entry.newer {
            NONE => self.newest = entry.older,
            newer => self.entries[newer as usize].older = entry.older,
        }
        match entry.older {
            NONE => self.oldest = entry.newer,
            older => self.entries[older as usize].newer = entry.newer,
        }
        if self.hand == handle {
            self.hand = entry.newer;
        }
    }

    /// Panics unless: the queue, the index and the wheel hold exactly the entries; the queue is
    /// the same in both directions; the hand is in it; the bytes are right and within the budget.
    /// For tests.
    pub fn check_invariants(&self) {
        let hash_of = |handle| self.hasher.hash_one(self.entries[handle as usize].key());
        self.index.check_invariants(hash_of);
        let (mut len, mut bytes, mut newer, mut handle) = (0, 0, NONE, self.newest);
        let mut hand_found = self.hand == NONE;
        while handle != NONE {
            let entry = &self.entries[handle as usize];
            assert_eq!(entry.newer, newer);
            assert_eq!(self.find(entry.key()), Some(handle));
            hand_found |= self.hand == handle;
            len += 1;
            bytes += entry.cost();
            (newer, handle) = (handle, entry.older);
        }
        assert_eq!(self.oldest, newer);
        assert!(hand_found, "the hand is at an entry that is gone");
        assert_eq!((len, len, len), (self.entries.len(), self.index.len(), self.timers.len()));
        assert_eq!(bytes, self.bytes);
        assert!(bytes <= self.budget);
    }
}

#[cfg(test)]
mod tests;
