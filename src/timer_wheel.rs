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
//! The timers of one slot form a ring through their places in a slab, in the order they were
//! inserted: the slot knows the head, the head's `previous` is the tail. So a warm wheel allocates
//! next to nothing.

use crate::segmented_slab::SegmentedSlab;
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
    nodes: SegmentedSlab<Node<T>>,
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

impl TimerId {
    /// Which of the timers that are in the wheel at one time it is; see
    /// [`TimerWheel::value`]. Numbers are used again.
    pub fn number(self) -> u32 {
        self.slot
    }

    /// As a number, to be kept where there is no room for types.
    pub fn pack(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.slot)
    }

    /// What [`pack`](Self::pack) made a number of.
    ///
    /// # Panics
    /// With a number below 2³²: `pack` gives none.
    pub fn unpack(packed: u64) -> TimerId {
        let generation = NonZeroU32::new((packed >> 32) as u32);
        let generation = generation.expect("it was packed, and generations begin with 1");
        TimerId { slot: packed as u32, generation }
    }
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
            nodes: SegmentedSlab::new(),
            occupied: [0; LEVELS],
            heads: [[0; SLOTS]; LEVELS],
            generation: NonZeroU32::MIN,
        }
    }

    /// Adds a timer. One whose deadline is not after the latest `now` is due at once, also in the
    /// series of [`expire`](Self::expire) calls that is under way.
    ///
    /// # Panics
    /// With nearly 2³² timers in the wheel.
    pub fn insert(&mut self, deadline: Instant, value: T) -> TimerId {
        let mut tick = self.ticks_rounded_up(deadline);
        if deadline <= self.latest {
            // Rounding up must not carry a past deadline into the tick after `latest`.
            tick = tick.min(self.ticks_rounded_down(self.latest));
        }
        let generation = self.generation;
        self.generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let slot = self.nodes.insert(Node {
            tick: tick.max(self.current),
            generation,
            previous: 0,
            next: 0,
            value,
        });
        self.link(slot);
        TimerId { slot, generation }
    }

    /// The value of a timer. `None` if it has fired, was cancelled or was cleared.
    pub fn get(&self, id: TimerId) -> Option<&T> {
        let node = self.nodes.get(id.slot)?;
        (node.generation == id.generation).then_some(&node.value)
    }

    /// Takes a timer out. `None` if it has fired, was cancelled or was cleared.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.get(id)?;
        Some(self.remove(id.slot))
    }

    /// The value of a timer that is in the wheel. For an owner who knows that it is, and keeps only
    /// its number.
    ///
    /// # Panics
    /// If there is none of this number; so do [`value_mut`](Self::value_mut) and
    /// [`take`](Self::take).
    #[inline]
    pub fn value(&self, number: u32) -> &T {
        &self.nodes[number].value
    }

    /// The same, to be changed.
    #[inline]
    pub fn value_mut(&mut self, number: u32) -> &mut T {
        &mut self.nodes[number].value
    }

    /// Takes such a timer out.
    pub fn take(&mut self, number: u32) -> T {
        self.remove(number)
    }

    /// One timer that is due at `now`, taken out; to be called until `None`.
    ///
    /// A timer fires once, never early and at most 1 ms late, in order of the deadlines rounded up
    /// to 1 ms, equal ones in the order of their inserts. However far `now` jumps, the cost is that
    /// of the timers that are due or cascaded. One call may cascade a whole slot: of a million
    /// timers over the next minute 70,000 at once, every 4 s. With a `now` earlier than one before,
    /// nothing fires.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        self.due(now).map(|id| self.remove(id.slot))
    }

    /// The timer that [`expire`](Self::expire) would take out, which stays in.
    pub fn due(&mut self, now: Instant) -> Option<TimerId> {
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
                let slot = self.heads[0][slot];
                return Some(TimerId { slot, generation: self.nodes[slot].generation });
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

    /// What one timer takes in memory.
    pub const TIMER_BYTES: usize = SegmentedSlab::<Node<T>>::PLACE_BYTES;

    /// Room for so many timers takes memory, but is vacant; see [`SegmentedSlab::vacant`].
    pub fn vacant(&self) -> usize {
        self.nodes.vacant()
    }

    /// The latest `now` that was given to [`expire`](Self::expire), at first the origin.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// The values, in no order. The memory of what has been taken of them is given back.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.nodes.into_values().map(|node| node.value)
    }

    /// Whether there are no timers.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Drops all timers and gives their memory back. Their identifiers stay void.
    pub fn clear(&mut self) {
        self.nodes = SegmentedSlab::new();
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
            let next = self.nodes[index].next;
            self.link(index);
            if next == head {
                return;
            }
            index = next;
        }
    }

    /// Appends a node to the ring of its slot.
    fn link(&mut self, index: u32) {
        let (level, slot) = self.place(self.nodes[index].tick);
        let bit = 1 << slot;
        let (mut tail, mut head) = (index, index);
        if self.occupied[level] & bit == 0 {
            self.occupied[level] |= bit;
            self.heads[level][slot] = index;
        } else {
            head = self.heads[level][slot];
            tail = self.nodes[head].previous;
            self.nodes[head].previous = index;
            self.nodes[tail].next = index;
        }
        let node = &mut self.nodes[index];
        (node.previous, node.next) = (tail, head);
    }

    fn remove(&mut self, index: u32) -> T {
        let node = self.nodes.remove(index);
        let (level, slot) = self.place(node.tick);
        if node.next == index {
            self.occupied[level] &= !(1 << slot);
        } else {
            self.nodes[node.previous].next = node.next;
            self.nodes[node.next].previous = node.previous;
            if self.heads[level][slot] == index {
                self.heads[level][slot] = node.next;
            }
        }
        node.value
    }
}

#[cfg(test)]
mod tests;
