//! What the proxy's cache keeps: its hit ratio beside those of other policies, on the same traces.
//!
//! A trace is a sequence of keys. Each is asked for, and put in when it is not there, as the proxy
//! does. The cache is the real one, with a budget of bytes for so many entries; the others are
//! written down plainly below and hold as many. *SIEVE* is as its paper has it (Zhang et al., NSDI
//! 2024), without the bound that the cache sets to the walk of its hand. The last column is the
//! time of the cache alone, for one look and, after a miss, the insert.
//!
//! Hits are counted in the second half of a trace, when everything is full. The traces are the same
//! in every run.

mod support;

use larder::base::output::Value;
use larder::protocol::KeyLookup;
use larder::proxy::coherence::cache::{Cache, Found};
use std::time::{Duration, Instant};
use support::{Numbers, Table, key};

const VALUE: [u8; 32] = [b'v'; 32];
const NONE: u32 = u32::MAX;

/// How large all is; a hundredth when it only has to work.
struct Scale {
    keys: usize,
    requests: usize,
}

fn main() {
    let table = Table::with_head(
        "eviction, 1,000,000 keys",
        &format!("{:>9}{:>9}{:>9}{:>9}{:>12}", "larder", "SIEVE", "LRU", "FIFO", "ns/request"),
    );
    let scale = match table.once() {
        true => Scale { keys: 10_000, requests: 40_000 },
        false => Scale { keys: 1_000_000, requests: 4_000_000 },
    };
    let sizes = [("1 %", scale.keys / 100), ("10 %", scale.keys / 10)];
    for skew in [0.6, 0.8, 0.99, 1.2] {
        for (share, room) in sizes {
            let name = format!("Zipf {skew}, room for {share}");
            compare(&table, &name, room, || zipf(&scale, skew));
        }
    }
    for (share, room) in sizes {
        compare(&table, &format!("Zipf 0.99 with scans, {share}"), room, || scans(&scale, room));
        compare(&table, &format!("loop over 1.2 times the room, {share}"), room, || {
            (0..scale.requests).map(|at| (at % (room * 6 / 5)) as u32).collect()
        });
        let name = format!("working set that shifts, {share}");
        compare(&table, &name, room, || shifting(&scale, room));
    }
}

/// Keys by their popularity: that of the n-th is proportional to 1 / n^skew.
fn zipf(scale: &Scale, skew: f64) -> Vec<u32> {
    let mut numbers = Numbers(1);
    let ranks = Ranks::new(scale.keys, skew);
    (0..scale.requests).map(|_| ranks.draw(&mut numbers)).collect()
}

/// Every so often as many keys in a row as there is room for, none of which comes again. They are a
/// third of all requests.
fn scans(scale: &Scale, room: usize) -> Vec<u32> {
    let mut popular = zipf(scale, 0.99).into_iter();
    let mut trace = Vec::with_capacity(scale.requests);
    let mut fresh = scale.keys as u32;
    while trace.len() < scale.requests {
        trace.extend(popular.by_ref().take(2 * room));
        trace.extend(fresh..fresh + room as u32);
        fresh += room as u32;
    }
    trace.truncate(scale.requests);
    trace
}

/// Popular keys that are others after some time: one in twenty requests makes a new key the most
/// popular one, and the others less so by a rank.
fn shifting(scale: &Scale, room: usize) -> Vec<u32> {
    let mut numbers = Numbers(1);
    let ranks = Ranks::new(4 * room, 0.8);
    let newest = |at: usize| (4 * room + at / 20) as u32;
    (0..scale.requests).map(|at| newest(at) - ranks.draw(&mut numbers)).collect()
}

/// Ranks drawn by the law of Zipf, the first being 0.
struct Ranks(Vec<f64>);

impl Ranks {
    fn new(count: usize, skew: f64) -> Ranks {
        let mut sum = 0.0;
        let mut up_to = |rank: usize| {
            sum += (rank as f64).powf(-skew);
            sum
        };
        Ranks((1..=count).map(&mut up_to).collect())
    }

    fn draw(&self, numbers: &mut Numbers) -> u32 {
        let total = self.0[self.0.len() - 1];
        // 53 bits are what fits a fraction.
        let at = (numbers.next() >> 11) as f64 / (1u64 << 53) as f64 * total;
        self.0.partition_point(|&up_to| up_to <= at).min(self.0.len() - 1) as u32
    }
}

