//! What a key may hold, as its one writer knows it, and what whoever reads it may see. How long
//! keys live is judged by `tests/coherence`.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// `--trust` of the proxy: how long it may not know of a write beside it.
const TRUST: Duration = Duration::from_millis(300);

/// A key that changes its name where nobody knows what it holds.
pub struct Slot {
    number: usize,
    /// How many bytes are added to its values, at most.
    padding: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: u32,
    /// The version that was sent last.
    sent: u32,
    /// The versions of which the writer was told that they are there, and when; of those that all
    /// know, the newest only.
    acknowledged: VecDeque<(u32, Instant)>,
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
}

impl Slot {
    pub fn new(number: usize, padding: usize) -> Slot {
        Slot { number, padding, state: Mutex::default() }
    }

    /// Whether it is written through the proxy; else beside it. What is written beside it is soon
    /// old in the cache, if nobody tells.
    pub fn is_through_proxy(&self) -> bool {
        !self.number.is_multiple_of(3)
    }

    /// Whether it may be absent, as it is deleted now and then, and lives for a while only.
    pub fn is_volatile(&self) -> bool {
        !self.number.is_multiple_of(2)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
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
    pub fn begin_write(&self) -> (String, String) {
        let mut state = self.state();
        state.sent += 1;
        (self.key(state.generation), self.value(state.generation, state.sent))
    }

    /// Notes what became of it. There is none but one at a time.
    pub fn end_write(&self, outcome: Outcome) {
        let mut state = self.state();
        match outcome {
            Outcome::Done => {
                let version = state.sent;
                state.acknowledged.push_back((version, Instant::now()));
            }
            // Nobody can have seen it.
            Outcome::NotDone => state.sent -= 1,
            Outcome::Unknown => state.begin_anew(),
        }
    }

    /// It is not known any more what the key holds.
    pub fn begin_anew(&self) {
        self.state().begin_anew();
    }

    pub fn begin_read(&self) -> Reading {
        let mut state = self.state();
        let lag = if self.is_through_proxy() { Duration::ZERO } else { TRUST };
        let known = state.acknowledged.iter().take_while(|(_, at)| at.elapsed() >= lag).count();
        state.acknowledged.drain(..known.saturating_sub(1));
        let floor = state.acknowledged.front().filter(|_| known > 0).map_or(0, |it| it.0);
        Reading { key: self.key(state.generation), generation: state.generation, floor }
    }

    /// Judges what a read saw; its version. `seen` is what the same reader saw last of this
    /// generation.
    #[track_caller]
    pub fn end_read(&self, reading: &Reading, saw: Option<&str>, seen: &mut (u32, u32)) {
        let Reading { key, generation, floor } = reading;
        let state = self.state();
        let is_current = state.generation == *generation;
        let Some(value) = saw else {
            let is_right = *floor == 0 || self.is_volatile();
            assert!(!is_current || is_right, "{key} is absent, but it was written: {floor}");
            return;
        };
        let version = value.split(':').nth(1).and_then(|it| it.parse().ok());
        let version = version.unwrap_or_else(|| panic!("{key}: no value: {value:.80}"));
        let is_whole = value == self.value(*generation, version);
        assert!(is_whole, "{key}: the value of another: {value:.80}");
        let went_back = seen.0 == *generation && version < seen.1;
        assert!(!went_back, "{key} went back from {} to {version}", seen.1);
        *seen = (*generation, version);
        let possible = *floor..=state.sent;
        let is_right = possible.contains(&version);
        assert!(!is_current || is_right, "{key}: {version}, not one of {possible:?}");
    }
}

impl State {
    fn begin_anew(&mut self) {
        *self = State { generation: self.generation + 1, ..State::default() };
    }
}
