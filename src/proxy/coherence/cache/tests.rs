//! The cache against a plain version of itself.

use super::*;
use crate::base::output::SHARED_FROM;
use proptest::prelude::*;
use std::time::Duration;

/// What an entry with a key and a value of one byte costs.
const SMALL: usize = 32 + ENTRY_BYTES + INDEX_BYTES;

/// The functions that take a hash, without it.
impl Cache {
    fn read(&mut self, key: &[u8], now: Instant) -> Option<Found<'_>> {
        self.get(self.hash(key), key, now)
    }

    fn keep(&mut self, key: &[u8], found: Found<'_>, deadline: Instant, now: Instant) -> bool {
        self.insert(self.hash(key), key, found, deadline, now)
    }

    fn handle(&self, key: &[u8]) -> Option<u32> {
        self.find(self.hash(key), key)
    }

    fn forget(&mut self, key: &[u8]) -> bool {
        self.remove(self.hash(key), key)
    }
}

fn after(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

/// Keys from the newest to the oldest.
fn queue(cache: &Cache) -> Vec<Vec<u8>> {
    let handles = cache.queue.iter(&cache.entries);
    let keys = handles.map(|handle| cache.entries.value(handle).key().to_vec());
    keys.collect::<Vec<_>>().into_iter().rev().collect()
}

#[track_caller]
fn check_queue(cache: &Cache, expected: &str) {
    assert_eq!(String::from_utf8_lossy(&queue(cache).concat()), expected);
}

#[test]
fn the_example_of_the_header() {
    let now = Instant::now();
    // No budget holds fewer than eight entries. Four are in the queue before A, and the hand
    // passes them before it comes to A.
    let mut cache = Cache::new(8 * SMALL, now);
    let insert = |cache: &mut Cache, key: u8| {
        assert!(cache.keep(&[key], Found::Value(Value::Short(b"-")), after(now, 1000), now));
    };
    b"1234ABCD".iter().for_each(|&key| insert(&mut cache, key));
    b"1234AC".iter().for_each(|&key| assert!(cache.read(&[key], now).is_some()));
    insert(&mut cache, b'E');
    check_queue(&cache, "EDCA4321");
    assert!(cache.read(b"D", now).is_some());
    insert(&mut cache, b'F');
    check_queue(&cache, "FDCA4321");
    insert(&mut cache, b'G');
    check_queue(&cache, "GFDCA432");
    assert_eq!(cache.evicted(), 3);
}

#[test]
fn an_entry_is_served_until_just_before_its_deadline() {
    let now = Instant::now();
    let mut cache = Cache::new(1 << 20, now);
    let deadline = after(now, 60_000) + Duration::from_micros(300);
    assert!(cache.keep(b"k", Found::Value(Value::Short(b"v")), deadline, now));
    assert_eq!(
        cache.read(b"k", deadline - Duration::from_nanos(1)),
        Some(Found::Value(Value::Short(b"v")))
    );
    assert_eq!(cache.read(b"k", deadline), None);
    assert_eq!((cache.len(), cache.bytes(), cache.expired()), (0, 0, 1));
    cache.remove_expired(after(deadline, 10));
    assert_eq!(cache.expired(), 1, "it is counted once");
    assert!(!cache.keep(b"k", Found::Value(Value::Short(b"v")), deadline, deadline));
    cache.check_invariants();
}

#[test]
fn the_next_deadline_leads_to_the_end_of_every_entry() {
    let now = Instant::now();
    let mut cache = Cache::new(1 << 20, now);
    for n in 0..100 {
        cache.keep(&[n], Found::Value(Value::Short(b"v")), after(now, u64::from(n) * 777), now);
    }
    let mut latest = now;
    while let Some(deadline) = cache.next_deadline() {
        assert!(deadline > latest);
        latest = deadline;
        cache.remove_expired(deadline);
    }
    assert_eq!((cache.len(), cache.expired(), latest), (0, 99, after(now, 99 * 777)));
    cache.check_invariants();
}

#[test]
fn a_large_value_is_shared_and_costs_what_it_takes_all_the_same() {
    let now = Instant::now();
    let late = after(now, 1000);
    let mut cache = Cache::new(1 << 20, now);
    let block = Block::new(vec![b'v'; SHARED_FROM + 2]);
    let value = Value::long(&block, 1..SHARED_FROM + 1);
    assert!(cache.keep(b"k", Found::Value(value), late, now));
    assert_eq!(Block::strong_count(&block), 2);
    let more = cache.bytes() - (allocated(block.len()) + ENTRY_BYTES + INDEX_BYTES);
    assert!((100..300).contains(&more), "{more} bytes beside it");
    match cache.read(b"k", now) {
        Some(Found::Value(Value::Long(found, 1, _))) => assert!(Block::ptr_eq(found, &block)),
        other => panic!("{other:?}"),
    }
    cache.check_invariants();
    assert!(cache.keep(b"k", Found::Value(Value::long(&block, 0..10)), late, now));
    assert_eq!(Block::strong_count(&block), 1, "it does not keep a block for a small part");
    assert!(cache.keep(b"k", Found::Value(value), late, now));
    cache.clear();
    cache.remove_expired(now);
    assert_eq!((Block::strong_count(&block), cache.bytes()), (1, 0));
}

#[test]
fn an_entry_costs_what_the_manual_says() {
    let now = Instant::now();
    let mut cache = Cache::new(1 << 20, now);
    assert!(cache.keep(
        &[b'k'; 16],
        Found::Value(Value::Short(&[b'v'; 32])),
        after(now, 1000),
        now
    ));
    assert_eq!(cache.bytes(), 64 + 64 + 12);
}

#[test]
fn what_is_too_large_is_not_kept_and_its_older_version_neither() {
    let now = Instant::now();
    let late = after(now, 1000);
    let mut cache = Cache::new(8 * SMALL, now);
    assert!(cache.keep(b"k", Found::Value(Value::Short(b"v")), late, now));
    // An allocation of 32 bytes holds 24.
    assert!(cache.keep(b"k", Found::Value(Value::Short(&[0; 23])), late, now), "exactly an eighth");
    assert!(!cache.keep(b"k", Found::Value(Value::Short(&[0; 24])), late, now));
    assert_eq!(cache.read(b"k", now), None);
    assert_eq!((cache.len(), cache.bytes(), cache.too_large()), (0, 0, 1));
    assert!(!cache.keep(b"k", Found::Value(Value::Short(b"v")), now, now));
    assert_eq!(cache.too_large(), 1, "that was for another reason");
    for budget in [0, 1, 8 * SMALL - 1] {
        let mut cache = Cache::new(budget, now);
        assert!(!cache.keep(b"", Found::Absent, late, now), "room for {budget} bytes");
        cache.check_invariants();
    }
}

#[test]
fn that_there_is_no_such_key_is_kept_like_an_empty_value_but_is_none() {
    let now = Instant::now();
    let late = after(now, 1000);
    let mut cache = Cache::new(1 << 20, now);
    assert!(cache.keep(b"k", Found::Absent, late, now));
    assert_eq!(cache.read(b"k", now), Some(Found::Absent));
    assert_eq!(cache.bytes(), SMALL);
    assert!(cache.keep(b"k", Found::Value(Value::Short(b"")), late, now));
    assert_eq!(cache.read(b"k", now), Some(Found::Value(Value::Short(b""))));
    assert!(cache.keep(b"k", Found::Absent, late, now));
    assert_eq!(cache.read(b"k", late), None);
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
}

#[test]
fn the_latest_deadline_given_counts_earlier_or_later_and_is_the_only_one() {
    let now = Instant::now();
    let mut cache = Cache::new(1 << 20, now);
    for lifetime in [60_000, 50, 70_000, 20] {
        let deadline = after(now, lifetime);
        assert!(cache.keep(b"k", Found::Value(Value::Short(b"v")), deadline, now));
        cache.check_invariants();
        assert_eq!(cache.len(), 1);
        assert!(cache.next_deadline().is_some_and(|next| now < next && next <= deadline));
    }
    cache.remove_expired(after(now, 19));
    assert!(cache.read(b"k", after(now, 19)).is_some());
    cache.remove_expired(after(now, 20));
    assert_eq!((cache.len(), cache.expired(), cache.next_deadline()), (0, 1, None));
}

/// Calls `expire` as often as `next_deadline` says, and checks that none does much: the index is
/// one piece here.
fn free_all(cache: &mut Cache, now: Instant) -> u32 {
    let (mut calls, index) = (0, 600 << 10);
    while cache.next_deadline().is_some_and(|next| next <= now) {
        let before = cache.bytes();
        cache.remove_expired(now);
        calls += 1;
        let freed = before - cache.bytes();
        assert!(freed <= FREED_AT_ONCE + index, "{freed} bytes at once");
    }
    calls
}

fn filled(budget: usize, now: Instant) -> Cache {
    let mut cache = Cache::new(budget, now);
    while cache.evicted() == 0 {
        let key = cache.len().to_be_bytes();
        cache.keep(&key, Found::Value(Value::Short(b"v")), after(now, 1000), now);
    }
    cache
}

#[test]
fn clearing_and_expiring_free_a_bounded_piece_at_a_time() {
    let now = Instant::now();
    let mut cache = filled(4 << 20, now);
    assert!(cache.bytes() > 4_000_000);
    cache.clear();
    cache.check_invariants();
    assert_eq!(cache.len(), 0);
    assert!(cache.bytes() > 3_900_000, "nearly all is still to be freed");
    assert!(cache.read(&1usize.to_be_bytes(), now).is_none());
    assert!(free_all(&mut cache, now) > 25);
    assert_eq!((cache.bytes(), cache.next_deadline(), cache.expired()), (0, None, 0));

    let mut cache = filled(4 << 20, now);
    let entries = cache.len() as u64;
    let late = after(now, 1000);
    assert!(free_all(&mut cache, late) > 25);
    assert_eq!((cache.len(), cache.bytes(), cache.next_deadline()), (0, 0, None));
    assert_eq!(cache.expired(), entries);
}

#[test]
fn what_was_cleared_makes_room_before_anything_that_lives() {
    let now = Instant::now();
    let mut cache = filled(1 << 20, now);
    let entries = cache.len();
    cache.clear();
    for n in 0..entries {
        assert!(cache.keep(
            &n.to_be_bytes(),
            Found::Value(Value::Short(b"w")),
            after(now, 1000),
            now
        ));
        assert!(cache.bytes() <= 1 << 20);
        if n % 1000 == 0 {
            cache.check_invariants();
        }
    }
    assert_eq!((cache.len(), cache.evicted()), (entries, 1), "the one of before");
}

#[test]
fn clearing_over_and_over_puts_nothing_by() {
    let now = Instant::now();
    let mut cache = Cache::new(1 << 20, now);
    for _ in 0..100 {
        cache.keep(b"k", Found::Value(Value::Short(b"v")), after(now, 1000), now);
        cache.clear();
        assert_eq!((cache.bytes(), cache.dropped.is_empty()), (0, true));
    }
}

#[test]
fn places_that_were_left_count_until_they_are_given_back() {
    let now = Instant::now();
    let mut cache = filled(4 << 20, now);
    let (small, value) = (cache.len(), [0; 100_000]);
    for n in 0..1000 {
        // Large ones come, but one old one in each segment is asked for again and again.
        for old in (0..small).step_by(SEGMENT) {
            cache.read(&old.to_be_bytes(), now);
        }
        cache.keep(
            &(small + n).to_be_bytes(),
            Found::Value(Value::Short(&value)),
            after(now, 1000),
            now,
        );
        let places = cache.entries.len() + cache.entries.vacant();
        let is_there = |key: &usize| cache.handle(&key.to_be_bytes()).is_some();
        let large = (small..=small + n).filter(is_there).count();
        let taken = places * ENTRY_BYTES + large * value.len();
        assert!(taken <= (4 << 20) + SEGMENT * ENTRY_BYTES, "{taken} bytes");
    }
    cache.check_invariants();
}

#[test]
fn an_eviction_is_bounded_though_everything_is_visited() {
    let now = Instant::now();
    // All have one deadline, for which the wheel opens a slot.
    let slot = allocated(TimerWheel::<CacheEntry>::OPENED_BYTES);
    let mut cache = Cache::new(3000 * SMALL + slot, now);
    for n in 0..3000u16 {
        cache.keep(&n.to_be_bytes(), Found::Absent, after(now, 1000), now);
        cache.read(&n.to_be_bytes(), now);
    }
    cache.keep(b"k", Found::Absent, after(now, 1000), now);
    assert_eq!(cache.evicted(), 1);
    assert!(!cache.forget(&1024u16.to_be_bytes()), "the hand got that far");
    let visited = queue(&cache).iter().filter(|key| is_visited(&cache, key)).count();
    assert_eq!(visited, 3000 - HAND_STEPS - 1);
}

#[test]
fn a_large_value_takes_the_place_of_many_small_ones_in_several_turns() {
    let now = Instant::now();
    let mut cache = Cache::new(40_000 * SMALL, now);
    for n in 0..40_000u32 {
        cache.keep(&n.to_be_bytes(), Found::Absent, after(now, 1000), now);
    }
    let large = vec![b'v'; 4000 * SMALL];
    let mut evicted = cache.evicted();
    for attempt in 0.. {
        let is_kept =
            cache.keep(b"large", Found::Value(Value::Short(&large)), after(now, 1000), now);
        let more = cache.evicted() - evicted;
        assert!(more <= (LOOKED_AT_ONCE / EVICTION) as u64, "{more}");
        evicted += more;
        cache.check_invariants();
        if is_kept {
            assert!(attempt > 5, "{attempt}");
            break;
        }
        assert!(cache.read(b"large", now).is_none() && more > 0);
    }
}

fn is_visited(cache: &Cache, key: &[u8]) -> bool {
    cache.entries.value(cache.handle(key).expect("it is there")).visited
}

/// Of a key that may not exist.
type Known = Option<Vec<u8>>;

/// SIEVE and deadlines written down plainly.
struct Model {
    /// Newest first: key, value if there is such a key, deadline in ms, visited.
    queue: Vec<(Vec<u8>, Known, u64, bool)>,
    hand: Option<usize>,
    counts: (u64, u64),
}

impl Model {
    fn position(&self, key: &[u8]) -> Option<usize> {
        self.queue.iter().position(|entry| entry.0 == key)
    }

    fn take_out(&mut self, at: usize) {
        self.queue.remove(at);
        // What is behind moves up; a hand at `at` goes to the newer neighbour, before it.
        self.hand = self.hand.and_then(|hand| hand.checked_sub(usize::from(hand >= at)));
    }

    fn insert(&mut self, key: &[u8], value: Option<&[u8]>, deadline: u64, now: u64) -> bool {
        if let Some(at) = self.position(key) {
            self.take_out(at);
        }
        let cost = |key: &[u8], value: Option<&[u8]>| {
            cost(allocated(key.len() + value.map_or(0, <[u8]>::len)))
        };
        let added = cost(key, value);
        if added > BUDGET / 8 || deadline <= now {
            return false;
        }
        while self.queue.iter().map(|it| cost(&it.0, it.1.as_deref())).sum::<usize>() + added
            > BUDGET
        {
            let mut hand = self.hand.unwrap_or(self.queue.len() - 1);
            while std::mem::take(&mut self.queue[hand].3) {
                hand = hand.checked_sub(1).unwrap_or(self.queue.len() - 1);
            }
            self.hand = Some(hand);
            self.take_out(hand);
            self.counts.0 += 1;
        }
        self.queue.insert(0, (key.to_vec(), value.map(<[u8]>::to_vec), deadline, false));
        self.hand = self.hand.map(|hand| hand + 1);
        true
    }

    fn get(&mut self, key: &[u8], now: u64) -> Option<Known> {
        let at = self.position(key)?;
        if self.queue[at].2 <= now {
            self.take_out(at);
            self.counts.1 += 1;
            return None;
        }
        self.queue[at].3 = true;
        Some(self.queue[at].1.clone())
    }

    fn expire(&mut self, now: u64) {
        while let Some(at) = self.queue.iter().position(|entry| entry.2 <= now) {
            self.take_out(at);
            self.counts.1 += 1;
        }
    }
}

fn found(value: &Known) -> Found<'_> {
    value.as_ref().map_or(Found::Absent, |value| Found::Value(Value::Short(value)))
}

