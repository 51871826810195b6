//! The slots in which timers wait, as queues or, where there are many, as wheels of their own.

use crate::base::segmented_slab::SegmentedSlab;
use std::mem;
use std::num::NonZeroU32;

/// 64 slots, so that one `u64` has a bit for each that has timers.
pub(super) const BITS_PER_DIGIT: u32 = 6;
const SLOTS: usize = 1 << BITS_PER_DIGIT;

/// The most timers in the queue of a slot above level 0: the most that are moved at once. To move
/// so many takes 20 µs where each is a cache miss; to move fewer would take more wheels.
pub(super) const MAX_SLOT: u32 = 128;

/// A wheel that was opened is closed when so few timers are left in it: those that left since it
/// was opened pay for both, and those that stay pay 32 bytes each for it.
pub(super) const SHORT: u32 = MAX_SLOT / 4;

/// The slots of one digit.
pub(super) struct Wheel {
    /// Bit `s` is set when slot `s` has timers.
    occupied: u64,
    slots: [Slot; SLOTS],
}

pub(super) enum Slot {
    Queue(Queue),
    /// Opened: a wheel for the next digit, and the number of its timers.
    Wheel {
        len: u32,
        wheel: Box<Wheel>,
    },
}

/// Timers in the order in which they were inserted.
#[derive(Clone, Copy)]
pub(super) struct Queue {
    len: u32,
    /// The first timer; without any, it has no meaning, as the tail.
    head: u32,
    tail: u32,
}

/// A timer.
pub(super) struct Node<T> {
    pub tick: u64,
    pub generation: NonZeroU32,
    previous: u32,
    next: u32,
    pub value: T,
}

/// All timers, each in some queue.
pub(super) struct Nodes<T> {
    pub slab: SegmentedSlab<Node<T>>,
    /// How many slots are open.
    pub opened: usize,
    /// How many timers were moved, one by one or with their queue.
    #[cfg(test)]
    pub moved: usize,
}

impl Wheel {
    pub const EMPTY: Wheel =
        Wheel { occupied: 0, slots: [const { Slot::Queue(Queue::EMPTY) }; SLOTS] };

    /// Returns the first slot that has timers.
    pub fn first(&self) -> Option<(usize, &Slot)> {
        let at = self.occupied.trailing_zeros() as usize;
        Some((at, self.slots.get(at)?))
    }

    /// Takes out all timers of a slot, and returns them.
    pub fn take(&mut self, at: usize) -> Slot {
        self.occupied &= !(1 << at);
        mem::replace(&mut self.slots[at], Slot::Queue(Queue::EMPTY))
    }

    /// Returns the queue to which a timer of this tick is to be added, this being of `level`.
    pub fn queue<T>(&mut self, mut level: usize, nodes: &mut Nodes<T>, tick: u64) -> &mut Queue {
        let mut wheel = self;
        loop {
            let at = digit(tick, level);
            let slot = &mut wheel.slots[at];
            if let Slot::Queue(queue) = slot
                && queue.len == MAX_SLOT
                && level > 0
            {
                *slot = nodes.open(*queue, level - 1);
            }
            match slot {
                Slot::Queue(queue) => {
                    if queue.len == 0 {
                        wheel.occupied |= 1 << at;
                    }
                    return queue;
                }
                Slot::Wheel { len, wheel: opened } => {
                    *len += 1;
                    (wheel, level) = (opened, level - 1);
                }
            }
        }
    }

    /// Takes a node out that is in this wheel of `level`, and returns its value.
    pub fn remove<T>(
        &mut self,
        mut level: usize,
        nodes: &mut Nodes<T>,
        index: u32,
        tick: u64,
    ) -> T {
        let mut wheel = self;
        loop {
            let at = digit(tick, level);
            let slot = &mut wheel.slots[at];
            if let Slot::Wheel { len, wheel: opened } = slot
                && *len <= SHORT
            {
                *slot = Slot::Queue(nodes.close(opened));
            }
            match slot {
                Slot::Queue(queue) => {
                    if queue.len == 1 {
                        wheel.occupied &= !(1 << at);
                    }
                    return nodes.remove(queue, index);
                }
                Slot::Wheel { len, wheel: opened } => {
                    *len -= 1;
                    (wheel, level) = (opened, level - 1);
                }
            }
        }
    }

    /// Returns the wheels of its open slots.
    pub fn into_opened(self) -> impl Iterator<Item = Box<Wheel>> {
        self.slots.into_iter().filter_map(|slot| match slot {
            Slot::Queue(_) => None,
            Slot::Wheel { wheel, .. } => Some(wheel),
        })
    }
}

impl Queue {
    const EMPTY: Queue = Queue { len: 0, head: 0, tail: 0 };

    /// Returns the first timer.
    pub fn head(&self) -> u32 {
        debug_assert!(self.len > 0, "an empty queue has no first timer");
        self.head
    }
}

impl<T> Nodes<T> {
    pub fn new() -> Self {
        Nodes {
            slab: SegmentedSlab::default(),
            opened: 0,
            #[cfg(test)]
            moved: 0,
        }
    }

