//! A slab in segments: values by number, in memory that follows how many there are, up and down.
//!
//! One slab keeps the memory of its best days, and copies everything when it grows. This one is
//! many of a fixed size. A new value goes to the *lowest* segment that has room, so that the high
//! ones run empty once values leave, and an empty segment is given back:
//!
//! ```text
//! segment      0        1        2        3
//!           ┌────────┬────────┬────────┬────────┐
//!           │aaaaaaaa│aaaaaaaa│aaaaaaaa│aaaaaaaa│
//!           │aa a    │ a  a   │    a   │  a     │   most have left
//!           │bbbbabbb│ba  a   │    a   │  a     │   new ones come
//!           │bbbb bbb│b       │ given  │ back   │   the last of the old ones have left
//!           └────────┴────────┴────────┴────────┘
//! ```
//!
//! A value never moves. Where old values stay for good, the segments that they are in do, too:
//! [`vacant`](SegmentedSlab::vacant) says how much that is.

use slab::Slab;
use std::ops::{Index, IndexMut};

/// Values in a segment. More would be held longer by one that stays; fewer would cost more than the
/// byte a value that the list of segments takes now.
pub const SEGMENT: usize = 64;

const BITS: usize = u64::BITS as usize;

/// Values of type `T` by `u32` numbers, which are used again; see the head of the file.
pub struct SegmentedSlab<T> {
    segments: Vec<Slab<T>>,
    /// A bit for each segment that is not full; empty ones are not.
    room: Vec<u64>,
    /// No bit is set in the words before this one. An insert looks for the next that has one: each
    /// stands for 4096 values, so a thousand of them are passed in a microsecond at worst.
    first_room: usize,
    /// How many of the segments have memory: those that are not empty.
    allocated: usize,
    len: usize,
}

impl<T> SegmentedSlab<T> {
    /// What one place takes, the list of segments included, while `T` has a niche for a tag.
    pub const PLACE_BYTES: usize = size_of::<T>() + 1;

    /// An empty slab, which has no memory yet.
    pub fn new() -> Self {
        Self { segments: Vec::new(), room: Vec::new(), first_room: 0, allocated: 0, len: 0 }
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Places that take memory without a value. Fewer than [`SEGMENT`] while it only grows.
    pub fn vacant(&self) -> usize {
        self.allocated * SEGMENT - self.len
    }

    /// The value of this number, if there is one.
    pub fn get(&self, number: u32) -> Option<&T> {
        let (segment, place) = split(number);
        self.segments.get(segment)?.get(place)
    }

    /// Adds a value and gives its number.
    ///
    /// # Panics
    /// With 2^32 values.
    pub fn insert(&mut self, value: T) -> u32 {
        let segment = self.lowest_with_room();
        let slab = &mut self.segments[segment];
        if slab.is_empty() {
            *slab = Slab::with_capacity(SEGMENT);
            self.allocated += 1;
        }
        let place = slab.insert(value);
        if slab.len() == SEGMENT {
            self.room[segment / BITS] &= !(1 << (segment % BITS));
        }
        self.len += 1;
        u32::try_from(segment * SEGMENT + place).expect("fewer than 2^32 values")
    }

    /// Takes a value out.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn remove(&mut self, number: u32) -> T {
        let (segment, place) = split(number);
        let slab = &mut self.segments[segment];
        let value = slab.remove(place);
        self.len -= 1;
        if slab.is_empty() {
            *slab = Slab::new();
            self.allocated -= 1;
            while self.segments.last().is_some_and(Slab::is_empty) {
                self.segments.pop();
                let last = self.segments.len();
                self.room[last / BITS] &= !(1 << (last % BITS));
            }
            self.room.truncate(self.segments.len().div_ceil(BITS));
        } else if slab.len() == SEGMENT - 1 {
            self.has_room(segment);
        }
        value
    }

