//! The store against a map, and the promise of its walk, while time passes and clocks are set.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Change {
    Set(u8, Vec<u8>, Until),
    Put(u8, Vec<u8>),
    Remove(u8),
    SetDeadline(u8, Option<i64>),
    Append(u8, Vec<u8>),
    SetRange(u8, usize, Vec<u8>),
    Rename(u8, u8),
    Clear,
    /// Time passes, in microseconds; then what is due is removed, in so many calls.
    Wait(u64, usize),
    /// The wall clock is set, by so many milliseconds.
    SetClock(i64),
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Never,
    Keep,
    /// So many milliseconds ahead, or past.
    In(i64),
}

/// Milliseconds of every order of magnitude, up to some years.
fn some_millis() -> impl Strategy<Value = i64> {
    (0..1_i64 << 38, 0..38).prop_map(|(millis, shift)| millis >> shift)
}

fn any_change() -> impl Strategy<Value = Change> {
    let short = || prop::collection::vec(any::<u8>(), 0..4);
    // Of every class of places, and beyond.
    let long = || (any::<u8>(), 0..13, 0..100_usize);
    let long = || long().prop_map(|(byte, shift, length)| vec![byte; length << shift >> 3]);
    let value = || prop_oneof![3 => short(), 1 => long()];
    let ahead = || prop_oneof![8 => some_millis(), 1 => some_millis().prop_map(|it| -it)];
    let until = prop_oneof![Just(Until::Never), Just(Until::Keep), ahead().prop_map(Until::In),];
    let deadline = prop::option::weighted(0.8, ahead());
    let offset = prop_oneof![8 => 0..20_usize, 1 => 0..20_000_usize];
    let range = (any::<u8>(), offset, value());
    let wait = (some_millis(), 0..1000_u64, 0..3_usize);
    prop_oneof![
        20 => (any::<u8>(), value(), until).prop_map(|(of, value, it)| Change::Set(of, value, it)),
        10 => (any::<u8>(), value()).prop_map(|(of, value)| Change::Put(of, value)),
        10 => any::<u8>().prop_map(Change::Remove),
        10 => (any::<u8>(), deadline).prop_map(|(of, it)| Change::SetDeadline(of, it)),
        10 => (any::<u8>(), value()).prop_map(|(of, value)| Change::Append(of, value)),
        10 => range.prop_map(|(of, offset, piece)| Change::SetRange(of, offset, piece)),
        10 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Change::Rename(from, to)),
        10 => wait.prop_map(|(ms, us, calls)| Change::Wait(ms as u64 * 1000 + us, calls)),
        1 => Just(Change::Clear),
    ]
}

fn any_change_and_clock() -> impl Strategy<Value = Change> {
    prop_oneof![20 => any_change(), 1 => ahead_or_back().prop_map(Change::SetClock)]
}

fn ahead_or_back() -> impl Strategy<Value = i64> {
    (some_millis(), any::<bool>()).prop_map(|(millis, back)| if back { -millis } else { millis })
}

/// Keys of several lengths, the empty one among them.
fn key(of: u8) -> Vec<u8> {
    vec![of; usize::from(of % 5)]
}

/// What is under a key.
#[derive(Clone, Default)]
struct Held {
    value: Vec<u8>,
    deadline: Option<u64>,
    /// When it was written, in Unix milliseconds: it may be due already then.
    written: u64,
}

impl Held {
    fn is_due(&self, unix_millis: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= unix_millis)
    }
}

/// A store, and what should be in it: also what has expired, until it is told or written anew.
struct Pair {
    store: Store,
    now: Now,
    model: BTreeMap<Vec<u8>, Held>,
    expired: u64,
    /// The wall clock was set, and so timers may be late.
    clock_was_set: bool,
}

impl Pair {
    fn new() -> Pair {
        let now = start();
        Pair {
            store: Store::new(now.instant),
            now,
            model: BTreeMap::new(),
            expired: 0,
            clock_was_set: false,
        }
    }

    fn live(&self, key: &[u8]) -> Option<&Held> {
        self.model.get(key).filter(|held| !held.is_due(self.now.unix_millis))
    }

    fn write(&mut self, key: Vec<u8>, value: Vec<u8>, deadline: Option<u64>) {
        self.expired += u64::from(self.model.contains_key(&key) && self.live(&key).is_none());
        self.model.insert(key, Held { value, deadline, written: self.now.unix_millis });
    }

    fn unix(&self, millis: i64) -> u64 {
        self.now.unix_millis.saturating_add_signed(millis)
    }

