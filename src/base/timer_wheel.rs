//! A hierarchical timing wheel: insert, cancel and take out a timer in constant time, however many
//! there are. It reads no clock; its owner passes the time.
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
//! the lowest bit of the first occupancy bitmap that is not zero. `take_due` jumps from one such
//! slot to the next and touches nothing between. A slot of level 0 fires. A slot of a higher level
//! is *cascaded* when the current tick reaches its start: here at 192 (`0:3:0`) B moves to level 0,
//! slot 8; at 8192 (`2:0:0`) C moves to level 1, slot 12; at 8960 (`2:12:0`) to level 0, slot 40.
//!
//! To cascade takes long where many timers have come to one slot: of twenty million keys that live
//! for an hour, all may be in the same. So the queue of a slot has room for 128. One more, and the
//! slot is *opened*: it becomes a wheel of its own for the next digit, whose slots may be opened
//! in turn.
//!
//! ```text
//!   level 2   ^ . * . . . .         slot 2 has 129 timers, from 8192 to 12287 ms: they wait by
//!                 │                 their second digits already
//!                 └→ . . C . D .    C in slot 12 with many others, D in slot 40
//!
//!   at 8192, this wheel takes the place of the one at level 1, which is empty; nothing is moved
//! ```
//!
//! An insert opens a slot, and `take_due` cascades one, at most once at each level, so no call
//! moves more than 128 timers ten times; and a timer is moved about as often as by cascading alone.
//! An open slot in which 32 are left is closed again, and gives a kilobyte back.
//!
//! Why not cascade in pieces, one at each call? Whatever is due would wait until all of its slot
//! have been moved, for seconds; and `None` could mean that nothing is due, or that it is not known
//! yet.
//!
//! Eleven digits hold every tick a `u64` can count, 584 million years: no deadline lies beyond the
//! top level, which would otherwise need a list of its own. The price is 11 KiB a wheel.
//!
//! The timers of one slot are linked through their places in a slab, in the order they were
//! inserted. So a warm wheel allocates next to nothing.

mod slots;

use crate::base::segmented_slab::SegmentedSlab;
use slots::{BITS_PER_DIGIT, Node, Nodes, Slot, Wheel};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const NANOSECONDS_PER_TICK: u32 = 1_000_000;
const LEVELS: usize = u64::BITS.div_ceil(BITS_PER_DIGIT) as usize;

/// Values of type `T`, each due at a deadline, to a resolution of 1 ms.
///
/// Deadlines may lie up to 584 million years after the origin; later ones count as that.
pub struct TimerWheel<T> {
    origin: Instant,
    /// The latest `now` given to [`TimerWheel::take_due`]. What is not after it is due at once.
    latest: Instant,
    /// Every timer of an earlier tick has fired. Behind `latest` while there is more to fire.
    current: u64,
    nodes: Nodes<T>,
    /// The wheels for the current tick.
    levels: [Wheel; LEVELS],
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

impl TimerId {
    /// Returns a number that no other timer in the wheel has: see [`TimerWheel::value`].
    pub fn number(self) -> u32 {
        self.slot
    }

    /// Returns the identifier as one number.
    pub fn pack(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.slot)
    }

    /// Returns the identifier that [`pack`](Self::pack) made a number of.
    ///
    /// # Panics
    /// With a number below 2³², which `pack` never returns.
    pub fn unpack(packed: u64) -> TimerId {
        let generation = NonZeroU32::new((packed >> 32) as u32);
        let generation = generation.expect("it was packed, and generations begin with 1");
        TimerId { slot: packed as u32, generation }
    }
}

impl<T> TimerWheel<T> {
    /// Returns an empty wheel. Its ticks are counted from `origin`; no earlier time exists for it.
    pub fn new(origin: Instant) -> Self {
        TimerWheel {
            origin,
            latest: origin,
            current: 0,
            nodes: Nodes::new(),
            levels: [const { Wheel::EMPTY }; LEVELS],
            generation: NonZeroU32::MIN,
        }
    }

