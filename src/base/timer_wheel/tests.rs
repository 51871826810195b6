//! The wheel against a sorted map.

use super::slots::{MAX_SLOT, SHORT};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::mem;

const MILLISECOND: Duration = Duration::from_millis(1);
const NANOSECOND: Duration = Duration::from_nanos(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl<T> TimerWheel<T> {
    fn expire_all(&mut self, now: Instant) -> Vec<T> {
        let fired = std::iter::from_fn(|| self.take_due(now)).collect();
        self.check_invariants();
        assert!(self.next_deadline().is_none_or(|next| next > now));
        fired
    }
}

#[test]
fn identifiers_and_nodes_are_small() {
    assert_eq!((size_of::<TimerId>(), size_of::<Option<TimerId>>()), (8, 8));
    assert_eq!(size_of::<Node<u32>>(), 24);
}

#[test]
fn never_early_and_at_most_a_tick_late() {
    let origin = Instant::now();
    let last = Duration::from_millis(u64::MAX);
    for deadline in [MILLISECOND, 64 * MILLISECOND, 7 * MILLISECOND + NANOSECOND, YEAR, last] {
        let mut wheel = TimerWheel::new(origin);
        wheel.insert(origin + deadline, ());
        assert_eq!(wheel.expire_all(origin + deadline - NANOSECOND), []);
        assert_eq!(wheel.expire_all(origin + deadline + MILLISECOND - NANOSECOND), [()]);
    }
}

#[test]
fn the_example_of_the_header() {
    let origin = Instant::now();
    let at = |milliseconds| origin + Duration::from_millis(milliseconds);
    let mut wheel = TimerWheel::new(origin);
    wheel.expire_all(at(130));
    for (deadline, name) in [(9000, 'C'), (133, 'A'), (200, 'B')] {
        wheel.insert(at(deadline), name);
    }
    let (mut wakeups, mut fired) = (Vec::new(), Vec::new());
    while let Some(next) = wheel.next_deadline() {
        wakeups.push((next - origin).as_millis());
        fired.extend(wheel.expire_all(next));
    }
    assert_eq!(wakeups, [133, 192, 200, 8192, 8960, 9000]);
    assert_eq!(fired, ['A', 'B', 'C']);
}

#[test]
fn a_past_deadline_fires_in_the_same_series_and_in_order() {
    let origin = Instant::now();
    let now = origin + 100 * MILLISECOND + 700 * NANOSECOND;
    let mut wheel = TimerWheel::new(origin);
    wheel.insert(origin + 5 * MILLISECOND, 1);
    wheel.insert(origin + 90 * MILLISECOND, 4);
    assert_eq!(wheel.take_due(now), Some(1));
    wheel.insert(now, 5);
    wheel.insert(origin, 2);
    wheel.insert(origin + 80 * MILLISECOND, 3);
    assert_eq!(wheel.next_deadline(), Some(now));
    assert_eq!(wheel.expire_all(now), [2, 3, 4, 5]);
    wheel.insert(now, 6);
    assert_eq!(wheel.expire_all(now - NANOSECOND), []);
    assert_eq!(wheel.expire_all(now), [6]);
}

#[test]
fn an_identifier_is_void_once_its_slot_is_reused() {
    let origin = Instant::now();
    let mut wheel = TimerWheel::new(origin);
    let first = wheel.insert(origin, 1);
    assert_eq!((wheel.cancel(first), wheel.cancel(first)), (Some(1), None));
    let second = wheel.insert(origin, 2);
    assert_eq!(second.slot, first.slot);
    assert_eq!((wheel.get(first), wheel.get(second)), (None, Some(&2)));
    assert_eq!((wheel.cancel(first), wheel.take_due(origin)), (None, Some(2)));
    assert_eq!(wheel.cancel(second), None);
}

#[test]
fn an_identifier_is_the_same_after_it_was_packed() {
    for generation in [NonZeroU32::MIN, NonZeroU32::MAX] {
        for slot in [0, 1, u32::MAX] {
            let id = TimerId { slot, generation };
            assert_eq!(TimerId::unpack(id.pack()), id);
        }
    }
}

/// Deadlines, in milliseconds, that come close to each other in some way.
fn crowds(count: u64) -> [Vec<u64>; 4] {
    let hour = 3_600_000;
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    [
        vec![hour; count as usize],
        (0..count).map(|n| hour + n).collect(),
        (0..count).map(|n| hour + scattered(n) % 60_000).collect(),
        (0..count).map(|n| scattered(n) >> (n % 24)).collect(),
    ]
}

#[test]
fn no_call_moves_many_timers_however_many_there_are() {
    let origin = Instant::now();
    for (crowd, deadlines) in crowds(20_000).into_iter().enumerate() {
        let mut wheel = TimerWheel::new(origin);
        let (mut most, mut all) = (0, 0);
        let mut called = |wheel: &mut TimerWheel<u64>| {
            let moved = mem::take(&mut wheel.nodes.moved);
            (most, all) = (moved.max(most), all + moved);
        };
        let mut ids = Vec::new();
        for &deadline in &deadlines {
            ids.push(wheel.insert(origin + Duration::from_millis(deadline), deadline));
            called(&mut wheel);
        }
        wheel.check_invariants();
        // In stretches, for which some slots are closed.
        for id in ids.chunks(500).step_by(2).flatten() {
            wheel.cancel(*id).expect("it is there");
            called(&mut wheel);
        }
        wheel.check_invariants();
        let mut fired = 0;
        while let Some(next) = wheel.next_deadline() {
            while let Some(deadline) = wheel.take_due(next) {
                assert_eq!(origin + Duration::from_millis(deadline), next);
                called(&mut wheel);
                fired += 1;
            }
            called(&mut wheel);
        }
        assert_eq!(fired, 10_000);
        // Each level may be reached for the same timers in one call.
        assert!(most <= MAX_SLOT as usize * LEVELS, "crowd {crowd}: {most}");
        assert!(all <= 4 * deadlines.len(), "crowd {crowd}: {all}");
    }
}

#[test]
fn a_slot_is_a_wheel_only_while_there_are_many_in_it() {
    let origin = Instant::now();
    for deadlines in crowds(5000) {
        let mut wheel = TimerWheel::new(origin);
        let insert = |&deadline| wheel.insert(origin + Duration::from_millis(deadline), deadline);
        let ids: Vec<TimerId> = deadlines.iter().map(insert).collect();
        assert!(wheel.opened() > 0);
        let (few, others) = ids.split_at(SHORT as usize - 1);
        others.iter().for_each(|id| assert!(wheel.cancel(*id).is_some()));
        wheel.check_invariants();
        assert_eq!((wheel.len(), wheel.opened()), (few.len(), 0));
        let mut values: Vec<u64> = wheel.into_values().collect();
        values.sort_unstable();
        let mut expected = deadlines[..few.len()].to_vec();
        expected.sort_unstable();
        assert_eq!(values, expected);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many, each so much after the one before.
    Insert {
        past: bool,
        distance: Duration,
        count: usize,
        apart: Duration,
    },
    /// So many, to the deadline of an earlier one.
    InsertAt {
        which: prop::sample::Index,
        count: usize,
    },
    /// So many, from this one on.
    Cancel {
        which: prop::sample::Index,
        count: usize,
    },
    Expire {
        after: Duration,
        calls: usize,
    },
    ExpireAtNextDeadline,
}

/// From nothing to centuries, every order of magnitude alike, half of them whole milliseconds.
fn durations() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..u64::BITS, any::<bool>()).prop_map(|(bits, shift, whole)| {
        let nanoseconds = bits >> shift;
        Duration::from_nanos(nanoseconds - if whole { nanoseconds % 1_000_000 } else { 0 })
    })
}

