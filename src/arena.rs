//! A vector for what is large and read here and there: it never moves, and lies in huge pages.
//!
//! To reach a byte that is in no cache, a processor must first find out where its page is; with
//! hundreds of megabytes in pages of 4 KiB, that is another miss, and in a virtual machine several.
//! In pages of 2 MiB it is hardly ever one. Linux gives such pages to who asks for them, unless it
//! was told to give them to nobody; then these are pages as any others.
//!
//! ```text
//!   chunk 0: 8 MiB                    chunk 1                    …
//!   │ small pages │ huge pages …     │ huge pages …      ┊      │
//!   0             2 MiB                                  len: what is behind takes no memory yet
//! ```
//!
//! The first 2 MiB are asked for in small pages, so that a vector with little in it takes little.

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};
use std::marker::PhantomData;

/// Bytes in a chunk. Giving one back takes some 100 µs.
const CHUNK: usize = 8 * 1024 * 1024;

/// What is not asked for in huge pages: as much as one of them.
const SMALL_PAGES: usize = 2 * 1024 * 1024;

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
            self.chunks.push(fresh_chunk(self.chunks.is_empty()));
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

#[cold]
fn fresh_chunk(is_first: bool) -> MmapMut {
    let chunk = MmapMut::map_anon(CHUNK).expect("there is memory");
    let small = if is_first { SMALL_PAGES } else { 0 };
    // Where there are no huge pages, others do.
    let _ = chunk.advise_range(Advice::HugePage, small, CHUNK - small);
    chunk
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
