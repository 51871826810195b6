//! The values of one `MGET`, gathered until all have come, in whatever order they come.

use crate::base::buffer::Buffer;
use crate::base::output::{Block, Output, SHARED_FROM, Value};
use crate::protocol::Reply;
use crate::protocol::resp::{self, Version, Writer};
use std::ops::Range;

/// An array of values, some of which are still to come.
#[derive(Debug)]
pub struct Gather {
    values: Vec<GatheredValue>,
    /// The values that have come and are not shared, as bulk strings.
    bytes: Buffer,
    shared_bytes: usize,
    most_bytes: usize,
    owed: usize,
    /// The first error, without its dash: the reply in place of all values.
    failure: Option<Box<[u8]>>,
}

#[derive(Clone, Debug)]
enum GatheredValue {
    Nothing,
    At(Range<usize>),
    Shared(Block, Range<usize>),
}

impl Gather {
    /// Returns so many values, all to come. With more than `most_bytes`, the reply is an error.
    pub fn new(count: usize, most_bytes: usize) -> Gather {
        let values = vec![GatheredValue::Nothing; count];
        let bytes = Buffer::new();
        Gather { values, bytes, shared_bytes: 0, most_bytes, owed: count, failure: None }
    }

    /// Returns the number of values that are still to come.
    pub fn owed(&self) -> usize {
        self.owed
    }

    /// Returns the bytes that are gathered.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.shared_bytes
    }

    /// Takes the reply to the `GET` of one value. Where `GET` fails since the value is not a
    /// string, `MGET` has null. Returns whether this value makes the reply too large.
    pub fn take(&mut self, place: usize, reply: Reply<'_>) -> bool {
        debug_assert!(self.owed > 0, "each value comes once");
        self.owed -= 1;
        match reply {
            _ if self.failure.is_some() => {}
            Reply::Value(value) if self.bytes() + value.len() > self.most_bytes => {
                self.fail(b"ERR reply too large");
                return true;
            }
            Reply::Value(Value::Long(block, start, end)) if end - start >= SHARED_FROM => {
                self.shared_bytes += end - start;
                self.values[place] = GatheredValue::Shared(block.clone(), start..end);
            }
            Reply::Value(value) => {
                let start = self.bytes.len();
                resp::push_bulk(&mut self.bytes, value.bytes());
                self.values[place] = GatheredValue::At(start..self.bytes.len());
            }
            reply if !self.fails_by(&reply) => {}
            Reply::Failure(message) => self.fail(message),
            Reply::Error(message) => self.fail(format!("ERR {message}").as_bytes()),
            _ => {}
        }
        false
    }

    /// Returns whether it becomes an error by this reply to one of its `GET`s.
    pub fn fails_by(&self, reply: &Reply<'_>) -> bool {
        let fails = match reply {
            Reply::Failure(message) => !message.starts_with(b"WRONGTYPE"),
            Reply::Error(_) => true,
            _ => false,
        };
        fails && self.failure.is_none()
    }

    fn fail(&mut self, message: &[u8]) {
        self.failure = Some(message.into());
        self.bytes = Buffer::new();
        self.shared_bytes = 0;
        self.values.fill(GatheredValue::Nothing);
    }

    /// Panics unless what is owed and gathered fits the values. For tests and debug builds.
    pub fn check_invariants(&self) {
        assert!((1..=self.values.len()).contains(&self.owed), "one that is whole is not kept");
        let shared = self.values.iter().map(|value| match value {
            GatheredValue::Shared(_, range) => range.len(),
            GatheredValue::Nothing | GatheredValue::At(_) => 0,
        });
        assert_eq!(self.shared_bytes, shared.sum::<usize>());
        assert!(self.bytes() == 0 || self.failure.is_none(), "nothing is kept beside an error");
    }

    /// Appends the reply, once all values have come.
    pub fn write(&self, out: &mut Output, version: Version) {
        if let Some(message) = &self.failure {
            return resp::reply(out, version, None, Reply::Failure(message));
        }
        resp::push_header(out.plain(), b'*', self.values.len() as u64);
        for value in &self.values {
            match value {
                GatheredValue::Nothing => Writer::new(out, version).null(),
                GatheredValue::At(range) => out.push(&self.bytes.bytes()[range.clone()]),
                GatheredValue::Shared(block, range) => {
                    resp::push_value(out, Value::long(block, range.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
