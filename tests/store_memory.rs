//! What the store takes of the process's memory, whatever came before. One test, so that nothing
//! else moves what is measured.
#![cfg(target_os = "linux")]

mod support;

use larder::base::clock::Now;
use larder::program::resident_bytes;
use larder::server::store::{Expiry, Store};
use std::time::Instant;
use support::random::mixed;

const KEYS: u64 = 1_000_000;
/// Of pages, an eighth may be free; of them and of the two parts of the index, a chunk of 4 MiB,
/// and most of another.
const FREE_SHARE: f64 = 1.0 + 1.0 / 8.0;
const FREE_BYTES: f64 = (20 << 20) as f64;

fn key(number: u64) -> String {
    format!("key:{number:012}")
}

#[test]
fn memory_is_that_of_the_entries_whatever_came_before() {
    let now = Now { instant: Instant::now(), unix_millis: 1 };
    let mut store = Store::new(now.instant);
    let value = vec![b'v'; 8192];
    let set = |store: &mut Store, number: u64, length: u64| {
        store.set(key(number).as_bytes(), &value[..length as usize], Expiry::Never, now);
    };
    let data = |store: &Store| (store.key_bytes() + store.value_bytes()) as usize;

    let before = resident_bytes();
    let taken = || (resident_bytes() - before) as f64;
    (0..KEYS).for_each(|number| set(&mut store, number, 20 + mixed(number) % 100));
    let full = taken() / data(&store) as f64;
    assert!(full < 1.35, "{full} of the data");
    let check = |store: &Store, when: &str| {
        let most = full * FREE_SHARE * data(store) as f64 + FREE_BYTES;
        assert!(taken() < most, "{when}: {} for {} of data", taken(), data(store));
    };

    // Half of them go, here and there, and others of other lengths come until there is as much.
    let wanted = data(&store);
    for number in (0..KEYS).filter(|&number| mixed(number).is_multiple_of(2)) {
        assert!(store.remove(key(number).as_bytes(), now));
    }
    let mut number = KEYS;
    while data(&store) < wanted {
        set(&mut store, number, 150 + mixed(number) % 400);
        number += 1;
    }
    check(&store, "half of them gone, and others come");

    // All values take another length, three times.
    for (round, most) in [(1, 1000), (2, 60), (3, 8000)] {
        for number in (0..number).filter(|number| mixed(number / 100).is_multiple_of(4)) {
            set(&mut store, number, mixed(number + round) % most);
        }
        check(&store, &format!("lengths to {most}"));
    }

    // Nearly all go: what is kept does not depend on how many there were.
    for number in (0..number).filter(|number| number % 100 > 0) {
        store.remove(key(number).as_bytes(), now);
    }
    check(&store, "nearly all gone");
    store.check_invariants();
}
