//! `CLIENT TRACKING`: which clients have read which keys, so that they receive invalidations.
//!
//! A *reader* is a client for as long as it tracks. What it reads makes an entry for the key, with
//! the reader's number; the first change of the key takes the entry out and makes an *invalidation*
//! of it. Only after the client has read the key again does it receive another.
//!
//! ```text
//!   index               entries, by age                            readers
//!   hash(color) ─→ 0    0  color   read by 7           ← oldest    7   this connection, 2 keys
//!   hash(size)  ─→ 2    2  size    read by 7, 9                    9   that connection, 1 key
//!   hash(shape) ─→ 1    1  shape   read by 8           ← newest    8   has left: the pair is stale
//! ```
//!
//! A change of `size` makes an invalidation for 7 and 9, a change of `shape` none.
//!
//! A reader that leaves only takes its number with it: its keys may be a million, and are not gone
//! through at once. What it leaves behind is counted, and [`Tracking::sweep`] goes over the entries
//! until the count is 0, a bounded number at a time. A number is not used again, so that no client
//! receives invalidations of keys that another has read.
//!
//! The number of keys has a limit. For one more the oldest goes, and its readers receive an
//! invalidation as if it had changed.

use crate::base::age_list::{AgeList, LinkedEntries, Links};
use crate::base::dropped::{Dropped, settling};
use crate::base::index::Index;
use crate::base::segmented_slab::SegmentedSlab;
use crate::handler::ConnId;
use ahash::RandomState;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What one [`Tracking::sweep`] looks at, in entries and in readers of these: some 100 µs.
pub const SWEPT_AT_ONCE: usize = 1000;

/// The time between two sweeps. A million entries are gone through in a second, for a tenth of the
/// processor at most.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);

/// Names a client for as long as it tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(u32);

/// The cause of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The client that is served now changed it; see [`Tracking::set_author`].
    Client,
    /// The key has expired, or is tracked no longer.
    NoClient,
}

/// A change that readers are notified of.
#[derive(Debug)]
pub struct Invalidation {
    /// The key that has changed; `None`: all keys.
    pub key: Option<Box<[u8]>>,
    readers: Readers,
    /// The author of the change, if it wants no invalidations of its own.
    except: Option<ReaderId>,
}

impl Invalidation {
    /// Returns the readers that receive it; some may have left.
    pub fn readers(&self) -> impl Iterator<Item = ReaderId> {
        self.readers.all().iter().copied().filter(|reader| Some(*reader) != self.except)
    }
}

/// The readers of a key, in order of their numbers; mostly one.
#[derive(Debug)]
enum Readers {
    One([ReaderId; 1]),
    Many(Vec<ReaderId>),
}

impl Readers {
    fn all(&self) -> &[ReaderId] {
        match self {
            Readers::One(one) => one,
            Readers::Many(many) => many,
        }
    }

    /// Adds a reader. Returns whether it is new.
    fn add(&mut self, reader: ReaderId) -> bool {
        let Err(at) = self.all().binary_search(&reader) else { return false };
        if let Readers::One(one) = self {
            *self = Readers::Many(one.to_vec());
        }
        if let Readers::Many(many) = self {
            many.insert(at, reader);
        }
        true
    }
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    readers: Readers,
    links: Links,
}

#[derive(Debug)]
struct Reader {
    conn: ConnId,
    /// The number of entries that it is in.
    keys: usize,
}

/// Which clients have read which keys; see the head of the file.
pub struct Tracking {
    hasher: RandomState,
    index: Index,
    entries: SegmentedSlab<Entry>,
    by_age: AgeList,
    /// The most entries.
    limit: usize,
    readers: HashMap<ReaderId, Reader, RandomState>,
    last_reader: u32,
    /// The number of pairs of entry and reader.
    pairs: usize,
    /// The number of pairs whose reader has left.
    stale: usize,
    /// The entry at which the next sweep begins.
    hand: u32,
    next_sweep: Instant,
    pending: Vec<Invalidation>,
    /// The client that is served now, if it wants no invalidations of its own changes.
    author: Option<ReaderId>,
    /// The number of keys that were dropped because of the limit.
    above_limit: u64,
    /// What was forgotten all at once, to be freed in parts.
    dropped: Dropped,
}

