//! Who has read what: the table alone, and beside a plain model of it.

use super::*;
use crate::base::clock::WallClock;
use crate::handler::Outbox;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A table, and as many clients as are needed.
struct Table {
    tracking: Tracking,
    outbox: Outbox,
    now: Instant,
}

impl Table {
    fn with_limit(limit: usize) -> Table {
        let now = Instant::now();
        let outbox = Outbox::new(WallClock::new(now, Duration::ZERO));
        Table { tracking: Tracking::new(limit, now), outbox, now }
    }

    fn enter(&mut self) -> ReaderId {
        let conn = self.outbox.admit();
        self.tracking.enter(conn)
    }

    fn track(&mut self, reader: ReaderId, keys: &[&str]) {
        keys.iter().for_each(|key| self.tracking.track(reader, key.as_bytes()));
        self.tracking.check_invariants();
    }

    fn change(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| self.tracking.changed(key.as_bytes(), Cause::Client));
        self.tracking.check_invariants();
    }

    /// The news for a reader: keys, and `*` for all.
    fn news(&mut self) -> Vec<(String, Vec<ReaderId>)> {
        let news = self.tracking.take_invalidations().into_iter();
        news.map(|news| {
            let key = news.key.as_deref().map_or("*".into(), String::from_utf8_lossy);
            let here = |reader: &ReaderId| self.tracking.client(*reader).is_some();
            let mut readers: Vec<_> = news.readers().filter(here).collect();
            readers.sort();
            (key.to_string(), readers)
        })
        .collect()
    }

    /// Sweeps until there is nothing to do; how often that was.
    fn sweep(&mut self) -> usize {
        let mut sweeps = 0;
        while let Some(at) = self.tracking.next_sweep() {
            self.now = self.now.max(at);
            self.tracking.sweep(self.now);
            assert!(self.tracking.next_sweep().is_none_or(|next| next > self.now), "it rests");
            sweeps += 1;
        }
        self.tracking.check_invariants();
        sweeps
    }
}

fn told(key: &str, readers: &[ReaderId]) -> (String, Vec<ReaderId>) {
    (key.to_string(), readers.to_vec())
}

#[test]
fn the_first_change_of_a_key_is_told_to_all_who_have_read_it() {
    let mut table = Table::with_limit(100);
    let [first, second, third] = [table.enter(), table.enter(), table.enter()];
    table.track(third, &["k", "other"]);
    table.track(first, &["k", "k", "mine"]);
    table.track(second, &["k"]);
    assert_eq!((table.tracking.len(), table.tracking.pairs()), (3, 5));
    table.change(&["k", "nobody's", "mine", "k"]);
    assert_eq!(table.news(), [told("k", &[first, second, third]), told("mine", &[first])]);
    table.track(second, &["k"]);
    table.change(&["k"]);
    assert_eq!(table.news(), [told("k", &[second])]);
    assert_eq!((table.tracking.len(), table.tracking.pairs()), (1, 1));
}

#[test]
fn when_all_keys_go_all_readers_are_told_also_those_who_have_read_nothing() {
    let mut table = Table::with_limit(100);
    table.tracking.all_changed();
    assert!(!table.tracking.has_invalidations());
    let [first, second] = [table.enter(), table.enter()];
    table.track(first, &["k", "l"]);
    table.change(&["l"]);
    table.tracking.all_changed();
    table.change(&["k"]);
    assert_eq!(table.news(), [told("l", &[first]), told("*", &[first, second])]);
    assert!(table.tracking.is_empty() && table.tracking.is_on());
    table.tracking.leave(first);
    assert_eq!(table.sweep(), 1, "only memory is left");
}

#[test]
fn for_a_key_too_many_the_oldest_is_told_and_forgotten() {
    let mut table = Table::with_limit(3);
    let [first, second] = [table.enter(), table.enter()];
    table.track(first, &["a", "b", "c"]);
    table.track(second, &["a", "b"]);
    table.change(&["b"]);
    table.track(first, &["b", "d", "e"]);
    let news = [("b", vec![first, second]), ("a", vec![first, second]), ("c", vec![first])];
    assert_eq!(table.news(), news.map(|(key, readers)| told(key, &readers)));
    assert_eq!((table.tracking.len(), table.tracking.dropped()), (3, 2));
}

#[test]
fn who_is_not_told_of_its_own_changes_is_told_of_what_nobody_did() {
    let mut table = Table::with_limit(2);
    let [author, other] = [table.enter(), table.enter()];
    table.tracking.set_author(Some(author));
    table.track(author, &["k", "l"]);
    table.track(other, &["l"]);
    table.change(&["k", "l"]);
    assert_eq!(table.news(), [told("l", &[other])]);
    table.track(author, &["k", "l", "m"]);
    table.tracking.changed(b"l", Cause::NoClient);
    table.tracking.all_changed();
    let everyone = [author, other];
    assert_eq!(table.news(), [told("k", &[author]), told("l", &[author]), told("*", &everyone)]);
    table.tracking.set_author(None);
    table.track(author, &["k"]);
    table.change(&["k"]);
    assert_eq!(table.news(), [told("k", &[author])]);
}

