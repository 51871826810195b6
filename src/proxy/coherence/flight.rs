//! The requests under way for each key: flights, each a fetch that several clients may wait for,
//! and writes.
//!
//! ```text
//!              begin                     land
//!   absent ───────────▶ joinable flight ──────▶ its value may be stored
//!                          │ the key is written or invalidated, a client reads it behind an
//!                          ▼ earlier read of its own, or the flight is as old as --ttl
//!                       poisoned flight ──────▶ its waiters are answered, nothing is stored
//! ```
//!
//! `W(k)` counts the writes of a key that are dispatched and not answered. While it is above 0
//! every flight of the key is poisoned from its beginning: whether such a flight saw the write or
//! not, its value is never kept. `W(*)` counts the writes of keys that are not known, and holds for
//! every key.

use crate::base::index::Index;
use crate::handler::ConnId;
use crate::proxy::client::replies::Ticket;
use crate::proxy::coherence::rules::{Rule, Rules};
use ahash::RandomState;
use slab::Slab;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A client that waits for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its connection.
    pub conn: ConnId,
    /// The ticket of the reply.
    pub ticket: Ticket,
}

/// Names a flight until it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlightId(u32);

/// The remaining life of a key, when its value was read or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The life is not known, or not yet.
    Unknown,
    /// The upstream does not tell it.
    Refused,
    /// There was no such key.
    Absent,
    /// The key does not expire.
    Forever,
    /// The key expires after this time.
    For(Duration),
}

/// One fetch.
#[derive(Debug)]
pub struct Flight {
    /// The key that is fetched.
    pub key: Box<[u8]>,
    /// The hash of the key.
    pub hash: u64,
    /// The time at which its request was sent.
    pub sent_at: Instant,
    /// Whether its value must not be stored, for one of the reasons at the head of the file.
    pub is_poisoned: bool,
    /// Whether no more clients may join it.
    is_detached: bool,
    /// The remaining life of the key.
    pub life: Life,
    first: Waiter,
    /// The waiters that joined: none for most flights, and then it has no memory.
    joined: Vec<Waiter>,
}

impl Flight {
    /// Returns its waiters, in the order in which they came.
    pub fn waiters(&self) -> impl Iterator<Item = Waiter> + '_ {
        std::iter::once(self.first).chain(self.joined.iter().copied())
    }
}

/// All flights, and the writes in flight.
#[derive(Default)]
pub struct Flights {
    flights: Slab<Flight>,
    /// The flights that can be joined, by key.
    joinable: Index,
    writes: HashMap<Box<[u8]>, u32, RandomState>,
    writes_of_all: u32,
    poisoned: u64,
    /// The rules in force.
    pub rules: Rules,
}

impl Flights {
    /// Returns the flight of `key` that can be joined, if there is one. Here and below, `hash` is
    /// that of the key, by the same function for all.
    pub fn joinable(&self, hash: u64, key: &[u8]) -> Option<&Flight> {
        self.find(hash, key).map(|id| &self.flights[id as usize])
    }

    /// Adds a waiter to the flight of `key`. Returns `false` if there is none that can be joined.
    pub fn join(&mut self, hash: u64, key: &[u8], waiter: Waiter) -> bool {
        let found = self.find(hash, key);
        if let Some(id) = found {
            self.flights[id as usize].joined.push(waiter);
        }
        found.is_some()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.joinable.find(hash, |id| *self.flights[id as usize].key == *key)
    }

    /// Poisons the flight of a key, if there is one: its value is not stored, and it is not joined
    /// any more.
    pub fn poison(&mut self, hash: u64, key: &[u8]) {
        if let Some(id) = self.find(hash, key) {
            self.detach(id);
            self.poison_flight(id);
        }
    }

    /// Poisons all flights: any key may have changed.
    pub fn poison_all(&mut self) {
        if !self.joinable.is_empty() {
            self.poisoned += self.joinable.len() as u64;
            self.joinable.clear();
            for (_, flight) in &mut self.flights {
                (flight.is_poisoned, flight.is_detached) = (true, true);
            }
        }
    }

    fn poison_flight(&mut self, id: u32) {
        self.flights[id as usize].is_poisoned = true;
        self.poisoned += 1;
    }

    /// Returns the number of flights poisoned so far.
    pub fn poisoned(&self) -> u64 {
        self.poisoned
    }