fn compare(table: &Table, name: &str, room: usize, trace: impl FnOnce() -> Vec<u32>) {
    if !table.wants(name) {
        return;
    }
    let trace = trace();
    let (ours, took) = cache(&trace, room);
    let plain = [Policy::Sieve, Policy::Lru, Policy::Fifo];
    let ratios = plain.map(|policy| hit_ratio(&trace, Plain::new(policy, room, &trace)));
    let mut row = format!("{name:<42}{:>8.2}%", 100.0 * ours);
    for ratio in ratios {
        row += &format!("{:>8.2}%", 100.0 * ratio);
    }
    println!("{row}{:>12.0}", took.as_secs_f64() * 1e9 / trace.len() as f64);
    assert!((ours - ratios[0]).abs() < 0.001, "the bound of the hand's walk shows");
}

/// The share of hits in the second half of a trace.
fn hit_ratio(trace: &[u32], mut policy: Plain) -> f64 {
    let (first, second) = trace.split_at(trace.len() / 2);
    for &key in first {
        policy.ask(key);
    }
    second.iter().filter(|&&key| policy.ask(key)).count() as f64 / second.len() as f64
}

/// The same of the cache, and how long the whole trace took.
fn cache(trace: &[u32], room: usize) -> (f64, Duration) {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(60);
    let ask = |cache: &mut Cache, number: u32| {
        let key = key(number as usize);
        let hash = cache.hash(&key);
        cache.get(hash, &key, now).is_some()
            || !cache.insert(hash, &key, Found::Value(Value::Short(&VALUE)), deadline, now)
    };
    // So much as the entries take with their timers, however those are kept.
    let mut measure = Cache::new(1 << 30, now);
    for number in 0..room {
        ask(&mut measure, number as u32);
    }
    let mut cache = Cache::new(measure.bytes(), now);

    let start = Instant::now();
    let (first, second) = trace.split_at(trace.len() / 2);
    for &number in first {
        ask(&mut cache, number);
    }
    let hits = second.iter().filter(|&&number| ask(&mut cache, number)).count();
    let took = start.elapsed();
    assert!(cache.evicted() == 0 || cache.len() == room, "{} of {room}", cache.len());
    (hits as f64 / second.len() as f64, took)
}

#[derive(Clone, Copy, PartialEq)]
enum Policy {
    Sieve,
    Lru,
    Fifo,
}

/// A queue of keys with room for so many, from the newest to the oldest.
struct Plain {
    policy: Policy,
    room: usize,
    len: usize,
    /// By key.
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
    hand: u32,
}

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    present: bool,
    visited: bool,
}

impl Plain {
    fn new(policy: Policy, room: usize, trace: &[u32]) -> Plain {
        let keys = trace.iter().max().map_or(0, |&key| key as usize + 1);
        let nowhere = Link { newer: NONE, older: NONE, present: false, visited: false };
        let links = vec![nowhere; keys];
        Plain { policy, room, len: 0, links, newest: NONE, oldest: NONE, hand: NONE }
    }

    /// Whether the key was there; now it is.
    fn ask(&mut self, key: u32) -> bool {
        if self.links[key as usize].present {
            self.links[key as usize].visited = true;
            if self.policy == Policy::Lru {
                self.take_out(key);
                self.put_in(key);
            }
            return true;
        }
        if self.len == self.room {
            let goes = if self.policy == Policy::Sieve { self.sieve() } else { self.oldest };
            self.take_out(goes);
        }
        self.put_in(key);
        false
    }

    /// Algorithm 1 of the paper.
    fn sieve(&mut self) -> u32 {
        let mut at = if self.hand == NONE { self.oldest } else { self.hand };
        while self.links[at as usize].visited {
            self.links[at as usize].visited = false;
            at = self.links[at as usize].newer;
            if at == NONE {
                at = self.oldest;
            }
        }
        self.hand = self.links[at as usize].newer;
        at
    }

    fn put_in(&mut self, key: u32) {
        self.links[key as usize] =
            Link { newer: NONE, older: self.newest, present: true, visited: false };
        match self.newest {
            NONE => self.oldest = key,
            second => self.links[second as usize].newer = key,
        }
        self.newest = key;
        self.len += 1;
    }

    fn take_out(&mut self, key: u32) {
        let Link { newer, older, .. } = self.links[key as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        self.links[key as usize].present = false;
        self.len -= 1;
    }
}
