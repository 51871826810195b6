//! The judge of all histories of a key: whether what clients saw keeps what the proxies promise.
//!
//! The *versions* that the key had are known, in order, and since when: a witness in the server
//! told them, or its only writer knows them. A version is a value or "absent"; one can be like an
//! earlier one. Clients say what they saw and what they wrote. Each *sight* has to be given a
//! version that fits, so that:
//!
//! - it was current at the end of the sight or before: nothing is seen before it is there;
//! - it is not older than what was acknowledged so long before the sight began as is promised;
//! - it is not older than what was seen before at the same proxy, or asked for before by the same
//!   client on the same connection.
//!
//! Every bound is from below but the first, so each sight, in the order in which they began, takes
//! the oldest version that it can: if there is any way to give all of them one, this is one.
//!
//! ```text
//!   server     absent ── 7 ─────────── 9 ──────────────────▶
//!   writer       SET 7 ──OK     SET 9 ───OK
//!   reader 1           GET────────────────9  GET ──7           at one proxy: 7 is too old
//!   reader 2                           GET───────7             while SET 9 is not acknowledged
//! ```

use super::world::Stamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// What the key was, from some moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub value: Option<u32>,
    pub since: Stamp,
    /// From when on it counts as acknowledged, whatever clients say of it: it expired, or the
    /// server forgot it, of which nobody is told; or its only writer was told.
    pub known: Option<Known>,
}

/// From when on a version is acknowledged, and through which proxy: that one knows it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub from: Stamp,
    pub proxy: Option<usize>,
}

/// What a client knows of the key after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It was told the value, or that there is none.
    Saw(Option<u32>),
    /// It was told that there is some value.
    SawSome,
    /// It wrote this value, or removed it.
    Wrote(Option<u32>),
    /// It wrote this value where there was none.
    Created(u32),
    /// It removed the value that there was.
    Removed,
    /// It wrote a value that it does not know.
    WroteSome,
}

/// One answer that a client got, as far as it is about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub act: Act,
    pub began: Stamp,
    pub ended: Stamp,
    /// Whose it is, and its place among theirs.
    pub client: usize,
    pub place: usize,
    /// Through which proxy; `None`: the server itself was asked.
    pub proxy: Option<usize>,
    /// The server answered it, not the proxy from what it keeps: at level 0 what is kept may then
    /// still be older.
    pub from_server: bool,
    /// What the proxy promised at the time.
    pub promise: Promise,
}

/// How old a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// It was current less than this before the sight began.
    pub ttl: Duration,
    /// It is not older than what others had acknowledged so long before the sight began; `None`:
    /// it may be (level 0).
    pub trust: Option<Duration>,
    /// What was seen or written at one proxy is known at all of them.
    pub is_linearizable: bool,
}

/// So many versions and events are shown before what breaks a promise, and as many after it.
const SHOWN: usize = 100;

struct Judge<'a> {
    versions: &'a [Version],
    /// In the order in which they began.
    events: Vec<&'a Event>,
    /// For each event, the oldest version that it can have seen or made.
    found: Vec<usize>,
    /// The events that wrote a value.
    writes: Vec<usize>,
    floors: HashMap<Class, Floor>,
    /// How promises are broken.
    violations: Vec<String>,
}

/// Sights of one class have the same floor.
type Class = (Option<usize>, Promise, bool);

/// Returns how the history of a key breaks promises: each time the event, what is wrong with it,
/// and the versions and events around it.
pub fn judge(versions: &[Version], events: &[Event]) -> Vec<String> {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| (event.began.step, event.client, event.place));
    let is_write = |&at: &usize| matches!(sorted[at].act, Act::Wrote(Some(_)) | Act::Created(_));
    let mut judge = Judge {
        versions,
        found: vec![0; events.len()],
        writes: (0..events.len()).filter(is_write).collect(),
        events: sorted,
        floors: HashMap::new(),
        violations: Vec::new(),
    };
    judge.find_writes();
    judge.find_sights();
    judge.violations
}

fn fits(act: Act, value: Option<u32>) -> bool {
    match act {
        Act::Saw(seen) => value == seen,
        Act::Wrote(written) => value == written,
        Act::Created(written) => value == Some(written),
        Act::Removed => value.is_none(),
        Act::SawSome | Act::WroteSome => value.is_some(),
    }
}

impl Event {
    fn is_sight(&self) -> bool {
        matches!(self.act, Act::Saw(_) | Act::SawSome)
    }