#[test]
fn a_lower_limit_is_reached_little_by_little() {
    let mut table = Table::with_limit(10_000);
    let reader = table.enter();
    (0..5000).for_each(|number| table.tracking.track(reader, format!("k{number}").as_bytes()));
    assert_eq!(table.tracking.next_sweep(), None);
    table.tracking.set_limit(1500);
    assert_eq!(table.sweep(), 4);
    assert_eq!((table.tracking.len(), table.news().len()), (1500, 3500));
}

#[test]
fn who_leaves_is_told_nothing_and_leaves_nothing_behind() {
    let mut table = Table::with_limit(100_000);
    let [stays, leaves] = [table.enter(), table.enter()];
    for number in 0..5000 {
        let key = format!("k{number}");
        table.tracking.track(leaves, key.as_bytes());
        if number % 2 == 0 {
            table.tracking.track(stays, key.as_bytes());
        }
    }
    table.tracking.leave(leaves);
    table.tracking.leave(leaves);
    table.change(&["k1", "k2"]);
    assert_eq!(table.news(), [told("k2", &[stays])]);
    assert!((3..10).contains(&table.sweep()), "a thousand at a time, of at most 8192 places");
    assert_eq!((table.tracking.len(), table.tracking.pairs()), (2499, 2499));
    table.change(&["k3", "k4"]);
    assert_eq!(table.news(), [told("k4", &[stays])]);
    table.tracking.leave(stays);
    table.sweep();
    let Tracking { readers, entries, index, pairs, stale, .. } = &table.tracking;
    assert!(readers.is_empty() && index.is_empty() && (*pairs, *stale) == (0, 0));
    assert_eq!(entries.bound(), 0, "the memory is given back");
}

#[test]
fn a_client_that_tracks_again_is_not_told_what_it_read_before() {
    let mut table = Table::with_limit(100);
    let before = table.enter();
    table.track(before, &["k", "l"]);
    let conn = table.tracking.client(before).expect("it is here");
    table.tracking.leave(before);
    let now = table.tracking.enter(conn);
    table.track(now, &["l"]);
    table.change(&["k", "l"]);
    assert_eq!(table.news(), [told("l", &[now])]);
}

#[test]
fn many_readers_of_one_key_are_swept_in_one_go_and_no_more() {
    let mut table = Table::with_limit(10);
    let readers: Vec<_> = (0..3 * SWEPT_AT_ONCE).map(|_| table.enter()).collect();
    for key in ["a", "b"] {
        readers.iter().for_each(|reader| table.tracking.track(*reader, key.as_bytes()));
    }
    readers[1..].iter().for_each(|reader| table.tracking.leave(*reader));
    assert_eq!(table.sweep(), 2);
    assert_eq!((table.tracking.len(), table.tracking.pairs()), (2, 2));
}

#[derive(Clone, Debug)]
enum Step {
    Enter,
    Leave(usize),
    Track(usize, u8),
    Change(u8),
    Flush,
    Limit(usize),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Enter),
        1 => any::<usize>().prop_map(Step::Leave),
        20 => (any::<usize>(), 0..30_u8).prop_map(|(reader, key)| Step::Track(reader, key)),
        6 => (0..30_u8).prop_map(Step::Change),
        1 => Just(Step::Flush),
        1 => (1..30_usize).prop_map(Step::Limit),
        2 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// A map from each key to its readers says the same; of the limit, that nobody misses a key.
    #[test]
    fn a_plain_map_says_the_same(steps in steps()) {
        let mut table = Table::with_limit(10);
        let mut here: Vec<ReaderId> = Vec::new();
        let mut model: BTreeMap<u8, BTreeSet<ReaderId>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Enter => here.push(table.enter()),
                Step::Leave(at) if !here.is_empty() => {
                    let reader = here.remove(at % here.len());
                    table.tracking.leave(reader);
                    model.values_mut().for_each(|readers| _ = readers.remove(&reader));
                }
                Step::Track(at, key) if !here.is_empty() => {
                    let reader = here[at % here.len()];
                    table.tracking.track(reader, &[key]);
                    model.entry(key).or_default().insert(reader);
                }
                Step::Change(key) => table.tracking.changed(&[key], Cause::Client),
                Step::Flush => table.tracking.all_changed(),
                Step::Limit(limit) => table.tracking.set_limit(limit),
                Step::Sweep => table.tracking.sweep(table.now),
                _ => {}
            }
            if let Step::Change(key) = step {
                let expected = model.get(&key).cloned().unwrap_or_default();
                let found: Vec<_> = table.news().into_iter().flat_map(|it| it.1).collect();
                prop_assert_eq!(found, expected.iter().copied().collect::<Vec<_>>());
                model.remove(&key);
            }
            for news in table.tracking.take_invalidations() {
                let told = news.readers().filter(|it| here.contains(it));
                let told: BTreeSet<ReaderId> = told.collect();
                match news.key {
                    Some(key) => prop_assert_eq!(model.remove(&key[0]).unwrap_or_default(), told),
                    None => {
                        prop_assert_eq!(here.iter().copied().collect::<BTreeSet<_>>(), told);
                        model.clear();
                    }
                }
            }
            table.tracking.check_invariants();
        }
        let living = model.values().map(BTreeSet::len).sum::<usize>();
        prop_assert_eq!(table.tracking.pairs() - table.tracking.stale, living);
        here.iter().for_each(|reader| table.tracking.leave(*reader));
        table.sweep();
        prop_assert!(table.tracking.is_empty());
    }
}
