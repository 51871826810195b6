//! Tests of `arena.rs`.

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
    assert_eq!((arena.len(), arena.memory_bytes()), (many, 2 * CHUNK + SMALL_PAGE));
    assert_eq!(arena.spare_bytes(), SMALL_PAGE - 64);
    (1..many).for_each(|_| arena.pop());
    assert_eq!((arena.len(), arena.memory_bytes()), (1, 2 * CHUNK), "one chunk more is kept");
    assert_eq!(arena.spare_bytes(), 2 * CHUNK - 64);
    assert_eq!(*arena.at(0), [0; 16]);
    *arena.grow() = [7; 16];
    assert!(arena.into_pieces().eq([CHUNK, CHUNK]));
    let mut arena = Arena::<[u32; 16]>::default();
    (0..65).for_each(|_| _ = arena.grow());
    assert!(arena.into_pieces().eq([2 * SMALL_PAGE]), "what was not used takes nothing");
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