impl Tracking {
    /// Returns a table of at most `limit` keys.
    pub fn new(limit: usize, now: Instant) -> Tracking {
        Tracking {
            hasher: RandomState::new(),
            index: Index::default(),
            entries: SegmentedSlab::default(),
            by_age: AgeList::EMPTY,
            limit,
            readers: HashMap::default(),
            last_reader: 0,
            pairs: 0,
            stale: 0,
            hand: 0,
            next_sweep: now,
            pending: Vec::new(),
            author: None,
            above_limit: 0,
            dropped: Dropped::default(),
        }
    }

    /// Returns whether there are readers.
    pub fn is_on(&self) -> bool {
        !self.readers.is_empty()
    }

    /// Returns the number of readers.
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Returns the number of keys that are tracked.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no key is tracked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of keys that are tracked, each counted as often as it has readers.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Returns the number of keys that were dropped so far because there were too many.
    pub fn dropped(&self) -> u64 {
        self.above_limit
    }

    /// Limits the number of keys that are tracked; those above it are dropped by and by.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Sets the author of the changes that follow, which wants no invalidations of them; `None`: it
    /// wants them, or does not track.
    pub fn set_author(&mut self, author: Option<ReaderId>) {
        self.author = author;
    }

    /// Adds a client that begins to track. Returns its number.
    pub fn enter(&mut self, conn: ConnId) -> ReaderId {
        let next = |last: u32| ReaderId(last.wrapping_add(1));
        let mut reader = next(self.last_reader);
        while self.readers.contains_key(&reader) {
            reader = next(reader.0);
        }
        self.last_reader = reader.0;
        self.readers.insert(reader, Reader { conn, keys: 0 });
        reader
    }

    /// Removes a client that tracks no longer.
    pub fn leave(&mut self, reader: ReaderId) {
        if let Some(Reader { keys, .. }) = self.readers.remove(&reader) {
            self.stale += keys;
        }
    }

    /// Returns the connection of a reader; `None`: it has left.
    pub fn client(&self, reader: ReaderId) -> Option<ConnId> {
        self.readers.get(&reader).map(|reader| reader.conn)
    }

    /// Tracks a key for a reader that has read it; the key need not exist.
    pub fn track(&mut self, reader: ReaderId, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let entries = &mut self.entries;
        match self.index.find(hash, |at| *entries[at].key == *key) {
            Some(at) if !entries[at].readers.add(reader) => return,
            Some(_) => {}
            None => self.insert(hash, key, reader),
        }
        self.pairs += 1;
        self.readers.get_mut(&reader).expect("a client that reads has not left").keys += 1;
        if self.entries.len() > self.limit {
            self.drop_oldest();
        }
    }

    /// Invalidates a key, if it is tracked.
    pub fn changed(&mut self, key: &[u8], cause: Cause) {
        let (hash, entries) = (self.hasher.hash_one(key), &self.entries);
        if let Some(at) = self.index.find(hash, |at| *entries[at].key == *key) {
            self.invalidate(at, cause);
        }
    }

    /// Invalidates all keys, for all readers.
    pub fn all_changed(&mut self) {
        self.forget_all();
        if self.is_on() {
            let readers = Readers::Many(self.readers.keys().copied().collect());
            self.pending.push(Invalidation { key: None, readers, except: None });
        }
    }

