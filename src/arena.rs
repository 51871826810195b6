//! A vector for what is large and read here and there: it never moves, and lies in huge pages.
//!
//! To reach a byte that is in no cache, a processor must first find out where its page is; with
//! hundreds of megabytes in pages of 4 KiB, that is another miss, and in a virtual machine several.
//! In pages of 2 MiB it is hardly ever one. Linux gives such pages to who asks for them, unless it
//! was told to give them to nobody; then these are pages as any others.
//!
//! ```text
//!   chunk 0: 4 MiB      chunk 1
//!   │ small pages      │ huge pages    ┊     │
//!   0                                  len
//! ```
//!
//! The first chunk is in small pages, so that a vector with little in it takes little.
//!
//! Whoever first touches a huge page waits until it is cleared: 0.2 ms, or 4 ms where a host lends
//! a virtual machine its memory piece by piece. So a thread of the program that has nothing else to
//! do ([`keep_ready`]) touches chunks beforehand, once a vector is half through its last. When they
//! are needed faster than that, and without that thread, a chunk begins in small pages. Once it is
//! full, Linux may make huge ones of them (`khugepaged` does, in its own time).

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard};

/// Bytes in a chunk. Giving one back takes some 100 µs.
const CHUNK: usize = 4 * 1024 * 1024;

/// Bytes of the smallest page that a system has.
const SMALL_PAGE: usize = 4096;

/// The most chunks that are kept ready.
const MOST_READY: usize = 4;

/// Chunks on their way from the thread that makes them ready. This is the one thing that all of a
/// process share, as they do an allocator.
static STOCK: Mutex<Stock> = Mutex::new(Stock { ready: Vec::new(), wanted: 0, is_kept: false });
static WANTED: Condvar = Condvar::new();

struct Stock {
    ready: Vec<MmapMut>,
    wanted: usize,
    /// Whether there is a thread that makes chunks ready.
    is_kept: bool,
}

/// A vector of plain values; see the head of the file.
pub struct Arena<T> {
    chunks: Vec<MmapMut>,
    len: usize,
    /// The most elements that there were since the last chunk was given back.
    touched: usize,
    elements: PhantomData<T>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { chunks: Vec::new(), len: 0, touched: 0, elements: PhantomData }
    }
}

impl<T: Pod> Arena<T> {
    const PER_CHUNK: usize = {
        assert!(CHUNK.is_multiple_of(size_of::<T>()), "a chunk is full to its end");
        CHUNK / size_of::<T>()
    };

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An element.
    ///
    /// # Panics
    /// If there is none of this number; so does [`at_mut`](Self::at_mut). Not always: a number
    /// behind the end may name what is left of an element that is gone.
    #[inline]
    pub fn at(&self, number: usize) -> &T {
        &bytemuck::cast_slice(&self.chunks[number / Self::PER_CHUNK])[number % Self::PER_CHUNK]
    }

    /// An element, to be changed.
    #[inline]
    pub fn at_mut(&mut self, number: usize) -> &mut T {
        let chunk = &mut self.chunks[number / Self::PER_CHUNK];
        &mut bytemuck::cast_slice_mut(chunk)[number % Self::PER_CHUNK]
    }

    /// Two elements, to be changed.
    ///
    /// # Panics
    /// If they are one, or there are none of these numbers.
    pub fn two_mut(&mut self, numbers: [usize; 2]) -> [&mut T; 2] {
        let [one, other] = numbers.map(|number| number / Self::PER_CHUNK);
        let places = numbers.map(|number| number % Self::PER_CHUNK);
        if one == other {
            let elements = bytemuck::cast_slice_mut(&mut self.chunks[one]);
            return elements.get_disjoint_mut(places).expect("two elements");
        }
        let [one, other] = self.chunks.get_disjoint_mut([one, other]).expect("two chunks");
        let one = &mut bytemuck::cast_slice_mut(one)[places[0]];
        [one, &mut bytemuck::cast_slice_mut(other)[places[1]]]
    }

