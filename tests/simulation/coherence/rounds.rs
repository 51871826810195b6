//! Random rounds, each judged; and rounds of proxies that break one rule, which have to be noticed.

use super::plan::{Broken, Plan, Trouble};
use super::round::Round;
use crate::support;
use crate::support::world::Random;
use std::collections::BTreeSet;

/// What has to be among the outcomes of many rounds, beside every trouble: counters of the proxies,
/// and what clients were told.
const EXPECTED: [&str; 15] = [
    "hits",
    "misses_coalesced",
    "expired",
    "entries_invalidated",
    "invalidations_received",
    "flights_poisoned",
    "held_for_confirmation",
    "flushes_by_upstream",
    "flushes_by_write",
    "flushes_by_disconnect",
    "flushes_by_tracking_start",
    "ERR upstream unavailable",
    "ERR upstream lost",
    "ERR upstream timed out",
    "ERR upstream lost, the write may or may not have happened",
];

/// Rounds in which a missing rule has to be noticed: mostly a hundred will do.
const MAX_ROUNDS: u64 = 10_000;

/// Plays the round of a seed; why it breaks the promises, if it does.
fn play(seed: u64, plan: Plan) -> (Round, Result<(), String>) {
    let mut round = Round::new(seed, plan);
    round.play();
    let verdict = round.check().map_err(|violation| violation.message);
    (round, verdict)
}

#[test]
fn what_was_acknowledged_is_seen_by_all_in_time() {
    let (seed, rounds) = (support::seed(), support::rounds(100_000));
    let (mut asked, mut seen) = (0, BTreeSet::new());
    for seed in (0..rounds as u64).map(|round| seed.wrapping_add(round)) {
        let (mut round, verdict) = play(seed, Plan::choose(&mut Random(seed)));
        if let Err(message) = verdict {
            panic!("LARDER_SEED={seed}: {message}");
        }
        asked += round.operations.len();
        round.note_outcomes();
        seen.append(&mut round.seen);
    }
    println!("{rounds} rounds, {asked} requests; seen: {seen:?}");
    let troubles = Trouble::ALL.map(|trouble| format!("{trouble:?}"));
    let expected = troubles.into_iter().chain(EXPECTED.map(str::to_string));
    let missing: Vec<String> = expected.filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "these never happen: {missing:?}");
}

#[test]
fn a_rule_that_is_missing_is_noticed() {
    let seed = support::seed();
    let mut missed = Vec::new();
    for broken in Broken::ALL {
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
    println!("{} of {} noticed", Broken::ALL.len() - missed.len(), Broken::ALL.len());
    assert!(missed.is_empty(), "nobody notices that these are missing: {missed:?}");
}
