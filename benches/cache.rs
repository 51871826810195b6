//! The proxy's cache with 100,000 entries of 16 + 32 bytes, looked up in no order.

mod support;

use larder::base::output::Value;
use larder::protocol::KeyLookup;
use larder::proxy::coherence::cache::{Cache, Found};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Numbers, Table, key, processor_time, shuffled_keys};

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
        expire(&mut cache, now);
        let start = Instant::now();
        fill(&mut cache, &keys, deadline, now);
        start.elapsed()
    });
    // If the row above was not asked for.
    fill(&mut cache, &keys, deadline, now);
    table.row("hit", KEYS, || {
        for key in &keys {
            black_box(lookup(&mut cache, black_box(key), now).expect("it is there"));
        }
    });
    table.row("miss", KEYS, || {
        for key in &others {
            assert!(black_box(lookup(&mut cache, black_box(key), now)).is_none());
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
            black_box(lookup(&mut cache, key, now));
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
        expire(&mut cache, now);
        let took = start.elapsed();
        assert!(cache.is_empty());
        took
    });
    drop(cache);
    longest_call(&mut table);
}

fn lookup<'a>(cache: &'a mut Cache, key: &[u8], now: Instant) -> Option<Found<'a>> {
    cache.get(cache.hash(key), key, now)
}

fn expire(cache: &mut Cache, now: Instant) {
    while cache.next_deadline().is_some_and(|next| next <= now) {
        cache.remove_expired(now);
    }
}

/// The longest that one call holds the loop while a large cache is cleared and its memory freed.
/// Its values had many lengths, and were all replaced, so that they lie in no order. Only the
/// processor time of this thread counts: others would make every longest call long.
fn longest_call(table: &mut Table) {
    let name = "longest call, 512 MiB cleared";
    if !table.wants(name) {
        return;
    }
    let (budget, rounds) = if table.once() { (4 << 20, 1) } else { (512 << 20, 5) };
    let (mut longest, mut remark) = (Vec::new(), String::new());
    let mut numbers = Numbers(1);
    for _ in 0..rounds {
        let now = Instant::now();
        let mut cache = Cache::new(budget, now);
        let mut number = 0;
        while cache.evicted() < 1 + cache.len() as u64 {
            let value = &[b'v'; 500][..numbers.below(500)];
            let deadline = now + Duration::from_secs(60);
            let key = key(number);
            cache.insert(cache.hash(&key), &key, Found::Value(Value::Short(value)), deadline, now);
            number += 1;
        }
        let mut calls = vec![timed(|| cache.clear())];
        while cache.next_deadline().is_some() {
            calls.push(timed(|| cache.remove_expired(now)));
        }
        longest.extend(calls.iter().max().map(|call| call.as_nanos() as f64));
        let all = calls.iter().sum::<Duration>().as_millis();
        remark = format!("   of {}, {all} ms in all", calls.len());
    }
    table.print(name, &mut longest, &remark);
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = processor_time();
    work();
    processor_time() - start
}

fn fill(cache: &mut Cache, keys: &[[u8; 16]], deadline: Instant, now: Instant) {
    for key in keys {
        let (key, found) = (black_box(key), Found::Value(Value::Short(&VALUE)));
        assert!(cache.insert(cache.hash(key), key, found, deadline, now));
    }
}
