//! Replies of one version of RESP, written in the other, for a client with another version than the
//! upstream.
//!
//! ```text
//!   RESP3     %1 $1 a ,1.5      ~1 $1 m     _       #t     =7 txt:abc
//!   RESP2     *2 $1 a $3 1.5    *1 $1 m     $-1     :1     $3 abc
//! ```
//!
//! The types alone are enough for almost everything. The exceptions are in [`RULES`]: replies that
//! Redis builds otherwise in RESP2. To RESP3 only the null is converted: the other types of the
//! reply in RESP3 are not known.

use super::scan::{Element, Elements};
use super::{Version, Writer, encode::push_line, push_header};
use crate::base::output::{Output, Value};

/// The difference of a reply in RESP2 from the one that the types in RESP3 imply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyRule {
    /// None.
    #[default]
    Plain,
    /// Pairs that are arrays of their own in RESP3 stand one behind the other.
    FlatPairs,
    /// A null is in place of an array: `*-1`, not `$-1`.
    NullArrays,
    /// As `NullArrays`, only for the last element.
    LastNullArray,
}

/// Commands whose reply needs a rule, and the least number of words of the request for that. As in
/// Redis 7, and for `ZRANK` 7.2.
const RULES: &[(&[u8], usize, ReplyRule)] = &[
    (b"ZRANGE", 5, ReplyRule::FlatPairs),
    (b"ZREVRANGE", 5, ReplyRule::FlatPairs),
    (b"ZRANGEBYSCORE", 5, ReplyRule::FlatPairs),
    (b"ZREVRANGEBYSCORE", 5, ReplyRule::FlatPairs),
    (b"ZUNION", 4, ReplyRule::FlatPairs),
    (b"ZINTER", 4, ReplyRule::FlatPairs),
    (b"ZDIFF", 4, ReplyRule::FlatPairs),
    (b"ZRANDMEMBER", 4, ReplyRule::FlatPairs),
    (b"ZPOPMIN", 3, ReplyRule::FlatPairs),
    (b"ZPOPMAX", 3, ReplyRule::FlatPairs),
    (b"HRANDFIELD", 4, ReplyRule::FlatPairs),
    (b"LPOP", 3, ReplyRule::NullArrays),
    (b"RPOP", 3, ReplyRule::NullArrays),
    (b"LMPOP", 4, ReplyRule::NullArrays),
    (b"ZMPOP", 4, ReplyRule::NullArrays),
    (b"GEOPOS", 2, ReplyRule::NullArrays),
    (b"ZRANK", 4, ReplyRule::NullArrays),
    (b"ZREVRANK", 4, ReplyRule::NullArrays),
    (b"XPENDING", 3, ReplyRule::LastNullArray),
];

impl ReplyRule {
    /// Returns the rule for the reply to a request of `words` words with this verb.
    pub fn of(verb: &[u8], words: usize) -> ReplyRule {
        let found = RULES.iter().find(|(name, _, _)| name.eq_ignore_ascii_case(verb));
        found
            .filter(|&&(_, least, _)| words >= least)
            .map_or(ReplyRule::Plain, |&(_, _, rule)| rule)
    }
}

/// Appends a whole reply that came in version `from` as a client of version `to` reads it.
pub fn convert(out: &mut Output, reply: Value<'_>, rule: ReplyRule, from: Version, to: Version) {
    let bytes = reply.bytes();
    let is_same = match bytes.first() {
        Some(b'+' | b'-' | b':') => true,
        Some(b'$') => to == Version::Two || bytes.get(1) != Some(&b'-'),
        _ => false,
    };
    if from == to || is_same {
        return out.push_value(reply);
    }
    let mut elements = Elements::new(bytes);
    match (rule, elements.clone().next()) {
        _ if to == Version::Three => copy(out, &mut elements, 1, Null::Bulk, to),
        (ReplyRule::FlatPairs, Some(Element::Array(count))) => flatten(out, &mut elements, count),
        (ReplyRule::LastNullArray, Some(Element::Array(count @ 1..))) => {
            elements.next();
            push_header(out.plain(), b'*', count as u64);
            copy(out, &mut elements, count - 1, Null::Bulk, to);
            copy(out, &mut elements, 1, Null::Array, to);
        }
        (ReplyRule::NullArrays, _) => copy(out, &mut elements, 1, Null::Array, to),
        _ => copy(out, &mut elements, 1, Null::Bulk, to),
    }
}

/// The form of a null in RESP2.
#[derive(Clone, Copy)]
enum Null {
    Bulk,
    Array,
}

/// Appends `count` elements, each with all that belongs to it.
fn copy(out: &mut Output, elements: &mut Elements<'_>, count: usize, null: Null, to: Version) {
    let mut left = count;
    while left > 0
        && let Some(element) = elements.next()
    {
        if let Element::Attribute(pairs) = element {
            elements.pass_over(2 * pairs);
            continue;
        }
        left = left - 1 + element.elements().unwrap_or(0);
        write(out, element, null, to);
    }
}

fn write(out: &mut Output, element: Element<'_>, null: Null, to: Version) {
    let mut reply = Writer::new(out, to);
    match element {
        Element::Integer(number) => reply.integer(number),
        Element::Boolean(is_true) => reply.integer(i64::from(is_true)),
        Element::Bulk(bytes)
        | Element::Double(bytes)
        | Element::BigNumber(bytes)
        | Element::Verbatim(bytes) => reply.bulk(bytes),
        Element::Null => match null {
            Null::Bulk => reply.null(),
            Null::Array => reply.null_array(),
        },
        Element::Array(len) | Element::Set(len) | Element::Push(len) => reply.array(len),
        Element::Map(pairs) => reply.map(pairs),
        Element::Simple(line) => push_line(out.plain(), b"+", line),
        Element::Error(line) => push_line(out.plain(), b"-", line),
        Element::BlobError(message) => {
            let line: Vec<u8> = message.iter().map(|&byte| byte.max(b' ')).collect();
            push_line(out.plain(), b"-", &line);
        }
        Element::Attribute(_) => {}
    }
}

/// Appends an array of `count` elements; those of its arrays in their place.
fn flatten(out: &mut Output, elements: &mut Elements<'_>, count: usize) {
    elements.next();
    let mut ahead = elements.clone();
    let lengths = (0..count).map(|_| match Elements::new(ahead.take_one()).next() {
        Some(Element::Array(len)) => len,
        _ => 1,
    });
    push_header(out.plain(), b'*', lengths.sum::<usize>() as u64);
    for _ in 0..count {
        let mut own = Elements::new(elements.take_one());
        let mut within = own.clone();
        match within.next() {
            Some(Element::Array(len)) => copy(out, &mut within, len, Null::Bulk, Version::Two),
            _ => copy(out, &mut own, 1, Null::Bulk, Version::Two),
        }
    }
}

#[cfg(test)]
mod tests;
