//! Tests of `scan.rs`.

use super::super::tests::{Stage, plays};
use super::{SCAN_STEP, STREAM_CHUNK};
use crate::protocol::resp::Version;
use crate::settings::limits::Limits;

/// With keys `k0`, `k1` and so on; their values are their numbers.
fn with_keys(stage: Stage, count: usize) -> Stage {
    let mut stage = stage;
    for number in 0..count {
        stage.says(&format!("SET k{number} {number}"));
    }
    stage
}

/// What the walk that these words make comes upon, and in how many steps.
fn walk(stage: &mut Stage, options: &str) -> (Vec<String>, usize) {
    let (mut found, mut steps, mut cursor) = (Vec::new(), 0, "0".to_string());
    loop {
        let reply = stage.says(&format!("SCAN {cursor}{options}"));
        let words: Vec<&str> = reply.split(' ').collect();
        assert_eq!((words[0], words[3]), ("*2", &*format!("*{}", (words.len() - 4) / 2)));
        found.extend(words[4..].iter().skip(1).step_by(2).map(|key| key.to_string()));
        steps += 1;
        cursor = words[2].to_string();
        if cursor == "0" {
            found.sort();
            return (found, steps);
        }
    }
}

#[test]
fn keys_are_listed_by_their_pattern() {
    let mut stage = with_keys(Stage::new(), 12);
    stage.plays(&[
        ("KEYS k3", "*1 $2 k3"),
        ("KEYS [j-l]?1", "*1 $3 k11"),
        ("KEYS x*", "*0"),
        ("DEL k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10", ":11"),
        ("KEYS *", "*1 $3 k11"),
        ("SET \"\" v", "+OK"),
        ("DEL k11", ":1"),
        ("KEYS *", "*1 $0 "),
        ("KEYS **", "*0"),
    ]);
    let mut stage = with_keys(Stage::new(), 12);
    assert!(stage.says("KEYS *").starts_with("*12 $"));
}

#[test]
fn a_scan_goes_over_all_keys_as_many_at_a_time_as_it_is_told() {
    let mut stage = with_keys(Stage::new(), 95);
    let (all, steps) = walk(&mut stage, "");
    assert_eq!((all.len(), steps), (95, 10));
    assert_eq!(walk(&mut stage, " count 30").1, 4);
    assert_eq!(walk(&mut stage, " COUNT 5 COUNT 100 MATCH *"), (all.clone(), 1));
    assert_eq!(walk(&mut stage, " TYPE String COUNT 96"), (all, 1));
    assert_eq!(walk(&mut stage, " TYPE hash"), (vec![], 10));
    assert_eq!(walk(&mut stage, " MATCH x MATCH k7 COUNT 50"), (vec!["k7".to_string()], 2));
}

#[test]
fn a_step_of_a_scan_is_bounded_whatever_its_count() {
    let mut stage = with_keys(Stage::new(), SCAN_STEP + 100);
    assert_eq!(walk(&mut stage, " COUNT 1000000").1, 2);
    let mut stage = Stage::new();
    for number in 0..10 {
        stage.says(&format!("SET {}{number} v", "k".repeat(STREAM_CHUNK / 3)));
    }
    let (found, steps) = walk(&mut stage, " COUNT 1000000");
    assert_eq!((found.len(), steps), (10, 4));
}

#[test]
fn a_scan_that_makes_no_sense_is_refused() {
    let table = [
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN -", "-ERR invalid cursor"),
        ("SCAN ++1", "-ERR invalid cursor"),
        ("SCAN 0x10", "-ERR invalid cursor"),
        ("SCAN 18446744073709551616", "-ERR invalid cursor"),
        ("SCAN x COUNT", "-ERR invalid cursor"),
        ("SCAN 0 COUNT", "-ERR syntax error"),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 0 COUNT -1", "-ERR syntax error"),
        ("SCAN 0 MATCH", "-ERR syntax error"),
        ("SCAN 0 LIMIT 1", "-ERR syntax error"),
        ("SCAN 0 COUNT x LIMIT", "-ERR value is not an integer or out of range"),
        ("SCAN \"\"", "*2 $1 0 *1 $1 a"),
        ("SCAN +00", "*2 $1 0 *1 $1 a"),
        ("SCAN -1", "*2 $1 0 *0"),
        ("SCAN 18446744073709551615", "*2 $1 0 *0"),
    ];
    for (line, reply) in table {
        plays(&[("SET a 1", "+OK"), (line, reply)]);
    }
}

#[test]
fn a_dump_has_all_keys_or_all_pairs() {
    const USAGE: &str = "-ERR usage: DUMP [KEYS|PAIRS]";
    let mut stage = Stage::new();
    stage.plays(&[
        ("DUMP", "*0"),
        ("DUMP PAIRS", "*0"),
        ("SET k v", "+OK"),
        ("DUMP", "*1 $1 k"),
        ("DUMP keys", "*1 $1 k"),
        ("DUMP pairs", "*2 $1 k $1 v"),
        ("DUMP k", USAGE),
        ("DUMP PAIRS k", USAGE),
    ]);
    stage.version = Version::Three;
    stage.plays(&[("DUMP", "*1 $1 k"), ("DUMP PAIRS", "%1 $1 k $1 v")]);
}

#[test]
fn a_list_that_is_too_large_is_given_up() {
    let limits = Limits { output_limit: 1000, ..Limits::default() };
    let mut stage = with_keys(Stage::with(limits), 5000);
    for line in ["KEYS *", "DUMP", "DUMP PAIRS"] {
        stage.out = Default::default();
        assert_eq!(stage.says(line), "-ERR reply too large, use SCAN", "{line}");
        assert!(stage.out.plain().capacity() < 5000, "{line} stops as soon as it is too large");
    }
    assert!(stage.says("KEYS k?").starts_with("*10 $2 k"));
}
