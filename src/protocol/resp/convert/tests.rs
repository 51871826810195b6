//! Tests of `convert.rs`.

use super::*;

#[track_caller]
fn check(rule: ReplyRule, three: &str, two: &str) {
    let mut out = Output::new();
    convert(&mut out, Value::Short(three.as_bytes()), rule, Version::Three, Version::Two);
    assert_eq!(out.to_vec().escape_ascii().to_string(), two.escape_default().to_string());
    out.clear();
    convert(&mut out, Value::Short(three.as_bytes()), rule, Version::Three, Version::Three);
    assert_eq!(out.to_vec(), three.as_bytes(), "as it is");
}

#[test]
fn each_type_of_resp3_has_a_form_in_resp2() {
    check(ReplyRule::Plain, "+OK\r\n", "+OK\r\n");
    check(ReplyRule::Plain, "-WRONGTYPE no\r\n", "-WRONGTYPE no\r\n");
    check(ReplyRule::Plain, ":-7\r\n", ":-7\r\n");
    check(ReplyRule::Plain, "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n");
    check(ReplyRule::Plain, "_\r\n", "$-1\r\n");
    check(ReplyRule::Plain, "#t\r\n", ":1\r\n");
    check(ReplyRule::Plain, "#f\r\n", ":0\r\n");
    check(ReplyRule::Plain, ",3.5e-8\r\n", "$6\r\n3.5e-8\r\n");
    check(ReplyRule::Plain, ",-inf\r\n", "$4\r\n-inf\r\n");
    check(ReplyRule::Plain, "(123456789012345678901\r\n", "$21\r\n123456789012345678901\r\n");
    check(ReplyRule::Plain, "=7\r\ntxt:abc\r\n", "$3\r\nabc\r\n");
    check(ReplyRule::Plain, "!8\r\nERR a\r\nb\r\n", "-ERR a  b\r\n");
    check(ReplyRule::Plain, "~2\r\n:1\r\n:2\r\n", "*2\r\n:1\r\n:2\r\n");
    check(ReplyRule::Plain, "%1\r\n+a\r\n%1\r\n+b\r\n_\r\n", "*2\r\n+a\r\n*2\r\n+b\r\n$-1\r\n");
    check(ReplyRule::Plain, "|1\r\n+ttl\r\n*1\r\n:9\r\n*1\r\n|0\r\n#t\r\n", "*1\r\n:1\r\n");
}

#[test]
fn what_is_built_otherwise_follows_its_rule() {
    let nested = "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2\r\n";
    let flat = "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n";
    check(ReplyRule::of(b"zRange", 5), nested, flat);
    check(ReplyRule::of(b"ZRANGE", 5), "*0\r\n", "*0\r\n");
    check(ReplyRule::of(b"ZPOPMIN", 3), "*2\r\n$1\r\na\r\n,1\r\n", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    check(ReplyRule::of(b"LPOP", 3), "_\r\n", "*-1\r\n");
    check(ReplyRule::of(b"LPOP", 2), "_\r\n", "$-1\r\n");
    check(
        ReplyRule::of(b"GEOPOS", 3),
        "*2\r\n_\r\n*2\r\n,1\r\n,2\r\n",
        "*2\r\n*-1\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n",
    );
    check(ReplyRule::of(b"XPENDING", 3), "*3\r\n:0\r\n_\r\n_\r\n", "*3\r\n:0\r\n$-1\r\n*-1\r\n");
    check(ReplyRule::of(b"GET", 2), nested, &nested.replace(',', "$1\r\n"));
}

#[test]
fn to_resp3_nulls_alone_are_carried_over() {
    let two = "*4\r\n$-1\r\n*-1\r\n*1\r\n$2\r\n-1\r\n:-1\r\n";
    let mut out = Output::new();
    convert(
        &mut out,
        Value::Short(two.as_bytes()),
        ReplyRule::FlatPairs,
        Version::Two,
        Version::Three,
    );
    let three = two.replace("$-1\r\n", "_\r\n").replace("*-1\r\n", "_\r\n");
    assert_eq!(out.to_vec(), three.as_bytes());
}
