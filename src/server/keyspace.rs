//! The keys, with the clients that observe their changes.
//!
//! Commands look at the store through [`Keyspace::store`] and change it by the methods here, each
//! of which informs the observers of the keys that it changes. So no change goes unnoticed.

use super::observers::Observers;
use super::store::{Expiry, MAX_PAGED, RandomWalk, Store};
use crate::base::clock::Now;
use crate::base::output::Value;
use crate::handler::ConnId;
use crate::protocol::command::Command;
use crate::protocol::{Key, KeyLookup};
use crate::server::memory::Memory;
use crate::session::work::Work;
use crate::settings::{PutMode, Settings, limits};
use crate::stats::{Stat, Stats};
use std::time::Instant;

/// All keys; see the head of the file.
pub struct Keyspace {
    store: Store,
    /// The clients that are notified of changes.
    pub observers: Observers,
    /// The effect of `PUT` on a key that exists.
    pub put_mode: PutMode,
    /// The most bytes of a reply.
    pub output_limit: usize,
    /// The most bytes of a value.
    pub value_limit: usize,
    /// The most bytes of memory that the process may take; 0: any number.
    memory_limit: usize,
    /// Measures the memory that the process takes.
    pub memory: Memory,
    /// The bytes that the process took when the system's count was read last.
    read_at: usize,
    /// Whether it took far more than the limit then.
    is_far_over: bool,
    /// The number of keys that were drawn at random.
    draws: u64,
    /// The work of the client that is served now.
    pub work: Work,
}

/// The change in bytes after which the system's count is read again, which takes some 15 µs.
const READ_AGAIN_AFTER: usize = 1024 * 1024;

impl KeyLookup for Keyspace {
    fn hash(&self, key: &[u8]) -> u64 {
        self.store.hash(key)
    }

    fn touch(&self, hashes: &[u64]) {
        self.store.touch(hashes);
    }
}

impl Keyspace {
    /// Returns a keyspace without keys.
    pub fn new(settings: &Settings, now: Instant) -> Keyspace {
        let Settings { limits, put_mode, .. } = settings;
        Keyspace {
            store: Store::new(now),
            observers: Observers::new(limits, now),
            put_mode: *put_mode,
            output_limit: limits.output_limit,
            value_limit: limits.max_value,
            memory_limit: limits.max_memory,
            memory: Memory::of_arenas(),
            read_at: 0,
            is_far_over: false,
            draws: 0,
            work: Work::default(),
        }
    }

    /// Applies settings that have changed.
    pub fn apply(&mut self, settings: &Settings) {
        self.put_mode = settings.put_mode;
        self.value_limit = settings.limits.max_value;
        (self.memory_limit, self.read_at) = (settings.limits.max_memory, 0);
        self.observers.tracking.set_limit(settings.limits.tracking_keys);
    }

    /// Returns the store, which is not to be changed.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the value of a key, and counts a hit or a miss.
    #[inline]
    pub fn get(&self, key: Key<'_>, stats: &mut Stats, now: Now) -> Option<Value<'_>> {
        let value = self.store.get(key, now);
        stats.add(if value.is_some() { Stat::Hits } else { Stat::Misses }, 1);
        value
    }

    /// Returns the deadline of a key (see [`Store::deadline`]), and counts a hit or a miss.
    pub fn deadline(&self, key: Key<'_>, stats: &mut Stats, now: Now) -> Option<Option<u64>> {
        let deadline = self.store.deadline(key, now);
        stats.add(if deadline.is_some() { Stat::Hits } else { Stat::Misses }, 1);
        deadline
    }

    /// Returns the search for one of the keys.
    pub fn random(&mut self) -> RandomWalk {
        self.draws += 1;
        RandomWalk::new(self.draws)
    }

    /// Frees memory by and by: each piece is freed as it is taken, and its size returned.
    pub fn dispose(&mut self, pieces: impl Iterator<Item = usize> + Send + 'static) {
        self.store.dispose(pieces);
    }

    /// Returns whether a reply may take more memory while it is collected.
    pub fn has_memory_for_replies(&mut self) -> bool {
        self.memory_limit == 0 || !self.takes_far_too_much()
    }

    /// Makes memory for a request of this command: see `--max-memory`. Returns `false` if there is
    /// too little, and the request is to be refused.
    #[inline]
    pub fn make_memory_for(&mut self, command: &Command) -> bool {
        !command.may_grow()
            || (self.memory_limit == 0 || self.make_memory_at_limit(command))
                && !(self.store.is_full() && command.stores())
    }

    /// Makes memory for a value to grow by `bytes`. Returns `false` if there is too little. Only
    /// what is far more than a request brings needs this: [`make_memory_for`] came before.
    ///
    /// [`make_memory_for`]: Self::make_memory_for
    pub fn make_memory_to_grow(&mut self, bytes: usize) -> bool {
        self.memory_limit == 0 || bytes <= MAX_PAGED || self.make_room(bytes)
    }

    /// Returns whether the rest of a request that has begun is to be dropped: `come` bytes of it
    /// have come, for this command, if that is known.
    pub fn should_drop_partial(&mut self, command: Option<&Command>, come: usize) -> bool {
        match command {
            Some(command) if !command.may_grow() => {
                come > limits::HIGH_WATER && self.memory_limit != 0 && self.takes_far_too_much()
            }
            command => !self.make_memory_for(command.unwrap_or(Command::set())),
        }
    }

    fn make_memory_at_limit(&mut self, command: &Command) -> bool {
        !self.takes_far_too_much() && (!command.stores() || self.make_room(0))
    }

    /// Gives back what was cleared, until the process can take `more` bytes within its limit.
    /// Returns whether it can. What is free in pages is filled first, by what fits there.
    fn make_room(&mut self, more: usize) -> bool {
        let Keyspace { store, memory, memory_limit, .. } = self;
        let fits = || memory.bytes() + more <= *memory_limit;
        while !fits() {
            let spare = if more > MAX_PAGED { 0 } else { store.spare_bytes() };
            if memory.bytes() + more - spare <= *memory_limit {
                return true;
            }
            if !store.give_back() {
                return fits();
            }
        }
        true
    }

    /// Returns whether the system counts a quarter more than may be taken: then the allocator keeps
    /// much that was freed, or there is more of what is not refused at the limit itself.
    fn takes_far_too_much(&mut self) -> bool {
        let bytes = self.memory.bytes();
        let step = if self.is_far_over { READ_AGAIN_AFTER / 16 } else { READ_AGAIN_AFTER };
        if bytes.abs_diff(self.read_at) >= step {
            self.read_at = bytes;
            let most = self.memory_limit.saturating_add(self.memory_limit / 4);
            self.is_far_over = self.memory.resident_bytes() > most;
        }
        self.is_far_over
    }

    /// Stores a value, in place of the one that is there; one whose deadline has come only removes
    /// that.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, value: &[u8], expiry: Expiry, now: Now) {
        if matches!(expiry, Expiry::At(deadline) if deadline <= now.unix_millis) {
            self.store.remove(key, now);
        } else {
            self.store.set(key, value, expiry, now);
        }
        self.observers.changed(key.bytes);
    }

