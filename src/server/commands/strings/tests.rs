//! Tests of `strings.rs`.

use super::super::tests::{Stage, plays};
use crate::base::output::Value;
use crate::protocol::resp::Version;
use crate::settings::limits::Limits;
use std::sync::Arc;

#[test]
fn set_stores_if_it_is_to() {
    plays(&[
        ("SET k 1 XX", "$-1"),
        ("SET k 1 GET XX", "$-1"),
        ("EXISTS k", ":0"),
        ("SET k 1 nx", "+OK"),
        ("SET k 2 NX", "$-1"),
        ("SET k 2 NX GET", "$1 1"),
        ("SET k 3 XX", "+OK"),
        ("SET k 4 GET", "$1 3"),
        ("SET other 5 GET", "$-1"),
        ("MGET k other", "*2 $1 4 $1 5"),
    ]);
}

#[test]
fn set_and_getex_give_a_value_its_time() {
    plays(&[
        ("SET k v EX 10", "+OK"),
        ("PTTL k", ":10000"),
        ("SET k v px 10", "+OK"),
        ("PTTL k", ":10"),
        ("SET k v EXAT 1000009", "+OK"),
        ("PTTL k", ":9000"),
        ("SET k v PXAT 1000000001", "+OK"),
        ("PTTL k", ":1"),
        ("SET k w KEEPTTL", "+OK"),
        ("PTTL k", ":1"),
        ("GETEX k", "$1 w"),
        ("PTTL k", ":1"),
        ("GETEX k EX 10", "$1 w"),
        ("PTTL k", ":10000"),
        ("GETEX k persist", "$1 w"),
        ("PTTL k", ":-1"),
        ("GETEX k PXAT 1000000007", "$1 w"),
        ("PTTL k", ":7"),
        ("APPEND k 1", ":2"),
        ("PTTL k", ":7"),
        ("SET k 1", "+OK"),
        ("PTTL k", ":-1"),
        ("SETEX k 3 1", "+OK"),
        ("INCR k", ":2"),
        ("PTTL k", ":3000"),
        ("GETSET k v", "$1 2"),
        ("PTTL k", ":-1"),
        ("PSETEX k 3 v", "+OK"),
        ("PTTL k", ":3"),
        ("MSET k v", "+OK"),
        ("PTTL k", ":-1"),
    ]);
}

#[test]
fn a_time_that_has_come_leaves_no_value() {
    plays(&[
        ("SET k v", "+OK"),
        ("SET k v EXAT 1", "+OK"),
        ("DBSIZE", ":0"),
        ("SET k v PXAT 1000000000", "+OK"),
        ("DBSIZE", ":0"),
        ("SET k v PXAT 1000000001", "+OK"),
        ("GETEX k EXAT 1000000", "$1 v"),
        ("DBSIZE", ":0"),
    ]);
}

#[test]
fn options_may_be_repeated_and_not_contradicted() {
    let fine = [
        ("NX NX GET GET", ":-1"),
        ("KEEPTTL keepttl", ":-1"),
        ("EX 5 EX 6", ":6"),
        ("NX PXAT 9 PXAT 1000006000", ":6"),
    ];
    for (options, seconds) in fine {
        let mut stage = Stage::new();
        stage.says(&format!("SET k v {options}"));
        assert_eq!(stage.says("TTL k"), seconds, "{options}");
    }
    let wrong = "NX XX|XX NX|EX|PX 5 EX|EX 5 PX 5|EXAT 5 PXAT 5|KEEPTTL EX 5|EX 5 KEEPTTL|5\
        |PERSIST|EX 5 PERSIST|NX GET foo";
    for options in wrong.split('|') {
        plays(&[(&format!("SET k v {options}"), "-ERR syntax error"), ("EXISTS k", ":0")]);
    }
    for options in "NX|XX|GET|KEEPTTL|EX|PERSIST EX 5|EX 5 PERSIST|EX 5 PX 5|5".split('|') {
        plays(&[(&format!("GETEX k {options}"), "-ERR syntax error")]);
    }
}

