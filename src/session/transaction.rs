//! `MULTI` to `EXEC`: the commands that begin and end a transaction, and the requests between,
//! kept as bytes and decoded again when they are executed. Server and proxy share it.

use super::{RequestError, Session, SessionFlags};
use crate::base::buffer::Buffer;
use crate::protocol::command::{Command, Verb};
use crate::protocol::{Decoded, Decoder, Refusal, Scratch, Words, resp};
use crate::settings::limits::Limits;
use crate::stats::Stat;

/// The step that is left to do for a command whose access is `Transaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStep {
    /// `MULTI`: reply `OK`.
    Begun,
    /// `DISCARD`: end the client's watches, and reply `OK`.
    Discarded,
    /// `UNWATCH`: end the client's watches, and reply `OK`.
    Unwatch,
    /// `WATCH` outside a transaction.
    Watch,
    /// `EXEC`: execute the transaction that is open.
    Exec,
}

impl Session {
    /// Begins, discards or checks a transaction, for a command whose access is `Transaction`.
    /// Returns the step that is left to do.
    ///
    /// # Errors
    /// The command is not allowed inside a transaction, or outside one.
    pub fn transaction_command(&mut self, verb: Verb) -> Result<TransactionStep, RequestError> {
        let is_open = self.transaction.is_some();
        match verb {
            Verb::Multi if is_open => Err("MULTI calls can not be nested".into()),
            Verb::Multi => {
                self.transaction = Some(Box::default());
                Ok(TransactionStep::Begun)
            }
            Verb::Watch if is_open => Err("WATCH inside MULTI is not allowed".into()),
            Verb::Watch => {
                self.check_database().inspect_err(|_| self.watch_refused())?;
                Ok(TransactionStep::Watch)
            }
            Verb::Unwatch => {
                self.flags.set(SessionFlags::WATCH_REFUSED, false);
                Ok(TransactionStep::Unwatch)
            }
            Verb::Discard if is_open => {
                self.end_transaction();
                self.flags.set(SessionFlags::WATCH_REFUSED, false);
                Ok(TransactionStep::Discarded)
            }
            Verb::Discard => Err("DISCARD without MULTI".into()),
            Verb::Exec if is_open => {
                if self.flags.has(SessionFlags::WATCH_REFUSED) {
                    self.flags.set(SessionFlags::WATCH_REFUSED, false);
                    self.transaction.as_mut().expect("it is open").fail();
                }
                Ok(TransactionStep::Exec)
            }
            Verb::Exec => Err("EXEC without MULTI".into()),
            verb => unreachable!("{verb:?} does not concern a transaction"),
        }
    }
}

/// The requests since `MULTI`.
#[derive(Debug, Default)]
pub struct Transaction {
    requests: Buffer,
    count: usize,
    /// The number of all words.
    words: usize,
    failed: bool,
    growing: Option<&'static Command>,
}

impl Transaction {
    /// Adds a request, of these words.
    ///
    /// # Errors
    /// With it the requests would have more than `most` bytes, or more words than one request may
    /// have, since all are executed at once: it is not kept, and the transaction fails.
    pub fn push(&mut self, words: Words<'_>, most: usize) -> Result<(), RequestError> {
        let mark = self.requests.len();
        resp::push_header(&mut self.requests, b'*', words.len() as u64);
        for word in words.iter() {
            resp::push_bulk(&mut self.requests, word);
        }
        self.words += words.len();
        if self.requests.len() > most || self.words > resp::MAX_ARGUMENTS {
            self.requests.truncate(mark);
            self.failed = true;
            return Err(RequestError::counted(Stat::TooLargeRequests, "transaction too large"));
        }
        self.count += 1;
        Ok(())
    }

    /// Notes the command of one of the requests.
    pub fn note(&mut self, command: &'static Command) {
        if command.stores() || command.may_grow() && self.growing.is_none() {
            self.growing = Some(command);
        }
    }

    /// Returns one of the commands that need memory, one that stores before any other.
    pub fn growing(&self) -> Option<&'static Command> {
        self.growing
    }

    /// Notes that a request was refused: `EXEC` will be refused, too.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Checks that no request was refused.
    ///
    /// # Errors
    /// One was; the error is the reply to `EXEC`.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.failed { Err(ABORTED) } else { Ok(()) }
    }

    /// Returns the number of requests.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no requests.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the requests, one behind the other.
    pub fn requests(&self) -> &[u8] {
        self.requests.bytes()
    }

    /// Takes the requests out, and returns them to be executed; their number stays.
    pub fn take_requests(&mut self) -> Buffer {
        std::mem::take(&mut self.requests)
    }
}

/// The reply to `EXEC` if one of its requests was refused.
pub const ABORTED: RequestError =
    RequestError::with_code("EXECABORT", "Transaction discarded because of previous errors.");

/// Returns the reply to `EXEC` where there is no memory for one of its requests.
pub fn aborted_for_memory() -> RequestError {
    RequestError::from(&Refusal::OutOfMemory).aborting()
}

/// The requests of a transaction, decoded again one after the other.
pub struct Replay<'a> {
    rest: &'a [u8],
    decoder: Decoder,
    scratch: Scratch,
    limits: Limits,
}

impl<'a> Replay<'a> {
    /// Returns the replay of `bytes`: see [`Transaction::requests`].
    pub fn new(bytes: &'a [u8]) -> Replay<'a> {
        // They were within the limits when they came; the limits may have changed since.
        let limits = Limits { max_value: usize::MAX, max_request: usize::MAX, ..Limits::default() };
        Replay { rest: bytes, decoder: Decoder::default(), scratch: Scratch::default(), limits }
    }

    /// Returns the next request, also one of a command that is not known; `None` at the end.
    pub fn next_request(&mut self) -> Option<Decoded<'_>> {
        if self.rest.is_empty() {
            return None;
        }
        let input = self.rest;
        let (consumed, decoded) = self.decoder.decode(input, &mut self.scratch, &self.limits);
        self.rest = &input[consumed..];
        Some(decoded)
    }
}
