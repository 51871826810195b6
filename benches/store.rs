//! The store with 100,000 keys in it, looked up in no order; and the hash it stands on.
//!
//! 100,000 entries of about 64 bytes are more than the second-level cache of most processors and
//! less than the third: what a lookup costs here is mostly waiting for memory, as in real use.

mod support;

use larder::server::store::Store;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::ControlFlow;
use support::{Table, shuffled_keys};

const KEYS: usize = 100_000;
const VALUE: [u8; 32] = [b'v'; 32];

fn main() {
    let mut table = Table::new("store, 100,000 keys");
    let present = shuffled_keys(0, KEYS);
    let absent = shuffled_keys(KEYS, KEYS);
    let mut store = Store::new();
    present.iter().for_each(|key| store.set(key, &VALUE));

    table.row("get, present", KEYS, || {
        for key in &present {
            black_box(store.get(black_box(key)).expect("it is present"));
        }
    });
    table.row("get, absent", KEYS, || {
        for key in &absent {
            assert!(black_box(store.get(black_box(key))).is_none());
        }
    });
    table.row("set, same length", KEYS, || {
        for key in &present {
            store.set(black_box(key), black_box(&VALUE));
        }
    });
    let mut longer = false;
    table.row("set, another length", KEYS, || {
        longer = !longer;
        let value = if longer { &VALUE[..] } else { &VALUE[..16] };
        for key in &present {
            store.set(black_box(key), black_box(value));
        }
    });
    table.row("put and remove", KEYS, || {
        for key in &absent {
            assert!(store.put(black_box(key), black_box(&VALUE)));
            assert!(store.remove(black_box(key)));
        }
    });
    table.row("scan, 4,096 places a step", KEYS, || {
        let (mut cursor, mut visited) = (0, 0);
        loop {
            cursor = store.scan(cursor, 4096, |key, value| {
                black_box((key, value));
                visited += 1;
                ControlFlow::Continue(())
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(visited, KEYS);
    });

    // Both are keyed at random per process; the store takes the cheaper one.
    hash(&mut table, "hash of 16 bytes, ahash", &ahash::RandomState::new(), &present);
    let sip = std::hash::RandomState::new();
    hash(&mut table, "hash of 16 bytes, SipHash of std", &sip, &present);
}

fn hash(table: &mut Table, name: &str, hasher: &impl BuildHasher, keys: &[[u8; 16]]) {
    // Few enough to stay in the first-level cache: the hash alone is measured.
    let keys = &keys[..1000];
    table.row(name, keys.len(), || {
        for key in keys {
            black_box(hasher.hash_one(&black_box(key)[..]));
        }
    });
}
