//! A vector for large data with random access: it never moves, and is in huge pages.
//!
//! To reach a byte that is in no cache, a processor must first find out where its page is; with
//! hundreds of megabytes in pages of 4 KiB, that is another miss, and in a virtual machine several.
//! In pages of 2 MiB it is hardly ever one. Linux gives such pages to programs that request them,
//! unless its settings forbid it; then these are pages as any others.
//!
//! ```text
//!   chunk 0: 4 MiB      chunk 1
//!   │ small pages      │ huge pages    ┊     │
//!   0                                  len
//! ```
//!
//! The first chunk is in small pages, so that a vector with little in it takes little.
//!
//! The first access to a huge page waits until the system has cleared it: 0.2 ms, or 4 ms where a
//! host lends a virtual machine its memory piece by piece. So a thread of its own ([`keep_ready`])
//! touches chunks beforehand, once a vector is half through its last. When they are needed faster
//! than that, and without that thread, a chunk begins in small pages. Once it is full, Linux may
//! make huge ones of them (`khugepaged` does, in its own time).

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes in a chunk. Giving one back takes some 100 µs.
const CHUNK: usize = 4 * 1024 * 1024;

/// Bytes of the smallest page that a system has.
const SMALL_PAGE: usize = 4096;

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// The pause of the thread that touches chunks, after each huge page. Where it shares a processor
/// with the loop, that is not kept from it for longer than one page takes. It still makes a
/// gigabyte ready in half a second, several times what a store can fill.
const TOUCH_PAUSE: Duration = Duration::from_millis(1);

/// The most chunks that are kept ready.
const MAX_READY: usize = 4;

/// Chunks on their way from the thread that makes them ready. This and the count of what was
/// touched are all that a whole process shares, as it does an allocator.
static STOCK: Mutex<Stock> = Mutex::new(Stock { ready: Vec::new(), wanted: 0, is_kept: false });
static WANTED: Condvar = Condvar::new();

struct Stock {
    ready: Vec<Chunk>,
    wanted: usize,
    /// Whether there is a thread that makes chunks ready.
    is_kept: bool,
}

/// Bytes of all chunks that were touched, and so take memory.
static TOUCHED: AtomicUsize = AtomicUsize::new(0);

/// Returns the memory that all chunks of this process take, in bytes, those kept ready included.
pub fn memory_bytes() -> usize {
    TOUCHED.load(Ordering::Relaxed)
}

struct Chunk {
    memory: MmapMut,
    /// How far from its front it was touched, in whole pages.
    touched: usize,
}

impl Chunk {
    /// Returns a chunk in small pages, none of them touched.
    fn new() -> std::io::Result<Chunk> {
        Ok(Chunk { memory: MmapMut::map_anon(CHUNK)?, touched: 0 })
    }

    /// Counts the memory up to `end` as touched.
    fn count(&mut self, end: usize) {
        let end = end.next_multiple_of(SMALL_PAGE);
        TOUCHED.fetch_add(end - self.touched, Ordering::Relaxed);
        self.touched = end;
    }

    fn want_huge_pages(&self) {
        // Without huge pages, small ones do.
        let _ = self.memory.advise(Advice::HugePage);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        TOUCHED.fetch_sub(self.touched, Ordering::Relaxed);
    }
}

/// A vector of plain values; see the head of the file.
pub struct Arena<T> {
    chunks: Vec<Chunk>,
    len: usize,
    elements: PhantomData<T>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { chunks: Vec::new(), len: 0, elements: PhantomData }
    }
}

impl<T: Pod> Arena<T> {
    const PER_CHUNK: usize = {
        assert!(CHUNK.is_multiple_of(size_of::<T>()), "a chunk is full to its end");
        CHUNK / size_of::<T>()
    };

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns an element.
    ///
    /// # Panics
    /// If there is none of this number; so does [`at_mut`](Self::at_mut). Not always: a number
    /// behind the end may name what is left of an element that is gone.
    #[inline]
    pub fn at(&self, number: usize) -> &T {
        let chunk = &self.chunks[number / Self::PER_CHUNK];
        &bytemuck::cast_slice(&chunk.memory)[number % Self::PER_CHUNK]
    }

    /// Returns an element, to be changed.
    #[inline]
    pub fn at_mut(&mut self, number: usize) -> &mut T {
        let chunk = &mut self.chunks[number / Self::PER_CHUNK];
        &mut bytemuck::cast_slice_mut(&mut chunk.memory)[number % Self::PER_CHUNK]
    }

