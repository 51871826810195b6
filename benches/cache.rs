//! The proxy's cache with 100,000 entries of 16 + 32 bytes, looked up in no order.

mod support;

use larder::proxy::cache::Cache;
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Table, shuffled_keys};

const KEYS: usize = 100_000;
const VALUE: [u8; 32] = [b'v'; 32];
const ROOMY: usize = 1 << 30;

fn main() {
    let mut table = Table::new("cache, 100,000 entries");
    let keys = shuffled_keys(0, KEYS);
    let others = shuffled_keys(KEYS, KEYS);
    let now = Instant::now();
    let deadline = now + Duration::from_secs(60);

    let mut cache = Cache::new(ROOMY, now);
    table.timed_row("insert", KEYS, || {
        cache.clear();
        let start = Instant::now();
        fill(&mut cache, &keys, deadline, now);
        start.elapsed()
    });
    // If the row above was not asked for.
    fill(&mut cache, &keys, deadline, now);
    table.row("hit", KEYS, || {
        for key in &keys {
            black_box(cache.get(black_box(key), now).expect("it is there"));
        }
    });
    table.row("miss", KEYS, || {
        for key in &others {
            assert!(black_box(cache.get(black_box(key), now)).is_none());
        }
    });
    table.row("insert in place of an old value", KEYS, || {
        fill(&mut cache, &keys, deadline, now);
    });
    let full = cache.bytes();
    drop(cache);

    // Room for exactly so many, so that each insert evicts one entry.
    let mut cache = Cache::new(full, now);
    fill(&mut cache, &keys, deadline, now);
    let mut turn = 0;
    table.row("insert with eviction", KEYS, || {
        turn += 1;
        fill(&mut cache, if turn % 2 == 1 { &others } else { &keys }, deadline, now);
    });
    table.timed_row("insert with eviction, half visited", KEYS, || {
        turn += 1;
        let (old, new) = if turn % 2 == 1 { (&keys, &others) } else { (&others, &keys) };
        for key in old.iter().step_by(2) {
            black_box(cache.get(key, now));
        }
        let start = Instant::now();
        fill(&mut cache, new, deadline, now);
        start.elapsed()
    });
    assert!(cache.bytes() <= full);

    let mut cache = Cache::new(ROOMY, now);
    let mut now = now;
    table.timed_row("expire", KEYS, || {
        let deadline = now + Duration::from_secs(60);
        fill(&mut cache, &keys, deadline, now);
        now = deadline;
        let start = Instant::now();
        cache.expire(now);
        let took = start.elapsed();
        assert!(cache.is_empty());
        took
    });
}

fn fill(cache: &mut Cache, keys: &[[u8; 16]], deadline: Instant, now: Instant) {
    for key in keys {
        assert!(cache.insert(black_box(key), &VALUE, deadline, now));
    }
}