#[test]
fn only_times_to_come_that_can_be_told_are_taken() {
    const NONE: &str = "-ERR value is not an integer or out of range";
    let invalid = |name: &str| format!("-ERR invalid expire time in '{name}' command");
    for number in ["", "x", "1.5", "+1", "01", "9223372036854775808"] {
        let number = if number.is_empty() { "\"\"" } else { number };
        plays(&[
            ("SET k v", "+OK"),
            (&format!("SET k w EX {number} GET"), NONE),
            (&format!("SETEX k {number} w"), NONE),
            (&format!("GETEX x PX {number}"), "$-1"),
            (&format!("GETEX k PX {number}"), NONE),
            ("GET k", "$1 v"),
            ("TTL k", ":-1"),
        ]);
    }
    let too_much = ["0", "-1", "-9223372036854775808", "9223372036854775807"];
    let of_seconds = ["9223372036854776", "9223372036854775"];
    for number in too_much.into_iter().chain(of_seconds) {
        let in_millis = if of_seconds.contains(&number) { "0" } else { number };
        plays(&[
            ("SET k v", "+OK"),
            (&format!("SET k w GET EX {number}"), &invalid("set")),
            (&format!("SETEX k {number} w"), &invalid("setex")),
            (&format!("PSETEX k {in_millis} w"), &invalid("psetex")),
            (&format!("GETEX x EX {number}"), "$-1"),
            (&format!("GETEX k EX {number}"), &invalid("getex")),
            ("GET k", "$1 v"),
            ("TTL k", ":-1"),
        ]);
    }
    plays(&[
        ("SET k v EX 9223372035854775", "+OK"),
        ("PTTL k", ":9223372035854775000"),
        ("SET k v PXAT 9223372036854775807", "+OK"),
        ("PEXPIRETIME k", ":9223372036854775807"),
        ("EXPIRETIME k", ":9223372036854776"),
    ]);
}

#[test]
fn several_keys_at_once() {
    plays(&[
        ("MSET a 1 b 2 a 3", "+OK"),
        ("MGET a x b a", "*4 $1 3 $-1 $1 2 $1 3"),
        ("MSET a 9 b", "-ERR wrong number of arguments for 'mset' command"),
        ("MSETNX a 9 b", "-ERR wrong number of arguments for 'msetnx' command"),
        ("MSETNX c 1 a 9", ":0"),
        ("MSETNX c 1 d 2 c 3", ":1"),
        ("MGET a c d", "*3 $1 3 $1 3 $1 2"),
    ]);
    let mut stage = Stage::with(Limits { output_limit: 1000, ..Limits::default() });
    let words = vec![&b"MGET"[..]; 100_000];
    stage.says(&format!("SET MGET {}", "v".repeat(100)));
    assert_eq!(stage.replies(&words), "-ERR reply too large, use SCAN");
    assert!(stage.out.plain().capacity() < 5000, "it stops as soon as it is too large");
}

#[test]
fn a_value_comes_and_goes() {
    plays(&[
        ("SETNX k 1", ":1"),
        ("SETNX k 2", ":0"),
        ("GETSET k 3", "$1 1"),
        ("GETSET other 3", "$-1"),
        ("GETDEL k", "$1 3"),
        ("GETDEL k", "$-1"),
        ("EXISTS k", ":0"),
    ]);
    let mut stage = Stage::new();
    stage.version = Version::Three;
    stage.plays(&[
        ("GETSET k 1", "_"),
        ("MGET k x", "*2 $1 1 _"),
        ("SET k 2 NX", "_"),
        ("GETDEL x", "_"),
        ("GETEX x", "_"),
    ]);
}