    fn lowest_with_room(&mut self) -> usize {
        while let Some(&bits) = self.room.get(self.first_room) {
            if bits != 0 {
                return self.first_room * BITS + bits.trailing_zeros() as usize;
            }
            self.first_room += 1;
        }
        let added = self.segments.len();
        self.segments.push(Slab::new());
        self.room.resize(self.segments.len().div_ceil(BITS), 0);
        self.has_room(added);
        added
    }

    fn has_room(&mut self, segment: usize) {
        self.room[segment / BITS] |= 1 << (segment % BITS);
        self.first_room = self.first_room.min(segment / BITS);
    }

    /// The values, those with high numbers first. What has been taken of them is freed.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.segments.into_iter().rev().flatten().map(|(_, value)| value)
    }
}

impl<T> Default for SegmentedSlab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Index<u32> for SegmentedSlab<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        let (segment, place) = split(number);
        &self.segments[segment][place]
    }
}

impl<T> IndexMut<u32> for SegmentedSlab<T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        let (segment, place) = split(number);
        &mut self.segments[segment][place]
    }
}

/// The segment, and the place in it.
fn split(number: u32) -> (usize, usize) {
    (number as usize / SEGMENT, number as usize % SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_place_takes_no_more_than_its_value() {
        // As in `slab`, which does not show its own.
        #[allow(dead_code)]
        enum Place<T> {
            Vacant(usize),
            Occupied(T),
        }
        type Value = (Box<[u8]>, u64);
        assert_eq!(size_of::<Place<Value>>(), size_of::<Value>());
    }

    #[test]
    fn memory_follows_the_values_though_some_of_the_old_ones_stay() {
        let mut slab = SegmentedSlab::new();
        let numbers: Vec<u32> = (0..64_000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.vacant(), 0);
        assert_eq!(slab.remove(700), 700);
        assert_eq!(slab.insert(700), 700, "a segment with room for one is used");
        for number in &numbers[1..] {
            slab.remove(*number);
        }
        assert_eq!((slab.len(), slab.vacant()), (1, 63));
        assert_eq!((slab.segments.len(), slab.room.len()), (1, 1));
        // One stays far up; those that come now go to the bottom.
        let mut high: Vec<u32> = (0..6400).map(|value| slab.insert(value)).collect();
        let last = high.pop().expect("there are 6400");
        high.into_iter().for_each(|number| assert!(slab.remove(number) < 6400));
        assert!((0..62).all(|value| slab.insert(value) < 64));
        assert_eq!((slab[last], slab.vacant()), (6399, 64));
        let places: usize = slab.segments.iter().map(Slab::capacity).sum();
        assert_eq!(places, 2 * SEGMENT, "the memory of those between is given back");
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((0..9, 0usize..999), 0..2000)) {
            let mut slab = SegmentedSlab::new();
            let mut map = BTreeMap::new();
            for (step, (kind, which)) in steps.into_iter().enumerate() {
                // Up for some time, then down.
                if map.is_empty() || (kind < 6) == (step % 600 < 400) {
                    let number = slab.insert(step);
                    prop_assert_eq!(map.insert(number, step), None);
                } else {
                    let number = *map.keys().nth(which % map.len()).expect("it is not empty");
                    prop_assert_eq!(Some(slab.remove(number)), map.remove(&number));
                    prop_assert_eq!(slab.get(number), None);
                }
                prop_assert_eq!(slab.len(), map.len());
                let segments = map.keys().map(|number| number / SEGMENT as u32);
                let segments: BTreeSet<u32> = segments.collect();
                prop_assert_eq!(slab.vacant(), segments.len() * SEGMENT - map.len());
            }
            prop_assert!(map.iter().all(|(&number, value)| slab[number] == *value));
            let mut values: Vec<usize> = slab.into_values().collect();
            values.sort_unstable();
            let mut expected: Vec<usize> = map.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(values, expected);
        }
    }
}