/// One, or enough to open a slot, and to close it.
fn counts() -> impl Strategy<Value = usize> {
    let longest = MAX_SLOT as usize;
    prop_oneof![4 => Just(1), 1 => 1..2 * longest]
}

fn steps() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    let apart = prop_oneof![Just(Duration::ZERO), durations()];
    let insert = (prop::bool::weighted(0.2), durations(), counts(), apart);
    let calls = prop_oneof![0..3_usize, 0..200_usize, Just(usize::MAX)];
    prop_oneof![
        50 => insert.prop_map(|(past, distance, count, apart)| {
            Step::Insert { past, distance, count, apart }
        }),
        30 => (which(), counts()).prop_map(|(which, count)| Step::InsertAt { which, count }),
        20 => (which(), counts()).prop_map(|(which, count)| Step::Cancel { which, count }),
        20 => (durations(), calls).prop_map(|(after, calls)| Step::Expire { after, calls }),
        20 => Just(Step::ExpireAtNextDeadline),
    ]
}

/// What a wheel should do, by a sorted map. Times are durations since the origin.
#[derive(Default)]
struct Model {
    now: Duration,
    fired_to: u128,
    /// By tick and number of the insert, which is the value.
    timers: BTreeMap<(u128, usize), Duration>,
    /// Of each value the key and the deadline.
    keys: Vec<(u128, Duration)>,
}