    /// Whether the same client asked for it before, on the same connection.
    fn is_earlier_of_same(&self, other: &Event) -> bool {
        self.client == other.client && self.place < other.place
    }

    fn class(&self) -> Class {
        (self.proxy, self.promise, self.from_server)
    }

    /// Returns how long after its end it has to be known to a sight, if it has to be.
    fn is_known_after(&self, sight: &Event) -> Option<Duration> {
        let Promise { trust, is_linearizable, .. } = sight.promise;
        if !self.is_sight() || is_linearizable || sight.proxy.is_none() {
            return sight.knows_writes_after(self.proxy);
        }
        let counts = self.proxy == sight.proxy
            && (trust.is_some() || !self.from_server || sight.from_server);
        counts.then_some(Duration::ZERO)
    }

    /// Returns how long after its acknowledgement a write through `proxy` has to be known to this
    /// sight, if it has to be.
    fn knows_writes_after(&self, proxy: Option<usize>) -> Option<Duration> {
        // The server itself knows at once.
        let at_once = self.proxy.is_none() || self.promise.is_linearizable || self.proxy == proxy;
        if at_once { Some(Duration::ZERO) } else { self.promise.trust }
    }
}

/// What bounds the sights of one class from below.
struct Floor {
    /// One of them.
    sight: Event,
    /// The versions that will have to be known, and from when on; the soonest first.
    coming: BinaryHeap<Reverse<((Instant, u64), usize)>>,
    newest: usize,
    /// What each client has seen or asked for before.
    clients: HashMap<usize, usize>,
}

impl Floor {
    fn new(sight: Event) -> Floor {
        Floor { sight, coming: BinaryHeap::new(), newest: 0, clients: HashMap::new() }
    }

    /// Has a version known so long after it was seen or acknowledged.
    fn expect(&mut self, ended: Stamp, lag: Option<Duration>, version: usize) {
        let Some(lag) = lag else { return };
        // Without a lag, the steps of one moment are told apart.
        let step = if lag.is_zero() { ended.step } else { 0 };
        self.coming.push(Reverse(((ended.at + lag, step), version)));
    }

    /// Notes the version of an event that its client does not see the like of before.
    fn follow(&mut self, event: &Event, version: usize) {
        if event.is_known_after(&self.sight).is_some() {
            let seen = self.clients.entry(event.client).or_default();
            *seen = version.max(*seen);
        }
    }

    /// Returns the oldest version that a sight of this client may be of.
    fn of(&mut self, client: usize, began: Stamp) -> usize {
        while let Some(&Reverse((from, version))) = self.coming.peek()
            && from <= (began.at, began.step)
        {
            self.newest = self.newest.max(version);
            self.coming.pop();
        }
        self.clients.get(&client).map_or(self.newest, |&seen| seen.max(self.newest))
    }
}

