//! Tests of memory that is freed a piece at a time.

use super::*;

#[test]
fn a_vector_shrinks_from_its_end() {
    let pieces: Vec<usize> = shrinking(vec![0u32; 700_000]).collect();
    assert_eq!(pieces, [SHRUNK, SHRUNK, 2_800_000 - 2 * SHRUNK]);
    assert_eq!(shrinking(Vec::<u8>::new()).count(), 0);
}

#[test]
fn pieces_are_freed_one_by_one_and_counted() {
    let mut dropped = Dropped::default();
    dropped.put(60, [10, 20, 30].into_iter());
    dropped.put(5, settling([7].into_iter()));
    assert_eq!(dropped.bytes(), 65);
    assert_eq!(dropped.free_piece(), Some(7));
    assert_eq!(dropped.bytes(), 60, "it counted for less than it has");
    dropped.free(11);
    assert_eq!(dropped.bytes(), 30);
    dropped.free(usize::MAX);
    assert!(dropped.is_empty());
    assert_eq!(dropped.free_piece(), None);
}
