//! The wheel against a sorted map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MILLISECOND: Duration = Duration::from_millis(1);
const NANOSECOND: Duration = Duration::from_nanos(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl<T> TimerWheel<T> {
    /// Every timer stands in the ring of its place, at a tick that has not passed.
    fn check_invariants(&self) {
        assert!(self.current <= self.ticks_rounded_down(self.latest));
        let mut linked = 0;
        for (level, slot) in (0..LEVELS).flat_map(|l| (0..SLOTS).map(move |s| (l, s))) {
            let head = self.heads[level][slot];
            let mut next = (self.occupied[level] & (1 << slot) != 0).then_some(head);
            while let Some(index) = next {
                let node = &self.nodes[index];
                assert!(node.tick >= self.current);
                assert_eq!(self.place(node.tick), (level, slot));
                assert_eq!(self.nodes[node.next].previous, index);
                linked += 1;
                next = Some(node.next).filter(|&next| next != head);
            }
        }
        assert_eq!(linked, self.len());
    }

    fn expire_all(&mut self, now: Instant) -> Vec<T> {
        let fired = std::iter::from_fn(|| self.expire(now)).collect();
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
    assert_eq!(wheel.expire(now), Some(1));
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
    assert_eq!((wheel.cancel(first), wheel.expire(origin)), (None, Some(2)));
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

#[derive(Clone, Debug)]
enum Step {
    Insert { past: bool, distance: Duration },
    Cancel(prop::sample::Index),
    Expire { after: Duration, calls: usize },
    ExpireAtNextDeadline,
    Clear,
}

/// From nothing to centuries, every order of magnitude alike, half of them whole milliseconds.
fn durations() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..u64::BITS, any::<bool>()).prop_map(|(bits, shift, whole)| {
        let nanoseconds = bits >> shift;
        Duration::from_nanos(nanoseconds - if whole { nanoseconds % 1_000_000 } else { 0 })
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let insert = (prop::bool::weighted(0.2), durations());
    let calls = prop_oneof![0..3_usize, Just(usize::MAX)];
    prop_oneof![
        60 => insert.prop_map(|(past, distance)| Step::Insert { past, distance }),
        20 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        20 => (durations(), calls).prop_map(|(after, calls)| Step::Expire { after, calls }),
        20 => Just(Step::ExpireAtNextDeadline),
        1 => Just(Step::Clear),
    ]
}

/// What a wheel should do, by a sorted map. Times are durations since the origin.
#[derive(Default)]
struct Model {
    now: Duration,
    fired_to: u128,
    /// By tick and number of the insert, which is the value: the deadline.
    timers: BTreeMap<(u128, usize), Duration>,
}

impl Model {
    fn insert(&mut self, deadline: Duration, value: usize) {
        let tick = deadline.as_nanos().div_ceil(1_000_000);
        let limit = if deadline <= self.now { self.now.as_millis() } else { u128::MAX };
        self.timers.insert((tick.min(limit).max(self.fired_to), value), deadline);
    }

    fn cancel(&mut self, value: usize) -> Option<usize> {
        let key = *self.timers.keys().find(|key| key.1 == value)?;
        self.timers.remove(&key).map(|_| value)
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

proptest! {
    #[test]
    fn behaves_like_a_sorted_map(steps in prop::collection::vec(steps(), 0..200)) {
        let origin = Instant::now();
        let (mut wheel, mut model) = (TimerWheel::new(origin), Model::default());
        let mut ids = Vec::new();
        for step in steps {
            let (now, calls) = match (step, wheel.next_deadline()) {
                (Step::Expire { after, calls }, _) => (model.now + after, calls),
                (Step::ExpireAtNextDeadline, Some(next)) => (next - origin, usize::MAX),
                (Step::Insert { past, distance }, _) => {
                    let past_deadline = model.now.saturating_sub(distance);
                    let deadline = if past { past_deadline } else { model.now + distance };
                    model.insert(deadline, ids.len());
                    ids.push(wheel.insert(origin + deadline, ids.len()));
                    (model.now, 0)
                }
                (Step::Cancel(which), _) if !ids.is_empty() => {
                    let value = which.index(ids.len());
                    assert_eq!(wheel.cancel(ids[value]), model.cancel(value));
                    (model.now, 0)
                }
                (Step::Clear, _) => {
                    model.timers.clear();
                    wheel.clear();
                    (model.now, 0)
                }
                _ => continue,
            };
            for _ in 0..calls {
                let fired = wheel.expire(origin + now);
                assert_eq!(fired, model.expire(now));
                if fired.is_none() {
                    assert!(wheel.next_deadline().is_none_or(|next| next > origin + now));
                    break;
                }
            }
            wheel.check_invariants();
            assert_eq!(wheel.len(), model.timers.len());
            let earliest = model.next_deadline().map(|since| origin + since);
            assert_eq!(wheel.next_deadline().is_some(), earliest.is_some());
            assert!(wheel.next_deadline() <= earliest);
        }
    }
}
