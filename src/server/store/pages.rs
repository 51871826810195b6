//! Entries in pages, without holes.
//!
//! A page is 64 KiB and holds entries of one *size class*, in places of equal length: 16 bytes, 24,
//! and so on by 8 up to 128; from there eight classes for each doubling up to 4096, and then what
//! 15, 14 and so on to a page need, up to 16 KiB. What is larger has memory of its own.
//!
//! ```text
//!   page 0   48 bytes   │ a │ b │ c │ d │ … │ m │ n │       full
//!   page 1   56 bytes   │ A │ B │ C │           │           the last of its class: the next goes
//!   page 2   48 bytes   │ o │ p │ q │ r │       │             behind C; here, behind r
//!   large               │ →X│ →Y│
//! ```
//!
//! All pages of a class are full but the last. When an entry goes, *the last of its class takes its
//! place*: above, `r` moves to where `b` was. So deletes leave no holes, the memory of one class is
//! free for another as soon as it holds a page less, and there is nothing to be compacted later.
//! When an eighth of the pages is free, the last page moves to the first free one, and the memory
//! at the end goes back to the system.
//!
//! The price is that entries move: [`Pages::remove`] and [`Pages::move_last`] return the handles
//! that have changed.
//!
//! A handle is the number of a page (20 bits) and of a place in it (12 bits); the highest ones are
//! the numbers of what is large.

use super::entry::{self, Lease, Parts, StoredEntry, StoredEntryMut};
use crate::base::arena::Arena;
use crate::base::output::{Block, Value};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

const PAGE: usize = 64 * 1024;

/// Bits of a handle that number the places in a page.
const PLACE_BITS: u32 = 12;
const MAX_PLACES: usize = 1 << PLACE_BITS;

/// The first handle of what is large. 60 GiB of pages are before it, and 2^28 large entries behind.
const LARGE_FROM: Handle = 0xf000_0000;

/// The entries in pages, and the large ones, with which the pages count as full.
const MAX_IN_PAGES: usize = LARGE_FROM as usize / 8 * 7;
const MAX_LARGE: usize = (Handle::MAX - LARGE_FROM) as usize / 8 * 7;

const SMALLEST: usize = PAGE / MAX_PLACES;
/// The length up to which the classes are a step of 8 bytes apart.
const FINE: usize = 128;
const FINE_STEP: usize = 8;
const FINE_CLASSES: usize = (FINE - SMALLEST) / FINE_STEP + 1;
/// The classes for each doubling of a length above [`FINE`].
const CLASSES_A_DOUBLING: usize = 8;
/// The length up to which they are. Above, places are a fifteenth of a page, a fourteenth, and so
/// on.
const MEDIUM: usize = 4096;
const MEDIUM_CLASSES: usize = FINE_CLASSES + (MEDIUM / FINE).ilog2() as usize * CLASSES_A_DOUBLING;
/// The longest entry in pages, in bytes.
pub const MAX_PAGED: usize = PAGE / 4;

/// The number of classes; that of what is longer than [`MAX_PAGED`], too.
const CLASSES: usize = MEDIUM_CLASSES + PAGE / MEDIUM - PAGE / MAX_PAGED;

/// The bytes of a place, for each class.
const SIZES: [u16; CLASSES] = sizes();

const _: () = assert!(SMALLEST == 16 && MAX_PAGED - 1 <= entry::MAX_SLACK);

/// Returns the class of entries of this length.
#[inline]
const fn class_of(length: usize) -> usize {
    if length <= SMALLEST {
        return 0;
    }
    if length <= FINE {
        return length.div_ceil(FINE_STEP) - SMALLEST / FINE_STEP;
    }
    if length > MAX_PAGED {
        return CLASSES;
    }
    if length > MEDIUM {
        return MEDIUM_CLASSES + PAGE / MEDIUM - 1 - PAGE / length;
    }
    let doubling = (length - 1).ilog2();
    let within = ((length - 1) >> (doubling - CLASSES_A_DOUBLING.ilog2())) % CLASSES_A_DOUBLING;
    FINE_CLASSES + (doubling - FINE.ilog2()) as usize * CLASSES_A_DOUBLING + within
}

