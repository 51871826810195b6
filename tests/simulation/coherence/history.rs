//! The history of one key, and whether it keeps what the proxies promise.
//!
//! The server says which *versions* the key had, in order, and since when. A version is a value or
//! "absent"; one can be like an earlier one. Clients say what they saw and what they wrote. Each
//! *sight* has to be given a version that fits, so that:
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

use crate::support::world::Stamp;
use std::fmt;
use std::time::{Duration, Instant};

/// What the key was, from some moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub value: Option<u32>,
    pub since: Stamp,
    /// No client did it: it expired, or the server forgot it. Then nobody is told, and it counts
    /// as acknowledged at once.
    pub by_nobody: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// It was current less than this before the sight began.
    pub ttl: Duration,
    /// It is not older than what others had acknowledged so long before the sight began; `None`:
    /// it may be (level 0).
    pub trust: Option<Duration>,
    /// What was seen or written at one proxy is known at all of them.
    pub is_linearizable: bool,
}

/// Why a history breaks a promise: the event, what is wrong with it, and all versions and events.
#[derive(Debug)]
pub struct Violation {
    pub message: String,
}

struct Judge<'a> {
    versions: &'a [Version],
    /// In the order in which they began.
    events: Vec<&'a Event>,
    /// For each event, the oldest version that it can have seen or made.
    found: Vec<usize>,
}

/// Judges the history of a key; what breaks a promise first.
pub fn judge(versions: &[Version], events: &[Event]) -> Result<(), Violation> {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| (event.began.step, event.client, event.place));
    let mut judge = Judge { versions, events: sorted, found: vec![0; events.len()] };
    judge.find_writes()?;
    judge.find_sights()
}

