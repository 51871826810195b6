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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    /// What an entry with a key and a value of one byte costs.
    const SMALL: usize = 32 + ENTRY_BYTES + INDEX_BYTES + TIMER_BYTES;

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    /// Keys from the newest to the oldest.
    fn queue(cache: &Cache) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let mut handle = cache.newest;
        while handle != NONE {
            keys.push(cache.entries[handle as usize].key().to_vec());
            handle = cache.entries[handle as usize].older;
        }
        keys
    }

    #[track_caller]
    fn check_queue(cache: &Cache, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&queue(cache).concat()), expected);
    }

    #[test]
    fn the_example_of_the_header() {
        let now = Instant::now();
        // No budget holds fewer than eight entries. Four are in the queue before A, and the hand
        // passes them before it comes to A.
        let mut cache = Cache::new(8 * SMALL, now);
        let insert = |cache: &mut Cache, key: u8| {
            assert!(cache.insert(&[key], b"-", after(now, 1000), now));
        };
        b"1234ABCD".iter().for_each(|&key| insert(&mut cache, key));
        b"1234AC".iter().for_each(|&key| assert!(cache.get(&[key], now).is_some()));
        insert(&mut cache, b'E');
        check_queue(&cache, "EDCA4321");
        assert!(cache.get(b"D", now).is_some());
        insert(&mut cache, b'F');
        check_queue(&cache, "FDCA4321");
        insert(&mut cache, b'G');
        check_queue(&cache, "GFDCA432");
        assert_eq!(cache.evicted(), 3);
    }

    #[test]
    fn an_entry_is_served_until_just_before_its_deadline() {
        let now = Instant::now();
        let mut cache = Cache::new(1 << 20, now);
        let deadline = after(now, 60_000) + Duration::from_micros(300);
        assert!(cache.insert(b"k", b"v", deadline, now));
        assert_eq!(cache.get(b"k", deadline - Duration::from_nanos(1)), Some(&b"v"[..]));
        assert_eq!(cache.get(b"k", deadline), None);
        assert_eq!((cache.len(), cache.bytes(), cache.expired()), (0, 0, 1));
        cache.expire(after(deadline, 10));
        assert_eq!(cache.expired(), 1, "it is counted once");
        assert!(!cache.insert(b"k", b"v", deadline, deadline));
        cache.check_invariants();
    }

    #[test]
    fn the_next_deadline_leads_to_the_end_of_every_entry() {
        let now = Instant::now();
        let mut cache = Cache::new(1 << 20, now);
        for n in 0..100 {
            cache.insert(&[n], b"v", after(now, u64::from(n) * 777), now);
        }
        let mut latest = now;
        while let Some(deadline) = cache.next_deadline() {
            assert!(deadline > latest);
            latest = deadline;
            cache.expire(deadline);
        }
        assert_eq!((cache.len(), cache.expired(), latest), (0, 99, after(now, 99 * 777)));
        cache.check_invariants();
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_its_older_version_neither() {
        let now = Instant::now();
        let late = after(now, 1000);
        let mut cache = Cache::new(8 * SMALL, now);
        assert!(cache.insert(b"k", b"v", late, now));
        assert!(cache.insert(b"k", &[0; 23], late, now), "an allocation of 32 bytes holds 24");
        assert!(!cache.insert(b"k", &[0; 24], late, now));
        assert_eq!(cache.get(b"k", now), None);
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
        assert!(!Cache::new(0, now).insert(b"", b"", late, now), "a budget of 0 keeps nothing");
        cache.check_invariants();
    }

    #[test]
    fn an_eviction_is_bounded_though_everything_is_visited() {
        let now = Instant::now();
        let mut cache = Cache::new(3000 * SMALL, now);
        for n in 0..3000u16 {
            cache.insert(&n.to_be_bytes(), b"", after(now, 1000), now);
            cache.get(&n.to_be_bytes(), now);
        }
        cache.insert(b"k", b"", after(now, 1000), now);
        assert_eq!(cache.evicted(), 1);
        assert!(!cache.remove(&1024u16.to_be_bytes()), "the hand got that far");
        let visited = cache.entries.iter().filter(|(_, entry)| entry.visited).count();
        assert_eq!(visited, 3000 - HAND_STEPS - 1);
    }

    /// SIEVE and deadlines written down plainly.
    struct Model {
        /// Newest first: key, value, deadline in ms, visited.
        queue: Vec<(Vec<u8>, Vec<u8>, u64, bool)>,
        hand: Option<usize>,
        counts: (u64, u64),
    }

    impl Model {
        fn position(&self, key: &[u8]) -> Option<usize> {
            self.queue.iter().position(|entry| entry.0 == key)
        }

        fn take_out(&mut self, at: usize) {
            self.queue.remove(at);
            // What is behind moves up; a hand at `at` goes to the newer neighbour, before it.
            self.hand = self.hand.and_then(|hand| hand.checked_sub(usize::from(hand >= at)));
        }

        fn insert(&mut self, key: &[u8], value: &[u8], deadline: u64, now: u64) -> bool {
            if let Some(at) = self.position(key) {
                self.take_out(at);
            }
            let added = cost(key, value);
            if added > BUDGET / 8 || deadline <= now {
                return false;
            }
            while self.queue.iter().map(|it| cost(&it.0, &it.1)).sum::<usize>() + added > BUDGET {
                let mut hand = self.hand.unwrap_or(self.queue.len() - 1);
                while std::mem::take(&mut self.queue[hand].3) {
                    hand = hand.checked_sub(1).unwrap_or(self.queue.len() - 1);
                }
                self.hand = Some(hand);
                self.take_out(hand);
                self.counts.0 += 1;
            }
            self.queue.insert(0, (key.to_vec(), value.to_vec(), deadline, false));
            self.hand = self.hand.map(|hand| hand + 1);
            true
        }

        fn get(&mut self, key: &[u8], now: u64) -> Option<Vec<u8>> {
            let at = self.position(key)?;
            if self.queue[at].2 <= now {
                self.take_out(at);
                self.counts.1 += 1;
                return None;
            }
            self.queue[at].3 = true;
            Some(self.queue[at].1.clone())
        }

        fn expire(&mut self, now: u64) {
            while let Some(at) = self.queue.iter().position(|entry| entry.2 <= now) {
                self.take_out(at);
                self.counts.1 += 1;
            }
        }
    }

    const BUDGET: usize = 12 * SMALL;

    #[derive(Clone, Debug)]
    enum Step {
        Get(u8),
        Insert(u8, usize, u64),
        Remove(u8),
        Wait(u64),
        Expire,
        Clear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            100 => (0u8..40).prop_map(Step::Get),
            100 => (0u8..40, 0usize..90, 0u64..9000).prop_map(|(k, l, t)| Step::Insert(k, l, t)),
            10 => (0u8..40).prop_map(Step::Remove),
            20 => (0u64..300).prop_map(Step::Wait),
            10 => Just(Step::Expire),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn it_keeps_what_the_plain_version_keeps(steps in prop::collection::vec(any_step(), 0..300)) {
            let start = Instant::now();
            let mut now = 0;
            let mut cache = Cache::new(BUDGET, start);
            let mut model = Model { queue: Vec::new(), hand: None, counts: (0, 0) };
            for step in steps {
                let at = after(start, now);
                match step {
                    Step::Get(key) => {
                        let expected = model.get(&[key], now);
                        prop_assert_eq!(cache.get(&[key], at), expected.as_deref());
                    }
                    Step::Insert(key, length, lifetime) => {
                        let (value, deadline) = (vec![key; length], now + lifetime);
                        let expected = model.insert(&[key], &value, deadline, now);
                        let kept = cache.insert(&[key], &value, after(start, deadline), at);
                        prop_assert_eq!(kept, expected);
                    }
                    Step::Remove(key) => {
                        let position = model.position(&[key]);
                        prop_assert_eq!(cache.remove(&[key]), position.is_some());
                        position.into_iter().for_each(|at| model.take_out(at));
                    }
                    Step::Wait(milliseconds) => now += milliseconds,
                    Step::Expire => {
                        cache.expire(at);
                        model.expire(now);
                    }
                    Step::Clear => {
                        cache.clear();
                        (model.queue, model.hand) = (Vec::new(), None);
                    }
                }
                cache.check_invariants();
                let keys: Vec<_> = model.queue.iter().map(|entry| entry.0.clone()).collect();
                prop_assert_eq!(queue(&cache), keys);
                prop_assert_eq!((cache.evicted(), cache.expired()), model.counts);
            }
        }
    }
}
