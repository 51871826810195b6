//! What a key may hold, as its one writer knows it, and what whoever reads it may see.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// `--trust` of the proxy: how long it may not know of a write beside it.
const TRUST: Duration = Duration::from_millis(300);
/// By how much the clocks of two processes may differ.
const EARLY: Duration = Duration::from_millis(20);
/// How long a busy machine may stop a server between its look at the clock and a read.
const LATE: Duration = Duration::from_secs(1);
/// So many writes are kept at least: more than a read can overlap.
const KEPT: usize = 200;

/// A key that changes its name where nobody knows what it holds.
pub struct Slot {
    number: usize,
    /// How many bytes are added to its values, at most.
    padding: usize,
    stops: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    generation: u32,
    sent: u32,
    writes: VecDeque<Write>,
}

struct Write {
    version: u32,
    is_delete: bool,
    life: Option<Duration>,
    sent: Instant,
    /// How often the server had been stopped.
    stops: u64,
    acknowledged: Option<Instant>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    NotDone,
    /// It may happen yet.
    Unknown,
}

/// A read that is under way.
pub struct Reading {
    pub key: String,
    generation: u32,
    /// The version that every write before the read has been superseded by.
    floor: u32,
    begin: Instant,
}

impl Slot {
    /// `stops` says how often the server has been stopped.
    pub fn new(number: usize, padding: usize, stops: Arc<AtomicU64>) -> Slot {
        let state = State { generation: 0, sent: 0, writes: VecDeque::new() };
        Slot { number, padding, stops, state: Mutex::new(state) }
    }

    /// Whether it is written through the proxy; else beside it. What is written beside it is soon
    /// old in the cache, if nobody tells.
    pub fn is_through_proxy(&self) -> bool {
        !self.number.is_multiple_of(3)
    }

    fn key(&self, generation: u32) -> String {
        format!("k{}.{generation}", self.number)
    }

    /// Whoever reads it can tell whose it is, and whether it is whole.
    fn value(&self, generation: u32, version: u32) -> String {
        let padding = self.padding * (version as usize % 10) / 10;
        format!("{}:{version}:{}", self.key(generation), "+".repeat(padding))
    }

    /// Notes a write that is about to be sent; the key, and the value.
    pub fn begin_write(&self, is_delete: bool, life: Option<Duration>) -> (String, String) {
        let mut state = self.state.lock().expect("nobody panicked with it");
        state.sent += 1;
        let (version, sent) = (state.sent, Instant::now());
        let stops = self.stops.load(Ordering::SeqCst);
        let write = Write { version, is_delete, life, sent, stops, acknowledged: None };
        state.writes.push_back(write);
        if state.writes.len() > 2 * KEPT {
            state.writes.drain(..KEPT);
        }
        (self.key(state.generation), self.value(state.generation, version))
    }

    /// Notes what became of it. There is none but one at a time.
    pub fn end_write(&self, outcome: Outcome) {
        let mut state = self.state.lock().expect("nobody panicked with it");
        match outcome {
            Outcome::Done => {
                let write = state.writes.back_mut().expect("it was noted");
                write.acknowledged = Some(Instant::now());
            }
            // Nobody can have seen it.
            Outcome::NotDone => drop(state.writes.pop_back()),
            Outcome::Unknown => state.begin_anew(),
        }
    }

    /// It is not known any more what the key holds.
    pub fn begin_anew(&self) {
        self.state.lock().expect("nobody panicked with it").begin_anew();
    }

    pub fn begin_read(&self) -> Reading {
        let state = self.state.lock().expect("nobody panicked with it");
        let begin = Instant::now();
        let is_known = |write: &&Write| {
            let acknowledged = write.acknowledged;
            acknowledged.is_some_and(|it| self.is_through_proxy() || it + TRUST <= begin)
        };
        let floor = state.writes.iter().rev().find(is_known).map_or(0, |write| write.version);
        Reading { key: self.key(state.generation), generation: state.generation, floor, begin }
    }

    /// Judges what a read saw; its version. `seen` is what the same reader saw last of this
    /// generation.
    #[track_caller]
    pub fn end_read(&self, reading: &Reading, saw: Option<&str>, seen: &mut (u32, u32)) {
        let Reading { key, generation, floor, begin } = reading;
        let state = self.state.lock().expect("nobody panicked with it");
        let is_current = state.generation == *generation;
        let newest = state.writes.back().map_or(0, |write| write.version);
        let Some(value) = saw else {
            let is_forgotten = state.writes.front().is_some_and(|write| write.version > *floor);
            let may_be_absent = |write: &Write| {
                write.version >= *floor
                    && (write.is_delete
                        || write.life.is_some_and(|it| write.sent + it < Instant::now() + EARLY))
            };
            let is_right = *floor == 0 || is_forgotten || state.writes.iter().any(may_be_absent);
            assert!(!is_current || is_right, "{key} is absent, but it was written: {floor}");
            return;
        };
        let version = value.split(':').nth(1).and_then(|it| it.parse().ok());
        let version = version.unwrap_or_else(|| panic!("{key}: no value: {value:.80}"));
        assert!(
            value == self.value(*generation, version),
            "{key}: the value of another {value:.80}"
        );
        if seen.0 == *generation {
            assert!(version >= seen.1, "{key} went back from {} to {version}", seen.1);
        }
        *seen = (*generation, version);
        if is_current {
            assert!(
                (*floor..=newest).contains(&version),
                "{key}: {version}, not {floor} to {newest}"
            );
            let write = state.writes.iter().find(|write| write.version == version);
            // One that is stopped reads by an old clock what has come meanwhile.
            let write = write.filter(|it| it.stops == self.stops.load(Ordering::SeqCst));
            let lived = write.and_then(|write| Some(write.acknowledged? + write.life?));
            let is_alive = lived.is_none_or(|end| *begin < end + LATE);
            assert!(is_alive, "{key}: {version} is seen {:?} late", lived.map(|end| *begin - end));
        }
    }
}

impl State {
    fn begin_anew(&mut self) {
        self.generation += 1;
        self.sent = 0;
        self.writes.clear();
    }
}
