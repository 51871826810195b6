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
//! perhaps never was has no such time. A read takes the oldest version that fits and is not older
//! than what must be known when it began, or what was seen before; if there is none, a promise is
//! broken.

use std::collections::BinaryHeap;
use std::fmt::Write as _;
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

/// What a reader saw.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub proxy: usize,
    pub span: Span,
    pub saw: Option<u32>,
}

/// What happened to the upstream.
#[derive(Default)]
pub struct Upheavals {
    /// All keys were removed at some moment of each.
    pub removals: Vec<Span>,
    /// It did not run, and its clock may be as old as that when it goes on.
    pub stops: Vec<Span>,
}

#[derive(Debug)]
struct Version {
    value: Option<u32>,
    from: Instant,
    must_from: Option<Instant>,
    /// The proxy that must know it at once.
    proxy: Option<usize>,
}

/// What came out.
pub struct Judged {
    pub violations: Vec<String>,
    /// Of each write that was acknowledged and seen, at each proxy: when it was acknowledged, and
    /// how long after that a read was answered that knew of it.
    pub transits: Vec<(Instant, Duration)>,
}

/// Judges the history of a key; sorts the reads by their beginning. `start`: it was absent from
/// then on.
pub fn judge(
    start: Instant,
    writes: &[Write],
    reads: &mut [Read],
    upheavals: &Upheavals,
    trust: Duration,
) -> Judged {
    let versions = versions(start, writes, upheavals);
    reads.sort_by_key(|read| read.span.begin);
    let proxies = reads.iter().map(|read| read.proxy + 1).max().unwrap_or(0);
    let mut floors: Vec<Floor> = (0..proxies).map(|_| Floor::default()).collect();
    let mut known: Vec<Known> = (0..proxies).map(|at| Known::new(&versions, at, trust)).collect();
    let mut found = vec![0; reads.len()];
    let mut violations = Vec::new();
    for (at, read) in reads.iter().enumerate() {
        let seen = match trust.is_zero() {
            // What was seen at one proxy must be known at the others too.
            true => floors.iter_mut().map(|floor| floor.at(read.span.begin)).max().unwrap_or(0),
            false => floors[read.proxy].at(read.span.begin),
        };
        let oldest = seen.max(known[read.proxy].at(read.span.begin));
        let fits = |version: &Version| version.value == read.saw && version.from <= read.span.end;
        found[at] = match (oldest..versions.len()).find(|&index| fits(&versions[index])) {
            Some(index) => index,
            None => {
                violations.push(message(start, read, &versions, oldest, seen == oldest));
                oldest
            }
        };
        floors[read.proxy].0.push(Seen { ended: read.span.end, index: found[at] });
    }
    let transits = (0..proxies).flat_map(|at| transits(&versions, reads, &found, at)).collect();
    Judged { violations, transits }
}

