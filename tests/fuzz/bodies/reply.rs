//! RESP replies, as the proxy reads them from its upstream: the same however they are cut, what is
//! too large is dropped, and in the other version of RESP each is one reply again.

use super::decoding::cut;
use larder::base::output::{Output, Value};
use larder::protocol::resp::{
    Element, Elements, ProtocolError, ReplyKind, ReplyRule, ReplyScanner,
};
use larder::protocol::resp::{Scanned, Version, convert};

pub fn run(input: &[u8]) {
    let (bytes, pieces) = cut(input);
    for most in [20, 1 << 20] {
        let whole = scan(&[bytes], most);
        assert_eq!(scan(&pieces, most), whole, "in pieces");
        assert_eq!(scan(&bytes.chunks(1).collect::<Vec<_>>(), most), whole, "byte by byte");
        for found in &whole.0 {
            if let Found::Kept(reply, ReplyKind::Reply) = found {
                assert!(reply.len() <= most, "what is too large is not kept");
                assert_eq!(Elements::new(reply).take_one(), reply);
                check_converted(reply);
            }
        }
    }
    assert!(Elements::new(bytes).count() <= bytes.len());
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Kept(Vec<u8>, ReplyKind),
    Dropped(usize, ReplyKind),
}

/// What a stream of replies comes to, what ended it, and how many bytes are left of it.
pub fn scan(pieces: &[&[u8]], most: usize) -> (Vec<Found>, Option<ProtocolError>, usize) {
    let (mut scanner, mut input, mut found) = (ReplyScanner::default(), Vec::new(), Vec::new());
    let mut dropped = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        while !input.is_empty() {
            match scanner.advance(&input, most) {
                Err(error) => return (found, Some(error), 0),
                Ok(Scanned::Midway) => break,
                Ok(Scanned::Whole(length, kind)) => {
                    found.push(Found::Kept(input.drain(..length).collect(), kind));
                }
                Ok(Scanned::Dropped(count, last)) => {
                    dropped += count;
                    input.drain(..count);
                    if let Some(kind) = last {
                        found.push(Found::Dropped(std::mem::take(&mut dropped), kind));
                    }
                }
            }
        }
    }
    (found, None, input.len() + dropped)
}

fn check_converted(reply: &[u8]) {
    for rule in
        [ReplyRule::Plain, ReplyRule::FlatPairs, ReplyRule::NullArrays, ReplyRule::LastNullArray]
    {
        let two = converted(reply, rule, Version::Three, Version::Two);
        let is_old = |element| {
            use Element::{Array, Bulk, Error, Integer, Null, Simple};
            matches!(element, Array(_) | Bulk(_) | Error(_) | Integer(_) | Null | Simple(_))
        };
        assert!(Elements::new(&two).all(is_old), "{}", two.escape_ascii());
        let three = converted(&two, rule, Version::Two, Version::Three);
        assert_eq!(Elements::new(&three).count(), Elements::new(&two).count());
    }
}

fn converted(reply: &[u8], rule: ReplyRule, from: Version, to: Version) -> Vec<u8> {
    let mut out = Output::new();
    convert(&mut out, Value::Short(reply), rule, from, to);
    let out = out.to_vec();
    let whole = Ok(Scanned::Whole(out.len(), ReplyKind::Reply));
    let scanned = ReplyScanner::default().advance(&out, usize::MAX);
    assert_eq!(scanned, whole, "{} of {}", out.escape_ascii(), reply.escape_ascii());
    out
}