    /// Returns whether invalidations are pending.
    pub fn has_invalidations(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes the pending invalidations out, and returns them in the order of the changes.
    pub fn take_invalidations(&mut self) -> Vec<Invalidation> {
        std::mem::take(&mut self.pending)
    }

    /// Removes some of the stale pairs, and of the keys above the limit, and frees some of what was
    /// forgotten; [`Tracking::next_sweep`] returns when to go on.
    pub fn sweep(&mut self, now: Instant) {
        self.next_sweep = now + SWEEP_PAUSE;
        let mut looked = 0;
        while looked < SWEPT_AT_ONCE && self.entries.len() > self.limit {
            looked += self.drop_oldest();
        }
        while looked < SWEPT_AT_ONCE && self.stale > 0 {
            looked += self.sweep_entry();
        }
        while looked < SWEPT_AT_ONCE && self.dropped.free_piece().is_some() {
            looked += 1;
        }
    }

    /// Returns the time at which [`Tracking::sweep`] has something to do.
    pub fn next_sweep(&self) -> Option<Instant> {
        let has_work =
            self.stale > 0 || self.entries.len() > self.limit || !self.dropped.is_empty();
        has_work.then_some(self.next_sweep)
    }

    /// Removes the stale pairs of the next entry. Returns the number of pairs that it looked at.
    fn sweep_entry(&mut self) -> usize {
        let at = if self.hand < self.entries.bound() { self.hand } else { 0 };
        self.hand = at + 1;
        if self.entries.get(at).is_none() {
            return 1;
        }
        let entry = &mut self.entries[at];
        let before = entry.readers.all().len();
        let is_living = |reader: &ReaderId| self.readers.contains_key(reader);
        let living = match &mut entry.readers {
            Readers::One([reader]) => usize::from(is_living(reader)),
            Readers::Many(many) => {
                many.retain(is_living);
                many.len()
            }
        };
        self.pairs -= before - living;
        self.stale -= before - living;
        if living == 0 {
            self.take_out(at);
        }
        before
    }

    fn insert(&mut self, hash: u64, key: &[u8], reader: ReaderId) {
        let Tracking { hasher, index, entries, by_age, .. } = self;
        let readers = Readers::One([reader]);
        let entry = Entry { key: key.into(), readers, links: Links::NONE };
        let at = entries.insert(entry);
        by_age.push(at, entries);
        index.insert(hash, at, |at| hasher.hash_one(&*entries[at].key));
    }

    fn take_out(&mut self, at: u32) -> Entry {
        let Tracking { hasher, index, entries, by_age, .. } = self;
        let hash_of = |at| hasher.hash_one(&*entries[at].key);
        index.remove(hash_of(at), |it| it == at, hash_of);
        let entry = entries.remove(at);
        by_age.remove(entry.links, entries);
        if entries.is_empty() {
            *entries = SegmentedSlab::default(); // gives the memory back
        }
        entry
    }

    /// Takes an entry out and makes an invalidation of it.
    fn invalidate(&mut self, at: u32, cause: Cause) {
        let Entry { key, readers, .. } = self.take_out(at);
        let except = self.author.filter(|_| cause == Cause::Client);
        let mut is_wanted = false;
        for reader in readers.all() {
            match self.readers.get_mut(reader) {
                Some(found) => {
                    found.keys -= 1;
                    is_wanted |= Some(*reader) != except;
                }
                None => self.stale -= 1,
            }
        }
        self.pairs -= readers.all().len();
        if is_wanted {
            self.pending.push(Invalidation { key: Some(key), readers, except });
        }
    }

    /// Drops the oldest entry, of which there is one. Returns how many readers it had.
    fn drop_oldest(&mut self) -> usize {
        let oldest = self.by_age.oldest().expect("there are more entries than the limit");
        let readers = self.entries[oldest].readers.all().len();
        self.invalidate(oldest, Cause::NoClient);
        self.above_limit += 1;
        readers
    }

    fn forget_all(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let index = std::mem::take(&mut self.index).into_pieces();
        let entries = std::mem::take(&mut self.entries).into_values();
        let entries = entries.map(|entry| size_of::<Entry>() + entry.key.len());
        self.dropped.put(0, settling(entries).chain(index));
        (self.by_age, self.hand) = (AgeList::EMPTY, 0);
        (self.pairs, self.stale) = (0, 0);
        self.readers.values_mut().for_each(|reader| reader.keys = 0);
    }

    /// Panics unless: the index leads to every entry and to nothing else; the list by age has each
    /// of them once; the sums are right. For tests.
    pub fn check_invariants(&self) {
        let hash_of = |at: u32| self.hasher.hash_one(&*self.entries[at].key);
        self.index.check_invariants(hash_of);
        assert_eq!(self.index.len(), self.entries.len());
        self.by_age.check_invariants(&self.entries);
        let listed = self.by_age.iter(&self.entries);
        let found = listed.filter(|&at| self.index.find(hash_of(at), |it| it == at) == Some(at));
        assert_eq!(found.count(), self.entries.len());
        let entries = || self.by_age.iter(&self.entries).map(|at| &self.entries[at]);
        let all = || entries().flat_map(|entry| entry.readers.all());
        assert!(entries().all(|entry| entry.readers.all().is_sorted()));
        let stale = all().filter(|reader| !self.readers.contains_key(reader)).count();
        let living: usize = self.readers.values().map(|reader| reader.keys).sum();
        assert_eq!((all().count(), stale), (self.pairs, self.stale));
        assert_eq!(living + stale, self.pairs);
    }
}

impl LinkedEntries for SegmentedSlab<Entry> {
    fn links(&self, number: u32) -> Links {
        self[number].links
    }

    fn links_mut(&mut self, number: u32) -> &mut Links {
        &mut self[number].links
    }
}

#[cfg(test)]
mod tests;
