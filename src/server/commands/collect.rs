//! A reply in RESP that is collected before it is sent, since it begins with a number that is known
//! at the end.

use super::STREAM_CHUNK;
use crate::base::output::Output;
use crate::protocol::resp::Writer;
use crate::server::keyspace::Keyspace;
use crate::session::work;
use crate::settings::limits;
use std::collections::VecDeque;

/// The end of a task: what the reply begins with.
#[derive(Clone, Copy, Debug)]
pub enum ReplyHead {
    /// So many elements were collected.
    Array(usize),
    /// So many pairs were collected.
    Map(usize),
    /// Nothing was collected; the reply is a number.
    Integer(u64),
    /// Nothing was collected; the reply is `OK`.
    Ok,
    /// Nothing was collected; the reply is null.
    Null,
    /// What was collected is the whole reply.
    Nothing,
    /// What was collected is text of so many bytes, and its end.
    Text(usize),
}

/// A reply that is being collected, in pieces of about [`STREAM_CHUNK`].
#[derive(Debug, Default)]
pub struct ReplyPieces {
    chunks: VecDeque<Output>,
    bytes: usize,
}

impl ReplyPieces {
    /// Appends what `write` does.
    pub fn write(&mut self, write: impl FnOnce(&mut Output)) {
        if self.chunks.back().is_none_or(|last| last.len() >= STREAM_CHUNK) {
            self.chunks.push_back(Output::new());
        }
        let last = self.chunks.back_mut().expect("one was added");
        let before = last.len();
        write(last);
        self.bytes += last.len() - before;
    }

    /// Returns the number of bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends the next pieces, and returns whether they were the last.
    pub fn send(&mut self, keyspace: &mut Keyspace, output: &mut Output) -> bool {
        while let Some(chunk) = self.chunks.pop_front() {
            output.push_all(&chunk);
            keyspace.work.add(chunk.len() / work::BYTES);
            if output.len() > limits::HIGH_WATER || keyspace.work.is_over() {
                break;
            }
        }
        self.chunks.is_empty()
    }

    /// Returns the memory in pieces, as their sizes, each of which is freed as it is taken.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        self.chunks.into_iter().map(|chunk| chunk.len())
    }
}

impl ReplyHead {
    /// Appends it.
    pub fn write(self, writer: &mut Writer<'_>) {
        match self {
            ReplyHead::Array(count) => writer.array(count),
            ReplyHead::Map(count) => writer.map(count),
            ReplyHead::Integer(number) => writer.integer(number as i64),
            ReplyHead::Ok => writer.simple("OK"),
            ReplyHead::Null => writer.null(),
            ReplyHead::Nothing => {}
            ReplyHead::Text(length) => writer.verbatim_head(length),
        }
    }
}
