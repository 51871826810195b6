//! Tests of `request.rs`.

use super::*;

#[track_caller]
fn check_to(is_larder: bool, line: &[u8], words: &[&[u8]], kind: Kind) {
    let mut expected = Buffer::new();
    push_request(&mut expected, words);
    let mut encoder = Encoder::new(is_larder);
    assert_eq!(encoder.encode(line), Typed::Request(expected.bytes(), kind));
}

#[track_caller]
fn check(line: &[u8], words: &[&[u8]], kind: Kind) {
    check_to(true, line, words, kind);
}

#[track_caller]
fn check_wrong(line: &[u8], error: &str) {
    assert_eq!(Encoder::new(true).encode(line), Typed::Wrong(error.to_string()));
}

#[test]
fn put_and_set_take_the_rest_of_the_line() {
    check(b"put k  a b \r", &[b"put", b"k", b"a b"], Kind::Put);
    check(b"SET k v EX 10", &[b"SET", b"k", b"v EX 10"], Kind::Plain);
    check(b"put k = = v", &[b"put", b"k", b"= v"], Kind::Put);
    check(b"put k=v=w", &[b"put", b"k", b"v=w"], Kind::Put);
    check(b"put k GET / HTTP/1.1", &[b"put", b"k", b"GET / HTTP/1.1"], Kind::Put);
    check(b"put k \"a b\"", &[b"put", b"k", b"\"a b\""], Kind::Put);
    check_wrong(b"put k", "ERR usage: PUT <key> <value>");
    check_wrong(b"set k =", "ERR usage: SET <key> <value>");
}

#[test]
fn other_words_may_be_quoted_as_dump_shows_them() {
    check(b"get \"a \\\"\\\\\\n\\xff\"", &[b"get", b"a \"\\\n\xff"], Kind::Value);
    check(b"get a\"b", &[b"get", b"a\"b"], Kind::Value);
    check(b"mget \"\" b\t c ", &[b"mget", b"", b"b", b"c"], Kind::Plain);
    let wrong = "ERR a quoted word has no end, or a wrong escape";
    check_wrong(b"get \"a", wrong);
    check_wrong(b"get \"a\"b", wrong);
    check_wrong(b"get \"\\q\"", wrong);
}

#[test]
fn commands_of_text_are_checked_and_all_others_sent() {
    check_wrong(b"get", "ERR usage: GET <key>");
    check_wrong(b"get k extra", "ERR usage: GET <key>");
    check_wrong(b"bye now", "ERR usage: BYE");
    check_wrong(b"dump all", "ERR usage: DUMP [KEYS|PAIRS]");
    check(b"del a", &[b"del", b"a"], Kind::Delete);
    check(b"del a b", &[b"del", b"a", b"b"], Kind::Plain);
    check(b"expire k 60", &[b"expire", b"k", b"60"], Kind::Plain);
    check(b"nonsense x", &[b"nonsense", b"x"], Kind::Plain);
    check_wrong(b"monitor", "ERR this client cannot show what monitor replies");
    check_wrong(b"client reply off", "ERR this client cannot show what client replies");
}

#[test]
fn our_own_verbs_become_those_of_redis_before_redis() {
    check_to(false, b"put k v", &[b"SET", b"k", b"v", b"NX"], Kind::Put);
    check_to(false, b"stats", &[b"INFO"], Kind::LinesAndEnd);
    check_to(false, b"bye", &[b"QUIT"], Kind::Farewell);
    assert_eq!(Encoder::new(false).encode(b"dump Pairs"), Typed::Dump(true));
    assert_eq!(Encoder::new(false).encode(b"help"), Typed::Help);
}

#[test]
fn blank_lines_and_corrections() {
    assert_eq!(Encoder::new(true).encode(b" \t\r"), Typed::Nothing);
    assert_eq!(Encoder::new(true).encode(b"ab\x08\x7f"), Typed::Nothing);
    check(b"gxx\x08\x7fet k", &[b"get", b"k"], Kind::Value);
}
