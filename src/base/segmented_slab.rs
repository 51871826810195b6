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
//! A value never moves, and neither do the segments: they are listed in pages of 64, and only the
//! list of pages is ever copied to grow, 8 bytes for 4096 values. So no call takes long, however
//! many values there are. Where old values stay for good, the segments that they are in do, too:
//! [`vacant`](SegmentedSlab::vacant) returns how much that is.

use std::array;
use std::ops::{Index, IndexMut};

/// Values in a segment: the bits of a `u64` that has one for each place. More of them would be
/// held longer by one value that stays; fewer would make the list of segments a burden.
pub const SEGMENT: usize = BITS;

const BITS: usize = u64::BITS as usize;

/// Values in a page.
const PAGE: usize = BITS * SEGMENT;

type Places<T> = [Option<T>; SEGMENT];

/// Values of type `T` by `u32` numbers, which are used again; see the head of the file.
pub struct SegmentedSlab<T> {
    /// `None`: it is empty.
    pages: Vec<Option<Box<Page<T>>>>,
    /// A bit for each page that is not full.
    room: Vec<u64>,
    /// No bit is set in the words of `room` before this one. An insert looks for the next that has
    /// one: each stands for 262,144 values, so a thousand million are passed in two microseconds.
    first_room: usize,
    /// How many segments have memory.
    allocated: usize,
    len: usize,
}

struct Page<T> {
    /// `None`: it is empty.
    segments: [Option<Box<Places<T>>>; BITS],
    /// For each segment a bit for each place that is used.
    used: [u64; BITS],
    /// A bit for each segment that is not full.
    room: u64,
    /// How many of the segments have memory.
    allocated: usize,
}

impl<T> SegmentedSlab<T> {
    /// The memory of one place, in bytes.
    pub const PLACE_BYTES: usize = size_of::<Option<T>>();

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of places that take memory without a value. Fewer than [`SEGMENT`] while
    /// it only grows.
    pub fn vacant(&self) -> usize {
        self.allocated * SEGMENT - self.len
    }

    /// Returns a bound of the numbers: all are below.
    pub fn bound(&self) -> u32 {
        u32::try_from(self.pages.len() * PAGE).unwrap_or(u32::MAX)
    }

    /// Returns the value of this number, if there is one.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (page, segment, place) = split(number);
        self.pages.get(page)?.as_ref()?.segments[segment].as_ref()?[place].as_ref()
    }

    /// Adds a value, and returns its number.
    ///
    /// # Panics
    /// With 2^32 values.
    pub fn insert(&mut self, value: T) -> u32 {
        let at = self.first_with_room();
        let page = &mut **self.pages[at].get_or_insert_with(|| Box::new(Page::new()));
        let segment = page.room.trailing_zeros() as usize;
        let used = page.used[segment];
        let place = used.trailing_ones() as usize;
        let number = u32::try_from(at * PAGE + segment * SEGMENT + place);
        let number = number.expect("fewer than 2^32 values");
        let places = page.segments[segment].get_or_insert_with(|| {
            page.allocated += 1;
            self.allocated += 1;
            Box::new(array::from_fn(|_| None))
        });
        debug_assert!(places[place].is_none(), "a number is used once at a time");
        places[place] = Some(value);
        self.len += 1;
        let used = used | 1 << place;
        page.used[segment] = used;
        if used == u64::MAX {
            page.room &= !(1 << segment);
            if page.room == 0 {
                self.room[at / BITS] &= !(1 << (at % BITS));
            }
        }
        number
    }

    /// Takes a value out, and returns it.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn remove(&mut self, number: u32) -> T {
        let (at, segment, place) = split(number);
        let page = self.pages.get_mut(at).and_then(Option::as_deref_mut);
        let page = page.expect("there is a value of this number");
        let value = page.segments[segment].as_mut().and_then(|places| places[place].take());
        let value = value.expect("there is a value of this number");
        debug_assert!(page.used[segment] & 1 << place != 0, "what has a value is marked as used");
        self.len -= 1;
        page.used[segment] &= !(1 << place);
        let was_full = page.room == 0;
        page.room |= 1 << segment;
        if page.used[segment] == 0 {
            page.segments[segment] = None;
            page.allocated -= 1;
            self.allocated -= 1;
            if page.allocated == 0 {
                self.pages[at] = None;
            }
        }
        if was_full {
            self.note_room(at);
        }
        value
    }

    /// Returns the first page with room, in which the first segment with room is the lowest of all.
    fn first_with_room(&mut self) -> usize {
        while let Some(&bits) = self.room.get(self.first_room) {
            if bits != 0 {
                return self.first_room * BITS + bits.trailing_zeros() as usize;
            }
            self.first_room += 1;
        }
        let added = self.pages.len();
        self.pages.push(None);
        self.room.resize(self.pages.len().div_ceil(BITS), 0);
        self.note_room(added);
        added
    }

    /// Panics unless: each bit of what is used and of what has room is right; no empty segment and
    /// no empty page has memory; and the counts are right.
    pub fn check_invariants(&self) {
        let (mut len, mut allocated) = (0, 0);
        for (at, page) in self.pages.iter().enumerate() {
            let has_room = self.room[at / BITS] & 1 << (at % BITS) != 0;
            let Some(page) = page else {
                assert!(has_room, "an empty page has room");
                continue;
            };
            assert_eq!(has_room, page.room != 0);
            let mut segments = 0;
            for (number, segment) in page.segments.iter().enumerate() {
                let used = page.used[number];
                assert_eq!(page.room & 1 << number != 0, used != u64::MAX);
                assert_eq!(segment.is_some(), used != 0, "memory for nothing, or nothing for it");
                let Some(places) = segment else { continue };
                let is_right =
                    |(place, it): (usize, &Option<T>)| it.is_some() == (used & 1 << place != 0);
                assert!(places.iter().enumerate().all(is_right));
                len += used.count_ones() as usize;
                segments += 1;
            }
            assert_eq!(page.allocated, segments);
            assert!(segments > 0, "an empty page has no memory");
            allocated += segments;
        }
        assert!(self.room[..self.first_room].iter().all(|&bits| bits == 0));
        assert_eq!((len, allocated), (self.len, self.allocated));
    }

    fn note_room(&mut self, page: usize) {
        self.room[page / BITS] |= 1 << (page % BITS);
        self.first_room = self.first_room.min(page / BITS);
    }

    /// Returns the values, those with high numbers first. The memory of those taken is freed.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        let pages = self.pages.into_iter().rev().flatten();
        let segments = pages.flat_map(|page| page.segments.into_iter().rev().flatten());
        segments.flat_map(|places| *places).flatten()
    }
}

impl<T> Page<T> {
    fn new() -> Self {
        let segments = array::from_fn(|_| None);
        Self { segments, used: [0; BITS], room: u64::MAX, allocated: 0 }
    }
}

impl<T> Default for SegmentedSlab<T> {
    /// Returns an empty slab, which has no memory yet.
    fn default() -> Self {
        Self { pages: Vec::new(), room: Vec::new(), first_room: 0, allocated: 0, len: 0 }
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
        let (page, segment, place) = split(number);
        let page = self.pages.get_mut(page).and_then(Option::as_mut);
        let places = page.and_then(|page| page.segments[segment].as_mut());
        let value = places.and_then(|places| places[place].as_mut());
        value.expect("there is a value of this number")
    }
}

/// Returns the page of a number, the segment in it, and the place in that.
fn split(number: u32) -> (usize, usize, usize) {
    let number = number as usize;
    (number / PAGE, number / SEGMENT % BITS, number % SEGMENT)
}

#[cfg(test)]
mod tests;
