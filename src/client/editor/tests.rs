//! Tests of `editor.rs`.

use super::*;

#[track_caller]
fn check_completion(line: &str, start: usize, expected: &[&str]) {
    let (at, candidates) = complete(line);
    let candidates: Vec<&str> = candidates.iter().map(String::as_str).collect();
    assert_eq!((at, candidates.as_slice()), (start, expected));
}

#[test]
fn verbs_and_fixed_words_are_completed_in_the_case_of_the_typed() {
    check_completion("pu", 0, &["put "]);
    check_completion("PI", 0, &["PING"]);
    check_completion("sc", 0, &["scan "]);
    check_completion("dump ", 5, &["KEYS", "PAIRS"]);
    check_completion("dump p", 5, &["pairs"]);
    check_completion("Origin O", 7, &["ON", "OFF"]);
    check_completion("get n", 4, &[]);
    check_completion("put k v", 6, &[]);
}

#[track_caller]
fn check_hint(line: &str, expected: Option<&str>) {
    assert_eq!(hint(line).as_deref(), expected, "{line:?}");
}

#[test]
fn a_hint_names_what_is_missing() {
    check_hint("", None);
    check_hint("pu", None);
    check_hint("put", Some(" <key> <value>"));
    check_hint("put ", Some("<key> <value>"));
    check_hint("put k", Some(" <value>"));
    check_hint("put k ", Some("<value>"));
    check_hint("put k v", None);
    check_hint("put k=v", None);
    check_hint("incrby n", Some(" <amount>"));
    check_hint("expire ", Some("<key> <seconds>"));
    check_hint("dump", Some(" [KEYS|PAIRS]"));
    check_hint("bye", None);
}
