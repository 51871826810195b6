//! A hierarchical timing wheel: insert, cancel and expire a timer in constant time, however many
//! there are. It reads no clock; whoever owns it says what time it is.
//!
//! Source: G. Varghese and T. Lauck, *Hashed and Hierarchical Timing Wheels* (SOSP 1987), scheme 7.
//!
//! Time is counted in ticks of 1 ms since the origin, and a tick is read as a number of eleven
//! digits in base 64. Each level is a wheel of 64 slots for one digit, the last digit at level 0.
//! A timer waits at the level of the *first digit in which its tick differs from the current tick*,
//! in the slot that this digit names. With the current tick at 130, in base 64 `0:2:2`:
//!
//! ```text
//!   timer  tick    digits     level 2 (4096 ms a slot)   level 1 (64 ms)   level 0 (1 ms)
//!   A       133    0: 2: 5                                                 slot 5
//!   B       200    0: 3: 8                               slot 3
//!   C      9000    2:12:40    slot 2
//!
//!   level 0   . . ^ . . A . . . . .        ^ the digit of the current tick; what waits at a level
//!   level 1   . . ^ B . . . . . . .          stands to the right of it, so a level never wraps
//!   level 2   ^ . C . . . . . . . .
//! ```
//!
//! Hence everything at a lower level is due before anything at a higher one, and the next slot is
//! the lowest bit of the first occupancy bitmap that is not zero. `expire` jumps from one such slot
//! to the next and touches nothing between. A slot of level 0 fires. A slot of a higher level is
//! *cascaded* when the current tick reaches its start: here at 192 (`0:3:0`) B moves to level 0,
//! slot 8; at 8192 (`2:0:0`) C moves to level 1, slot 12; at 8960 (`2:12:0`) to level 0, slot 40.
//!
//! Eleven digits hold every tick a `u64` can count, 584 million years: no deadline lies beyond the
//! top level, which would otherwise need a list of its own. The price is 3 KiB a wheel.
//!
//! The timers of one slot form a ring through their slab entries, in the order they were inserted:
//! the slot knows the head, the head's `previous` is the tail. So a warm wheel allocates nothing.

use slab::Slab;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const NANOSECONDS_PER_TICK: u32 = 1_000_000;
/// 64 slots, so that one `u64` is the occupancy of a level.
const BITS_PER_DIGIT: u32 = 6;
const SLOTS: usize = 1 << BITS_PER_DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(BITS_PER_DIGIT) as usize;

/// Values of type `T`, each due at a deadline, to a resolution of 1 ms.
///
/// Deadlines may lie up to 584 million years after the origin; later ones count as that.
pub struct TimerWheel<T> {
    origin: Instant,
    /// The latest `now` given to [`TimerWheel::expire`]. What is not after it is due at once.
    latest: Instant,
    /// Every timer of an earlier tick has fired. Behind `latest` while there is more to fire.
    current: u64,
    nodes: Slab<Node<T>>,
    /// Per level, bit `s` is set when slot `s` has timers; only then is its head valid.
    occupied: [u64; LEVELS],
    heads: [[u32; SLOTS]; LEVELS],
    generation: NonZeroU32,
}

/// Names one timer for [`TimerWheel::cancel`], also after it has fired and its memory was reused.
///
/// Generations repeat after 2³² inserts: an identifier kept for exactly that long may name another
/// timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
    slot: u32,
    generation: NonZeroU32,
}

struct Node<T> {
    tick: u64,
    generation: NonZeroU32,
    previous: u32,
    next: u32,
    value: T,
}

impl<T> TimerWheel<T> {
    /// An empty wheel. Its ticks are counted from `origin`, and no earlier time exists for it.
    pub fn new(origin: Instant) -> Self {
        TimerWheel {
            origin,
            latest: origin,
            current: 0,
            nodes: Slab::new(),
            occupied: [0; LEVELS],
            heads: [[0; SLOTS]; LEVELS],
            generation: NonZeroU32::MIN,
        }
    }

    /// Adds a timer. One whose deadline is not after the latest `now` is due at once, also in the
    /// series of [`expire`](Self::expire) calls that is under way.
    ///
    /// # Panics
    /// With 2³² timers in the wheel.
    pub fn insert(&mut self, deadline: Instant, value: T) -> TimerId {
        let mut tick = self.ticks_rounded_up(deadline);
        if deadline <= self.latest {
            // Rounding up must not carry a past deadline into the tick after `latest`.
            tick = tick.min(self.ticks_rounded_down(self.latest));
        }
        let generation = self.generation;
        self.generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let index = self.nodes.insert(Node {
            tick: tick.max(self.current),
            generation,
            previous: 0,
            next: 0,
            value,
        });
        let slot = u32::try_from(index).expect("fewer than 2^32 timers");
        self.link(slot);
        TimerId { slot, generation }
    }

