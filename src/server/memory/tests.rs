//! Tests of `memory.rs`.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn what_was_there_at_the_start_stays_and_what_is_allocated_is_added() {
    static ALLOCATED: AtomicUsize = AtomicUsize::new(1000);
    fn allocated() -> Allocated {
        Allocated { pieces: 2, bytes: ALLOCATED.load(Ordering::Relaxed) }
    }
    let memory = Memory::new(allocated, || 1 << 40);
    // Other tests have arenas of their own.
    let near = |bytes: usize, other: usize| bytes.abs_diff(other) < 1 << 34;
    assert!(near(memory.bytes(), 1 << 40));
    ALLOCATED.store(1 << 39, Ordering::Relaxed);
    assert!(near(memory.bytes(), (1 << 40) + (1 << 39)));
    assert_eq!(memory.resident_bytes(), 1 << 40);
}