const BUDGET: usize = 12 * SMALL;

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    Insert(u8, Option<usize>, u64),
    Remove(u8),
    Wait(u64),
    Expire,
    Clear,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        100 => (0u8..40).prop_map(Step::Get),
        100 => (0u8..40, prop::option::weighted(0.8, 0usize..90), 0u64..9000)
            .prop_map(|(k, l, t)| Step::Insert(k, l, t)),
        10 => (0u8..40).prop_map(Step::Remove),
        20 => (0u64..300).prop_map(Step::Wait),
        10 => Just(Step::Expire),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn it_keeps_what_the_plain_version_keeps(steps in prop::collection::vec(any_step(), 0..300)) {
        let start = Instant::now();
        let mut now = 0;
        let mut cache = Cache::new(BUDGET, start);
        let mut model = Model { queue: Vec::new(), hand: None, counts: (0, 0) };
        for step in steps {
            let at = after(start, now);
            match step {
                Step::Get(key) => {
                    let expected = model.get(&[key], now);
                    prop_assert_eq!(cache.read(&[key], at), expected.as_ref().map(found));
                }
                Step::Insert(key, length, lifetime) => {
                    let value = length.map(|length| vec![key; length]);
                    let deadline = now + lifetime;
                    let expected = model.insert(&[key], value.as_deref(), deadline, now);
                    let kept = cache.keep(&[key], found(&value), after(start, deadline), at);
                    prop_assert_eq!(kept, expected);
                }
                Step::Remove(key) => {
                    let position = model.position(&[key]);
                    prop_assert_eq!(cache.forget(&[key]), position.is_some());
                    position.into_iter().for_each(|at| model.take_out(at));
                }
                Step::Wait(milliseconds) => now += milliseconds,
                Step::Expire => {
                    cache.remove_expired(at);
                    model.expire(now);
                }
                Step::Clear => {
                    cache.clear();
                    (model.queue, model.hand) = (Vec::new(), None);
                }
            }
            cache.check_invariants();
            let keys: Vec<_> = model.queue.iter().map(|entry| entry.0.clone()).collect();
            prop_assert_eq!(queue(&cache), keys);
            prop_assert_eq!((cache.evicted(), cache.expired()), model.counts);
        }
    }
}