    /// Adds an element: whatever was there before, or zeros.
    ///
    /// # Panics
    /// If the system has no more memory.
    pub fn grow(&mut self) -> &mut T {
        if self.len == self.chunks.len() * Self::PER_CHUNK {
            let chunk = if self.chunks.is_empty() { None } else { take_chunk() };
            if let Some(full) = self.chunks.last() {
                want_huge_pages(full);
            }
            let small = || MmapMut::map_anon(CHUNK).expect("there is memory");
            self.chunks.push(chunk.unwrap_or_else(small));
        }
        if self.len % Self::PER_CHUNK == Self::PER_CHUNK / 2 {
            want_chunk();
        }
        self.len += 1;
        self.touched = self.touched.max(self.len);
        self.at_mut(self.len - 1)
    }

    /// Drops the last element. One unused chunk is kept, so that a length that goes up and down
    /// costs nothing.
    ///
    /// # Panics
    /// If there is none.
    pub fn pop(&mut self) {
        self.len -= 1;
        if self.len + 2 * Self::PER_CHUNK <= self.chunks.len() * Self::PER_CHUNK {
            self.chunks.pop();
            self.touched = self.touched.min(self.chunks.len() * Self::PER_CHUNK);
        }
    }

    /// The memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.touched * size_of::<T>()
    }

    /// The memory in pieces, as their sizes: each is given back when its size is taken, so that no
    /// call has to free all.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        let mut left = self.memory_bytes();
        self.chunks.into_iter().map(move |chunk| {
            let taken = left.min(chunk.len());
            left -= taken;
            taken
        })
    }
}

/// Makes chunks ready when they will be needed soon, for ever. For a thread that does nothing else.
pub fn keep_ready() -> ! {
    stock().is_kept = true;
    loop {
        let mut stock = WANTED.wait_while(stock(), |stock| stock.wanted == 0).expect(NO_PANIC);
        stock.wanted -= 1;
        drop(stock);
        // If there is no memory, whoever needs it will find out.
        if let Ok(mut chunk) = MmapMut::map_anon(CHUNK) {
            want_huge_pages(&chunk);
            chunk.iter_mut().step_by(SMALL_PAGE).for_each(|byte| *byte = 0);
            self::stock().ready.push(chunk);
        }
    }
}

const NO_PANIC: &str = "nobody panics while holding it";

fn stock() -> MutexGuard<'static, Stock> {
    STOCK.lock().expect(NO_PANIC)
}

/// Has a chunk made ready, if anybody does that.
#[cold]
fn want_chunk() {
    let mut stock = stock();
    if stock.is_kept && stock.ready.len() + stock.wanted < MOST_READY {
        stock.wanted += 1;
        WANTED.notify_one();
    }
}

#[cold]
fn take_chunk() -> Option<MmapMut> {
    stock().ready.pop()
}

fn want_huge_pages(chunk: &MmapMut) {
    // Where there are none, others do.
    let _ = chunk.advise(Advice::HugePage);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_and_memory_follows_their_number() {
        let mut arena = Arena::<[u32; 16]>::default();
        assert_eq!((arena.len(), arena.is_empty(), arena.memory_bytes()), (0, true, 0));
        let many = 2 * CHUNK / 64 + 1;
        for number in 0..many {
            *arena.grow() = [number as u32; 16];
        }
        assert!((0..many).all(|number| *arena.at(number) == [number as u32; 16]));
        assert_eq!((arena.len(), arena.memory_bytes()), (many, many * 64));
        (1..many).for_each(|_| arena.pop());
        assert_eq!((arena.len(), arena.memory_bytes()), (1, 2 * CHUNK), "one chunk more is kept");
        assert_eq!(*arena.at(0), [0; 16]);
        *arena.grow() = [7; 16];
        assert!(arena.into_pieces().eq([CHUNK, CHUNK]));
        let mut arena = Arena::<[u32; 16]>::default();
        (0..3).for_each(|_| _ = arena.grow());
        assert!(arena.into_pieces().eq([3 * 64]), "what was not used takes nothing");
    }

    #[test]
    fn two_are_told_apart_in_one_chunk_and_in_two() {
        let mut arena = Arena::<[u8; 65536]>::default();
        (0..200).for_each(|number| arena.grow()[7] = number);
        for numbers in [[0, 1], [3, 199], [130, 2]] {
            let found = arena.two_mut(numbers).map(|element| usize::from(element[7]));
            assert_eq!(found, numbers);
        }
    }
}
