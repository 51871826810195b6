//! Random rounds, each judged; and rounds of proxies that break one rule, which have to be noticed.

use crate::plan::{Broken, Plan, Trouble};
use crate::round::Round;
use crate::support;
use crate::support::world::Random;
use crate::traffic;
use larder::stats::Stat;
use std::collections::BTreeSet;

/// What has to be above 0 after some of many rounds.
const COUNTERS: [Stat; 12] = [
    Stat::Hits,
    Stat::MissesCoalesced,
    Stat::Expired,
    Stat::NotCachedTooLarge,
    Stat::EntriesInvalidated,
    Stat::InvalidationsReceived,
    Stat::FlightsPoisoned,
    Stat::HeldForConfirmation,
    Stat::FlushesByUpstream,
    Stat::FlushesByWrite,
    Stat::FlushesByDisconnect,
    Stat::FlushesByTrackingStart,
];

/// What clients have to be told in some of them.
const ERRORS: [&str; 5] = [
    traffic::BROKE_OFF,
    "ERR upstream unavailable",
    "ERR upstream lost",
    "ERR upstream timed out",
    "ERR upstream lost, the write may or may not have happened",
];

/// Rounds in which a missing rule has to be noticed: mostly a hundred will do.
const MAX_ROUNDS: u64 = 10_000;

/// Names the round that fails.
struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the round that failed is the first with LARDER_SEED={}", self.0);
        }
    }
}

/// Plays the round of a seed; why it breaks the promises, if it does.
fn play(seed: u64, plan: Plan) -> (Round, Result<(), String>) {
    let _announce = Announce(seed);
    let mut round = Round::new(seed, plan);
    round.play();
    let verdict = round.check();
    (round, verdict)
}

/// Plays the rounds of these seeds. Returns the number of their requests, and what has happened.
fn play_all(seeds: impl Iterator<Item = u64>) -> (usize, BTreeSet<String>) {
    let (mut asked, mut seen) = (0, BTreeSet::new());
    for seed in seeds {
        let (mut round, verdict) = play(seed, Plan::choose(&mut Random(seed)));
        if let Err(message) = verdict {
            panic!("LARDER_SEED={seed}: {message}");
        }
        asked += round.operations.len();
        round.note_outcomes(&COUNTERS);
        seen.append(&mut round.seen);
    }
    (asked, seen)
}

/// Also, every reply comes in time and fits, no write is sent twice, and no DUMP has gaps.
#[test]
fn what_was_acknowledged_is_seen_by_all_in_time() {
    let (seed, rounds) = (support::seed(), support::rounds(100_000));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut asked, mut seen) = (0, BTreeSet::new());
    std::thread::scope(|scope| {
        let seeds = (0..threads).map(|first| (first..rounds).step_by(threads));
        let seeds = seeds.map(|rounds| rounds.map(|round| seed.wrapping_add(round as u64)));
        let started: Vec<_> = seeds.map(|seeds| scope.spawn(|| play_all(seeds))).collect();
        for thread in started {
            let (requests, mut outcomes) = thread.join().expect("all rounds are right");
            asked += requests;
            seen.append(&mut outcomes);
        }
    });
    println!("{rounds} rounds, {asked} requests; seen: {seen:?}");
    let troubles = Trouble::ALL.map(|trouble| format!("{trouble:?}"));
    let counters = COUNTERS.map(|stat| format!("{stat:?}"));
    let expected = troubles.into_iter().chain(counters).chain(ERRORS.map(str::to_string));
    let missing: Vec<String> = expected.filter(|it| !seen.contains(it)).collect();
    // What is rare may not happen in fewer rounds.
    assert!(missing.is_empty() || support::is_quick(), "these never happen: {missing:?}");
}

#[test]
fn a_rule_that_is_missing_is_noticed() {
    let seed = support::seed();
    let mut missed = Vec::new();
    let all = Broken::all();
    for &broken in &all {
        let noticed = (0..MAX_ROUNDS).find_map(|round| {
            let seed = seed.wrapping_add(round);
            let plan = Plan::that_needs(broken, &mut Random(seed));
            play(seed, plan).1.err().map(|message| (round, message))
        });
        match noticed {
            Some((round, message)) => {
                let first = message.lines().next().unwrap_or_default();
                println!("{broken:?} is missing: noticed in round {round}: {first:.200}");
            }
            None => missed.push(broken),
        }
    }
    println!("{} of {} noticed", all.len() - missed.len(), all.len());
    assert!(missed.is_empty(), "nobody notices that these are missing: {missed:?}");
}