const fn sizes() -> [u16; CLASSES] {
    let mut sizes = [0; CLASSES];
    let mut length = SMALLEST;
    while length <= MAX_PAGED {
        // The longest of a class is written last.
        sizes[class_of(length)] = length as u16;
        length += 1;
    }
    sizes
}

/// The place of an entry.
pub type Handle = u32;

/// The pages that may be free, besides this share of all, before the last page moves.
const FREE_PAGES: usize = 16;
const FREE_SHARE: usize = 8;

/// In place of a class: the page is free.
const FREE: u8 = u8::MAX;

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
    memory: Arena<[u8; PAGE]>,
    /// The class of each page, or [`FREE`].
    class_of_page: Vec<u8>,
    free: BTreeSet<u32>,
    classes: [Class; CLASSES],
    large: Vec<Block>,
}

/// A page that has moved.
pub struct Moved {
    /// The old places of its entries.
    pub from: Range<Handle>,
    /// The new place of the first of them.
    pub to: Handle,
}

impl Pages {
    /// Returns no entries, in hardly any memory.
    pub fn new() -> Pages {
        Pages {
            memory: Arena::default(),
            class_of_page: Vec::new(),
            free: BTreeSet::new(),
            classes: std::array::from_fn(|_| Class::default()),
            large: Vec::new(),
        }
    }

