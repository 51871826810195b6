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

use std::array;
use std::ops::{Index, IndexMut};

/// Values in a segment: the bits of a word that says which places are used. More of them would be
/// held longer by one value that stays; fewer would make the list of segments a burden.
pub const SEGMENT: usize = BITS;

const BITS: usize = u64::BITS as usize;

type Places<T> = [Option<T>; SEGMENT];

/// Values of type `T` by `u32` numbers, which are used again; see the head of the file.
pub struct SegmentedSlab<T> {
    /// `None`: it is empty.
    segments: Vec<Option<Box<Places<T>>>>,
    /// For each segment a bit for each place that is used.
    used: Vec<u64>,
    /// A bit for each segment that is not full.
    room: Vec<u64>,
    /// No bit is set in the words of `room` before this one. An insert looks for the next that has
    /// one: each stands for 4096 values, so a thousand of them are passed in a microsecond at
    /// worst.
    first_room: usize,
    /// How many of the segments have memory.
    allocated: usize,
    len: usize,
}

impl<T> SegmentedSlab<T> {
    /// What one place takes.
    pub const PLACE_BYTES: usize = size_of::<Option<T>>();

    /// An empty slab, which has no memory yet.
    pub fn new() -> Self {
        let (used, room) = (Vec::new(), Vec::new());
        Self { segments: Vec::new(), used, room, first_room: 0, allocated: 0, len: 0 }
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
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (segment, place) = split(number);
        self.segments.get(segment)?.as_ref()?[place].as_ref()
    }

    /// Adds a value and gives its number.
    ///
    /// # Panics
    /// With 2^32 values.
    pub fn insert(&mut self, value: T) -> u32 {
        let segment = self.lowest_with_room();
        let used = &mut self.used[segment];
        if *used == 0 {
            self.segments[segment] = Some(Box::new(array::from_fn(|_| None)));
            self.allocated += 1;
        }
        let place = used.trailing_ones() as usize;
        *used |= 1 << place;
        if *used == u64::MAX {
            self.room[segment / BITS] &= !(1 << (segment % BITS));
        }
        let number = u32::try_from(segment * SEGMENT + place).expect("fewer than 2^32 values");
        *self.place(number).expect("it was made above") = Some(value);
        self.len += 1;
        number
    }

    /// Takes a value out.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn remove(&mut self, number: u32) -> T {
        let place = self.place(number).and_then(Option::take);
        let value = place.expect("there is a value of this number");
        self.len -= 1;
        let (segment, place) = split(number);
        self.used[segment] &= !(1 << place);
        self.has_room(segment);
        if self.used[segment] == 0 {
            self.segments[segment] = None;
            self.allocated -= 1;
            while self.segments.last().is_some_and(Option::is_none) {
                self.segments.pop();
                self.used.pop();
                let last = self.segments.len();
                self.room[last / BITS] &= !(1 << (last % BITS));
            }
            self.room.truncate(self.segments.len().div_ceil(BITS));
        }
        value
    }

    #[inline]
    fn place(&mut self, number: u32) -> Option<&mut Option<T>> {
        let (segment, place) = split(number);
        Some(&mut self.segments.get_mut(segment)?.as_mut()?[place])
    }

    fn lowest_with_room(&mut self) -> usize {
        while let Some(&bits) = self.room.get(self.first_room) {
            if bits != 0 {
                return self.first_room * BITS + bits.trailing_zeros() as usize;
            }
            self.first_room += 1;
        }
        let added = self.segments.len();
        self.segments.push(None);
        self.used.push(0);
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
        self.segments.into_iter().rev().flatten().flat_map(|places| *places).flatten()
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
        self.get(number).expect("there is a value of this number")
    }
}

impl<T> IndexMut<u32> for SegmentedSlab<T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        let place = self.place(number).and_then(Option::as_mut);
        place.expect("there is a value of this number")
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
        let segments = slab.segments.iter().flatten().count();
        assert_eq!(segments, 2, "the memory of those between is given back");
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
