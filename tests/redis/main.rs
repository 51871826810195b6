//! Our server beside a real redis-server: the same requests to both, their replies compared byte
//! for byte. What is meant to differ stands in `differences.txt`, and nowhere else.
//!
//! - `commands.txt`: what is generated, one line for each form of a command; `words.txt` and
//!   `words.rs`: the words in these lines; `grammar.rs`: how they become random scripts
//! - `script.rs`: scripts and their text; `compare.rs`: how one is run on two servers at once
//! - `reply.rs`: what may differ in a reply because of time or chance; `wire.rs`: one connection
//! - `proxied.rs`: Redis through our proxy beside Redis; `shared.rs`: what must not get through
//! - `rows.rs`: the table of commands, row by row beside that of Redis
//! - `tables.rs`: requests that are not left to chance, with `scripts.txt`, `broken.txt`, and
//!   `differences.txt`, the list of what is meant to differ

mod compare;
mod grammar;
mod proxied;
mod reply;
mod rows;
mod script;
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod wire;
mod words;

use compare::{Pair, REDIS};
use grammar::lines;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use script::Script;
use std::cell::RefCell;
use support::place::Place;
use support::{rounds, seed};

/// Runs `full` random scripts, or a twentieth of them; the shortest whose replies differ.
fn check(
    right: Place,
    other: Place,
    scripts: &impl Strategy<Value = Script>,
    full: usize,
) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config {
        cases: u32::try_from(rounds(full)).expect("a few thousand"),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        max_shrink_time: 30_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let pair = RefCell::new(Pair::start(right, other));
    let last = RefCell::new(String::new());
    let outcome = runner.run(scripts, |script| {
        pair.borrow_mut().run(&script).map_err(|report| {
            *last.borrow_mut() = report;
            TestCaseError::fail("replies differ")
        })
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, script)) => {
            let report = last.borrow();
            Err(format!("replies differ, at most {} sent at a time:\n{report}", script.pipeline))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Runs random scripts of these lines of `commands.txt`; what is told of changes is in RESP3.
#[track_caller]
fn agree(right: Place, other: Place, lines: &[&'static str], full: usize) {
    let only_resp3 = lines.iter().any(|line| line.contains("CLIENT TRACKING"));
    let scripts = grammar::scripts(lines);
    let scripts = scripts.prop_map(move |it| if only_resp3 { it.in_resp3() } else { it });
    if let Err(report) = check(right, other, &scripts, full) {
        panic!("{report}");
    }
}

/// Makes a test of each row, which compares our server with Redis, and [`RUNS`] of all rows.
macro_rules! runs {
    ($($name:ident: $parts:expr, $full:literal;)*) => {
        /// The parts of `commands.txt` that run together, and how many scripts of them.
        pub const RUNS: &[(&[&str], usize)] = &[$(($parts, $full)),*];

        $(#[test]
        fn $name() {
            agree(REDIS, Place::Server, &lines($parts), $full);
        })*
    };
}

/// The parts that run mixed: what depends on how a value came to be needs a part of its own.
const TOGETHER: &[&str] =
    &["strings", "numbers", "lives", "keys", "transactions", "connection", "program"];

runs! {
    values_are_stored_as_in_redis: &["strings"], 5_000;
    numbers_are_counted_as_in_redis: &["numbers"], 5_000;
    keys_live_as_long_as_in_redis: &["lives"], 5_000;
    keys_are_found_and_renamed_as_in_redis: &["keys"], 5_000;
    transactions_end_as_in_redis: &["transactions", "strings"], 5_000;
    connections_are_served_as_in_redis: &["connection"], 5_000;
    the_program_shows_itself_as_redis_does: &["program"], 5_000;
    replies_are_held_back_as_in_redis: &["hushed"], 5_000;
    changes_are_told_as_in_redis: &["tracking"], 10_000;
    everything_together_is_as_in_redis: TOGETHER, 10_000;
}

/// What differs between two servers that are the same is a fault of these tests.
#[test]
fn redis_is_as_redis() {
    for (parts, full) in RUNS {
        agree(REDIS, REDIS, &lines(parts), full / 20);
    }
}

#[test]
fn a_server_without_a_command_is_found_out_in_one_request() {
    const WITHOUT: Place = Place::Redis(&["--databases", "1", "--rename-command", "GETDEL", ""]);
    let scripts = grammar::scripts(&lines(&["strings", "numbers"]));
    let report = check(REDIS, WITHOUT, &scripts, 4_000);
    let report = report.expect_err("it does not know GETDEL");
    let asked: Vec<_> = report.lines().filter(|line| line.starts_with("*>")).collect();
    assert_eq!(asked, ["*> GETDEL a"], "{report}");
}

/// Else all that is made simpler from the script that killed it would seem to fail too.
#[test]
fn a_server_that_dies_is_found_out_and_started_again() {
    const STAYS: Place = Place::Redis(&["--databases", "1", "--rename-command", "SHUTDOWN", ""]);
    let mut pair = Pair::start(STAYS, REDIS);
    let report = pair.run(&Script::of("*> SHUTDOWN NOSAVE")).expect_err("one dies");
    assert!(report.contains("redis: (nothing) (and closed)"), "{report}");
    assert_eq!(pair.run(&Script::of("*> SET k v\nother*> GET k")), Ok(()));
}
