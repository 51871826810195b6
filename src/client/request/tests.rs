//! Tests of `request.rs`.

use super::*;

#[track_caller]
fn check(line: &[u8], expected: &[(&[u8], Kind)]) {
    let mut encoder = Encoder::default();
    let requests = encoder.encode(line).expect("a line of text");
    let got: Vec<_> = requests.map(|request| (request.bytes, request.kind)).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_line_is_one_request_whatever_its_end() {
    check(b"get 1", &[(b"get 1\n", Kind::OneLine)]);
    check(b"get 1\r", &[(b"get 1\r\n", Kind::OneLine)]);
    check(b"foo", &[(b"foo\n", Kind::OneLine)]);
    check(b"k HTTP/1.1", &[(b"k HTTP/1.1\n", Kind::OneLine)]);
}

#[test]
fn a_line_without_a_reply_is_no_request() {
    check(b"", &[]);
    check(b"\r", &[]);
    check(b" \t", &[]);
    check(b"ab\x08\x7f", &[]);
}

#[test]
fn the_kind_follows_from_the_words() {
    check(b"dump", &[(b"dump\n", Kind::Keys)]);
    check(b"dump keys", &[(b"dump keys\n", Kind::Keys)]);
    check(b"dump all", &[(b"dump all\n", Kind::Keys)]);
    check(b" dump  Pairs", &[(b" dump  Pairs\n", Kind::UntilEnd)]);
    check(b"Dump pairs now", &[(b"Dump pairs now\n", Kind::OneLine)]);
    check(b"STATS", &[(b"STATS\n", Kind::UntilEnd)]);
    check(b"help\t", &[(b"help\t\n", Kind::UntilEnd)]);
    check(b"heelp\x08\x08\x08lp", &[(b"heelp\x08\x08\x08lp\n", Kind::UntilEnd)]);
    check(b"help me", &[(b"help me\n", Kind::OneLine)]);
    check(b"origin On", &[(b"origin On\n", Kind::Origin(true))]);
    check(b"origin off", &[(b"origin off\n", Kind::Origin(false))]);
    check(b"origin maybe", &[(b"origin maybe\n", Kind::OneLine)]);
    check(b"quit", &[(b"quit\n", Kind::Farewell)]);
    check(b"bye now", &[(b"bye now\n", Kind::OneLine)]);
}

#[test]
fn telnet_bytes_are_sent_as_themselves() {
    check(b"put a \xff\xfe", &[(b"put a \xff\xff\xfe\n", Kind::OneLine)]);
}

#[test]
fn a_line_end_inside_a_line_makes_two_requests() {
    check(b"bye\r\0get 1", &[(b"bye\r\0", Kind::Farewell), (b"get 1\n", Kind::OneLine)]);
}

#[test]
fn a_star_does_not_begin_an_array() {
    check(b"*1", &[(b" *1\n", Kind::OneLine)]);
    let mut encoder = Encoder::default();
    assert!(encoder.encode(b"x\x08*1").is_err());
    assert!(encoder.encode(b"get 1\r\0*1").is_err());
}
