//! The store by examples; `properties.rs` holds it against a map.

use super::*;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

mod properties;

const NEVER: Expiry = Expiry::Never;
const SECOND: Duration = Duration::from_secs(1);

/// A moment from which tests go on: the wall clock shows 10^12 ms.
fn start() -> Now {
    Now { instant: Instant::now(), unix_millis: 1_000_000_000_000 }
}

fn in_millis(now: Now, millis: u64) -> Expiry {
    Expiry::At(now.unix_millis + millis)
}

/// What one call removes.
fn expire(store: &mut Store, now: Now) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    store.remove_expired(now, |key| told.push(key.to_vec()));
    told
}

fn number(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// The keys of one step, and the next cursor.
fn step(store: &Store, cursor: u64, places: usize, now: Now) -> (Vec<Vec<u8>>, u64) {
    let mut keys = Vec::new();
    let next = store.scan(cursor, places, now, |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    });
    (keys, next)
}

#[test]
fn put_leaves_what_exists_and_set_replaces_it() {
    let now = start();
    let mut store = Store::new(now.instant);
    assert!(store.put(b"k", b"one", now));
    assert!(!store.put(b"k", b"two", now));
    assert_eq!(store.get(b"k", now).map(Value::bytes), Some(&b"one"[..]));
    store.set(b"k", b"two", NEVER, now);
    assert_eq!(store.get(b"k", now).map(Value::bytes), Some(&b"two"[..]));
    store.set(b"k", b"longer", NEVER, now);
    assert_eq!(store.get(b"k", now).map(Value::bytes), Some(&b"longer"[..]));
    assert_eq!((store.len(), store.key_bytes(), store.value_bytes()), (1, 1, 6));
    assert!(store.remove(b"k", now));
    assert!(!store.remove(b"k", now));
    assert_eq!((store.len(), store.key_bytes(), store.value_bytes()), (0, 0, 0));
    store.check_invariants();
}

#[test]
fn key_and_value_are_told_apart_whatever_their_lengths() {
    let now = start();
    let mut store = Store::new(now.instant);
    let long = vec![b'k'; 64 * 1024];
    let entries: [(&[u8], &[u8]); 5] =
        [(b"", b""), (b"ab", b"c"), (b"a", b"bc"), (b"abc", b""), (&long, b"v")];
    for (key, value) in entries {
        assert!(store.put(key, value, now));
    }
    for (key, value) in entries {
        assert_eq!(store.get(key, now).map(Value::bytes), Some(value));
    }
    assert_eq!(store.get(b"b", now).map(Value::bytes), None);
    store.check_invariants();
}

#[test]
fn a_scan_stops_where_the_visitor_says_and_goes_on_behind() {
    let now = start();
    let mut store = Store::new(now.instant);
    (0..10).for_each(|n| store.set(&number(n), b"", NEVER, now));
    let mut seen = Vec::new();
    let (mut cursor, mut steps) = (0, 0);
    while steps == 0 || cursor != 0 {
        cursor = store.scan(cursor, 1000, now, |key, _| {
            seen.push(key.to_vec());
            ControlFlow::Break(())
        });
        steps += 1;
    }
    assert!((10..12).contains(&steps), "there may be nothing behind the last");
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 10);
    assert_eq!(seen.len(), 10);
}

#[test]
fn a_scan_looks_at_about_as_many_entries_as_asked_and_takes_any_cursor() {
    let now = start();
    let mut store = Store::new(now.instant);
    assert_eq!(step(&store, 0, 10, now), (vec![], 0));
    (0..5000).for_each(|n| store.set(&number(n), b"", NEVER, now));
    let (mut cursor, mut steps, mut keys) = (0, 0, HashSet::new());
    loop {
        let (found, next) = step(&store, cursor, 100, now);
        // The bucket with the last of them is looked at whole.
        assert!((80..150).contains(&found.len()) || next == 0, "{}", found.len());
        keys.extend(found);
        (cursor, steps) = (next, steps + 1);
        if cursor == 0 {
            break;
        }
    }
    assert!(keys.len() == 5000 && steps <= 55, "{} keys in {steps} steps", keys.len());
    for cursor in [1 << 53, u64::from(u32::MAX) << 32, u64::MAX] {
        assert_eq!(step(&store, cursor, 10, now), (vec![], 0));
    }
    let (_, next) = step(&store, 0, 0, now);
    assert!(next > 0, "a step of no entries would never end");
}