    /// Returns two elements, to be changed.
    ///
    /// # Panics
    /// If they are one, or there are none of these numbers.
    pub fn two_mut(&mut self, numbers: [usize; 2]) -> [&mut T; 2] {
        let [one, other] = numbers.map(|number| number / Self::PER_CHUNK);
        let places = numbers.map(|number| number % Self::PER_CHUNK);
        if one == other {
            let elements = bytemuck::cast_slice_mut(&mut self.chunks[one].memory);
            return elements.get_disjoint_mut(places).expect("two elements");
        }
        let [one, other] = self.chunks.get_disjoint_mut([one, other]).expect("two chunks");
        let one = &mut bytemuck::cast_slice_mut(&mut one.memory)[places[0]];
        [one, &mut bytemuck::cast_slice_mut(&mut other.memory)[places[1]]]
    }

    /// Adds an element, whatever was there before, or zeros, and returns it.
    ///
    /// # Panics
    /// If the system has no more memory.
    pub fn grow(&mut self) -> &mut T {
        if self.len == self.chunks.len() * Self::PER_CHUNK {
            let chunk = if self.chunks.is_empty() { None } else { stock().ready.pop() };
            if let Some(full) = self.chunks.last() {
                full.want_huge_pages();
            }
            self.chunks.push(chunk.unwrap_or_else(|| Chunk::new().expect("there is memory")));
        }
        if self.len % Self::PER_CHUNK == Self::PER_CHUNK / 2 {
            want_chunk();
        }
        let last = self.len;
        self.len += 1;
        let end = (last % Self::PER_CHUNK + 1) * size_of::<T>();
        let chunk = &mut self.chunks[last / Self::PER_CHUNK];
        debug_assert!(end <= CHUNK, "no element lies across the end of a chunk");
        if end > chunk.touched {
            chunk.count(end);
        }
        self.at_mut(last)
    }

    /// Drops the last element. One unused chunk is kept, for a length that goes up and down.
    ///
    /// # Panics
    /// If there is none.
    pub fn pop(&mut self) {
        debug_assert!(self.len > 0, "there is a last element");
        self.len -= 1;
        if self.len + 2 * Self::PER_CHUNK <= self.chunks.len() * Self::PER_CHUNK {
            self.chunks.pop();
        }
    }

    /// Returns the memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.touched).sum()
    }

    /// Returns how much of that memory is behind the last element. Looks at the last two chunks.
    pub fn spare_bytes(&self) -> usize {
        let first = self.len / Self::PER_CHUNK;
        let behind: usize =
            self.chunks[first.min(self.chunks.len())..].iter().map(|it| it.touched).sum();
        behind.saturating_sub(self.len % Self::PER_CHUNK * size_of::<T>())
    }

    /// Returns the memory in pieces, as their sizes: each is given back when its size is taken, so
    /// that no call has to free all.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        self.chunks.into_iter().map(|chunk| chunk.touched)
    }
}

/// Makes chunks ready when they will be needed soon, for ever. For a thread that does nothing else.
pub fn keep_ready() -> ! {
    stock().is_kept = true;
    loop {
        let mut stock = WANTED.wait_while(stock(), |stock| stock.wanted == 0).expect(NO_PANIC);
        stock.wanted -= 1;
        drop(stock);
        // If there is no memory, the vector that needs the chunk fails on it.
        if let Ok(mut chunk) = Chunk::new() {
            chunk.want_huge_pages();
            chunk.count(CHUNK);
            for page in chunk.memory.chunks_mut(HUGE_PAGE) {
                page.iter_mut().step_by(SMALL_PAGE).for_each(|byte| *byte = 0);
                pause();
            }
            self::stock().ready.push(chunk);
        }
    }
}

/// Leaves the processor to others for a while.
fn pause() {
    let waited = WANTED.wait_timeout_while(stock(), TOUCH_PAUSE, |_| true);
    drop(waited.expect(NO_PANIC));
}

const NO_PANIC: &str = "no thread panics while it holds the lock";

fn stock() -> MutexGuard<'static, Stock> {
    STOCK.lock().expect(NO_PANIC)
}

/// Requests a chunk from the thread that makes them ready, if there is one.
#[cold]
fn want_chunk() {
    let mut stock = stock();
    if stock.is_kept && stock.ready.len() + stock.wanted < MAX_READY {
        stock.wanted += 1;
        WANTED.notify_one();
    }
}

#[cfg(test)]
mod tests;