impl Judge<'_> {
    /// Finds the version that each write made: the first that fits and that it can have made.
    fn find_writes(&mut self) {
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.is_sight() {
                continue;
            }
            let mut made = (0..self.versions.len()).filter(|&index| {
                let Version { value, since, .. } = self.versions[index];
                let next = self.versions.get(index + 1);
                // Who removes what is absent changes nothing.
                let is_meanwhile = since.step > event.began.step
                    || event.act == Act::Wrote(None)
                        && next.is_none_or(|next| next.since.step > event.began.step);
                let before = index.checked_sub(1).and_then(|before| self.versions[before].value);
                let had_to_be = match event.act {
                    Act::Created(_) => before.is_none(),
                    Act::Removed => before.is_some(),
                    _ => true,
                };
                let fits = fits(event.act, value) && had_to_be;
                fits && is_meanwhile && since.step <= event.ended.step
            });
            match made.next() {
                Some(index) => self.found[at] = index,
                None => self.blame(at, "was acknowledged and never done", 0),
            }
        }
    }

    fn find_sights(&mut self) {
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.is_sight() {
                self.found[at] = self.find_sight(at);
            }
            let version = self.found[at];
            for floor in self.floors.values_mut() {
                floor.follow(event, version);
                if event.is_sight() {
                    floor.expect(event.ended, event.is_known_after(&floor.sight), version);
                }
            }
        }
    }

    /// Returns the version of a sight: that it could have none better if it breaks a promise.
    fn find_sight(&mut self, at: usize) -> usize {
        let (oldest, newest) = (self.oldest(at), self.newest(at));
        let (act, ended) = (self.events[at].act, self.events[at].ended);
        let is_like = |index: &usize| fits(act, self.versions[*index].value);
        let is_there = |index: &usize| self.versions[*index].since.step <= ended.step;
        if let Some(index) = (oldest..=newest).find(|index| is_like(index) && is_there(index)) {
            return index;
        }
        let is_old = (0..oldest).rev().any(|index| is_like(&index));
        let why = if is_old { "is too old" } else { "was not there yet, or never" };
        self.blame(at, why, oldest);
        oldest
    }

    /// Returns the oldest version that a sight may be of.
    fn oldest(&mut self, at: usize) -> usize {
        let sight = self.events[at];
        if !self.floors.contains_key(&sight.class()) {
            let floor = self.new_floor(at);
            self.floors.insert(sight.class(), floor);
        }
        let floor = self.floors.get_mut(&sight.class()).expect("it was inserted");
        let oldest = floor.of(sight.client, sight.began);
        let Some(limit) = sight.began.at.checked_sub(sight.promise.ttl) else { return oldest };
        let old = self.versions.partition_point(|version| version.since.at <= limit);
        oldest.max(old.saturating_sub(1))
    }

    /// Returns the floor of a class whose first sight this is.
    fn new_floor(&self, at: usize) -> Floor {
        let mut floor = Floor::new(*self.events[at]);
        for (index, version) in self.versions.iter().enumerate() {
            if let Some(Known { from, proxy }) = version.known {
                floor.expect(from, floor.sight.knows_writes_after(proxy), index);
            }
        }
        for (other, event) in self.events.iter().enumerate() {
            if other < at {
                floor.follow(event, self.found[other]);
            }
            if other < at || !event.is_sight() {
                floor.expect(event.ended, event.is_known_after(&floor.sight), self.found[other]);
            }
        }
        floor
    }

    /// Returns the newest version that it may be of: what its client wrote after it was asked for,
    /// it cannot have seen.
    fn newest(&self, at: usize) -> usize {
        let sight = self.events[at];
        let mut newest = self.versions.len() - 1;
        for &write in &self.writes {
            let later = self.events[write];
            let value = self.versions[self.found[write]].value;
            if sight.is_earlier_of_same(later)
                && self.versions.iter().filter(|version| version.value == value).count() == 1
            {
                newest = newest.min(self.found[write].saturating_sub(1));
            }
        }
        newest
    }

    fn blame(&mut self, at: usize, why: &str, oldest: usize) {
        let event = self.events[at];
        let start = self.versions.first().map_or(event.began, |version| version.since);
        let mut message = format!("{} {why}", shown_event(event, start.at));
        if oldest > 0 {
            let version = &self.versions[oldest];
            message += &format!(", it may not be older than {}", shown_version(version, start.at));
        }
        message += "\nversions:";
        for version in self.versions.iter().skip(oldest.saturating_sub(SHOWN)).take(2 * SHOWN) {
            message += &format!("\n  {}", shown_version(version, start.at));
        }
        message += "\nevents:";
        for (other, event) in
            self.events.iter().enumerate().skip(at.saturating_sub(SHOWN)).take(2 * SHOWN)
        {
            let mark = if other == at { "▶" } else { " " };
            message += &format!("\n{mark} {}", shown_event(event, start.at));
        }
        self.violations.push(message);
    }
}

fn shown_moment(stamp: Stamp, start: Instant) -> String {
    let passed = stamp.at.saturating_duration_since(start).as_secs_f64() * 1000.0;
    format!("{passed:.3} ms (step {})", stamp.step)
}

fn shown_version(version: &Version, start: Instant) -> String {
    let Version { value, since, known } = version;
    let known = known.map(|it| format!(", known from {}", shown_moment(it.from, start)));
    format!("{value:?} since {}{}", shown_moment(*since, start), known.unwrap_or_default())
}

fn shown_event(event: &Event, start: Instant) -> String {
    let Event { act, began, ended, client, place, proxy, from_server, promise } = event;
    let (began, ended) = (shown_moment(*began, start), shown_moment(*ended, start));
    let at = proxy.map_or("the server".to_string(), |proxy| format!("proxy {proxy}"));
    let by = if *from_server { ", from the server" } else { "" };
    let trust = promise.trust.map_or("level 0".to_string(), |trust| format!("trust {trust:?}"));
    format!("{act:?} by client {client}, request {place}, at {at}, {began} to {ended}{by}, {trust}")
}