    /// Takes a timer out. `None` if it has fired, was cancelled or was cleared.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        if self.nodes.get(id.slot as usize)?.generation != id.generation {
            return None;
        }
        Some(self.remove(id.slot))
    }

    /// One timer that is due at `now`; to be called until `None`.
    ///
    /// A timer fires once, never early and at most 1 ms late, in order of the deadlines rounded up
    /// to 1 ms, equal ones in the order of their inserts. However far `now` jumps, the cost is that
    /// of the timers that are due or cascaded. One call may cascade a whole slot: of a million
    /// timers over the next minute 70,000 at once, every 4 s. With a `now` earlier than one before,
    /// nothing fires.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        if now < self.latest {
            return None;
        }
        self.latest = now;
        let target = self.ticks_rounded_down(now);
        while let Some((level, slot)) = self.next_slot()
            && let start = self.slot_start(level, slot)
            && start <= target
        {
            self.current = start;
            if level == 0 {
                return Some(self.remove(self.heads[0][slot]));
            }
            self.cascade(level, slot);
        }
        self.current = target;
        None
    }

    /// When [`expire`](Self::expire) should be called next; `None` when there are no timers.
    ///
    /// Never later than the earliest deadline rounded up to 1 ms, and earlier where timers have to
    /// be cascaded first, at most ten times for one timer. What is overdue gives the latest `now`.
    /// Once `expire(now)` has returned `None`, this is after `now`.
    pub fn next_deadline(&self) -> Option<Instant> {
        let (level, slot) = self.next_slot()?;
        let start = self.origin + Duration::from_millis(self.slot_start(level, slot));
        Some(start.max(self.latest))
    }

    /// The number of timers that have neither fired nor been cancelled.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no timers.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Drops all timers and keeps the memory. Their identifiers stay void.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.occupied = [0; LEVELS];
    }

    fn ticks_rounded_down(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        let below_second = since.subsec_nanos() / NANOSECONDS_PER_TICK;
        since.as_secs().saturating_mul(1000).saturating_add(below_second.into())
    }

    fn ticks_rounded_up(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        let below_second = since.subsec_nanos().div_ceil(NANOSECONDS_PER_TICK);
        since.as_secs().saturating_mul(1000).saturating_add(below_second.into())
    }

    /// The level and the slot where a timer of this tick waits, which must not be past.
    fn place(&self, tick: u64) -> (usize, usize) {
        let level = ((tick ^ self.current) | 1).ilog2() / BITS_PER_DIGIT;
        let digit = (tick >> (level * BITS_PER_DIGIT)) as usize % SLOTS;
        (level as usize, digit)
    }

    /// The slot that is due before all others.
    fn next_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The first tick of a slot: the current one's higher digits, the slot, zeros.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let digit = level as u32 * BITS_PER_DIGIT;
        let higher = self.current.checked_shr(digit + BITS_PER_DIGIT).unwrap_or(0);
        (higher << BITS_PER_DIGIT | slot as u64) << digit
    }

    /// Moves the timers of a slot to lower levels, the current tick having reached its start.
    fn cascade(&mut self, level: usize, slot: usize) {
        self.occupied[level] &= !(1 << slot);
        let head = self.heads[level][slot];
        let mut index = head;
        loop {
            let next = self.nodes[index as usize].next;
            self.link(index);
            if next == head {
                return;
            }
            index = next;
        }
    }

    /// Appends a node to the ring of its slot.
    fn link(&mut self, index: u32) {
        let (level, slot) = self.place(self.nodes[index as usize].tick);
        let bit = 1 << slot;
        let (mut tail, mut head) = (index, index);
        if self.occupied[level] & bit == 0 {
            self.occupied[level] |= bit;
            self.heads[level][slot] = index;
        } else {
            head = self.heads[level][slot];
            tail = self.nodes[head as usize].previous;
            self.nodes[head as usize].previous = index;
            self.nodes[tail as usize].next = index;
        }
        let node = &mut self.nodes[index as usize];
        (node.previous, node.next) = (tail, head);
    }

    fn remove(&mut self, index: u32) -> T {
        let node = self.nodes.remove(index as usize);
        let (level, slot) = self.place(node.tick);
        if node.next == index {
            self.occupied[level] &= !(1 << slot);
        } else {
            self.nodes[node.previous as usize].next = node.next;
            self.nodes[node.next as usize].previous = node.previous;
            if self.heads[level][slot] == index {
                self.heads[level][slot] = node.next;
            }
        }
        node.value
    }
}

#[cfg(test)]
mod tests {
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
                    let node = &self.nodes[index as usize];
                    assert!(node.tick >= self.current);
                    assert_eq!(self.place(node.tick), (level, slot));
                    assert_eq!(self.nodes[node.next as usize].previous, index);
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
        assert_eq!((wheel.cancel(first), wheel.expire(origin)), (None, Some(2)));
        assert_eq!(wheel.cancel(second), None);
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
}
