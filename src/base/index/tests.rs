//! The index against a map.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::HashMap;

/// A well mixed hash for a number (the finalizer of SplitMix64).
fn mixed(number: u32) -> u64 {
    let mut z = u64::from(number).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn no_operation_looks_at_many_entries() {
    let (asked, mut most) = (Cell::new(0), 0);
    let hash_of = |handle| {
        asked.set(asked.get() + 1);
        mixed(handle)
    };
    let mut index = Index::default();
    for handle in 0..100_000 {
        index.insert(mixed(handle), handle, hash_of);
        most = most.max(asked.take());
    }
    for handle in 0..100_000 {
        assert!(index.remove(mixed(handle), |it| it == handle, hash_of).is_some());
        most = most.max(asked.take());
    }
    assert!(most <= 30, "{most} entries in one operation");
}

#[test]
fn memory_follows_the_number_of_entries_up_and_down() {
    const MANY: u32 = 4_000_000;
    let mut index = Index::default();
    let empty = index.memory_bytes();
    for handle in 0..MANY {
        index.insert(mixed(handle), handle, mixed);
    }
    let full = index.memory_bytes();
    assert!(full < MANY as usize * 13, "{full}");
    for handle in 10..MANY {
        index.remove(mixed(handle), |it| it == handle, mixed);
    }
    assert!((0..10).all(|handle| index.find(mixed(handle), |it| it == handle).is_some()));
    assert!(index.memory_bytes() < full / 2, "{} of {full}", index.memory_bytes());
    index.clear();
    assert_eq!((index.len(), index.memory_bytes()), (0, empty));
}

/// The handles that a walk meets from one position to another, or to the end.
fn walk(index: &Index, from: u64, until: Option<u64>, hash_of: impl Fn(u32) -> u64) -> Vec<u32> {
    let (mut met, mut at) = (Vec::new(), from);
    loop {
        let (handles, next) = index.bucket_at(at);
        met.extend(handles.filter(|&handle| {
            let position = position(hash_of(handle));
            position >= from && until.is_none_or(|until| position < until)
        }));
        if next == 0 || until.is_some_and(|until| next >= until) {
            return met;
        }
        at = next;
    }
}

/// Hashes that spread, and hashes that collide in bucket, in tag, or wholly.
fn any_hash() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => any::<u64>(),
        1 => 0u64..4,
        1 => (0u64..4).prop_map(|high| high << 48 | 5),
    ]
}

proptest! {
    #[test]
    fn it_finds_what_a_map_finds(
        rounds in prop::collection::vec(
            (prop::collection::vec(any_hash(), 1..200), 0u8..=100), 1..7
        )
    ) {
        let mut index = Index::default();
        let mut model = HashMap::new();
        let mut hashes = Vec::new();
        for (fresh, percent_removed) in rounds {
            for hash in fresh {
                let handle = hashes.len() as u32;
                hashes.push(hash);
                index.insert(hash, handle, |it| hashes[it as usize]);
                model.insert(handle, hash);
            }
            index.check_invariants(|handle| model[&handle]);
            for handle in 0..hashes.len() as u32 {
                let hash = hashes[handle as usize];
                let found = index.find(hash, |it| it == handle);
                prop_assert_eq!(found.is_some(), model.contains_key(&handle));
                if mixed(handle) % 100 < u64::from(percent_removed) {
                    let expected = model.remove(&handle).map(|_| handle);
                    let removed = index.remove(hash, |it| it == handle, |it| model[&it]);
                    prop_assert_eq!(removed, expected);
                }
            }
            index.check_invariants(|handle| model[&handle]);
            prop_assert_eq!(index.len(), model.len());
        }
    }

    #[test]
    fn a_walk_meets_each_entry_once_whatever_the_buckets_are(
        stops in prop::collection::vec((any_hash(), 0u32..3000), 1..10)
    ) {
        // From one stop to the next, with another number of entries, and so of buckets, each time.
        let mut stops: Vec<_> = stops.iter().map(|&(hash, len)| (position(hash), len)).collect();
        stops.sort_unstable();
        let mut index = Index::default();
        let mut met = Vec::new();
        let (mut from, mut len) = (0, 10);
        (0..len).for_each(|handle| index.insert(mixed(handle), handle, mixed));
        for (until, next_len) in stops {
            met.extend(walk(&index, from, Some(until), mixed));
            from = until;
            let next_len = next_len.max(10);
            (len..next_len).for_each(|handle| index.insert(mixed(handle), handle, mixed));
            for handle in next_len..len {
                prop_assert!(index.remove(mixed(handle), |it| it == handle, mixed).is_some());
            }
            len = next_len;
        }
        met.extend(walk(&index, from, None, mixed));
        met.sort_unstable();
        prop_assert!(met.is_sorted_by(|one, next| one < next), "one is met twice: {met:?}");
        prop_assert!((0..10).all(|handle| met.contains(&handle)), "one is missed: {met:?}");
    }
}
