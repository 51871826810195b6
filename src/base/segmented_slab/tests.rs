//! Tests of `segmented_slab.rs`.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn memory_follows_the_values_though_some_of_the_old_ones_stay() {
    let mut slab = SegmentedSlab::default();
    let numbers: Vec<u32> = (0..64_000).map(|value| slab.insert(value)).collect();
    assert_eq!(slab.vacant(), 0);
    assert_eq!(slab.remove(700), 700);
    assert_eq!(slab.insert(700), 700, "a segment with room for one is used");
    for number in &numbers[1..] {
        slab.remove(*number);
    }
    assert_eq!((slab.len(), slab.vacant()), (1, 63));
    assert_eq!(slab.pages.iter().flatten().count(), 1);
    // One stays far up; those that come now go to the bottom.
    let mut high: Vec<u32> = (0..6400).map(|value| slab.insert(value)).collect();
    let last = high.pop().expect("there are 6400");
    high.into_iter().for_each(|number| assert!(slab.remove(number) < 6400));
    assert!((0..62).all(|value| slab.insert(value) < 64));
    assert_eq!((slab[last], slab.vacant()), (6399, 64));
    assert_eq!(slab.allocated, 2, "the memory of those between is given back");
    assert_eq!(slab.pages.iter().flatten().map(|page| page.allocated).sum::<usize>(), 2);
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(steps in prop::collection::vec((0..9, 0usize..999), 0..2000)) {
        let mut slab = SegmentedSlab::default();
        let mut map = BTreeMap::new();
        for (step, (kind, which)) in steps.into_iter().enumerate() {
            // Up for some time, then down.
            if map.is_empty() || (kind < 6) == (step % 600 < 400) {
                let number = slab.insert(step);
                prop_assert_eq!(map.insert(number, step), None);
            } else {
                let number = *map.keys().nth(which % map.len()).expect("it is not empty");
                prop_assert_eq!(Some(slab.remove(number)), map.remove(&number));
                prop_assert_eq!(slab.get(number), None);
            }
            prop_assert_eq!(slab.len(), map.len());
            let segments = map.keys().map(|number| number / SEGMENT as u32);
            let segments: BTreeSet<u32> = segments.collect();
            prop_assert_eq!(slab.vacant(), segments.len() * SEGMENT - map.len());
        }
        prop_assert!(map.iter().all(|(&number, value)| slab[number] == *value));
        let mut values: Vec<usize> = slab.into_values().collect();
        values.sort_unstable();
        let mut expected: Vec<usize> = map.into_values().collect();
        expected.sort_unstable();
        prop_assert_eq!(values, expected);
    }
}
