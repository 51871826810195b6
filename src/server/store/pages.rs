//! Entries in pages, without holes.
//!
//! A page is 64 KiB and holds entries of one *size class*, in places of equal length: 16 bytes, 24,
//! and so on by 8 up to 128; from there eight classes for each doubling, up to 4096. What is
//! larger has memory of its own, and its place only leads there.
//!
//! ```text
//!   page 0   48 bytes   │ a │ b │ c │ d │ … │ m │ n │       full
//!   page 1   56 bytes   │ A │ B │ C │           │           the last of its class: the next goes
//!   page 2   48 bytes   │ o │ p │ q │ r │       │             behind C; here, behind r
//!   page 3   large      │ →X│ →Y│     │
//! ```
//!
//! All pages of a class are full but the last. When an entry goes, *the last of its class takes its
//! place*: above, `r` moves to where `b` was. So deletes leave no holes, the memory of one class is
//! free for another as soon as it holds a page less, and there is nothing to be compacted later.
//! The price is that entries move: whoever keeps a handle must be told ([`Pages::remove`]).
//!
//! A handle is the number of a page (20 bits) and of a place in it (12 bits).

use super::entry::{self, Entry, EntryMut, Lease, Parts};
use std::sync::Arc;

/// Bytes of a page: below what glibc maps one by one, and a few microseconds' work to make ready.
const PAGE: usize = 64 * 1024;

/// Bits of a handle that number the places in a page.
const PLACE_BITS: u32 = 12;
const MAX_PLACES: usize = 1 << PLACE_BITS;

/// The most pages: 64 GiB, without what is large.
const MAX_PAGES: usize = 1 << (u32::BITS - PLACE_BITS);

const SMALLEST: usize = PAGE / MAX_PLACES;
/// Up to here the classes are a step of 8 bytes apart.
const FINE: usize = 128;
const FINE_STEP: usize = 8;
const FINE_CLASSES: usize = (FINE - SMALLEST) / FINE_STEP + 1;
/// Above, so many classes for each doubling.
const CLASSES_A_DOUBLING: usize = 8;
const LARGEST: usize = 4096;

/// What is longer than [`LARGEST`]: the last class.
const LARGE: usize = FINE_CLASSES + (LARGEST / FINE).ilog2() as usize * CLASSES_A_DOUBLING;

/// The bytes of a place, for each class but the last.
const SIZES: [u16; LARGE] = sizes();

const _: () = assert!(SMALLEST == 16 && LARGEST / CLASSES_A_DOUBLING / 2 <= entry::MAX_SLACK);

/// The class of entries of this length.
#[inline]
const fn class_of(length: usize) -> usize {
    if length <= SMALLEST {
        return 0;
    }
    if length <= FINE {
        return length.div_ceil(FINE_STEP) - SMALLEST / FINE_STEP;
    }
    if length > LARGEST {
        return LARGE;
    }
    let doubling = (length - 1).ilog2();
    let within = ((length - 1) >> (doubling - CLASSES_A_DOUBLING.ilog2())) % CLASSES_A_DOUBLING;
    FINE_CLASSES + (doubling - FINE.ilog2()) as usize * CLASSES_A_DOUBLING + within
}

const fn sizes() -> [u16; LARGE] {
    let mut sizes = [0; LARGE];
    let mut length = SMALLEST;
    while length <= LARGEST {
        // The longest of a class is written last.
        sizes[class_of(length)] = length as u16;
        length += 1;
    }
    sizes
}

/// Where an entry is.
pub type Handle = u32;

/// Memory for an entry of its own. Shared with outputs that it is being sent from.
pub type Large = Arc<Vec<u8>>;

enum Page {
    /// A number to be used again.
    Vacant,
    Places {
        class: u8,
        size: u16,
        memory: Box<[u8; PAGE]>,
    },
    #[allow(clippy::box_collection)] // twice as many pages fit a cache line
    Large(Box<Vec<Large>>),
}