impl Model {
    fn insert(&mut self, deadline: Duration) -> usize {
        let tick = deadline.as_nanos().div_ceil(1_000_000);
        let limit = if deadline <= self.now { self.now.as_millis() } else { u128::MAX };
        let tick = tick.min(limit).max(self.fired_to);
        let value = self.keys.len();
        self.keys.push((tick, deadline));
        self.timers.insert((tick, value), deadline);
        value
    }

    fn cancel(&mut self, value: usize) -> Option<usize> {
        self.timers.remove(&(self.keys[value].0, value)).map(|_| value)
    }

    fn expire(&mut self, now: Duration) -> Option<usize> {
        self.now = now;
        let due = self.timers.first_entry().filter(|first| first.key().0 <= now.as_millis());
        self.fired_to = due.as_ref().map_or(now.as_millis(), |first| first.key().0);
        let ((_, value), deadline) = due?.remove_entry();
        assert!(deadline <= now, "early");
        Some(value)
    }

    /// The earliest deadline, rounded up; what is overdue is wanted now.
    fn next_deadline(&self) -> Option<Duration> {
        let ticks = self.timers.values().min()?.as_nanos().div_ceil(1_000_000);
        let ticks = u64::try_from(ticks).expect("far below 584 million years");
        Some(Duration::from_millis(ticks).max(self.now))
    }
}

/// A wheel, and what it should do.
struct Pair {
    origin: Instant,
    wheel: TimerWheel<usize>,
    model: Model,
    ids: Vec<TimerId>,
}

impl Pair {
    fn insert(&mut self, deadline: Duration) {
        let value = self.model.insert(deadline);
        self.ids.push(self.wheel.insert(self.origin + deadline, value));
    }

    fn expire(&mut self, now: Duration, calls: usize) {
        let at = self.origin + now;
        for _ in 0..calls {
            let due = self.wheel.due(at).map(|id| *self.wheel.value(id.number()));
            let fired = self.wheel.take_due(at);
            assert_eq!((due, fired), (fired, self.model.expire(now)));
            if fired.is_none() {
                assert!(self.wheel.next_deadline().is_none_or(|next| next > at));
                break;
            }
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.model.now;
        match step {
            Step::Insert { past, distance, count, apart } => {
                let first = if past { now.saturating_sub(distance) } else { now + distance };
                (0..count as u32).for_each(|n| self.insert(first.saturating_add(apart * n)));
            }
            Step::InsertAt { which, count } if !self.ids.is_empty() => {
                let (_, deadline) = self.model.keys[which.index(self.ids.len())];
                (0..count).for_each(|_| self.insert(deadline));
            }
            Step::Cancel { which, count } if !self.ids.is_empty() => {
                let first = which.index(self.ids.len());
                for value in (first..self.ids.len()).take(count) {
                    assert_eq!(self.wheel.cancel(self.ids[value]), self.model.cancel(value));
                }
            }
            Step::Expire { after, calls } => self.expire(now + after, calls),
            Step::ExpireAtNextDeadline => {
                if let Some(next) = self.wheel.next_deadline() {
                    self.expire(next - self.origin, usize::MAX);
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        self.wheel.check_invariants();
        assert_eq!(self.wheel.len(), self.model.timers.len());
        let earliest = self.model.next_deadline().map(|since| self.origin + since);
        assert_eq!(self.wheel.next_deadline().is_some(), earliest.is_some());
        assert!(self.wheel.next_deadline() <= earliest);
    }
}

proptest! {
    #[test]
    fn behaves_like_a_sorted_map(steps in prop::collection::vec(steps(), 0..100)) {
        let origin = Instant::now();
        let (wheel, model) = (TimerWheel::new(origin), Model::default());
        let mut pair = Pair { origin, wheel, model, ids: Vec::new() };
        for step in steps {
            pair.step(step);
            pair.check();
        }
        while let Some(next) = pair.wheel.next_deadline() {
            pair.expire(next - origin, usize::MAX);
        }
        pair.check();
    }
}