    /// Sets the remaining life of a flight's key.
    pub fn set_life(&mut self, id: FlightId, life: Life) {
        self.flights[id.0 as usize].life = life;
    }

    /// Begins a flight, for a key whose flight could not be joined. Returns its name.
    pub fn begin(&mut self, hash: u64, key: &[u8], first: Waiter, now: Instant) -> FlightId {
        debug_assert!(self.find(hash, key).is_none(), "there is a flight that could be joined");
        let is_written = !self.writes.is_empty() && self.writes.contains_key(key);
        let overlaps = is_written || self.writes_of_all > 0;
        let is_detached = overlaps && self.rules.keep(Rule::DetachAtWrites);
        let flight = Flight {
            key: key.into(),
            hash,
            sent_at: now,
            is_poisoned: false,
            is_detached,
            life: Life::Unknown,
            first,
            joined: Vec::new(),
        };
        let id = self.flights.insert(flight) as u32;
        if overlaps && self.rules.keep(Rule::PoisonAtWrites) {
            self.poison_flight(id);
        }
        if !is_detached {
            let flights = &self.flights;
            self.joinable.insert(hash, id, |id| flights[id as usize].hash);
        }
        FlightId(id)
    }

    /// Ends a flight, with or without a value, and returns it.
    pub fn land(&mut self, id: FlightId) -> Flight {
        if !self.flights[id.0 as usize].is_detached {
            self.detach(id.0);
        }
        self.flights.remove(id.0 as usize)
    }

    /// Begins a write of `key`: `W(k)` + 1, and the key's flight is poisoned.
    pub fn write_begun(&mut self, hash: u64, key: &[u8]) {
        match self.writes.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                self.writes.insert(key.into(), 1);
            }
        }
        if let Some(id) = self.find(hash, key) {
            if self.rules.keep(Rule::DetachAtWrites) {
                self.detach(id);
            }
            if self.rules.keep(Rule::PoisonAtWrites) {
                self.poison_flight(id);
            }
        }
    }

    /// Ends a write of `key`, which is answered, or never will be: `W(k)` − 1.
    pub fn write_ended(&mut self, key: &[u8]) {
        let count = self.writes.get_mut(key).expect("an ended write was begun");
        debug_assert!(*count > 0, "a key whose writes have ended is not kept");
        *count -= 1;
        if *count == 0 {
            self.writes.remove(key);
        }
    }

    /// Begins a write of keys that are not known: `W(*)` + 1, and every flight is poisoned.
    pub fn write_of_all_begun(&mut self) {
        self.writes_of_all += 1;
        self.poison_all();
    }

    /// Ends a write of keys that are not known: `W(*)` − 1.
    pub fn write_of_all_ended(&mut self) {
        debug_assert!(self.writes_of_all > 0, "an ended write was begun");
        self.writes_of_all -= 1;
    }

    fn detach(&mut self, id: u32) {
        let flights = &self.flights;
        let hash_of = |id: u32| flights[id as usize].hash;
        self.joinable.remove(hash_of(id), |other| other == id, hash_of);
        self.flights[id as usize].is_detached = true;
    }

    /// Panics unless the index holds exactly the flights that can be joined, and no write is
    /// counted below one. For tests and debug builds.
    pub fn check_invariants(&self) {
        self.joinable.check_invariants(|id| self.flights[id as usize].hash);
        let joinable = self.flights.iter().filter(|(_, flight)| !flight.is_detached).count();
        assert_eq!(joinable, self.joinable.len());
        assert!(self.writes.values().all(|&count| count > 0), "a write that has ended is counted");
    }

    /// Returns the flights that have not landed.
    pub fn iter(&self) -> impl Iterator<Item = (FlightId, &Flight)> {
        self.flights.iter().map(|(id, flight)| (FlightId(id as u32), flight))
    }

    /// Returns `W(k)` of a key, the writes of it that are under way.
    pub fn writes_of(&self, key: &[u8]) -> u32 {
        self.writes.get(key).copied().unwrap_or_default()
    }

    /// Returns the sum of `W(k)` over all keys, and `W(*)`.
    pub fn writes(&self) -> (u32, u32) {
        (self.writes.values().sum(), self.writes_of_all)
    }
}

#[cfg(test)]
mod tests;
