//! The values of one `MGET`, gathered until all have come, in whatever order they come.

use crate::buffer::Buffer;
use crate::limits;
use crate::output::{Block, Output, Value};
use crate::protocol::resp::{self, Version, Writer};
use crate::protocol::text::Reply;
use std::ops::Range;

/// An array of values, some of which are still to come.
#[derive(Debug)]
pub struct Gather {
    values: Vec<Place>,
    /// The values that have come and are not shared, as bulk strings.
    bytes: Buffer,
    shared_bytes: usize,
    most_bytes: usize,
    owed: usize,
    /// The first error, without its dash: the reply in place of all values.
    failure: Option<Box<[u8]>>,
}

#[derive(Clone, Debug)]
enum Place {
    Nothing,
    At(Range<usize>),
    Shared(Block, Range<usize>),
}

impl Gather {
    /// So many values, all to come. The reply is an error if they have more than `most_bytes`.
    pub fn new(count: usize, most_bytes: usize) -> Gather {
        let values = vec![Place::Nothing; count];
        let bytes = Buffer::new();
        Gather { values, bytes, shared_bytes: 0, most_bytes, owed: count, failure: None }
    }

    /// How many values are still to come.
    pub fn owed(&self) -> usize {
        self.owed
    }

    /// The bytes that have been gathered.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.shared_bytes
    }

    /// Takes the reply to the `GET` of one value. Where `GET` fails since there is no plain value,
    /// `MGET` has none. Says whether it is this value that is too much.
    pub fn take(&mut self, place: usize, reply: Reply<'_>) -> bool {
        self.owed -= 1;
        match reply {
            _ if self.failure.is_some() => {}
            Reply::Value(value) if self.bytes() + value.len() > self.most_bytes => {
                self.fail(b"ERR reply too large");
                return true;
            }
            Reply::Value(Value::Long(block, start, end)) if end - start >= limits::SHARED_FROM => {
                self.shared_bytes += end - start;
                self.values[place] = Place::Shared(block.clone(), start..end);
            }
            Reply::Value(value) => {
                let start = self.bytes.len();
                resp::push_bulk(&mut self.bytes, value.bytes());
                self.values[place] = Place::At(start..self.bytes.len());
            }
            Reply::Failure(message) if message.starts_with(b"WRONGTYPE") => {}
            Reply::Failure(message) => self.fail(message),
            Reply::Error(message) => self.fail(format!("ERR {message}").as_bytes()),
            _ => {}
        }
        false
    }

    fn fail(&mut self, message: &[u8]) {
        self.failure = Some(message.into());
        self.bytes = Buffer::new();
        self.shared_bytes = 0;
        self.values.fill(Place::Nothing);
    }

    /// Appends the reply, once nothing is owed.
    pub fn write(&self, out: &mut Output, version: Version) {
        if let Some(message) = &self.failure {
            return resp::reply(out, version, None, Reply::Failure(message));
        }
        resp::push_header(out.plain(), b'*', self.values.len() as u64);
        for value in &self.values {
            match value {
                Place::Nothing => Writer::new(out, version).null(),
                Place::At(range) => out.push(&self.bytes.bytes()[range.clone()]),
                Place::Shared(block, range) => {
                    resp::push_value(out, Value::long(block, range.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let block = Block::new(vec![b'v'; limits::SHARED_FROM]);
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
        let both =
            [(0, Reply::Value(Value::Short(&large))), (1, Reply::Value(Value::Short(&large)))];
        assert_eq!(gathered(&both), r"-ERR reply too large\r\n");
    }
}
