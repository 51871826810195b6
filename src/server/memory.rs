//! How much memory this process takes.
//!
//! Three parts are counted, which costs nothing: what the allocator has given out, as whoever chose
//! it says; what lies in arenas; and what was there from the start (code, stacks, libraries). What
//! the allocator keeps of freed memory is not: it gives that out again, though not to arenas. The
//! system knows of that, too, and takes longer to say so.

use crate::base::arena;

/// What an allocator has given out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocated {
    /// How many pieces.
    pub pieces: usize,
    /// As many bytes as were asked for.
    pub bytes: usize,
}

/// What a piece takes beyond what was asked for, in bytes, in the mean: glibc needs 8 for itself,
/// and rounds up to 16.
const PIECE_OVERHEAD: usize = 12;

impl Allocated {
    fn taken(self) -> usize {
        self.bytes + self.pieces * PIECE_OVERHEAD
    }
}

/// Measures it; see the head of the file.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    allocated: fn() -> Allocated,
    resident: fn() -> usize,
    /// What is neither allocated nor in arenas, in bytes.
    rest: usize,
}

impl Memory {
    /// Measures from now on. `allocated`: what the allocator has given out; `resident`: the bytes
    /// that the process takes, says the system.
    pub fn new(allocated: fn() -> Allocated, resident: fn() -> usize) -> Memory {
        let rest = resident().saturating_sub(allocated().taken() + arena::memory_bytes());
        Memory { allocated, resident, rest }
    }

    /// Where only arenas are counted.
    pub fn of_arenas() -> Memory {
        Memory { allocated: Allocated::default, resident: || 0, rest: 0 }
    }

    /// The memory that is in use, in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        (self.allocated)().taken() + arena::memory_bytes() + self.rest
    }

    /// The memory that the process takes, says the system, in bytes; 0 if it does not.
    pub fn resident_bytes(&self) -> usize {
        (self.resident)()
    }
}

#[cfg(test)]
mod tests;
