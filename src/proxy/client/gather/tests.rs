//! Tests of `gather.rs`.

use super::*;
use crate::base::output::SHARED_FROM;

fn gathered(replies: &[(usize, Reply<'_>)]) -> String {
    let mut gather = Gather::new(replies.len(), 100);
    for &(place, reply) in replies {
        assert!(gather.owed() > 0);
        gather.take(place, reply);
    }
    assert_eq!(gather.owed(), 0);
    let mut out = Output::new();
    gather.write(&mut out, Version::Three);
    out.to_vec().escape_ascii().to_string()
}

#[test]
fn values_stand_in_their_places_in_whatever_order_they_come() {
    let replies = [
        (2, Reply::Value(Value::Short(b"c"))),
        (0, Reply::Value(Value::Short(b""))),
        (3, Reply::Failure(b"WRONGTYPE no string")),
        (1, Reply::NotFound),
    ];
    assert_eq!(gathered(&replies), r"*4\r\n$0\r\n\r\n_\r\n$1\r\nc\r\n_\r\n");
}

#[test]
fn an_error_takes_the_place_of_all_values() {
    let value = (1, Reply::Value(Value::Short(b"v")));
    let lost = (0, Reply::Error("upstream lost"));
    assert_eq!(gathered(&[value, lost]), r"-ERR upstream lost\r\n");
    assert_eq!(gathered(&[lost, value]), r"-ERR upstream lost\r\n");
    let refused = (0, Reply::Failure(b"NOAUTH no"));
    assert_eq!(gathered(&[refused, value]), r"-NOAUTH no\r\n");
}

#[test]
fn large_values_are_shared_and_count() {
    let block = Block::new(vec![b'v'; SHARED_FROM]);
    let value = Reply::Value(Value::long(&block, 0..block.len()));
    let mut gather = Gather::new(3, 2 * block.len());
    gather.take(2, value);
    gather.take(0, value);
    assert_eq!((gather.bytes(), Block::strong_count(&block)), (2 * block.len(), 3));
    gather.take(1, Reply::NotFound);
    let mut out = Output::new();
    gather.write(&mut out, Version::Two);
    let one = [b"$16384\r\n", &block[..], b"\r\n"].concat();
    assert_eq!(out.to_vec(), [b"*3\r\n", &one[..], b"$-1\r\n", &one].concat());
    let mut gather = Gather::new(3, 2 * block.len());
    assert_eq!([0, 1, 2].map(|place| gather.take(place, value)), [false, false, true]);
    assert_eq!((gather.bytes(), Block::strong_count(&block)), (0, 5), "it is too large");
}

#[test]
fn what_is_gathered_is_bounded() {
    let large = [b'v'; 60];
    let both = [(0, Reply::Value(Value::Short(&large))), (1, Reply::Value(Value::Short(&large)))];
    assert_eq!(gathered(&both), r"-ERR reply too large\r\n");
}