#[test]
fn a_key_is_absent_from_its_deadline_on_and_removed_by_the_wheel() {
    let now = start();
    let mut store = Store::new(now.instant);
    store.set(b"k", b"v", in_millis(now, 1000), now);
    store.set(b"for ever", b"v", NEVER, now);
    let (before, after) = (now.plus(SECOND - Duration::from_nanos(1)), now.plus(SECOND));
    assert_eq!(store.get(b"k", before).map(Value::bytes), Some(&b"v"[..]));
    assert_eq!(store.deadline(b"k", before), Some(Some(now.unix_millis + 1000)));
    assert_eq!(store.deadline(b"for ever", after), Some(None));
    assert_eq!(
        (store.get(b"k", after).map(Value::bytes), store.deadline(b"k", after)),
        (None, None)
    );
    assert!(!store.remove(b"k", after) && !store.set_deadline(b"k", None, after));
    assert!(!store.rename(b"k", b"k", after) && !store.rename(b"k", b"to", after));
    assert_eq!(step(&store, 0, 10, after).0, [b"for ever"]);
    assert_eq!((store.len(), store.expiring(), store.expired()), (2, 1, 0));
    assert_eq!(expire(&mut store, before), [b""; 0]);
    assert_eq!(expire(&mut store, after), [b"k"]);
    assert_eq!((store.len(), store.expiring(), store.expired()), (1, 0, 1));
    assert_eq!(store.next_deadline(), None);
    store.check_invariants();
}

#[test]
fn what_is_written_to_an_expired_key_is_new() {
    let now = start();
    let later = now.plus(SECOND);
    type Write = fn(&mut Store, Now);
    let writes: [(Write, &[u8]); 6] = [
        (|store, now| assert!(store.put(b"k", b"new", now)), b"new"),
        (|store, now| store.set(b"k", b"new", Expiry::Keep, now), b"new"),
        (|store, now| store.set(b"k", b"new", NEVER, now), b"new"),
        (|store, now| assert_eq!(store.write_at(b"k", None, b"tail", now), 4), b"tail"),
        (|store, now| assert_eq!(store.write_at(b"k", Some(1), b"ew", now), 3), b"\0ew"),
        (|store, now| assert!(store.rename(b"from", b"k", now)), b"moved"),
    ];
    for (write, expected) in writes {
        let mut store = Store::new(now.instant);
        store.set(b"k", b"old", in_millis(now, 1000), now);
        store.set(b"from", b"moved", NEVER, now);
        write(&mut store, later);
        assert_eq!(store.get(b"k", later).map(Value::bytes), Some(expected));
        assert_eq!(store.deadline(b"k", later), Some(None));
        assert_eq!((store.expired(), store.expiring()), (1, 0));
        assert_eq!(expire(&mut store, later.plus(SECOND)), [b""; 0]);
        store.check_invariants();
    }
}

#[test]
fn a_deadline_is_kept_moved_and_taken_away() {
    let now = start();
    let mut store = Store::new(now.instant);
    let at = |millis| Some(now.unix_millis + millis);
    store.set(b"k", b"v", in_millis(now, 1000), now);
    store.set(b"k", b"longer", Expiry::Keep, now);
    assert_eq!(store.write_at(b"k", None, b"!", now), 7);
    assert_eq!(store.deadline(b"k", now), Some(at(1000)));
    assert!(store.rename(b"k", b"l", now));
    assert_eq!(
        (store.get(b"k", now).map(Value::bytes), store.get(b"l", now).map(Value::bytes)),
        (None, Some(&b"longer!"[..]))
    );
    assert_eq!(store.deadline(b"l", now), Some(at(1000)));
    // Later, sooner, never, and again.
    for deadline in [at(9000), at(500), None, None, at(2000)] {
        assert!(store.set_deadline(b"l", deadline, now));
        assert_eq!(store.deadline(b"l", now), Some(deadline));
        assert_eq!(store.expiring(), usize::from(deadline.is_some()));
        store.check_invariants();
    }
    assert_eq!(expire(&mut store, now.plus(2 * SECOND)), [b"l"]);
}

