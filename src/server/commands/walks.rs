//! Commands that go over all keys.

use super::TOO_LARGE;
use crate::buffer::Buffer;
use crate::clock::Now;
use crate::limits;
use crate::protocol::Request;
use crate::protocol::resp::{self, Version, Writer};
use crate::protocol::text;
use crate::server::keyspace::Keyspace;
use crate::session::{Origin, Style};
use std::ops::ControlFlow;

/// A text `DUMP`, sent a piece at a time.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    pairs: bool,
    prefix: text::Prefix,
    cursor: u64,
    /// Whether a key stands on the line already.
    begun: bool,
}

/// Whether a `DUMP` is one of pairs.
///
/// # Errors
/// Its usage, if it is wrong.
fn dump_of_pairs(request: &Request<'_>) -> Result<bool, &'static str> {
    let mut words = request.arguments();
    match (words.next(), words.next()) {
        (None, _) => Ok(false),
        (Some(word), None) if word.eq_ignore_ascii_case(b"KEYS") => Ok(false),
        (Some(word), None) if word.eq_ignore_ascii_case(b"PAIRS") => Ok(true),
        _ => Err("usage: DUMP [KEYS|PAIRS]"),
    }
}

impl Dump {
    /// Reads the request.
    ///
    /// # Errors
    /// Its usage, if it is wrong.
    pub fn new(style: Style, request: &Request<'_>) -> Result<Dump, &'static str> {
        let pairs = dump_of_pairs(request)?;
        Ok(Dump { pairs, prefix: style.prefix(Origin::Server), cursor: 0, begun: false })
    }

    /// Sends the next piece; whether that was the last.
    pub fn step(&mut self, keyspace: &Keyspace, output: &mut Buffer, now: Now) -> bool {
        let full = output.len() + limits::STREAM_CHUNK;
        if !self.begun && !self.pairs && self.cursor == 0 {
            output.push(self.prefix);
        }
        let Dump { pairs, prefix, cursor, .. } = *self;
        self.cursor = keyspace.store().scan(cursor, limits::SCAN_STEP, now, |key, value| {
            if pairs {
                text::push_pair(output, prefix, key, value);
            } else {
                if self.begun {
                    output.push(b" ");
                }
                self.begun = true;
                text::push_key(output, key);
            }
            if output.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if self.cursor == 0 {
            if pairs {
                output.push(prefix);
                output.push(b"END");
            }
            output.push(b"\r\n");
        }
        self.cursor == 0
    }
}

pub fn keys(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn scan(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn dump(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}
