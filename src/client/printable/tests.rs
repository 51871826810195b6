//! Tests of `printable.rs`.

use super::*;

#[track_caller]
fn check(text: &[u8], expected: &[u8]) {
    assert_eq!(printable(text).as_ref(), expected);
}

#[test]
fn a_terminal_is_shown_no_control_characters() {
    check("a\tß€".as_bytes(), "a\tß€".as_bytes());
    check(b"\x1b]0;x\x07", b"\\x1b]0;x\\x07");
    check("\u{9b}2J".as_bytes(), b"\\xc2\\x9b2J");
    check(b"\xe2\x82\xac\x80", b"\xe2\x82\xac\x80");
}