#[test]
fn the_key_is_there_when_its_end_is_told() {
    let now = start();
    let mut store = Store::new(now.instant);
    store.set(b"k", b"v", in_millis(now, 0), now);
    assert_eq!(store.get(b"k", now).map(Value::bytes), None, "a deadline that has come already");
    assert!(store.next_deadline().is_some_and(|next| next <= now.plus(SECOND).instant));
    assert_eq!(expire(&mut store, now.plus(SECOND)), [b"k"]);
}

#[test]
fn many_that_are_due_at_once_are_removed_in_several_calls() {
    let now = start();
    let mut store = Store::new(now.instant);
    (0..2500).for_each(|n| store.set(&number(n), b"v", in_millis(now, 1000), now));
    let now = now.plus(SECOND);
    let mut removed = Vec::new();
    for expected in [EXPIRED_AT_ONCE; 25] {
        assert!(store.next_deadline().is_some_and(|next| next <= now.instant));
        assert_eq!(step(&store, 0, 2500, now).0, [b""; 0]);
        assert_eq!(random(&store, 7, now), None);
        let told = expire(&mut store, now);
        assert_eq!(told.len(), expected);
        removed.extend(told);
        store.check_invariants();
    }
    removed.sort();
    assert!(removed.into_iter().eq((0..2500).map(|n| number(n).to_vec())));
    assert_eq!((store.next_deadline(), store.len(), store.expired()), (None, 0, 2500));
}

#[test]
fn a_wall_clock_that_is_set_takes_the_deadlines_with_it() {
    let now = start();
    let mut store = Store::new(now.instant);
    store.set(b"k", b"v", in_millis(now, 1000), now);
    let back = Now { unix_millis: now.unix_millis - 5000, ..now };
    assert_eq!(expire(&mut store, back.plus(SECOND)), [b""; 0], "it has five seconds more");
    assert_eq!(store.get(b"k", back.plus(SECOND)).map(Value::bytes), Some(&b"v"[..]));
    assert_eq!(store.next_deadline().map(|next| next <= now.plus(6 * SECOND).instant), Some(true));
    store.check_invariants();
    let forward = Now { unix_millis: now.unix_millis + 5000, ..now.plus(SECOND) };
    assert_eq!(store.get(b"k", forward).map(Value::bytes), None);
    assert_eq!(expire(&mut store, now.plus(6 * SECOND)), [b"k"]);
}

#[test]
fn deadlines_at_the_end_of_time_do_no_harm() {
    let now = start();
    let mut store = Store::new(now.instant);
    for deadline in [u64::MAX, u64::MAX - 1, 1 << 63] {
        store.set(b"k", b"v", Expiry::At(deadline), now);
        assert_eq!(store.deadline(b"k", now), Some(Some(deadline)));
    }
    // A timer reaches a century ahead, and is then set anew.
    let century = now.plus(100 * 365 * 24 * 3600 * SECOND);
    assert_eq!(expire(&mut store, century), [b""; 0]);
    assert!(store.next_deadline().is_some_and(|next| next > century.instant));
    assert_eq!(store.get(b"k", century).map(Value::bytes), Some(&b"v"[..]));
}

#[test]
fn a_key_that_is_kept_alive_costs_a_timer_each_time_it_fires_and_not_each_time_it_is_set() {
    let mut now = start();
    let mut store = Store::new(now.instant);
    store.set(b"k", b"v", in_millis(now, 1000), now);
    let timer = |store: &Store| {
        let (_, entry) = store.find(store.hash(b"k"), b"k").expect("it is there");
        entry.lease().map(|lease| lease.timer)
    };
    let first = timer(&store);
    for _ in 0..10 {
        now = now.plus(Duration::from_millis(99));
        store.set(b"k", b"v", in_millis(now, 1000), now);
        assert_eq!((expire(&mut store, now), timer(&store)), (vec![], first));
    }
    now = now.plus(Duration::from_millis(20));
    assert_eq!(expire(&mut store, now), [b""; 0]);
    assert_ne!(timer(&store), first);
    assert_eq!(expire(&mut store, now.plus(SECOND)), [b"k"]);
}