const _: () = assert!(size_of::<Page>() == 16);

/// The pages of one class.
#[derive(Default)]
struct Class {
    /// Their numbers; all are full but the last, and that is not empty.
    pages: Vec<u32>,
    /// Places used in the last page.
    last_used: u32,
}

/// All entries; see the head of the file.
pub struct Pages {
    pages: Vec<Page>,
    vacant: Vec<u32>,
    classes: [Class; LARGE + 1],
    /// One page that became free, so that a number of entries that goes up and down by one costs
    /// no allocations.
    spare: Option<Box<[u8; PAGE]>>,
    /// Bytes of what has memory of its own.
    large_bytes: usize,
}

impl Pages {
    /// No entries, and hardly any memory.
    pub fn new() -> Pages {
        Pages {
            pages: Vec::new(),
            vacant: Vec::new(),
            classes: std::array::from_fn(|_| Class::default()),
            spare: None,
            large_bytes: 0,
        }
    }

    /// An entry.
    #[inline]
    pub fn entry(&self, handle: Handle) -> Entry<'_> {
        match &self.pages[page_of(handle)] {
            Page::Places { size, memory, .. } => {
                let size = usize::from(*size);
                Entry(&memory[place_of(handle) * size..][..size])
            }
            Page::Large(entries) => Entry(&entries[place_of(handle)]),
            Page::Vacant => unreachable!("a handle leads to an entry"),
        }
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// If it would take more than [`MAX_PAGES`] pages.
    pub fn insert(&mut self, parts: &Parts<'_>) -> Handle {
        let class = class_of(parts.len());
        let handle = self.take_place(class);
        match &mut self.pages[page_of(handle)] {
            Page::Places { size, memory, .. } => {
                let size = usize::from(*size);
                parts.fill(&mut memory[place_of(handle) * size..][..size]);
            }
            Page::Large(entries) => {
                let entry = Arc::new(parts.to_vec());
                self.large_bytes += entry.capacity();
                entries.push(entry);
            }
            Page::Vacant => unreachable!("a place was taken in it"),
        }
        handle
    }

    /// Writes an entry anew where it is. `false`: it is of another class now, and nothing changes.
    #[inline]
    pub fn replace(&mut self, handle: Handle, parts: &Parts<'_>) -> bool {
        let new_class = class_of(parts.len());
        match &mut self.pages[page_of(handle)] {
            Page::Places { class, size, memory } if usize::from(*class) == new_class => {
                let size = usize::from(*size);
                let place = &mut memory[place_of(handle) * size..][..size];
                let mut entry = EntryMut(place);
                if entry.has_room() || parts.lease.is_some() {
                    parts.fill(place);
                } else {
                    entry.set_value(parts.value);
                }
                true
            }
            Page::Large(entries) if new_class == LARGE => {
                let entry = &mut entries[place_of(handle)];
                self.large_bytes -= entry.capacity();
                match Arc::get_mut(entry) {
                    Some(bytes) if Entry(bytes).value().len() == parts.value.len() => {
                        let mut entry = EntryMut(bytes);
                        entry.set_value(parts.value);
                        entry.set_lease(parts.lease);
                    }
                    _ => *entry = Arc::new(parts.to_vec()),
                }
                self.large_bytes += entry.capacity();
                true
            }
            _ => false,
        }
    }

    /// Sets a lease, or takes one away, without moving anything. `false`: that cannot be.
    pub fn set_lease(&mut self, handle: Handle, lease: Option<Lease>) -> bool {
        match &mut self.pages[page_of(handle)] {
            Page::Places { size, memory, .. } => {
                let size = usize::from(*size);
                let mut entry = EntryMut(&mut memory[place_of(handle) * size..][..size]);
                let both = entry.has_room() && lease.is_some();
                if both {
                    entry.set_lease(lease);
                }
                both || (!entry.has_room() && lease.is_none())
            }
            Page::Large(entries) => {
                let bytes = Arc::make_mut(&mut entries[place_of(handle)]);
                EntryMut(bytes).set_lease(lease);
                true
            }
            Page::Vacant => unreachable!("a handle leads to an entry"),
        }
    }