    /// Stores a value that never expires, unless the key exists: then nothing changes. Returns
    /// whether it was stored.
    pub fn put(&mut self, key: Key<'_>, value: &[u8], now: Now) -> bool {
        let stored = self.store.put(key, value, now);
        self.changed_if(stored, key.bytes)
    }

    /// Deletes a key, and returns whether it existed.
    pub fn remove(&mut self, key: Key<'_>, now: Now) -> bool {
        let removed = self.store.remove(key, now);
        self.changed_if(removed, key.bytes)
    }

    /// Writes over a part of a value, or extends it: see [`Store::write_at`]. Returns its new
    /// length.
    pub fn write_at(
        &mut self,
        key: Key<'_>,
        offset: Option<usize>,
        piece: &[u8],
        now: Now,
    ) -> usize {
        let length = self.store.write_at(key, offset, piece, now);
        self.observers.changed(key.bytes);
        length
    }

    /// Sets when a key expires, in Unix milliseconds; a time that has come deletes it. Returns
    /// whether it existed.
    pub fn set_deadline(&mut self, key: Key<'_>, deadline: u64, now: Now) -> bool {
        if deadline <= now.unix_millis {
            return self.remove(key, now);
        }
        let exists = self.store.set_deadline(key, Some(deadline), now);
        self.changed_if(exists, key.bytes)
    }

    /// Removes the expiry of a key, and returns whether it had one.
    pub fn persist(&mut self, key: Key<'_>, now: Now) -> bool {
        let expires = matches!(self.store.deadline(key, now), Some(Some(_)));
        if expires {
            self.store.set_deadline(key, None, now);
        }
        self.changed_if(expires, key.bytes)
    }

    /// Gives a value another key, in place of what is there. Returns whether there was one.
    pub fn rename(&mut self, from: &[u8], to: &[u8], now: Now) -> bool {
        let renamed = self.store.rename(from, to, now);
        self.changed_if(renamed, from) && self.changed_if(renamed, to)
    }

    /// Notifies the observers of a key, if it has changed. Returns whether it has.
    fn changed_if(&mut self, changed: bool, key: &[u8]) -> bool {
        if changed {
            self.observers.changed(key);
        }
        changed
    }

    /// Deletes all keys.
    pub fn clear(&mut self, now: Now) {
        let store = &self.store;
        self.observers.all_changed(|key| store.get(key, now).is_some());
        self.store.clear();
    }

    /// Watches a key for a client. Returns whether that is possible: else it watches too many.
    pub fn watch(&mut self, client: ConnId, key: &[u8], now: Now) -> bool {
        self.purge(key, now);
        self.observers.watches.watch(client, key)
    }

    /// Forgets the keys that a client watches, and returns whether any has changed, or expired.
    pub fn forget_watches(&mut self, client: ConnId, now: Now) -> bool {
        for key in self.observers.watches.keys_of(client) {
            self.purge(&key, now);
        }
        self.observers.watches.forget(client)
    }

    /// Deletes a key if it has expired, before [`sweep`](Self::sweep) does.
    fn purge(&mut self, key: &[u8], now: Now) {
        if self.store.purge(key, now) {
            self.observers.changed_by_expiry(key);
        }
    }

    /// Deletes some of the keys that have expired, and some of the stale entries of the tracking
    /// table; [`Keyspace::next_deadline`] returns when to go on.
    pub fn sweep(&mut self, now: Now) {
        let Keyspace { store, observers, .. } = self;
        store.remove_expired(now, |key| observers.changed_by_expiry(key));
        if observers.tracking.next_sweep().is_some_and(|at| at <= now.instant) {
            observers.tracking.sweep(now.instant);
        }
    }

    /// Returns when [`Keyspace::sweep`] has something to do.
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.store.next_deadline(), self.observers.tracking.next_sweep()];
        deadlines.into_iter().flatten().min()
    }
}
