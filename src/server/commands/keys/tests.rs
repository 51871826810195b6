//! Tests of `keys.rs`.

use super::super::tests::{Stage, plays};
use crate::protocol::resp::Version;

#[test]
fn keys_are_counted_as_often_as_they_are_named() {
    plays(&[
        ("MSET a 1 b 2 \"\" 3", "+OK"),
        ("EXISTS a a x b", ":3"),
        ("TOUCH a x", ":1"),
        ("EXISTS \"\"", ":1"),
        ("TYPE a", "+string"),
        ("TYPE x", "+none"),
        ("DBSIZE", ":3"),
        ("UNLINK a a x", ":1"),
        ("DEL b \"\" x", ":2"),
        ("DBSIZE", ":0"),
    ]);
}

#[test]
fn a_value_moves_with_its_time() {
    plays(&[
        ("RENAME a b", "-ERR no such key"),
        ("RENAMENX a a", "-ERR no such key"),
        ("SETEX a 5 1", "+OK"),
        ("RENAME a a", "+OK"),
        ("RENAMENX a a", ":0"),
        ("RENAME a b", "+OK"),
        ("TTL b", ":5"),
        ("EXISTS a", ":0"),
        ("SET c 2", "+OK"),
        ("RENAMENX c b", ":0"),
        ("RENAME c b", "+OK"),
        ("GET b", "$1 2"),
        ("TTL b", ":-1"),
        ("RENAMENX b c", ":1"),
        ("KEYS *", "*1 $1 c"),
    ]);
}

#[test]
fn every_key_is_drawn_sooner_or_later() {
    let mut stage = Stage::new();
    assert_eq!(stage.says("RANDOMKEY"), "$-1");
    stage.version = Version::Three;
    stage.plays(&[("RANDOMKEY", "_"), ("MSET a 1 b 2 c 3", "+OK")]);
    let mut drawn: Vec<String> = (0..200).map(|_| stage.says("RANDOMKEY")).collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn, ["$1 a", "$1 b", "$1 c"]);
}

#[test]
fn all_keys_go() {
    for line in ["FLUSHALL", "FLUSHDB", "FLUSHALL sync", "FLUSHDB ASYNC"] {
        plays(&[("MSET a 1 b 2", "+OK"), (line, "+OK"), ("DBSIZE", ":0"), ("GET a", "$-1")]);
    }
    for line in ["FLUSHALL now", "FLUSHDB SYNC ASYNC", "FLUSHALL \"\""] {
        plays(&[("SET a 1", "+OK"), (line, "-ERR syntax error"), ("DBSIZE", ":1")]);
    }
}
