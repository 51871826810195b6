//! What a client says between `MULTI` and `EXEC`: kept as the bytes of the requests, to be decoded
//! again when they are carried out.

use crate::base::buffer::Buffer;
use crate::protocol::command::Command;
use crate::protocol::{Words, resp};

/// Requests that wait for their `EXEC`.
#[derive(Debug, Default)]
pub struct Transaction {
    requests: Buffer,
    count: usize,
    failed: bool,
    growing: Option<&'static Command>,
}

impl Transaction {
    /// Adds a request, of these words; one that would bring them over `most` bytes is not kept, and
    /// the transaction fails. Says whether it was kept.
    pub fn push(&mut self, words: Words<'_>, most: usize) -> bool {
        let mark = self.requests.len();
        resp::push_header(&mut self.requests, b'*', words.len() as u64);
        for word in words.iter() {
            resp::push_bulk(&mut self.requests, word);
        }
        if self.requests.len() > most {
            self.requests.truncate(mark);
            self.failed = true;
            return false;
        }
        self.count += 1;
        true
    }

    /// Notes what one of the requests is for.
    pub fn note(&mut self, command: &'static Command) {
        if command.stores() || command.may_grow() && self.growing.is_none() {
            self.growing = Some(command);
        }
    }

    /// One of the commands for which memory may be wanting, one that stores before any other.
    pub fn growing(&self) -> Option<&'static Command> {
        self.growing
    }

    /// A request was refused: `EXEC` will be, too.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether a request was refused.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The requests, one behind the other.
    pub fn requests(&self) -> &[u8] {
        self.requests.bytes()
    }

    /// Takes the requests out, to be carried out; it is still known how many there were.
    pub fn take_requests(&mut self) -> Buffer {
        std::mem::take(&mut self.requests)
    }
}
