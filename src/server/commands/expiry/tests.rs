//! Tests of `expiry.rs`.

use super::super::tests::{Stage, plays};

#[test]
fn a_time_is_set_told_and_taken_away() {
    plays(&[
        ("SET k v", "+OK"),
        ("TTL k", ":-1"),
        ("EXPIRETIME k", ":-1"),
        ("PERSIST k", ":0"),
        ("EXPIRE k 10", ":1"),
        ("PTTL k", ":10000"),
        ("PEXPIRE k 10", ":1"),
        ("PTTL k", ":10"),
        ("EXPIREAT k 1000005", ":1"),
        ("EXPIRETIME k", ":1000005"),
        ("PEXPIRETIME k", ":1000005000"),
        ("PEXPIREAT k 1000000003", ":1"),
        ("PEXPIRETIME k", ":1000000003"),
        ("@wait 2", ""),
        ("PTTL k", ":1"),
        ("PERSIST k", ":1"),
        ("PTTL k", ":-1"),
        ("PERSIST k", ":0"),
        ("GET k", "$1 v"),
        ("EXPIRE x 10", ":0"),
        ("PERSIST x", ":0"),
        ("TTL x", ":-2"),
        ("PEXPIRETIME x", ":-2"),
    ]);
}

#[test]
fn seconds_are_rounded() {
    plays(&[
        ("SET k v PXAT 1000001499", "+OK"),
        ("TTL k", ":1"),
        ("EXPIRETIME k", ":1000001"),
        ("PEXPIREAT k 1000001500", ":1"),
        ("TTL k", ":2"),
        ("EXPIRETIME k", ":1000002"),
        ("PEXPIREAT k 1000000499", ":1"),
        ("TTL k", ":0"),
    ]);
}

#[test]
fn a_time_that_has_come_deletes() {
    let lines = "EXPIRE k 0|EXPIRE k -1|PEXPIRE k -9223372036854775808|EXPIREAT k 1000000\
        |EXPIREAT k -1|PEXPIREAT k 0|EXPIRE k -1 LT|EXPIRE k -9223372036854775 NX";
    for line in lines.split('|') {
        plays(&[("SET k v", "+OK"), (line, ":1"), ("DBSIZE", ":0"), (line, ":0")]);
    }
}

#[test]
fn an_old_time_may_be_better() {
    let table = [
        ("NX", "1", "0", "0", "0"),
        ("XX", "0", "1", "1", "1"),
        ("GT", "0", "0", "0", "1"),
        ("lt", "1", "1", "0", "0"),
        ("XX GT", "0", "0", "0", "1"),
        ("xx LT LT", "0", "1", "0", "0"),
    ];
    for (options, none, sooner, same, later) in table {
        for (before, seconds, set) in
            [("", 5, none), (" EX 6", 5, sooner), (" EX 5", 5, same), (" EX 4", 5, later)]
        {
            let mut stage = Stage::new();
            stage.says(&format!("SET k v{before}"));
            let old = stage.says("TTL k");
            let new = if set == "1" { ":5" } else { &old };
            let line = format!("EXPIRE k {seconds} {options}");
            stage.plays(&[(&line, &format!(":{set}")), ("TTL k", new)]);
            assert_eq!(stage.says(&format!("EXPIRE x 5 {options}")), ":0");
        }
    }
    // A time that has come is sooner than any, and does not delete what it may not.
    plays(&[
        ("SETEX k 5 v", "+OK"),
        ("EXPIRE k -1 GT", ":0"),
        ("EXPIRE k -1 NX", ":0"),
        ("EXISTS k", ":1"),
        ("EXPIRE k -1 LT", ":1"),
        ("EXISTS k", ":0"),
    ]);
}

#[test]
fn options_then_the_number_then_the_key_are_looked_at() {
    const MANY: &str = "-ERR NX and XX, GT or LT options at the same time are not compatible";
    const NO_NUMBER: &str = "-ERR value is not an integer or out of range";
    plays(&[
        ("EXPIRE x y foo", "-ERR Unsupported option foo"),
        ("EXPIRE x y NX XX foo", "-ERR Unsupported option foo"),
        ("EXPIRE x y NX XX", MANY),
        ("EXPIRE x y GT LT nx", MANY),
        ("EXPIRE x y LT GT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE x y NX", NO_NUMBER),
        ("EXPIRE x +1", NO_NUMBER),
        ("EXPIRE x 9223372036854775", "-ERR invalid expire time in 'expire' command"),
        ("EXPIRE x -9223372036854776", "-ERR invalid expire time in 'expire' command"),
        ("PEXPIRE x 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
        ("EXPIREAT x 9223372036854776", "-ERR invalid expire time in 'expireat' command"),
        ("PEXPIREAT x 9223372036854775808", NO_NUMBER),
        ("PEXPIREAT x 9223372036854775807", ":0"),
    ]);
}
