//! Tests of `lines.rs`.

use super::*;

#[test]
fn lines_are_bytes_and_the_last_needs_no_end() {
    let mut lines = Lines::new(&b"a\xff\r\n\nb"[..]);
    assert!(lines.may_wait());
    assert_eq!(lines.next_line().expect("memory"), Some(&b"a\xff\r"[..]));
    assert!(!lines.may_wait());
    assert_eq!(lines.next_line().expect("memory"), Some(&b""[..]));
    assert_eq!(lines.next_line().expect("memory"), Some(&b"b"[..]));
    assert_eq!((lines.number(), lines.consumed()), (3, 6));
    assert_eq!(lines.next_line().expect("memory"), None);
}

#[test]
fn a_line_without_end_is_not_kept_in_memory() {
    let mut lines = Lines::new(io::repeat(b'x'));
    assert_eq!(lines.next_line().expect_err("too long").kind(), io::ErrorKind::InvalidData);
}