/// All that a key can have been, in order.
fn versions(start: Instant, writes: &[Write], upheavals: &Upheavals) -> Vec<Version> {
    let absent = |from, must_from| Version { value: None, from, must_from, proxy: None };
    let mut removals = upheavals.removals.iter().peekable();
    let mut versions = vec![absent(start, Some(start))];
    for write in writes {
        while let Some(span) = removals.next_if(|span| span.end < write.sent) {
            versions.push(absent(span.begin, Some(span.end)));
        }
        // Those that may have come before it and after it.
        let mut overlapping = None;
        let is_open = |span: &&Span| write.acknowledged.is_none_or(|at| span.begin <= at);
        while let Some(span) = removals.next_if(|span| is_open(span)) {
            versions.push(absent(span.begin, Some(span.end)));
            overlapping = overlapping.or(Some(span.begin));
        }
        let acknowledged = write.acknowledged.filter(|_| overlapping.is_none());
        versions.push(Version {
            value: (!write.is_delete).then_some(write.number),
            from: write.sent,
            must_from: acknowledged,
            proxy: write.proxy,
        });
        if let Some(life) = write.life {
            let from = upheavals.earlier(write.sent) + life - SLACK;
            let must_from = acknowledged.map(|at| upheavals.later(at + life + SLACK));
            versions.push(absent(from, must_from));
        }
        versions.extend(overlapping.map(|from| absent(from, None)));
    }
    versions.extend(removals.map(|span| absent(span.begin, Some(span.end))));
    versions
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

/// The newest version that reads have seen which have ended.
#[derive(Default)]
struct Floor(BinaryHeap<Seen>, usize);

#[derive(PartialEq, Eq)]
struct Seen {
    ended: Instant,
    index: usize,
}

/// The one that ended first is the greatest.
impl Ord for Seen {
    fn cmp(&self, other: &Seen) -> std::cmp::Ordering {
        (other.ended, other.index).cmp(&(self.ended, self.index))
    }
}

impl PartialOrd for Seen {
    fn partial_cmp(&self, other: &Seen) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Floor {
    fn at(&mut self, now: Instant) -> usize {
        while self.0.peek().is_some_and(|seen| seen.ended < now) {
            self.1 = self.1.max(self.0.pop().map_or(0, |seen| seen.index));
        }
        self.1
    }
}

/// The newest version that a proxy must know.
struct Known {
    /// From when on each must be known to it, soonest last.
    coming: Vec<(Instant, usize)>,
    newest: usize,
}

impl Known {
    fn new(versions: &[Version], proxy: usize, trust: Duration) -> Known {
        let due = |(index, version): (usize, &Version)| {
            let lag = if version.proxy == Some(proxy) { Duration::ZERO } else { trust };
            Some((version.must_from? + lag, index))
        };
        let mut coming: Vec<_> = versions.iter().enumerate().filter_map(due).collect();
        coming.sort_by(|one, other| other.cmp(one));
        Known { coming, newest: 0 }
    }

    fn at(&mut self, now: Instant) -> usize {
        while let Some(&(from, index)) = self.coming.last()
            && from < now
        {
            self.newest = self.newest.max(index);
            self.coming.pop();
        }
        self.newest
    }
}

fn transits(
    versions: &[Version],
    reads: &[Read],
    found: &[usize],
    proxy: usize,
) -> Vec<(Instant, Duration)> {
    let here = reads.iter().zip(found).filter(|(read, _)| read.proxy == proxy);
    let mut here: Vec<(Instant, usize)> = here.map(|(it, &index)| (it.span.end, index)).collect();
    here.sort();
    let mut here = here.into_iter().peekable();
    let mut transits = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let (Some(_), Some(acknowledged)) = (version.value, version.must_from) else { continue };
        while here.next_if(|&(_, seen)| seen < index).is_some() {}
        let Some(&(ended, _)) = here.peek() else { break };
        transits.push((acknowledged, ended.saturating_duration_since(acknowledged)));
    }
    transits
}

fn message(
    start: Instant,
    read: &Read,
    versions: &[Version],
    oldest: usize,
    is_back: bool,
) -> String {
    let at = |time: Instant| time.saturating_duration_since(start).as_secs_f64() * 1e3;
    let why = if is_back { "after it was seen" } else { "though it is long known" };
    let Read { proxy, span, saw } = read;
    let mut text = format!(
        "proxy {proxy}: {saw:?} was read from {:.3} to {:.3} ms instead of {:?}, {why}; versions:",
        at(span.begin),
        at(span.end),
        versions[oldest].value,
    );
    for version in &versions[oldest.saturating_sub(5)..versions.len().min(oldest + 3)] {
        let must = version.must_from.map_or("never".to_string(), |it| format!("{:.3}", at(it)));
        let Version { value, from, .. } = version;
        let _ = write!(text, "\n  {value:?} from {:.3}, must be known from {must}", at(*from));
    }
    text
}

#[cfg(test)]
mod tests;