    /// Returns an entry.
    #[inline]
    pub fn entry(&self, handle: Handle) -> StoredEntry<'_> {
        if handle < LARGE_FROM {
            let place = self.place(handle);
            return StoredEntry(&self.memory.at(page_of(handle))[place]);
        }
        StoredEntry(&self.large[large_number(handle)])
    }

    /// Returns the value of an entry; one with memory of its own can be shared.
    #[inline]
    pub fn value(&self, handle: Handle) -> Value<'_> {
        let value = self.entry(handle).value();
        if handle < LARGE_FROM {
            return Value::Short(value);
        }
        let block = &self.large[large_number(handle)];
        Value::long(block, block.len() - value.len()..block.len())
    }

    /// Adds an entry, and returns its place.
    ///
    /// # Panics
    /// With more than 60 GiB of pages, or 2^28 large entries.
    pub fn insert(&mut self, parts: &Parts<'_>) -> Handle {
        let class = class_of(parts.len());
        if class == CLASSES {
            return self.push_large(parts.to_padded_vec(0));
        }
        let it = &self.classes[class];
        if it.pages.is_empty() || it.last_used as usize == places(class) {
            self.add_page(class);
        }
        let it = &mut self.classes[class];
        it.last_used += 1;
        let handle = it.last().expect("a page was added");
        let place = self.place(handle);
        parts.fill(&mut self.memory.at_mut(page_of(handle))[place]);
        handle
    }

    /// Writes an entry anew where it is. Returns whether it has been done: else it is of another
    /// class now, and nothing changes.
    #[inline]
    pub fn replace(&mut self, handle: Handle, parts: &Parts<'_>) -> bool {
        if handle >= LARGE_FROM {
            return self.replace_large(handle, parts);
        }
        let stays = class_of(parts.len()) == self.class(handle);
        if stays {
            let place = self.place_mut(handle);
            let mut entry = StoredEntryMut(place);
            if entry.has_room() || parts.lease.is_some() {
                parts.fill(place);
            } else {
                entry.set_value(parts.value);
            }
        }
        stays
    }

    /// Sets a lease, or removes one, without moving anything. Returns whether that could be done.
    pub fn set_lease(&mut self, handle: Handle, lease: Option<Lease>) -> bool {
        if handle >= LARGE_FROM {
            let bytes = Arc::make_mut(&mut self.large[large_number(handle)]);
            StoredEntryMut(bytes).set_lease(lease);
            return true;
        }
        let mut entry = StoredEntryMut(self.place_mut(handle));
        let stays = entry.has_room() == lease.is_some();
        if stays && lease.is_some() {
            entry.set_lease(lease);
        }
        stays
    }

    /// Adds an entry whose value is filled with zeros up to `length`, and returns its place.
    pub fn insert_padded(&mut self, parts: &Parts<'_>, length: usize) -> Handle {
        let padding = length - parts.value.len();
        if class_of(parts.len() + padding) == CLASSES {
            return self.push_large(parts.to_padded_vec(padding));
        }
        let mut value = parts.value.to_vec();
        value.resize(length, 0);
        self.insert(&Parts { value: &value, ..*parts })
    }

    /// Writes over a part of a value, or beyond its end after zeros, without moving anything.
    /// Returns whether it has been done: else there is no room, and nothing changes.
    pub fn set_range(&mut self, handle: Handle, offset: usize, piece: &[u8]) -> bool {
        if handle < LARGE_FROM {
            return StoredEntryMut(self.place_mut(handle)).set_range(offset, piece);
        }
        let bytes = Arc::make_mut(&mut self.large[large_number(handle)]);
        let start = bytes.len() - StoredEntry(bytes).value().len() + offset;
        let more = (start + piece.len()).saturating_sub(bytes.len());
        // In steps of an eighth: a value that grows by and by is copied now and then.
        if bytes.capacity() - bytes.len() < more {
            bytes.reserve_exact(more.max(bytes.len() / 8));
        }
        if more == 0 {
            bytes[start..][..piece.len()].copy_from_slice(piece);
        } else {
            bytes.resize(start, 0);
            bytes.extend_from_slice(piece);
        }
        true
    }

    /// Removes an entry. The last of its class moves to its place: returns where that was, or
    /// `None` if it was the entry itself.
    pub fn remove(&mut self, handle: Handle) -> Option<Handle> {
        if handle >= LARGE_FROM {
            self.large.swap_remove(large_number(handle));
            let last = LARGE_FROM + self.large.len() as Handle;
            return (last != handle).then_some(last);
        }
        let class = self.class(handle);
        let last = self.classes[class].last().expect("the entry is in its class");
        let (to, from) = (self.place(handle), self.place(last));
        if page_of(handle) == page_of(last) {
            self.memory.at_mut(page_of(last)).copy_within(from, to.start);
        } else {
            let [page, last_page] = self.memory.two_mut([page_of(handle), page_of(last)]);
            page[to].copy_from_slice(&last_page[from]);
        }
        let it = &mut self.classes[class];
        it.last_used -= 1;
        if it.last_used == 0 {
            let page = it.pages.pop().expect("it had an entry");
            it.last_used = if it.pages.is_empty() { 0 } else { places(class) as u32 };
            self.set_free(page);
        }
        (last != handle).then_some(last)
    }

    /// Returns the memory of free pages, in bytes.
    pub fn spare_bytes(&self) -> usize {
        self.free.len() * PAGE + self.memory.spare_bytes()
    }

    /// Returns whether no more should be added: an eighth of all the handles is left, for entries
    /// that only move.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.class_of_page.len() << PLACE_BITS >= MAX_IN_PAGES && self.free.is_empty()
            || self.large.len() >= MAX_LARGE
    }

    /// Moves the last page to a free one, if too many are free, and returns what has moved. To be
    /// called after each [`remove`](Self::remove).
    #[inline]
    pub fn move_last(&mut self) -> Option<Moved> {
        let most_free = FREE_PAGES + self.class_of_page.len() / FREE_SHARE;
        if self.free.len() > most_free { self.move_to_free() } else { None }
    }

    /// Returns the memory in pieces, as their sizes: each is given back when its size is taken, so
    /// that no call has to free all.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        let large = self.large.into_iter().map(|entry| entry.capacity());
        self.memory.into_pieces().chain(large)
    }

    #[cold]
    fn move_to_free(&mut self) -> Option<Moved> {
        let last = self.class_of_page.len() as u32 - 1;
        let class = usize::from(self.class_of_page[last as usize]);
        let to = self.free.pop_first()?;
        let [page, last_page] = self.memory.two_mut([to as usize, last as usize]);
        page.copy_from_slice(last_page);
        self.class_of_page[to as usize] = class as u8;
        let Class { pages, last_used } = &mut self.classes[class];
        let at = pages.iter().rposition(|&page| page == last).expect("it is in its class");
        pages[at] = to;
        let used = if at + 1 == pages.len() { *last_used } else { places(class) as u32 };
        self.set_free(last);
        let from = last << PLACE_BITS;
        Some(Moved { from: from..from + used, to: to << PLACE_BITS })
    }

    fn push_large(&mut self, entry: Vec<u8>) -> Handle {
        let handle = LARGE_FROM + self.large.len() as Handle;
        assert!(handle < Handle::MAX, "fewer than 2^28 large entries");
        self.large.push(Arc::new(entry));
        handle
    }

    fn replace_large(&mut self, handle: Handle, parts: &Parts<'_>) -> bool {
        if class_of(parts.len()) != CLASSES {
            return false;
        }
        let entry = &mut self.large[large_number(handle)];
        match Arc::get_mut(entry) {
            Some(bytes) if StoredEntry(bytes).value().len() == parts.value.len() => {
                let mut entry = StoredEntryMut(bytes);
                entry.set_value(parts.value);
                entry.set_lease(parts.lease);
            }
            _ => *entry = Arc::new(parts.to_padded_vec(0)),
        }
        true
    }

    fn add_page(&mut self, class: usize) {
        let number = self.free.pop_first().unwrap_or_else(|| {
            self.memory.grow();
            self.class_of_page.push(FREE);
            self.class_of_page.len() as u32 - 1
        });
        assert!(number < LARGE_FROM >> PLACE_BITS, "more than 60 GiB of pages");
        self.class_of_page[number as usize] = class as u8;
        let class = &mut self.classes[class];
        class.pages.push(number);
        class.last_used = 0;
    }

    /// Frees a page, and gives back what is free at the end.
    fn set_free(&mut self, page: u32) {
        self.class_of_page[page as usize] = FREE;
        self.free.insert(page);
        while self.class_of_page.last() == Some(&FREE) {
            self.class_of_page.pop();
            self.free.remove(&(self.class_of_page.len() as u32));
            self.memory.pop();
        }
    }

    /// Returns the bytes of a place in its page.
    #[inline]
    fn place(&self, handle: Handle) -> Range<usize> {
        let size = usize::from(SIZES[self.class(handle)]);
        let start = handle as usize % MAX_PLACES * size;
        start..start + size
    }

    #[inline]
    fn place_mut(&mut self, handle: Handle) -> &mut [u8] {
        let place = self.place(handle);
        &mut self.memory.at_mut(page_of(handle))[place]
    }

    /// Returns the class of an entry that is not large.
    #[inline]
    fn class(&self, handle: Handle) -> usize {
        usize::from(self.class_of_page[page_of(handle)])
    }

    /// Panics unless each page is in one class or free, and none but the last of a class has room;
    /// returns the number of entries. For tests.
    pub fn check_invariants(&self) -> usize {
        let (mut entries, mut pages) = (self.large.len(), 0);
        for (number, class) in self.classes.iter().enumerate() {
            assert!(class.pages.is_empty() == (class.last_used == 0), "an empty page");
            assert!(class.last_used as usize <= places(number), "more places than a page has");
            let all_its = |&page: &u32| usize::from(self.class_of_page[page as usize]) == number;
            assert!(class.pages.iter().all(all_its), "a page of another class");
            entries += class.pages.len().saturating_sub(1) * places(number);
            entries += class.last_used as usize;
            pages += class.pages.len();
        }
        assert_eq!(pages + self.free.len(), self.class_of_page.len());
        assert_eq!(self.memory.len(), self.class_of_page.len());
        assert!(self.free.iter().all(|&page| self.class_of_page[page as usize] == FREE));
        assert_ne!(self.class_of_page.last(), Some(&FREE), "memory that could be given back");
        entries
    }
}

impl Class {
    /// Returns its last entry.
    #[inline]
    fn last(&self) -> Option<Handle> {
        let page = *self.pages.last()?;
        Some(page << PLACE_BITS | (self.last_used - 1))
    }
}

/// Returns the number of places in a page of this class.
#[inline]
fn places(class: usize) -> usize {
    PAGE / usize::from(SIZES[class])
}

fn page_of(handle: Handle) -> usize {
    (handle >> PLACE_BITS) as usize
}

fn large_number(handle: Handle) -> usize {
    (handle - LARGE_FROM) as usize
}

#[cfg(test)]
mod tests;
