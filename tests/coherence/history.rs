//! The history of one key, as it looks from outside, and whether it keeps what the proxies promise.
//!
//! A key has one writer, who counts: each write has a number, and the next is sent when that before
//! is answered. A write whose answer was lost, or while which all keys were *removed* (by a flush,
//! or with the upstream), is the last of its key. So the *versions* of a key are in one order,
//! though nobody has seen the inside of the upstream:
//!
//! ```text
//!   absent ── 1 ── 2 ── expired ── 3 ── removed ── 4 ── 5 (perhaps) ── removed (perhaps)
//! ```
//!
//! Each version *may* be seen from one time on, and *must* be known from another on; one that
//! perhaps never was has no such time. The rest is for the judge of all histories.

use crate::support::history::{Known, Version};
use crate::support::world::Stamp;
use std::time::{Duration, Instant};

/// The upstream reads its clock once in a turn of its loop: so much may it be wrong.
const SLACK: Duration = Duration::from_millis(50);

/// From one time to another.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub begin: Instant,
    pub end: Instant,
}

/// What the writer did.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub number: u32,
    /// It deleted the key.
    pub is_delete: bool,
    pub life: Option<Duration>,
    /// `None`: it spoke to the upstream itself.
    pub proxy: Option<usize>,
    pub sent: Instant,
    /// `None`: nobody knows whether it happened.
    pub acknowledged: Option<Instant>,
}

/// What happened to the upstream.
#[derive(Default)]
pub struct Upheavals {
    /// All keys were removed at some moment of each.
    pub removals: Vec<Span>,
    /// It did not run, and its clock may be as old as that when it goes on.
    pub stops: Vec<Span>,
}

/// Returns a moment of real time, whose steps are nanoseconds.
pub fn stamp(start: Instant, at: Instant) -> Stamp {
    Stamp { at, step: at.saturating_duration_since(start).as_nanos() as u64 }
}

/// All that a key can have been, in order.
pub struct Versions {
    start: Instant,
    pub list: Vec<Version>,
}

impl Versions {
    /// Of a key that was absent from `start` on.
    pub fn of(start: Instant, writes: &[Write], upheavals: &Upheavals) -> Versions {
        let mut removals = upheavals.removals.iter().peekable();
        let mut versions = Versions { start, list: Vec::new() };
        versions.add(None, start, Some(start), None);
        for write in writes {
            while let Some(span) = removals.next_if(|span| span.end < write.sent) {
                versions.add(None, span.begin, Some(span.end), None);
            }
            // Those that may have come before it and after it.
            let mut overlapping = None;
            let is_open = |span: &&Span| write.acknowledged.is_none_or(|at| span.begin <= at);
            while let Some(span) = removals.next_if(|span| is_open(span)) {
                versions.add(None, span.begin, Some(span.end), None);
                overlapping = overlapping.or(Some(span.begin));
            }
            let acknowledged = write.acknowledged.filter(|_| overlapping.is_none());
            let value = (!write.is_delete).then_some(write.number);
            versions.add(value, write.sent, acknowledged, write.proxy);
            if let Some(life) = write.life {
                let from = upheavals.earlier(write.sent) + life - SLACK;
                let must_from = acknowledged.map(|at| upheavals.later(at + life + SLACK));
                versions.add(None, from, must_from, None);
            }
            if let Some(from) = overlapping {
                versions.add(None, from, None, None);
            }
        }
        for span in removals {
            versions.add(None, span.begin, Some(span.end), None);
        }
        versions
    }

    /// Adds what may be seen from one time on, and must be known from another on, at once to one
    /// proxy.
    fn add(
        &mut self,
        value: Option<u32>,
        from: Instant,
        must_from: Option<Instant>,
        proxy: Option<usize>,
    ) {
        let known = must_from.map(|at| Known { from: stamp(self.start, at), proxy });
        self.list.push(Version { value, since: stamp(self.start, from), known });
    }
}

impl Upheavals {
    /// What the upstream's clock may still have said then.
    fn earlier(&self, at: Instant) -> Instant {
        let stop = self.stops.iter().find(|it| it.begin <= at && at <= it.end + SLACK);
        stop.map_or(at, |it| it.begin)
    }

    /// When its clock said this at the latest.
    fn later(&self, at: Instant) -> Instant {
        let stop = self.stops.iter().find(|it| it.begin <= at + SLACK && at <= it.end + SLACK);
        stop.map_or(at, |it| it.end + SLACK)
    }
}

#[cfg(test)]
mod tests;