    /// Adds a timer to a queue, and returns its number.
    pub fn insert(
        &mut self,
        queue: &mut Queue,
        tick: u64,
        generation: NonZeroU32,
        value: T,
    ) -> u32 {
        let node = Node { tick, generation, previous: queue.tail, next: 0, value };
        let index = self.slab.insert(node);
        self.extend(queue, index);
        index
    }

    /// Calls `move_to` with each node of a queue and its tick, from the head on; `move_to` may
    /// append the node to another queue.
    pub fn each(&mut self, queue: Queue, mut move_to: impl FnMut(&mut Self, u32, u64)) {
        #[cfg(test)]
        {
            self.moved += queue.len as usize;
        }
        let mut index = queue.head;
        for _ in 0..queue.len {
            let Node { tick, next, .. } = self.slab[index];
            move_to(self, index, tick);
            index = next;
        }
    }

    /// Appends a node to a queue.
    pub fn append(&mut self, queue: &mut Queue, index: u32) {
        self.slab[index].previous = queue.tail;
        self.extend(queue, index);
    }

    /// Makes a node the last of a queue; it names the present one as its previous already.
    fn extend(&mut self, queue: &mut Queue, index: u32) {
        match queue.len {
            0 => queue.head = index,
            _ => self.slab[queue.tail].next = index,
        }
        queue.tail = index;
        queue.len += 1;
    }

    fn join(&mut self, previous: u32, next: u32) {
        self.slab[previous].next = next;
        self.slab[next].previous = previous;
    }

    fn remove(&mut self, queue: &mut Queue, index: u32) -> T {
        debug_assert!(queue.len > 0, "it is in this queue");
        let node = self.slab.remove(index);
        match (queue.head == index, queue.tail == index) {
            (false, false) => self.join(node.previous, node.next),
            (true, _) => queue.head = node.next,
            (_, true) => queue.tail = node.previous,
        }
        queue.len -= 1;
        node.value
    }

    /// Makes a wheel of this level of a queue, and returns its slot.
    fn open(&mut self, queue: Queue, level: usize) -> Slot {
        debug_assert_eq!(queue.len, MAX_SLOT, "what is opened is full");
        self.opened += 1;
        let mut wheel = Box::new(Wheel::EMPTY);
        self.each(queue, |nodes, index, tick| {
            let queue = wheel.queue(level, nodes, tick);
            nodes.append(queue, index);
        });
        Slot::Wheel { len: queue.len, wheel }
    }

    /// Makes a queue of a wheel, and returns it. Timers of one tick stay in their order.
    fn close(&mut self, wheel: &mut Wheel) -> Queue {
        self.opened -= 1;
        let mut all = Queue::EMPTY;
        while let Some((at, _)) = wheel.first() {
            debug_assert!(all.len <= SHORT, "what is closed has become short");
            let queue = match wheel.take(at) {
                Slot::Queue(queue) => queue,
                Slot::Wheel { mut wheel, .. } => self.close(&mut wheel),
            };
            #[cfg(test)]
            {
                self.moved += queue.len as usize;
            }
            match all.len {
                0 => all = queue,
                _ => {
                    self.join(all.tail, queue.head);
                    all = Queue { len: all.len + queue.len, head: all.head, tail: queue.tail };
                }
            }
        }
        all
    }
}

fn digit(tick: u64, level: usize) -> usize {
    (tick >> (level as u32 * BITS_PER_DIGIT)) as usize % SLOTS
}

impl Wheel {
    /// Panics unless every timer is in the slot of its digit, and long queues are open and short
    /// ones are not. Returns the number of timers, and of open slots.
    pub fn check_invariants<T>(
        &self,
        level: usize,
        nodes: &Nodes<T>,
        belongs: &dyn Fn(u64) -> bool,
    ) -> (usize, usize) {
        let mut sums = (0, 0);
        for (at, slot) in self.slots.iter().enumerate() {
            let belongs = |tick| belongs(tick) && digit(tick, level) == at;
            let (len, opened) = match slot {
                Slot::Queue(queue) => {
                    nodes.check_queue(queue, &belongs);
                    assert!(level == 0 || queue.len <= MAX_SLOT);
                    (queue.len as usize, 0)
                }
                Slot::Wheel { len, wheel } => {
                    let counts = wheel.check_invariants(level - 1, nodes, &belongs);
                    assert_eq!(counts.0, *len as usize);
                    assert!(*len >= SHORT);
                    (counts.0, counts.1 + 1)
                }
            };
            assert_eq!(self.occupied & (1 << at) != 0, len > 0);
            sums = (sums.0 + len, sums.1 + opened);
        }
        sums
    }
}

impl<T> Nodes<T> {
    fn check_queue(&self, queue: &Queue, belongs: &dyn Fn(u64) -> bool) {
        let mut index = queue.head;
        for place in 1..=queue.len {
            let node = &self.slab[index];
            assert!(belongs(node.tick));
            if place < queue.len {
                assert_eq!(self.slab[node.next].previous, index);
                index = node.next;
            }
        }
        assert!(queue.len == 0 || index == queue.tail);
    }
}