    fn apply(&mut self, change: Change) {
        let now = self.now;
        match change {
            Change::Set(of, value, until) => {
                let kept = self.live(&key(of)).and_then(|held| held.deadline);
                let (expiry, deadline) = match until {
                    Until::Never => (Expiry::Never, None),
                    Until::Keep => (Expiry::Keep, kept),
                    Until::In(millis) => (Expiry::At(self.unix(millis)), Some(self.unix(millis))),
                };
                self.store.set(&key(of), &value, expiry, now);
                self.write(key(of), value, deadline);
            }
            Change::Put(of, value) => {
                let absent = self.live(&key(of)).is_none();
                assert_eq!(self.store.put(&key(of), &value, now), absent);
                if absent {
                    self.write(key(of), value, None);
                }
            }
            Change::Remove(of) => {
                let is_live = self.live(&key(of)).is_some();
                assert_eq!(self.store.remove(&key(of), now), is_live);
                if is_live {
                    self.model.remove(&key(of));
                }
            }
            Change::SetDeadline(of, millis) => {
                let deadline = millis.map(|millis| self.unix(millis));
                let live = self.live(&key(of)).cloned();
                assert_eq!(self.store.set_deadline(&key(of), deadline, now), live.is_some());
                if let Some(held) = live {
                    self.write(key(of), held.value, deadline);
                }
            }
            Change::Append(of, tail) => {
                let Held { mut value, deadline, .. } =
                    self.live(&key(of)).cloned().unwrap_or_default();
                value.extend(&tail);
                assert_eq!(self.store.write_at(&key(of), None, &tail, now), value.len());
                self.write(key(of), value, deadline);
            }
            Change::SetRange(of, offset, piece) => {
                let Held { mut value, deadline, .. } =
                    self.live(&key(of)).cloned().unwrap_or_default();
                value.resize(value.len().max(offset + piece.len()), 0);
                value[offset..][..piece.len()].copy_from_slice(&piece);
                assert_eq!(self.store.write_at(&key(of), Some(offset), &piece, now), value.len());
                self.write(key(of), value, deadline);
            }
            Change::Rename(from, to) => {
                let moved = self.live(&key(from)).cloned();
                assert_eq!(self.store.rename(&key(from), &key(to), now), moved.is_some());
                if let Some(Held { value, deadline, .. }) = moved {
                    if key(from) != key(to) {
                        self.model.remove(&key(from));
                    }
                    self.write(key(to), value, deadline);
                }
            }
            Change::Clear => {
                self.store.clear();
                self.model.clear();
            }
            Change::Wait(micros, calls) => self.wait(Duration::from_micros(micros), calls),
            Change::SetClock(millis) => {
                self.now.unix_millis = self.unix(millis);
                self.clock_was_set = true;
            }
        }
    }

    fn wait(&mut self, passed: Duration, calls: usize) {
        self.now = self.now.plus(passed);
        for _ in 0..calls {
            let (now, model) = (self.now, &mut self.model);
            self.store.remove_expired(now, |key| {
                let held = model.remove(key).expect("it was there");
                assert!(held.is_due(now.unix_millis), "too early");
                self.expired += 1;
            });
        }
        if calls > 0 && !self.clock_was_set {
            // The instant of a deadline is rounded up twice.
            let late = |held: &Held| {
                held.is_due(self.now.unix_millis - 2) && held.written + 2 <= self.now.unix_millis
            };
            assert!(!self.model.values().any(late), "too late");
        }
    }

    fn check(&self) {
        self.store.check_invariants();
        assert_eq!(self.store.len(), self.model.len());
        assert_eq!(self.store.expired(), self.expired);
        for of in 0..=u8::MAX {
            let live = self.live(&key(of));
            let value = live.map(|held| &held.value[..]);
            assert_eq!(self.store.get(&key(of), self.now).map(Value::bytes), value);
            let deadline = live.map(|held| held.deadline);
            assert_eq!(self.store.deadline(&key(of), self.now), deadline);
        }
        let random = random(&self.store, self.now.unix_millis, self.now);
        assert_eq!(random.is_some(), self.model.keys().any(|key| self.live(key).is_some()));
        assert!(random.is_none_or(|key| self.live(&key).is_some()));
    }
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(
        changes in prop::collection::vec(any_change_and_clock(), 0..500)
    ) {
        let mut pair = Pair::new();
        changes.into_iter().for_each(|change| pair.apply(change));
        pair.check();
    }

    #[test]
    fn what_is_due_goes_in_time_as_long_as_nobody_sets_the_clock(
        changes in prop::collection::vec(any_change(), 0..500)
    ) {
        let mut pair = Pair::new();
        changes.into_iter().for_each(|change| pair.apply(change));
        while let Some(next) = pair.store.next_deadline() {
            pair.wait(next.saturating_duration_since(pair.now.instant), 1);
        }
        pair.check();
        prop_assert_eq!(pair.store.expiring(), 0);
    }

    #[test]
    fn a_key_that_stays_is_scanned_exactly_once(
        before in prop::collection::vec(any_change_and_clock(), 0..300),
        steps in prop::collection::vec(
            (prop::collection::vec(any_change_and_clock(), 0..5), 0usize..40), 1..20
        )
    ) {
        let mut pair = Pair::new();
        before.into_iter().for_each(|change| pair.apply(change));
        let mut stayed: HashSet<_> = pair.model.keys().cloned().collect();
        let mut seen = HashMap::new();
        let mut cursor = 0;
        for (changes, places) in steps.into_iter().cycle() {
            stayed.retain(|key| pair.live(key).is_some());
            let next = pair.store.scan(cursor, places, pair.now, |key, value| {
                *seen.entry(key.to_vec()).or_insert(0) += 1;
                assert_eq!(pair.live(key).map(|held| &held.value[..]), Some(value));
                ControlFlow::Continue(())
            });
            if next == 0 {
                break;
            }
            prop_assert!(next > cursor);
            cursor = next;
            for change in changes {
                if matches!(change, Change::Clear) {
                    continue;
                }
                if let Change::Remove(of) | Change::Rename(of, _) = change {
                    stayed.remove(&key(of));
                }
                pair.apply(change);
                stayed.retain(|key| pair.live(key).is_some());
            }
        }
        for key in stayed {
            prop_assert_eq!(seen.get(&key), Some(&1));
        }
    }
}
