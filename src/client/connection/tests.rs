//! Tests of `connection.rs`.

use super::*;

#[test]
fn a_reply_is_found_behind_pushes_and_attributes() {
    let bytes = b">2\r\n+a\r\n*1\r\n:1\r\n|1\r\n$6\r\norigin\r\n$5\r\nproxy\r\n*2\r\n+x\r\n\
        |1\r\n+a\r\n+b\r\n$1\r\ny\r\n:7\r\n";
    let mut replies = ReplyReader::new(&bytes[..]);
    assert_eq!(replies.next_reply().expect("a reply"), ReplyOrigin::Proxy);
    assert_eq!(replies.element().expect("whole"), Element::Array(2));
    assert_eq!(replies.element().expect("whole"), Element::Simple(b"x"));
    assert_eq!(replies.element().expect("whole"), Element::Bulk(b"y"));
    assert_eq!(replies.next_reply().expect("a reply"), ReplyOrigin::Server);
    assert_eq!(replies.element().expect("whole"), Element::Integer(7));
    assert!(matches!(replies.next_reply(), Err(ReadError::Lost(_))));
}

#[test]
fn what_is_no_resp_is_noticed() {
    for bytes in
        [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"ERROR\r\n", b"\x00", b"+OK\r\n", b":1\r\n"]
    {
        assert!(matches!(ReplyReader::new(bytes).greeting(), Err(ReadError::Malformed)));
    }
    assert!(matches!(ReplyReader::new(&b"-ERR no"[..]).greeting(), Err(ReadError::Lost(_))));
}

#[test]
fn a_greeting_names_larder() {
    let is_larder = |bytes: &[u8]| match ReplyReader::new(bytes).greeting() {
        Ok(HelloAnswer::Accepted { is_larder }) => Some(is_larder),
        _ => None,
    };
    assert_eq!(is_larder(b"%1\r\n$6\r\nserver\r\n$6\r\nlarder\r\n"), Some(true));
    let new = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$14\r\nlarder_version\r\n$1\r\n1\r\n";
    assert_eq!(is_larder(new), Some(true));
    assert_eq!(is_larder(b"%1\r\n$7\r\nmodules\r\n*1\r\n$1\r\nx\r\n"), Some(false));
    assert_eq!(is_larder(b"-NOPROTO no\r\n"), None);
}
