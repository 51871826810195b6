//! The memory that this process takes.
//!
//! Three parts are counted, which costs nothing: the memory that the allocator has given out, by
//! its own counter; that of arenas; and that which was there from the start (code, stacks,
//! libraries). Freed memory that the allocator keeps is not counted: it gives that out again,
//! though not to arenas. The system counts that, too, which takes longer.

use crate::base::arena;

/// The memory that an allocator has given out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocated {
    /// The number of pieces.
    pub pieces: usize,
    /// The bytes that were requested.
    pub bytes: usize,
}

/// The bytes that a piece takes beyond what was requested, in the mean: glibc needs 8 for itself,
/// and rounds up to 16.
const PIECE_OVERHEAD: usize = 12;

impl Allocated {
    fn taken(self) -> usize {
        self.bytes + self.pieces * PIECE_OVERHEAD
    }
}

/// Measures the memory of the process; see the head of the file.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    allocated: fn() -> Allocated,
    resident: fn() -> usize,
    /// The bytes that are neither allocated nor in arenas.
    rest: usize,
}

impl Memory {
    /// Returns a measure that begins now. `allocated` returns the memory that the allocator has
    /// given out; `resident` the bytes of the process that the system counts.
    pub fn new(allocated: fn() -> Allocated, resident: fn() -> usize) -> Memory {
        let rest = resident().saturating_sub(allocated().taken() + arena::memory_bytes());
        Memory { allocated, resident, rest }
    }

    /// Returns a measure that counts arenas only.
    pub fn of_arenas() -> Memory {
        Memory { allocated: Allocated::default, resident: || 0, rest: 0 }
    }

    /// Returns the memory that is in use, in bytes.
    pub fn bytes(&self) -> usize {
        (self.allocated)().taken() + arena::memory_bytes() + self.rest
    }

    /// Returns the memory of the process that the system counts, in bytes; 0 if it is unknown.
    pub fn resident_bytes(&self) -> usize {
        (self.resident)()
    }
}

#[cfg(test)]
mod tests;
