//! Cache coherence: the cache itself, the fetches and writes under way, and the time up to which
//! the upstream has reported all changes.
//!
//! [`Coherence`] decides whether a cached value may be served; it neither sends nor answers
//! anything. `docs/coherence.md` has the rules, their reasons and the races that they close.
//!
//! - `cache.rs`: the values that are kept · `flight.rs`: fetches and writes under way, by key
//! - `rules.rs`: the rules that tests can switch off

pub mod cache;
pub mod flight;
pub mod rules;

use super::no_reply::{Hold, UnexpectedReply};
use crate::handler::ConnId;
use crate::protocol::resp::{Element, Elements};
use crate::protocol::{KeyLookup, Reply};
use crate::settings::Settings;
use crate::stats::{Stat, Stats};
use cache::{Cache, Found};
use flight::{Flight, FlightId, Flights, Life, Waiter};
use log::{info, warn};
use rules::Rule;
use std::time::{Duration, Instant};

/// The number of PINGs in `--trust`, where no other requests are sent.
const PINGS_PER_TRUST: u32 = 3;
/// The shortest time between two such PINGs.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// The level of coherence on a connection: see `docs/coherence.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The upstream reports no changes: a value is as old as `--ttl` at most, and never older than
    /// a write through the proxy. `STATS` has it as 0.
    Zero,
    /// The upstream reports changes: a value is as old as `--trust` at most. `STATS` has it as 1.
    One,
}

/// The keys that a request may change.
#[derive(Debug)]
pub enum Writes {
    /// No keys: it only reads.
    Nothing,
    /// These keys.
    Keys(Vec<Box<[u8]>>),
    /// Any, or some that are not known.
    Everything,
}

impl Writes {
    /// Returns whether it may change anything.
    pub fn is_some(&self) -> bool {
        !matches!(self, Writes::Nothing)
    }

    /// Returns what is to be tracked of them: without a cache, no keys. With a `ttl` of 0 there is
    /// one, since the `ttl` may change.
    pub fn tracked(self, settings: &Settings) -> Writes {
        match self {
            Writes::Keys(_) if settings.cache_bytes == 0 => Writes::Keys(Vec::new()),
            writes => writes,
        }
    }

    /// Adds those of another request.
    pub fn add(&mut self, other: Writes) {
        match (&mut *self, other) {
            (Writes::Everything, _) | (_, Writes::Nothing) => {}
            (Writes::Keys(keys), Writes::Keys(others)) => keys.extend(others),
            (_, other) => *self = other,
        }
    }
}

/// What a request may rely on of the upstream's answers.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// Whether a PING is answered that was sent after the request had come.
    pub ping_answered: bool,
    /// The time at which the newest request that is answered was sent on this connection.
    pub confirmed: Option<Instant>,
}

/// The cache of an upstream, with all that decides whether a value of it may be served.
pub struct Coherence {
    cache: Cache,
    flights: Flights,
    level: Level,
    /// The level that was logged last.
    logged_level: Option<Level>,
    /// Whether it was logged that nothing is cached for want of `PTTL`.
    has_logged_refused_life: bool,
    is_pinging: bool,
    /// The clients whose hits wait for a PING that is yet to be sent, in the order in which they
    /// came.
    waiting_for_ping: Vec<ConnId>,
    /// The time at which the first of them came.
    waiting_since: Instant,
}

impl Coherence {
    /// Returns an empty cache of at most so many bytes, at level 0.
    pub fn new(cache_bytes: usize, now: Instant) -> Coherence {
        Coherence {
            cache: Cache::new(cache_bytes, now),
            flights: Flights::default(),
            level: Level::Zero,
            logged_level: None,
            has_logged_refused_life: false,
            is_pinging: false,
            waiting_for_ping: Vec::new(),
            waiting_since: now,
        }
    }

    /// Switches a rule off, to see that tests notice.
    #[cfg(feature = "mutants")]
    pub fn switch_off(&mut self, rule: Rule) {
        self.flights.rules = rules::Rules::without(rule);
    }

