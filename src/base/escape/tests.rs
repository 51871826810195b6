//! Tests of `escape.rs`.

use super::*;

#[test]
fn a_reply_can_be_read_back() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(printable(bytes, bytes.len()).to_string(), expected);
    };
    check("plain é→".as_bytes(), "plain é→");
    check(b"a\r\n\t\"\\'", r#"a\r\n\t\"\\'"#);
    check(b"\0\x1b\x7f\xff", r"\x00\x1b\x7f\xff");
    check("\u{9b}2J".as_bytes(), r"\xc2\x9b2J");
    assert_eq!(printable(b"abc\n", 3).to_string(), "abc");
}

#[test]
fn a_terminal_is_shown_no_control_characters() {
    let check = |text: &[u8], expected: &[u8]| assert_eq!(for_terminal(text).as_ref(), expected);
    check("a\tß€".as_bytes(), "a\tß€".as_bytes());
    check(b"\x1b]0;x\x07", b"\\x1b]0;x\\x07");
    check("\u{9b}2J".as_bytes(), b"\\xc2\\x9b2J");
    check(b"\xe2\x82\xac\x80", b"\xe2\x82\xac\x80");
}

#[test]
fn a_line_of_a_log_stays_one_and_steers_no_terminal() {
    let raw = "a\r\nb\x1b[31m\t\0\u{7f}\u{9b}2J\u{202e}'\"\\ é→";
    let shown = r#"a\r\nb\u{1b}[31m\t\0\u{7f}\u{9b}2J\u{202e}'"\ é→"#;
    assert_eq!(for_log(raw), shown);
}