    /// Appends to a value, without moving anything. `false`: that cannot be.
    pub fn append(&mut self, handle: Handle, tail: &[u8]) -> bool {
        match &mut self.pages[page_of(handle)] {
            Page::Places { size, memory, .. } => {
                let size = usize::from(*size);
                EntryMut(&mut memory[place_of(handle) * size..][..size]).append(tail)
            }
            Page::Large(entries) => {
                let entry = &mut entries[place_of(handle)];
                self.large_bytes -= entry.capacity();
                let bytes = Arc::make_mut(entry);
                // In steps of an eighth: a value that grows by and by is copied now and then.
                if bytes.capacity() - bytes.len() < tail.len() {
                    bytes.reserve_exact(tail.len().max(bytes.len() / 8));
                }
                bytes.extend_from_slice(tail);
                self.large_bytes += bytes.capacity();
                true
            }
            Page::Vacant => unreachable!("a handle leads to an entry"),
        }
    }

    /// Removes an entry. The last of its class moves to its place: returns where that was, or
    /// `None` if it was the entry itself.
    pub fn remove(&mut self, handle: Handle) -> Option<Handle> {
        let class = match &self.pages[page_of(handle)] {
            Page::Places { class, .. } => usize::from(*class),
            Page::Large(_) => LARGE,
            Page::Vacant => unreachable!("a handle leads to an entry"),
        };
        let last = self.classes[class].last().expect("the entry is in its class");
        self.fill_hole(handle, last);
        self.give_place_back(class);
        (last != handle).then_some(last)
    }

    /// The memory that is held, in bytes, without the allocator's own share.
    #[cfg(test)]
    pub fn memory_bytes(&self) -> usize {
        let pages = self.pages.len() - self.vacant.len();
        let places = self.pages.capacity() * size_of::<Page>();
        pages * PAGE + places + self.large_bytes
    }