    /// Returns whether a rule is in force.
    #[inline]
    pub fn keeps(&self, rule: Rule) -> bool {
        self.flights.rules.keep(rule)
    }

    /// Returns the cache, for the look-ahead of keys.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Returns the hash of a key, which the functions below take: it is computed once for a
    /// request.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.cache.hash(key)
    }

    /// Returns what is cached of a key; an entry whose deadline has come is dropped. The error: it
    /// may not be served before a PING is answered, behind which no earlier invalidation is
    /// missing.
    #[inline]
    pub fn look_up(
        &mut self,
        hash: u64,
        key: &[u8],
        known: Freshness,
        settings: &Settings,
        now: Instant,
    ) -> Option<Result<Found<'_>, Hold>> {
        let needs_no_ping = self.level == Level::Zero || !self.keeps(Rule::ConfirmHits);
        let found = self.cache.get(hash, key, now)?;
        let is_fresh = needs_no_ping
            || known.ping_answered
            || known.confirmed.is_some_and(|at| is_trusted(at, settings, now));
        Some(if is_fresh { Ok(found) } else { Err(Hold::Unconfirmed) })
    }

    /// Prepares to join the flight of a key, or to begin one: a flight that is older than `--ttl`,
    /// or than its key is known to live, is poisoned, so that another one begins. Returns `false`
    /// if that has to wait for a PING: at level 1 a flight that is older than `--trust` is not
    /// joined, and it has landed by then.
    pub fn prepare_fetch(
        &mut self,
        hash: u64,
        key: &[u8],
        known: Freshness,
        settings: &Settings,
        now: Instant,
    ) -> bool {
        let Some(flight) = self.flights.joinable(hash, key) else { return true };
        let sent_at = flight.sent_at;
        let most = match flight.life {
            Life::For(life) if self.keeps(Rule::LiveNoLongerThanKey) => life.min(settings.ttl),
            _ => settings.ttl,
        };
        if now.saturating_duration_since(sent_at) >= most {
            self.flights.poison(hash, key);
            return true;
        }
        known.ping_answered
            || self.level == Level::Zero
            || is_trusted(sent_at, settings, now)
            || !self.keeps(Rule::ConfirmJoins)
    }

    /// Joins the flight of a key, or begins one. Returns one that has begun, to be sent.
    pub fn join_or_begin(
        &mut self,
        hash: u64,
        key: &[u8],
        waiter: Waiter,
        now: Instant,
    ) -> Option<FlightId> {
        let has_joined = self.flights.join(hash, key, waiter);
        (!has_joined).then(|| self.flights.begin(hash, key, waiter, now))
    }

    /// Sets the remaining life of a flight's key.
    pub fn life_received(&mut self, id: FlightId, life: Life) {
        match life {
            Life::Refused if !std::mem::replace(&mut self.has_logged_refused_life, true) => {
                warn!("the upstream refuses PTTL: nothing is cached, since no lifetime is known");
            }
            Life::Refused | Life::Unknown => {}
            Life::Absent | Life::Forever | Life::For(_) => {
                if std::mem::take(&mut self.has_logged_refused_life) {
                    info!("the upstream answers PTTL: values are cached");
                }
            }
        }
        self.flights.set_life(id, life);
    }

    /// Ends a flight without a value, and returns it.
    pub fn abandon(&mut self, id: FlightId) -> Flight {
        self.flights.land(id)
    }

    /// Ends a flight with a reply, which is stored if it may be. Returns the flight, with its
    /// waiters.
    pub fn land(
        &mut self,
        id: FlightId,
        reply: Option<Reply<'_>>,
        settings: &Settings,
        now: Instant,
    ) -> Flight {
        let flight = self.flights.land(id);
        let mut until = flight.sent_at + settings.ttl;
        if let Life::For(life) = flight.life
            && self.keeps(Rule::LiveNoLongerThanKey)
        {
            until = until.min(flight.sent_at + life);
        }
        match (reply, flight.life) {
            _ if flight.is_poisoned => {}
            (Some(Reply::Value(value)), Life::Forever | Life::For(_)) => {
                self.cache.insert(flight.hash, &flight.key, Found::Value(value), until, now);
            }
            // Without reports of changes, it would hide that the key comes to exist.
            (Some(Reply::NotFound), Life::Absent) if self.level == Level::One => {
                self.cache.insert(flight.hash, &flight.key, Found::Absent, until, now);
            }
            _ => {}
        }
        flight
    }

    /// Begins a level, once it is known whether the upstream reports changes on this connection.
    pub fn begin_level(&mut self, stats: &mut Stats, level: Level) {
        if level == Level::One && self.keeps(Rule::BeginEmpty) {
            self.drop_all(stats, Stat::FlushesByTrackingStart);
        }
        self.level = level;
        if self.logged_level.replace(level) != Some(level) {
            if level == Level::One {
                info!("the upstream reports changes: cached values are coherent (level 1)");
            } else {
                let age = "cached values may be old by as much as --ttl";
                warn!("the upstream cannot report changes: {age} (level 0)");
            }
        }
    }

    /// Drops what a push of the upstream invalidates: some keys, or all. A push of another kind is
    /// ignored.
    ///
    /// # Errors
    /// It is an invalidation, but malformed.
    pub fn push_received(&mut self, stats: &mut Stats, push: &[u8]) -> Result<(), UnexpectedReply> {
        let mut elements = Elements::new(push);
        let head = elements.next();
        if !matches!(elements.next(), Some(Element::Bulk(b"invalidate")))
            || !self.keeps(Rule::HeedInvalidations)
        {
            return Ok(());
        }
        match (head, elements.next()) {
            (Some(Element::Push(2)), Some(Element::Array(count))) => {
                for _ in 0..count {
                    let Some(Element::Bulk(key)) = elements.next() else {
                        return Err(UnexpectedReply);
                    };
                    stats.add(Stat::InvalidationsReceived, 1);
                    let hash = self.hash(key);
                    self.drop_entry(stats, hash, key);
                    if self.keeps(Rule::PoisonAtInvalidations) {
                        self.flights.poison(hash, key);
                    }
                }
                Ok(())
            }
            (Some(Element::Push(2)), Some(Element::Null)) => {
                stats.add(Stat::InvalidationsReceived, 1);
                self.drop_all(stats, Stat::FlushesByUpstream);
                self.flights.poison_all();
                Ok(())
            }
            _ => Err(UnexpectedReply),
        }
    }

    /// Drops a key's entry, and poisons its flight, for a client that waits for the reply to an
    /// earlier read: they may be older than that reply, and a new flight is not. At level 0 an
    /// entry may be older in any case.
    pub fn forget_before_own_read(&mut self, stats: &mut Stats, hash: u64, key: &[u8]) {
        if self.keeps(Rule::ReadBehindOwnReads) {
            self.flights.poison(hash, key);
            if self.level == Level::One {
                self.drop_entry(stats, hash, key);
            }
        }
    }

    /// Holds a client until the upstream has answered a PING that is sent after now.
    pub fn hold(&mut self, conn: ConnId, now: Instant) {
        if self.waiting_for_ping.is_empty() {
            self.waiting_since = now;
        }
        self.waiting_for_ping.push(conn);
    }

    /// Returns the time at which a PING is due: at once, if hits wait for it. Those of one tick
    /// share one. `sent` is the time at which the newest request was sent upstream.
    pub fn ping_due(&self, sent: Instant, settings: &Settings) -> Option<Instant> {
        if !self.waiting_for_ping.is_empty() {
            return Some(self.waiting_since);
        }
        let keeps_pinging = self.level == Level::One
            && !self.is_pinging
            && !self.cache.is_empty()
            && settings.trust > Duration::ZERO;
        let pause = (settings.trust / PINGS_PER_TRUST).max(MIN_PAUSE);
        keeps_pinging.then(|| sent + pause)
    }

    /// Begins a PING; returns the clients that wait for its answer.
    pub fn begin_ping(&mut self) -> Vec<ConnId> {
        self.is_pinging = true;
        std::mem::take(&mut self.waiting_for_ping)
    }

    /// Ends a PING, answered or not.
    pub fn end_ping(&mut self) {
        self.is_pinging = false;
    }

    /// Drops the cache that relied on the reports of the lost connection. Returns the clients that
    /// wait for a PING that was never sent.
    pub fn connection_lost(&mut self, stats: &mut Stats) -> Vec<ConnId> {
        if self.level == Level::One && self.keeps(Rule::DropWithConnection) {
            self.drop_all(stats, Stat::FlushesByDisconnect);
        }
        self.level = Level::Zero;
        self.is_pinging = false;
        std::mem::take(&mut self.waiting_for_ping)
    }

    /// Begins a write, `W` + 1: drops the entries that it may change.
    pub fn write_begun(&mut self, stats: &mut Stats, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    let hash = self.hash(key);
                    self.drop_entry(stats, hash, key);
                    self.flights.write_begun(hash, key);
                }
            }
            Writes::Everything => {
                self.drop_all(stats, Stat::FlushesByWrite);
                self.flights.write_of_all_begun();
            }
        }
    }

    /// Ends a write, `W` − 1, which is answered, or never will be.
    pub fn write_ended(&mut self, stats: &mut Stats, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    self.flights.write_ended(key);
                    self.drop_entry(stats, self.hash(key), key);
                }
            }
            Writes::Everything => {
                self.flights.write_of_all_ended();
                self.drop_all(stats, Stat::FlushesByWrite);
            }
        }
    }

    /// Returns the time at which [`remove_expired`](Self::remove_expired) is to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.cache.next_deadline()
    }

    /// Drops entries whose deadline has come: a bounded part of them.
    pub fn remove_expired(&mut self, now: Instant) {
        self.cache.remove_expired(now);
    }

    /// Writes the gauges and counters that are kept here.
    pub fn write_stats(&self, stats: &mut Stats) {
        stats.set(Stat::Expired, self.cache.expired());
        stats.set(Stat::Evicted, self.cache.evicted());
        stats.set(Stat::NotCachedTooLarge, self.cache.too_large());
        stats.set(Stat::FlightsPoisoned, self.flights.poisoned());
        stats.set(Stat::CoherenceLevel, u64::from(self.level == Level::One));
        stats.set(Stat::CacheEntries, self.cache.len() as u64);
        stats.set(Stat::CacheBytes, self.cache.bytes() as u64);
    }

    /// Returns the flights and writes under way.
    pub fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Returns whether a PING is under way.
    pub fn is_pinging(&self) -> bool {
        self.is_pinging
    }

    /// Panics unless cache, flights and writes are as they should be. For tests and debug builds.
    pub fn check_invariants(&self) {
        self.cache.check_invariants();
        self.flights.check_invariants();
    }

    fn drop_entry(&mut self, stats: &mut Stats, hash: u64, key: &[u8]) {
        if self.cache.remove(hash, key) {
            stats.add(Stat::EntriesInvalidated, 1);
        }
    }

    fn drop_all(&mut self, stats: &mut Stats, why: Stat) {
        if !self.cache.is_empty() {
            stats.add(Stat::EntriesInvalidated, self.cache.len() as u64);
            stats.add(why, 1);
            self.cache.clear();
        }
    }
}

/// Returns whether anything is cached with these settings.
#[inline]
pub fn is_caching(settings: &Settings) -> bool {
    settings.cache_bytes > 0 && settings.ttl > Duration::ZERO
}

/// Returns whether what was current at this time may be served now, by `--trust`.
#[inline]
fn is_trusted(at: Instant, settings: &Settings, now: Instant) -> bool {
    now.saturating_duration_since(at) < settings.trust
}