    /// Adds a timer, and returns its name. One whose deadline is not after the latest `now` is due
    /// at once, also in the series of [`take_due`](Self::take_due) calls that is under way.
    ///
    /// # Panics
    /// With nearly 2³² timers in the wheel.
    pub fn insert(&mut self, deadline: Instant, value: T) -> TimerId {
        let mut tick = self.ticks_rounded_up(deadline);
        if deadline <= self.latest {
            // Rounding up must not carry a past deadline into the tick after `latest`.
            tick = tick.min(self.ticks_rounded_down(self.latest));
        }
        tick = tick.max(self.current);
        let generation = self.generation;
        self.generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let level = level(tick, self.current);
        let queue = self.levels[level].queue(level, &mut self.nodes, tick);
        let slot = self.nodes.insert(queue, tick, generation, value);
        TimerId { slot, generation }
    }

    /// Returns the value of a timer. `None` if it has fired or was cancelled.
    pub fn get(&self, id: TimerId) -> Option<&T> {
        self.node(id).map(|node| &node.value)
    }

    /// Takes a timer out, and returns its value. `None` if it has fired or was cancelled.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let tick = self.node(id)?.tick;
        Some(self.remove(id.slot, tick))
    }

    /// Returns the value of a timer that is in the wheel, for an owner that keeps only its number.
    ///
    /// # Panics
    /// If there is none of this number; so do [`value_mut`](Self::value_mut) and
    /// [`take`](Self::take).
    #[inline]
    pub fn value(&self, number: u32) -> &T {
        &self.nodes.slab[number].value
    }

    /// Returns the value of such a timer, to be changed.
    #[inline]
    pub fn value_mut(&mut self, number: u32) -> &mut T {
        &mut self.nodes.slab[number].value
    }

    /// Takes such a timer out, and returns its value.
    pub fn take(&mut self, number: u32) -> T {
        self.remove(number, self.nodes.slab[number].tick)
    }

    /// Takes out a timer that is due at `now`, and returns its value; to be called until `None`.
    ///
    /// A timer fires once, never early and at most 1 ms late, in order of the deadlines rounded up
    /// to 1 ms, equal ones in the order of their inserts. However far `now` jumps, and however many
    /// timers there are, one call takes some 20 µs at most. With a `now` earlier than one before,
    /// nothing fires.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        let slot = self.first_due(now)?;
        Some(self.remove(slot, self.current))
    }

    /// Returns the timer that [`take_due`](Self::take_due) would take out, which stays in.
    pub fn due(&mut self, now: Instant) -> Option<TimerId> {
        let slot = self.first_due(now)?;
        Some(TimerId { slot, generation: self.nodes.slab[slot].generation })
    }

    /// Returns when [`take_due`](Self::take_due) should be called next; `None`: there are no
    /// timers.
    ///
    /// Never later than the earliest deadline rounded up to 1 ms, and earlier where timers have to
    /// be cascaded first, at most ten times for one timer. What is overdue gives the latest `now`.
    /// Once `take_due(now)` has returned `None`, this is after `now`.
    pub fn next_deadline(&self) -> Option<Instant> {
        let (level, slot, _) = self.next_slot()?;
        let start = self.origin + Duration::from_millis(self.slot_start(level, slot));
        Some(start.max(self.latest))
    }

    /// Returns the number of timers that have neither fired nor been cancelled.
    pub fn len(&self) -> usize {
        self.nodes.slab.len()
    }

    /// The memory of one timer, in bytes.
    pub const TIMER_BYTES: usize = SegmentedSlab::<Node<T>>::PLACE_BYTES;

    /// Returns the number of timers for which memory is vacant; see [`SegmentedSlab::vacant`].
    pub fn vacant(&self) -> usize {
        self.nodes.slab.vacant()
    }

    /// Returns the number of open slots, each of [`OPENED_BYTES`](Self::OPENED_BYTES): for 32
    /// timers one at most at each of ten levels, usually one for some hundreds.
    pub fn opened(&self) -> usize {
        self.nodes.opened
    }

    /// The memory of an open slot, in bytes.
    pub const OPENED_BYTES: usize = size_of::<Wheel>();

    /// Returns the latest `now` that was given to [`take_due`](Self::take_due), at first the
    /// origin.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// Returns the values, in no order. The memory of what has been taken of them is given back, a
    /// bounded piece at a time.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        let mut wheels: Vec<Box<Wheel>> =
            self.levels.into_iter().flat_map(Wheel::into_opened).collect();
        // Each of them has many timers, so the last is freed before the last value.
        self.nodes.slab.into_values().map(move |node| {
            if let Some(wheel) = wheels.pop() {
                wheels.extend(wheel.into_opened());
            }
            node.value
        })
    }

    /// Returns whether there are no timers.
    pub fn is_empty(&self) -> bool {
        self.nodes.slab.is_empty()
    }

    /// Panics unless every timer stands at the level of the first digit in which it differs from
    /// the current tick, which has not passed it, and the counts are right.
    pub fn check_invariants(&self) {
        assert!(self.current <= self.ticks_rounded_down(self.latest));
        let (mut len, mut opened) = (0, 0);
        for (at, wheel) in self.levels.iter().enumerate() {
            let counts = wheel.check_invariants(at, &self.nodes, &|tick| {
                tick >= self.current && level(tick, self.current) == at
            });
            (len, opened) = (len + counts.0, opened + counts.1);
        }
        assert_eq!((len, opened), (self.len(), self.opened()));
        self.nodes.slab.check_invariants();
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

    fn node(&self, id: TimerId) -> Option<&Node<T>> {
        self.nodes.slab.get(id.slot).filter(|node| node.generation == id.generation)
    }

    /// Returns the timer that is due at `now` before all others: of the current tick, then.
    fn first_due(&mut self, now: Instant) -> Option<u32> {
        if now < self.latest {
            return None;
        }
        self.latest = now;
        let target = self.ticks_rounded_down(now);
        while let Some((level, at, slot)) = self.next_slot()
            && let start = self.slot_start(level, at)
            && start <= target
        {
            debug_assert!(start >= self.current, "no slot is passed before it is empty");
            if level == 0
                && let Slot::Queue(queue) = slot
            {
                let slot = queue.head();
                self.current = start;
                return Some(slot);
            }
            self.current = start;
            self.enter(level, at);
        }
        debug_assert!(target >= self.current, "time does not go back");
        self.current = target;
        None
    }

    /// Returns the slot that is due before all others.
    fn next_slot(&self) -> Option<(usize, usize, &Slot)> {
        let mut levels = self.levels.iter().enumerate();
        levels.find_map(|(level, wheel)| {
            let (at, slot) = wheel.first()?;
            Some((level, at, slot))
        })
    }

    /// Returns the first tick of a slot: the current one's higher digits, the slot, zeros.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let digit = level as u32 * BITS_PER_DIGIT;
        let higher = self.current.checked_shr(digit + BITS_PER_DIGIT).unwrap_or(0);
        (higher << BITS_PER_DIGIT | slot as u64) << digit
    }

    /// Moves the timers of a slot to lower levels, the current tick having reached its start.
    fn enter(&mut self, level: usize, at: usize) {
        debug_assert!(level > 0, "there is no level below");
        match self.levels[level].take(at) {
            Slot::Queue(queue) => self.nodes.each(queue, |nodes, index, tick| {
                let level = self::level(tick, self.current);
                let queue = self.levels[level].queue(level, nodes, tick);
                nodes.append(queue, index);
            }),
            Slot::Wheel { wheel, .. } => {
                self.nodes.opened -= 1;
                self.levels[level - 1] = *wheel;
            }
        }
    }

    fn remove(&mut self, index: u32, tick: u64) -> T {
        let level = level(tick, self.current);
        self.levels[level].remove(level, &mut self.nodes, index, tick)
    }
}

/// Returns the level of the first digit in which a tick differs from the current one, which is not
/// later.
fn level(tick: u64, current: u64) -> usize {
    debug_assert!(tick >= current, "no timer stands before the current tick");
    (((tick ^ current) | 1).ilog2() / BITS_PER_DIGIT) as usize
}

#[cfg(test)]
mod tests;