#[test]
fn a_cleared_store_is_as_small_as_a_new_one() {
    let now = start();
    let mut store = Store::new(now.instant);
    for n in 0..5000 {
        let expiry = if n % 2 == 0 { NEVER } else { in_millis(now, 1000) };
        store.set(&number(n), b"v", expiry, now);
    }
    store.clear();
    assert_eq!((store.len(), store.expiring()), (0, 0));
    assert_eq!((store.key_bytes(), store.value_bytes()), (0, 0));
    assert_eq!(store.index.memory_bytes(), Index::default().memory_bytes());
    for _ in 0..3 {
        assert!(store.next_deadline().is_none_or(|next| next <= now.instant), "there is more");
        assert_eq!(expire(&mut store, now), [b""; 0]);
    }
    assert_eq!(store.next_deadline(), None);
    assert!(store.cleared.is_empty());
    assert_eq!(step(&store, 0, 10, now), (vec![], 0));
    assert_eq!(random(&store, 0, now), None);
    store.check_invariants();
    assert!(store.put(b"k", b"v", now));
}

/// The key that a search finds, in steps of a hundred entries.
fn random(store: &Store, seed: u64, now: Now) -> Option<Vec<u8>> {
    let mut walk = RandomWalk::new(seed);
    loop {
        let (looked_at, step) = walk.step(store, 100, now);
        assert!(looked_at < 200, "{looked_at}");
        if let ControlFlow::Break(found) = step {
            return found;
        }
    }
}

#[test]
fn a_random_key_is_any_key() {
    let now = start();
    let mut store = Store::new(now.instant);
    (0..100).for_each(|n| store.set(&number(n), b"", NEVER, now));
    let mut counts = HashMap::new();
    for seed in 0..10_000 {
        let key = random(&store, seed, now).expect("there are keys");
        *counts.entry(key).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 100);
    // 100 each, and a standard deviation of 10.
    assert!(counts.values().all(|count| (40..160).contains(count)), "{counts:?}");
}

#[test]
fn the_last_key_of_a_sparse_store_is_found() {
    let now = start();
    let mut store = Store::new(now.instant);
    (0..20_000).for_each(|n| store.set(&number(n), b"", in_millis(now, 1000), now));
    for kept in [0, 9_999, 19_999] {
        assert!(store.set_deadline(&number(kept), None, now));
        for seed in 0..10 {
            let found = random(&store, seed, now.plus(SECOND));
            assert_eq!(found, Some(number(kept).to_vec()));
        }
        assert!(store.remove(&number(kept), now));
    }
}

#[test]
fn the_mean_time_to_live_is_that_of_the_keys_with_a_deadline() {
    let now = start();
    let mut store = Store::new(now.instant);
    assert_eq!(store.mean_ttl_millis(now), 0);
    store.set(b"never", b"1", NEVER, now);
    assert_eq!(store.mean_ttl_millis(now), 0);
    store.set(b"a", b"1", in_millis(now, 1000), now);
    store.set(b"b", b"1", in_millis(now, 5000), now);
    assert_eq!(store.mean_ttl_millis(now), 3000);
    store.set(b"a", b"12", in_millis(now, 7000), now); // its timer stays
    assert_eq!(store.mean_ttl_millis(now), 6000);
    store.set(b"a", b"123", Expiry::Keep, now);
    store.set_deadline(b"b", Some(now.unix_millis + 1000), now);
    assert_eq!(store.mean_ttl_millis(now), 4000);
    store.rename(b"a", b"c", now);
    store.set_deadline(b"b", None, now);
    assert_eq!(store.mean_ttl_millis(now), 7000);
    // A timer that fires too early, since its deadline has moved.
    let later = Now { instant: now.instant + SECOND, unix_millis: now.unix_millis + 1000 };
    assert!(expire(&mut store, later).is_empty());
    assert_eq!(store.mean_ttl_millis(later), 6000);
    store.remove(b"c", later);
    assert_eq!(store.mean_ttl_millis(later), 0);
    store.set(b"d", b"1", Expiry::At(u64::MAX), later);
    store.set(b"e", b"1", Expiry::At(u64::MAX), later);
    assert_eq!(store.mean_ttl_millis(later), u64::MAX - later.unix_millis);
    store.check_invariants();
    store.clear();
    assert_eq!(store.mean_ttl_millis(later), 0);
    store.check_invariants();
}