    /// The memory in pieces, as their sizes: each is given back when its size is taken, so that no
    /// call has to free all.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        self.pages.into_iter().flat_map(|page| {
            let (small, large) = match page {
                Page::Places { memory, .. } => (Some(memory), None),
                Page::Large(entries) => (None, Some(entries)),
                Page::Vacant => (None, None),
            };
            let large = large.map(|entries| *entries).into_iter().flatten();
            small.into_iter().map(|memory| memory.len()).chain(large.map(|entry| entry.capacity()))
        })
    }

    /// The number of the first place of its class that is not used.
    fn take_place(&mut self, class: usize) -> Handle {
        let full = self.classes[class].is_full(class);
        if full {
            let number = self.add_page(class);
            let class = &mut self.classes[class];
            class.pages.push(number);
            class.last_used = 0;
        }
        let class = &mut self.classes[class];
        class.last_used += 1;
        class.last().expect("a place was added")
    }

    fn add_page(&mut self, class: usize) -> u32 {
        let page = if class == LARGE {
            Page::Large(Box::default())
        } else {
            let memory = self.spare.take().unwrap_or_else(fresh_memory);
            Page::Places { class: class as u8, size: SIZES[class], memory }
        };
        if let Some(number) = self.vacant.pop() {
            self.pages[number as usize] = page;
            return number;
        }
        assert!(self.pages.len() < MAX_PAGES, "more than 64 GiB of small entries");
        self.pages.push(page);
        self.pages.len() as u32 - 1
    }

    /// Moves the last entry of a class to the place of another, which goes.
    fn fill_hole(&mut self, hole: Handle, last: Handle) {
        let (to, from) = (place_of(hole), place_of(last));
        let pages = [page_of(hole), page_of(last)];
        if pages[0] == pages[1] {
            match &mut self.pages[pages[0]] {
                Page::Places { size, memory, .. } => {
                    let size = usize::from(*size);
                    memory.copy_within(from * size..(from + 1) * size, to * size);
                }
                Page::Large(entries) => self.large_bytes -= entries.swap_remove(to).capacity(),
                Page::Vacant => unreachable!("a handle leads to an entry"),
            }
            return;
        }
        match self.pages.get_disjoint_mut(pages).expect("two pages") {
            [Page::Places { size, memory, .. }, Page::Places { memory: last, .. }] => {
                let size = usize::from(*size);
                memory[to * size..][..size].copy_from_slice(&last[from * size..][..size]);
            }
            [Page::Large(entries), Page::Large(last)] => {
                let filler = last.pop().expect("the last page is not empty");
                self.large_bytes -= std::mem::replace(&mut entries[to], filler).capacity();
            }
            _ => unreachable!("pages of one class are alike"),
        }
    }

    /// The last place of a class is free now.
    fn give_place_back(&mut self, class: usize) {
        let it = &mut self.classes[class];
        it.last_used -= 1;
        if it.last_used > 0 {
            return;
        }
        let number = it.pages.pop().expect("it had an entry");
        it.last_used = if it.pages.is_empty() { 0 } else { places(class) as u32 };
        let page = std::mem::replace(&mut self.pages[number as usize], Page::Vacant);
        if let Page::Places { memory, .. } = page {
            self.spare.get_or_insert(memory);
        }
        self.vacant.push(number);
    }

    /// Panics unless every class has as many places as its pages have and every page is in one
    /// class; says how many entries there are. For tests.
    pub fn check_invariants(&self) -> usize {
        let (mut entries, mut pages) = (0, 0);
        for (number, class) in self.classes.iter().enumerate() {
            let full = class.pages.len().saturating_sub(1) * places(number);
            assert!(class.pages.is_empty() == (class.last_used == 0), "an empty page");
            assert!(class.last_used as usize <= places(number), "more places than a page has");
            for (at, &page) in class.pages.iter().enumerate() {
                let is_last = at + 1 == class.pages.len();
                let used = if is_last { class.last_used as usize } else { places(number) };
                match &self.pages[page as usize] {
                    Page::Places { class, size, .. } => {
                        assert_eq!((usize::from(*class), *size), (number, SIZES[number]));
                    }
                    Page::Large(entries) => assert_eq!((number, entries.len()), (LARGE, used)),
                    Page::Vacant => panic!("a vacant page in a class"),
                }
            }
            entries += full + class.last_used as usize;
            pages += class.pages.len();
        }
        assert_eq!(pages + self.vacant.len(), self.pages.len());
        assert!(self.vacant.iter().all(|&page| matches!(self.pages[page as usize], Page::Vacant)));
        entries
    }
}

impl Class {
    #[inline]
    fn is_full(&self, class: usize) -> bool {
        self.pages.is_empty() || self.last_used as usize == places(class)
    }

    /// Its last entry.
    #[inline]
    fn last(&self) -> Option<Handle> {
        let page = *self.pages.last()?;
        Some(page << PLACE_BITS | (self.last_used - 1))
    }
}

/// How many places a page of this class has.
#[inline]
fn places(class: usize) -> usize {
    if class == LARGE { MAX_PLACES } else { PAGE / usize::from(SIZES[class]) }
}

#[inline]
fn page_of(handle: Handle) -> usize {
    (handle >> PLACE_BITS) as usize
}

#[inline]
fn place_of(handle: Handle) -> usize {
    handle as usize % MAX_PLACES
}

#[cold]
fn fresh_memory() -> Box<[u8; PAGE]> {
    let memory = vec![0; PAGE].into_boxed_slice();
    memory.try_into().expect("it is as long as a page")
}

#[cfg(test)]
mod tests;