#[test]
fn a_value_grows_up_to_the_limit() {
    let mut stage = Stage::with(Limits { max_value: 10, ..Limits::default() });
    stage.plays(&[
        ("STRLEN k", ":0"),
        ("APPEND k \"\"", ":0"),
        ("EXISTS k", ":1"),
        ("APPEND k 1234567", ":7"),
        ("APPEND k 1234", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("APPEND k 890", ":10"),
        ("STRLEN k", ":10"),
        ("GET k", "$10 1234567890"),
    ]);
}

#[test]
fn a_part_of_a_value_is_read() {
    let mut stage = Stage::new();
    stage.says("SET k 0123456789");
    let max = i64::MAX.to_string();
    let min = i64::MIN.to_string();
    for (start, end, expected) in [
        ("0", "-1", "0123456789"),
        ("0", "0", "0"),
        ("3", "5", "345"),
        ("-3", "-1", "789"),
        ("-100", "2", "012"),
        ("-100", "-10", "0"),
        ("8", "100", "89"),
        ("5", "3", ""),
        ("10", "20", ""),
        ("-1", "-3", ""),
        ("-100", "-200", ""),
        // As in Redis: both are before the value, and it is its first byte.
        ("-200", "-100", "0"),
        (&min, &max, "0123456789"),
        (&max, &min, ""),
        (&max, &max, ""),
        (&min, &min, "0"),
    ] {
        let reply = format!("${} {expected}", expected.len());
        assert_eq!(stage.says(&format!("GETRANGE k {start} {end}")), reply, "{start} {end}");
    }
    stage.plays(&[
        ("GETRANGE x 0 -1", "$0 "),
        ("GETRANGE x a 1", "-ERR value is not an integer or out of range"),
        ("GETRANGE k 0 1.5", "-ERR value is not an integer or out of range"),
        ("SET k \"\"", "+OK"),
        ("GETRANGE k 0 -1", "$0 "),
    ]);
    let mut stage = Stage::with(Limits { output_limit: 100, ..Limits::default() });
    stage.says(&format!("SET k {}", "v".repeat(1000)));
    assert_eq!(stage.says("GETRANGE k 0 100"), "-ERR reply too large");
    assert_eq!(stage.says("GETRANGE k 0 49"), format!("$50 {}", "v".repeat(50)));
}

/// What waits to be sent of a value that was overwritten since may hold no more than twice itself.
#[test]
fn a_small_part_does_not_hold_a_large_value() {
    let mut stage = Stage::new();
    stage.says(&format!("SET k {}", "v".repeat(1 << 20)));
    let mut holders = |request: &str| {
        stage.says(request);
        match stage.keyspace.store().get(b"k", stage.now) {
            Some(Value::Long(block, ..)) => Arc::strong_count(block) - 1,
            value => panic!("{value:?}"),
        }
    };
    assert_eq!(holders("GETRANGE k 0 600000"), 1);
    assert_eq!(holders("GETRANGE k 0 500000"), 0);
}

#[test]
fn a_part_of_a_value_is_overwritten() {
    const RANGE: &str = "-ERR offset is out of range";
    const LENGTH: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    let mut stage = Stage::with(Limits { max_value: 20, ..Limits::default() });
    stage.plays(&[
        ("SETRANGE k 9 \"\"", ":0"),
        ("EXISTS k", ":0"),
        ("SETRANGE k 2 ab", ":4"),
        ("GET k", "$4 \0\0ab"),
        ("SETRANGE k 0 xyz", ":4"),
        ("GET k", "$4 xyzb"),
        ("SETRANGE k 3 cde", ":6"),
        ("SETRANGE k 7 \"\"", ":6"),
        ("SETRANGE k 99999999999 \"\"", ":6"),
        ("SETRANGE k 8 gh", ":10"),
        ("GET k", "$10 xyzcde\0\0gh"),
        ("SETRANGE k 19 ij", LENGTH),
        ("SETRANGE x 20 a", LENGTH),
        ("SETRANGE k 9223372036854775807 a", LENGTH),
        ("SETRANGE k -1 a", RANGE),
        ("SETRANGE k -1 \"\"", RANGE),
        ("SETRANGE k a b", "-ERR value is not an integer or out of range"),
        ("GET k", "$10 xyzcde\0\0gh"),
        ("EXISTS x", ":0"),
        ("PEXPIRE k 9", ":1"),
        ("SETRANGE k 0 a", ":10"),
        ("PTTL k", ":9"),
    ]);
}

#[test]
fn numbers_are_counted_within_64_bits() {
    const OVERFLOW: &str = "-ERR increment or decrement would overflow";
    plays(&[
        ("INCR n", ":1"),
        ("INCRBY n 41", ":42"),
        ("DECRBY n 2", ":40"),
        ("DECR n", ":39"),
        ("GET n", "$2 39"),
        ("DECRBY n 9223372036854775807", ":-9223372036854775768"),
        ("DECRBY n 41", OVERFLOW),
        ("INCRBY n -40", ":-9223372036854775808"),
        ("DECR n", OVERFLOW),
        ("INCRBY n 9223372036854775807", ":-1"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", OVERFLOW),
        ("GET n", "$19 9223372036854775807"),
    ]);
    let long = "1".repeat(100);
    for text in ["\"\"", "-", "-0", "+1", "01", "-01", "1.0", "1e3", "9223372036854775808", &long] {
        let error = "-ERR value is not an integer or out of range";
        plays(&[
            (&format!("SET k {text}"), "+OK"),
            ("INCR k", error),
            (&format!("INCRBY n {text}"), error),
            (&format!("DECRBY n {text}"), error),
            ("EXISTS n", ":0"),
        ]);
    }
    let mut stage = Stage::new();
    stage.replies(&[b"SET", b"k", b" 1"]);
    assert_eq!(stage.says("INCR k"), "-ERR value is not an integer or out of range");
}
