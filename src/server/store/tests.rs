//! The store against a map, and the promise of its walk.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn number(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// The keys of one step, and the next cursor.
fn step(store: &Store, cursor: u64, places: usize) -> (Vec<Vec<u8>>, u64) {
    let mut keys = Vec::new();
    let next = store.scan(cursor, places, |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    });
    (keys, next)
}

#[test]
fn put_leaves_what_exists_and_set_replaces_it() {
    let mut store = Store::new();
    assert!(store.put(b"k", b"one"));
    assert!(!store.put(b"k", b"two"));
    assert_eq!(store.get(b"k"), Some(&b"one"[..]));
    store.set(b"k", b"two");
    assert_eq!(store.get(b"k"), Some(&b"two"[..]));
    store.set(b"k", b"longer");
    assert_eq!(store.get(b"k"), Some(&b"longer"[..]));
    assert_eq!((store.len(), store.key_bytes(), store.value_bytes()), (1, 1, 6));
    assert!(store.remove(b"k"));
    assert!(!store.remove(b"k"));
    assert_eq!((store.len(), store.key_bytes(), store.value_bytes()), (0, 0, 0));
    store.check_invariants();
}

#[test]
fn key_and_value_are_told_apart_whatever_their_lengths() {
    let mut store = Store::new();
    let long = vec![b'k'; 64 * 1024];
    let entries: [(&[u8], &[u8]); 5] =
        [(b"", b""), (b"ab", b"c"), (b"a", b"bc"), (b"abc", b""), (&long, b"v")];
    for (key, value) in entries {
        assert!(store.put(key, value));
    }
    for (key, value) in entries {
        assert_eq!(store.get(key), Some(value));
    }
    assert!(!store.contains(b"b"));
    store.check_invariants();
}

#[test]
fn a_scan_stops_where_the_visitor_says_and_goes_on_behind() {
    let mut store = Store::new();
    (0..10).for_each(|n| store.set(&number(n), b""));
    let mut seen = Vec::new();
    let mut cursor = 0;
    for _ in 0..10 {
        cursor = store.scan(cursor, 1000, |key, _| {
            seen.push(key.to_vec());
            ControlFlow::Break(())
        });
    }
    assert_eq!(cursor, 0, "the last entry is the end");
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 10);
    assert_eq!(seen.len(), 10);
}

#[test]
fn a_scan_looks_at_no_more_places_than_asked_and_takes_any_cursor() {
    let mut store = Store::new();
    assert_eq!(step(&store, 0, 10), (vec![], 0));
    (0..5000).for_each(|n| store.set(&number(n), b""));
    (0..4999).for_each(|n| assert!(store.remove(&number(n))));
    let (mut cursor, mut steps, mut keys) = (0, 0, Vec::new());
    loop {
        let (found, next) = step(&store, cursor, 100);
        keys.extend(found);
        (cursor, steps) = (next, steps + 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!((steps, keys), (50, vec![number(4999).to_vec()]));
    for cursor in [5000, 5001, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(step(&store, cursor, 10), (vec![], 0));
    }
    assert_eq!(step(&store, 0, 0), (vec![], 1), "a step of no places would never end");
}

#[derive(Clone, Debug)]
enum Change {
    Set(u8, Vec<u8>),
    Put(u8, Vec<u8>),
    Remove(u8),
}

fn any_change() -> impl Strategy<Value = Change> {
    let value = || prop::collection::vec(any::<u8>(), 0..4);
    prop_oneof![
        (any::<u8>(), value()).prop_map(|(key, value)| Change::Set(key, value)),
        (any::<u8>(), value()).prop_map(|(key, value)| Change::Put(key, value)),
        any::<u8>().prop_map(Change::Remove),
    ]
}

/// Keys of several lengths, the empty one among them.
fn key(of: u8) -> Vec<u8> {
    vec![of; usize::from(of % 5)]
}

fn apply(change: Change, store: &mut Store, model: &mut HashMap<Vec<u8>, Vec<u8>>) {
    match change {
        Change::Set(of, value) => {
            store.set(&key(of), &value);
            model.insert(key(of), value);
        }
        Change::Put(of, value) => {
            assert_eq!(store.put(&key(of), &value), !model.contains_key(&key(of)));
            model.entry(key(of)).or_insert(value);
        }
        Change::Remove(of) => {
            assert_eq!(store.remove(&key(of)), model.remove(&key(of)).is_some());
        }
    }
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(changes in prop::collection::vec(any_change(), 0..500)) {
        let (mut store, mut model) = (Store::new(), HashMap::new());
        for change in changes {
            apply(change, &mut store, &mut model);
        }
        store.check_invariants();
        for of in 0..=u8::MAX {
            prop_assert_eq!(store.get(&key(of)), model.get(&key(of)).map(Vec::as_slice));
        }
        prop_assert_eq!(store.len(), model.len());
    }

    #[test]
    fn a_key_that_stays_is_scanned_exactly_once(
        before in prop::collection::vec(any_change(), 0..300),
        steps in prop::collection::vec(
            (prop::collection::vec(any_change(), 0..5), 0usize..40), 1..20
        )
    ) {
        let (mut store, mut model) = (Store::new(), HashMap::new());
        before.into_iter().for_each(|change| apply(change, &mut store, &mut model));
        let mut stayed: HashSet<_> = model.keys().cloned().collect();
        let mut seen = HashMap::new();
        let mut cursor = 0;
        for (changes, places) in steps.into_iter().cycle() {
            let next = store.scan(cursor, places, |key, value| {
                *seen.entry(key.to_vec()).or_insert(0) += 1;
                assert_eq!(model[key], value);
                ControlFlow::Continue(())
            });
            if next == 0 {
                break;
            }
            prop_assert!(next > cursor);
            cursor = next;
            for change in changes {
                if let Change::Remove(of) = change {
                    stayed.remove(&key(of));
                }
                apply(change, &mut store, &mut model);
            }
        }
        for key in stayed {
            prop_assert_eq!(seen.get(&key), Some(&1));
        }
    }
}