fn fits(act: Act, value: Option<u32>) -> bool {
    match act {
        Act::Saw(seen) => value == seen,
        Act::Wrote(written) => value == written,
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

    /// How long after its end it has to be known to a sight.
    fn is_known_after(&self, sight: &Event) -> Option<Duration> {
        let Promise { trust, is_linearizable, .. } = sight.promise;
        match sight.proxy {
            // The server knows at once.
            None => Some(Duration::ZERO),
            _ if is_linearizable => Some(Duration::ZERO),
            _ if self.is_sight() => {
                let counts = self.proxy == sight.proxy
                    && (trust.is_some() || !self.from_server || sight.from_server);
                counts.then_some(Duration::ZERO)
            }
            proxy if self.proxy == proxy => Some(Duration::ZERO),
            _ => trust,
        }
    }
}

/// Whether a sight may not be older than what its client asked for before, answered or not.
fn is_bound_by_order(before: &Event, sight: &Event) -> bool {
    before.is_earlier_of_same(sight)
}

/// Whether what ended then has to be known, after so long, to what began then.
fn has_passed(ended: Stamp, lag: Duration, began: Stamp) -> bool {
    let (ended_at, began_at) = (ended.at + lag, began.at);
    ended_at < began_at
        || ended_at == began_at && (lag > Duration::ZERO || ended.step <= began.step)
}

impl Judge<'_> {
    /// The version that each write made: the first that fits and that it can have made.
    fn find_writes(&mut self) -> Result<(), Violation> {
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
                fits(event.act, value) && is_meanwhile && since.step <= event.ended.step
            });
            match made.next() {
                Some(index) => self.found[at] = index,
                None => return Err(self.violation(at, "was acknowledged and never done", 0)),
            }
        }
        Ok(())
    }

    fn find_sights(&mut self) -> Result<(), Violation> {
        for at in 0..self.events.len() {
            let event = self.events[at];
            if !event.is_sight() {
                continue;
            }
            let (oldest, newest) = (self.oldest(at), self.newest(at));
            let fitting = |index: &usize| fits(event.act, self.versions[*index].value);
            match (oldest..=newest).find(fitting) {
                Some(index) => self.found[at] = index,
                None => {
                    let why = match (0..oldest).rev().find(fitting) {
                        Some(_) => "is too old",
                        None => "was not there yet, or never",
                    };
                    return Err(self.violation(at, why, oldest));
                }
            }
        }
        Ok(())
    }

    /// The oldest version that a sight may be of.
    fn oldest(&self, at: usize) -> usize {
        let sight = self.events[at];
        let Promise { ttl, trust, .. } = sight.promise;
        let mut oldest = 0;
        for (index, version) in self.versions.iter().enumerate() {
            let lag = if sight.proxy.is_none() { Some(Duration::ZERO) } else { trust };
            let is_old = version.since.at + ttl <= sight.began.at;
            let is_known = version.by_nobody
                && lag.is_some_and(|lag| has_passed(version.since, lag, sight.began));
            if is_old || is_known {
                oldest = index;
            }
        }
        for (other, &before) in self.events.iter().enumerate() {
            // Of sights, only those before this one can be such, and they have been found.
            let Some(lag) = before.is_known_after(sight) else { continue };
            if is_bound_by_order(before, sight) || has_passed(before.ended, lag, sight.began) {
                oldest = oldest.max(self.found[other]);
            }
        }
        oldest
    }

    /// The newest version that it may be of.
    fn newest(&self, at: usize) -> usize {
        let sight = self.events[at];
        let is_there = |version: &&Version| version.since.step <= sight.ended.step;
        let mut newest = self.versions.iter().take_while(is_there).count().saturating_sub(1);
        for (other, &later) in self.events.iter().enumerate() {
            // What its client wrote after it was asked for, it cannot have seen.
            if let Act::Wrote(Some(value)) = later.act
                && sight.is_earlier_of_same(later)
                && self.versions.iter().filter(|version| version.value == Some(value)).count() == 1
            {
                newest = newest.min(self.found[other].saturating_sub(1));
            }
        }
        newest
    }

    fn violation(&self, at: usize, why: &str, oldest: usize) -> Violation {
        let event = self.events[at];
        let start = self.versions.first().map_or(event.began, |version| version.since);
        let mut message = format!("{} {why}", Shown(event, start.at));
        if oldest > 0 {
            let version = &self.versions[oldest];
            message += &format!(", it may not be older than {}", ShownVersion(version, start.at));
        }
        message += "\nversions:";
        for version in self.versions {
            message += &format!("\n  {}", ShownVersion(version, start.at));
        }
        message += "\nevents:";
        for (other, event) in self.events.iter().enumerate() {
            let mark = if other == at { "▶" } else { " " };
            message += &format!("\n{mark} {}", Shown(event, start.at));
        }
        Violation { message }
    }
}

struct Moment(Stamp, Instant);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment(stamp, start) = self;
        let passed = stamp.at.saturating_duration_since(*start).as_secs_f64() * 1000.0;
        write!(f, "{passed:.3} ms (step {})", stamp.step)
    }
}

struct ShownVersion<'a>(&'a Version, Instant);

impl fmt::Display for ShownVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { value, since, by_nobody } = *self.0;
        let why = if by_nobody { ", by nobody" } else { "" };
        write!(f, "{value:?} since {}{why}", Moment(since, self.1))
    }
}

struct Shown<'a>(&'a Event, Instant);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(event, start) = *self;
        let Event { act, began, ended, client, place, proxy, from_server, promise } = event;
        let (began, ended) = (Moment(*began, start), Moment(*ended, start));
        write!(f, "{act:?} by client {client}, request {place}, ")?;
        match proxy {
            Some(proxy) => write!(f, "at proxy {proxy}")?,
            None => write!(f, "at the server")?,
        }
        write!(f, ", {began} to {ended}")?;
        if *from_server && proxy.is_some() {
            write!(f, ", from the server")?;
        }
        match promise.trust {
            None => write!(f, ", level 0"),
            Some(trust) => write!(f, ", trust {trust:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
