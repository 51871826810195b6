//! Requests that are not left to chance: how many arguments commands take, what needs to know
//! another client, what is no request at all, and what is meant to differ.

use super::compare::{Pair, REDIS};
use super::script::{MARKS, Request, Script};
use crate::support::place::Place;
use crate::support::transcript::unescape;
use larder::protocol::command::TABLE;

/// Faults of one table that are shown.
const SHOWN: usize = 25;

/// Runs them all, and tells all that differ.
#[track_caller]
pub fn none_differs(outcomes: Vec<Result<(), String>>) {
    let mut faults: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    faults.dedup();
    let shown = faults[..faults.len().min(SHOWN)].join("\n");
    assert!(faults.is_empty(), "{} differ:\n{shown}", faults.len());
}

/// Names that are no command's.
const NO_COMMANDS: [&str; 2] = ["NOSUCH", "\"\""];

/// Commands whose numbers of arguments are not compared, since one request for each is meant to
/// differ whatever its arguments are.
const OUR_OWN_REPLIES: &[&str] = &[
    "ACL|HELP",
    "CLIENT|HELP",
    "CLIENT|SETINFO",
    "CLUSTER",
    "COMMAND|DOCS",
    "COMMAND|HELP",
    "COMMAND|LIST",
    "CONFIG|HELP",
    "LATENCY|DOCTOR",
    "LATENCY|HELP",
    "LATENCY|HISTOGRAM",
    "MODULE|HELP",
    "SLOWLOG|HELP",
];

/// The commands that Redis has too, and what is none.
fn commands() -> Vec<String> {
    let rows = TABLE.iter().filter(|row| !row.since.starts_with("larder"));
    let rows = rows.filter(|row| !OUR_OWN_REPLIES.contains(&row.name));
    let names = rows.map(|row| row.name.replace('|', " "));
    names.chain(NO_COMMANDS.map(str::to_string)).collect()
}

/// Requests for a command with none to six arguments.
fn arguments(of: &str) -> impl Iterator<Item = Script> {
    let requests = ["k", "0", "-1"].into_iter().flat_map(move |argument| {
        (0..=6).map(move |count| format!("{}{}", of, format!(" {argument}").repeat(count)))
    });
    // PING shows what state the connection was left in, or that it was closed. After a SELECT that
    // was refused, only Redis goes on with keys.
    requests.map(|request| Script::of(&format!("*> {request}\n*> PING\n*> SELECT 0\n*> GET k")))
}

fn numbers_of_arguments(other: Place) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let run = |command: &String| arguments(command).try_for_each(|script| pair.run(&script));
    commands().iter().map(run).collect()
}

#[test]
fn every_command_takes_as_many_arguments_as_in_redis() {
    none_differs(numbers_of_arguments(Place::Server));
}

/// Blocks of requests.
pub const SCRIPTS: &str = include_str!("scripts.txt");

fn scripts(other: Place) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let scripts = SCRIPTS.split("\n\n").map(Script::of).filter(|it| !it.steps.is_empty());
    scripts.flat_map(|script| [pair.run(&script), pair.run(&script.in_resp3())]).collect()
}

#[test]
fn scripts_are_answered_as_in_redis() {
    none_differs(scripts(Place::Server));
}

/// What is printed can be put into [`SCRIPTS`] as it is.
#[test]
fn a_script_reads_as_it_is_shown() {
    let words = [&b""[..], b"\"\"", b"\"'\\", b"a b\r\n\t\x00\xff", &[b'x'; 300], &[b' '; 300]];
    let text = words.map(|word| {
        let request = Request { words: vec![b"ECHO".to_vec(), word.to_vec()] };
        format!("{} {request:?}\n", MARKS[1])
    });
    let read = Script::of(&text.concat());
    for (step, word) in read.steps.iter().zip(words) {
        assert_eq!((step.by, &step.request.words[1][..]), (1, word), "{:?}", step.request);
    }
    assert_eq!(read.steps.len(), words.len());
}

/// What is sent as it stands there.
const BROKEN: &str = include_str!("broken.txt");

fn broken(other: Place) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let texts = BROKEN.lines().filter(|line| !line.starts_with('#'));
    texts.map(|text| pair.run_raw(&sent(text))).collect()
}

#[test]
fn what_is_no_request_is_refused_as_in_redis() {
    none_differs(broken(Place::Server));
}

/// What differs between two servers that are the same is a fault of these tests.
#[test]
fn two_redis_servers_answer_all_of_it_alike() {
    for run in [numbers_of_arguments, scripts, broken] {
        none_differs(run(REDIS));
    }
}

/// What is meant to differ, under the reasons.
pub const DIFFERENCES: &str = include_str!("differences.txt");

/// Returns the bytes that a line stands for.
fn sent(text: &str) -> Vec<u8> {
    match text.strip_prefix("*> ") {
        Some(words) => Request::of(words).encode(),
        None => unescape(text).unwrap_or_else(|| panic!("no text: {text}")),
    }
}

#[test]
fn what_is_meant_to_differ_differs() {
    let mut pair = Pair::start(REDIS, Place::Server);
    let texts = DIFFERENCES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let same: Vec<_> = texts.filter(|text| pair.run_raw(&sent(text)).is_ok()).collect();
    assert!(same.is_empty(), "answered as in Redis:\n{}", same.join("\n"));
}

/// Redis has sixteen databases where nobody says how many; elsewhere it is run here with one.
#[test]
fn there_is_one_database() {
    let mut pair = Pair::start(Place::Redis(&[]), Place::Server);
    assert!(pair.run_raw(&sent("*> SELECT 1")).is_err());
    assert_eq!(pair.run_raw(&sent("*> SELECT 16")), Ok(()));
}
