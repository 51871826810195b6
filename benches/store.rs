//! The store, looked up in no order: as it grows to 20 million keys, and with 100,000 keys in it;
//! and the hash it stands on.
//!
//! 100,000 entries of about 64 bytes are more than the second-level cache of most processors and
//! less than the third; 5 and 20 million are more than any. What a lookup costs is mostly waiting
//! for memory, as in real use.

mod support;

use larder::base::clock::Now;
use larder::protocol::MAX_TOUCHED;
use larder::server::store::{Expiry, Store};
use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use support::{Numbers, Table, grouped, key, resident_bytes, shuffled_keys};

const KEYS: usize = 100_000;
const VALUE: [u8; 32] = [b'v'; 32];
/// The sizes at which the rows of [`growing`] are measured.
const SIZES: [usize; 3] = [KEYS, 5_000_000, 20_000_000];
/// Keys that one measurement of a large store looks up, all over it; and new ones that it takes in.
const PROBES: usize = 1_000_000;

fn main() {
    let mut table = Table::new("store");
    let now = Now { instant: Instant::now(), unix_millis: 1_700_000_000_000 };
    // First, while no memory has been freed that would be used again without being counted.
    growing(&mut table, now);

    let present = shuffled_keys(0, KEYS);
    let absent = shuffled_keys(KEYS, KEYS);
    let mut store = Store::new(now.instant);
    present.iter().for_each(|key| store.set(key, &VALUE, Expiry::Never, now));

    table.row("get, present", KEYS, || {
        for key in &present {
            black_box(store.get(black_box(key), now).expect("it is present"));
        }
    });
    table.row("get, absent", KEYS, || {
        for key in &absent {
            assert!(black_box(store.get(black_box(key), now)).is_none());
        }
    });
    table.row("set, same length", KEYS, || {
        for key in &present {
            store.set(black_box(key), black_box(&VALUE), Expiry::Never, now);
        }
    });
    let mut longer = false;
    table.row("set, another length", KEYS, || {
        longer = !longer;
        let value = if longer { &VALUE[..] } else { &VALUE[..16] };
        for key in &present {
            store.set(black_box(key), black_box(value), Expiry::Never, now);
        }
    });
    table.row("put and remove", KEYS, || {
        for key in &absent {
            assert!(store.put(black_box(key), black_box(&VALUE), now));
            assert!(store.remove(black_box(key), now));
        }
    });
    table.row("scan, 4,096 places a step", KEYS, || {
        let (mut cursor, mut visited) = (0, 0);
        loop {
            cursor = store.scan(cursor, 4096, now, |key, value| {
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

    expiry(&mut table, &present, now);

    // Both are keyed at random per process; the store takes the cheaper one.
    hash(&mut table, "hash of 16 bytes, ahash", &ahash::RandomState::new(), &present);
    let sip = std::hash::RandomState::new();
    hash(&mut table, "hash of 16 bytes, SipHash of std", &sip, &present);
}

/// One store that grows from size to size. Its keys are not kept beside it: they follow from their
/// numbers.
fn growing(table: &mut Table, now: Now) {
    const ROWS: [&str; 4] = ["get", "touch, then get", "set, same length", "set, new key"];
    let row = |size: usize, what: &str| format!("{} keys: {what}", grouped(size as u64));
    let mut probes = vec![key(0); if table.once() { 1000 } else { PROBES }];
    let mut numbers = Numbers(3);
    let mut store = Store::new(now.instant);
    let before = resident_bytes(std::process::id());
    for size in SIZES {
        let memory = row(size, "memory");
        if !ROWS.iter().any(|what| table.wants(&row(size, what))) && !table.wants(&memory) {
            continue;
        }
        let count = if table.once() { size / 1000 } else { size };
        for number in store.len()..count {
            store.set(&key(number), &VALUE, Expiry::Never, now);
        }
        if let Some((before, after)) = before.zip(resident_bytes(std::process::id()))
            && table.wants(&memory)
        {
            let each = (after as f64 - before as f64) / count as f64;
            let over = each - (key(0).len() + VALUE.len()) as f64;
            println!("{memory:<42}{each:>10.1} bytes a key, {over:.1} over key and value");
        }
        probes.iter_mut().for_each(|probe| *probe = key(numbers.below(count)));
        table.row(&row(size, ROWS[0]), probes.len(), || {
            for key in &probes {
                black_box(store.get(black_box(key), now).expect("it is present"));
            }
        });
        table.row(&row(size, ROWS[1]), probes.len(), || {
            let mut hashes = [0; MAX_TOUCHED];
            for batch in probes.chunks(MAX_TOUCHED) {
                for (hash, key) in hashes.iter_mut().zip(batch) {
                    *hash = store.hash(black_box(key));
                }
                store.touch(&hashes[..batch.len()]);
                for key in batch {
                    black_box(store.get(key, now).expect("it is present"));
                }
            }
        });
        table.row(&row(size, ROWS[2]), probes.len(), || {
            for key in &probes {
                store.set(black_box(key), black_box(&VALUE), Expiry::Never, now);
            }
        });
        let new = shuffled_keys(count, PROBES.min(count));
        table.timed_row(&row(size, ROWS[3]), new.len(), || {
            let fill = || new.iter().for_each(|key| store.set(key, &VALUE, Expiry::Never, now));
            let took = timed(fill);
            new.iter().for_each(|key| assert!(store.remove(key, now)));
            took
        });
    }
}

/// Deadlines over the next minute, in no order.
fn expiry(table: &mut Table, keys: &[[u8; 16]], mut now: Now) {
    let mut store = Store::new(now.instant);
    let mut numbers = Numbers(2);
    let deadlines: Vec<u64> = keys.iter().map(|_| 1 + numbers.below(60_000) as u64).collect();
    let fill = |store: &mut Store, now: Now| {
        for (key, in_millis) in keys.iter().zip(&deadlines) {
            let expiry = Expiry::At(now.unix_millis + in_millis);
            store.set(black_box(key), black_box(&VALUE), expiry, now);
        }
    };
    table.timed_row("set, new key that expires", KEYS, || {
        store.clear();
        timed(|| fill(&mut store, now))
    });
    if table.wants("get, present, expires") {
        fill(&mut store, now);
    }
    table.row("get, present, expires", KEYS, || {
        for key in keys {
            black_box(store.get(black_box(key), now).expect("it is present"));
        }
    });
    table.row("set, expires as before", KEYS, || fill(&mut store, now));
    let mut sooner = 0;
    table.row("set, expires sooner", KEYS, || {
        sooner += 1;
        let sooner = Now { unix_millis: now.unix_millis - sooner, ..now };
        fill(&mut store, sooner);
    });
    table.timed_row("expire, by steps of 1 ms", KEYS, || {
        store.clear();
        fill(&mut store, now);
        timed(|| {
            while !store.is_empty() {
                now = now.plus(Duration::from_millis(1));
                store.remove_expired(now, |key| _ = black_box(key));
            }
        })
    });
    table.timed_row("expire, by one jump", KEYS, || {
        store.clear();
        fill(&mut store, now);
        now = now.plus(Duration::from_secs(60));
        timed(|| {
            while !store.is_empty() {
                store.remove_expired(now, |key| _ = black_box(key));
            }
        })
    });
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
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
