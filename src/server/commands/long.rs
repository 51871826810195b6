//! Commands that take long: a step in each turn of the client, whose further requests wait.
//!
//! ```text
//!   KEYS user:*       step: a part of the keys  ─┐
//!                     step: a part of the keys   ├─▸ collected
//!                     step: the last of them    ─┘
//!                     step: the head, `*70000`, and a part of what was collected  ─▸ output
//!                     step: the rest                                              ─▸ output
//! ```
//!
//! A reply in RESP begins with the number of its elements, which is known at the end: so it is
//! collected first, up to `--output-limit`.

use super::collect::{ReplyHead, ReplyPieces};
use super::many::{self, ManyKeys};
use super::scan::{DumpStream, KeyWalk};
use super::too_large;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::ConnId;
use crate::protocol::command::Verb;
use crate::protocol::{Form, OwnedRequest, Refusal, Request};
use crate::server::keyspace::Keyspace;
use crate::server::store::RandomWalk;
use crate::session::work;
use crate::session::{RequestError, Style};
use crate::stats::Stats;
use std::ops::ControlFlow;

/// A command that takes long, under way.
#[derive(Debug)]
pub enum LongCommand {
    /// A `DUMP` in text, whose reply has no head.
    Dump(DumpStream),
    /// The reply is being collected.
    Collecting(Box<Collecting>),
    /// The reply is being sent.
    Sending(ReplyPieces),
}

/// A command whose reply is being collected.
#[derive(Debug)]
pub struct Collecting {
    style: Style,
    task: LongTask,
    reply: ReplyPieces,
}

/// What there is to do.
#[derive(Debug)]
pub enum LongTask {
    /// `KEYS`, or a `DUMP` in RESP.
    Walk(KeyWalk),
    /// `RANDOMKEY`, where most keys have expired.
    Random(RandomWalk),
    /// A request that names many keys; `None` until it is [lent](LongCommand::take_request).
    Many(Option<ManyKeys>),
    /// `CLIENT LIST`: the clients whose lines are still to come, the last one first.
    Clients(Vec<ConnId>),
}

impl LongCommand {
    /// Returns a command that has only begun.
    pub fn new(style: Style, task: LongTask) -> LongCommand {
        let reply = ReplyPieces::default();
        LongCommand::Collecting(Box::new(Collecting { style, task, reply }))
    }

    /// Begins a request that takes long, or may.
    ///
    /// # Errors
    /// The request is wrong.
    pub fn begin(
        keyspace: &mut Keyspace,
        request: &Request<'_>,
        style: Style,
    ) -> Result<LongCommand, RequestError> {
        let task = match request.command.verb {
            Verb::Dump if style.form == Form::Text => {
                return Ok(LongCommand::Dump(DumpStream::new(style, request)?));
            }
            Verb::Dump => LongTask::Walk(KeyWalk::of_dump(request)?),
            Verb::Keys => LongTask::Walk(KeyWalk::of_keys(request)?),
            Verb::Randomkey => LongTask::Random(keyspace.random()),
            _ => {
                many::check(request)?;
                LongTask::Many(None)
            }
        };
        Ok(LongCommand::new(style, task))
    }

    /// Returns whether it needs the request itself: see [`take_request`](Self::take_request).
    pub fn wants_request(&self) -> bool {
        matches!(self, LongCommand::Collecting(it) if matches!(it.task, LongTask::Many(None)))
    }

    /// Takes the request that it is to execute.
    pub fn take_request(&mut self, request: OwnedRequest) {
        if let LongCommand::Collecting(it) = self {
            it.task = LongTask::Many(Some(ManyKeys::new(request)));
        }
    }

    /// Returns the clients whose lines are to come, with what is to take them, if it is a
    /// `CLIENT LIST`.
    pub fn client_list(&mut self) -> Option<(&mut Vec<ConnId>, &mut ReplyPieces)> {
        match self {
            LongCommand::Collecting(it) => match &mut it.task {
                LongTask::Clients(left) => Some((left, &mut it.reply)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Executes the next step, and returns whether it was the last. `read` is called for each
    /// request with the keys that it has read.
    pub fn step(
        &mut self,
        keyspace: &mut Keyspace,
        output: &mut Output,
        stats: &mut Stats,
        now: Now,
        read: impl FnMut(&mut Keyspace, &[u8]),
    ) -> bool {
        match self {
            LongCommand::Dump(dump) => dump.step(keyspace, output, now),
            LongCommand::Sending(reply) => reply.send(keyspace, output),
            LongCommand::Collecting(it) => {
                let (style, begin) = (it.style, output.len());
                match it.step(keyspace, stats, now, read) {
                    Ok(None) => return false,
                    Ok(Some(_)) if style.quiet => {}
                    Err(error) if style.quiet => _ = error.count_and_message(style.verb, stats),
                    Ok(Some(head)) => head.write(&mut style.writer(output)),
                    Err(error) => {
                        output.truncate(begin);
                        error.write(style, output, stats);
                        keyspace.dispose(std::mem::take(&mut it.reply).into_pieces());
                    }
                }
                let mut reply = std::mem::take(&mut it.reply);
                if style.quiet {
                    keyspace.dispose(reply.into_pieces());
                    return true;
                }
                let is_over = reply.send(keyspace, output);
                *self = LongCommand::Sending(reply);
                is_over
            }
        }
    }

    /// Executes all steps at once, in a transaction.
    pub fn finish(
        mut self,
        keyspace: &mut Keyspace,
        style: Style,
        output: &mut Output,
        stats: &mut Stats,
        now: Now,
    ) {
        let begin = output.len();
        while !self.step(keyspace, output, stats, now, |_, _| {}) {
            if !keyspace.work.next_step_in_transaction() {
                output.truncate(begin);
                too_many_in_transaction().write(style, output, stats);
                return self.abandon(keyspace);
            }
        }
    }

    /// Gives up what it has collected.
    pub fn abandon(self, keyspace: &mut Keyspace) {
        match self {
            LongCommand::Dump(_) => {}
            LongCommand::Sending(reply) => keyspace.dispose(reply.into_pieces()),
            LongCommand::Collecting(it) => {
                let Collecting { task, reply, .. } = *it;
                keyspace.dispose(reply.into_pieces());
                if let LongTask::Many(Some(many)) = task {
                    keyspace.dispose(many.into_pieces());
                }
            }
        }
    }
}

/// Returns the error in place of the reply to a walk for which a transaction would take too long.
fn too_many_in_transaction() -> RequestError {
    "too many keys for a transaction, use SCAN".into()
}

impl Collecting {
    /// Executes the next step, and returns what the reply begins with after the last.
    fn step(
        &mut self,
        keyspace: &mut Keyspace,
        stats: &mut Stats,
        now: Now,
        read: impl FnMut(&mut Keyspace, &[u8]),
    ) -> Result<Option<ReplyHead>, RequestError> {
        let Collecting { style, task, reply } = self;
        let head = match task {
            LongTask::Walk(walk) => walk.step(keyspace, *style, reply, now),
            LongTask::Random(walk) => {
                let most = keyspace.work.left(work::ENTRY);
                let (looked_at, step) = walk.step(keyspace.store(), most, now);
                keyspace.work.add(looked_at * work::ENTRY);
                match step {
                    ControlFlow::Continue(()) => None,
                    ControlFlow::Break(None) => Some(ReplyHead::Null),
                    ControlFlow::Break(Some(key)) => {
                        reply.write(|out| style.writer(out).bulk(&key));
                        Some(ReplyHead::Nothing)
                    }
                }
            }
            LongTask::Many(None) => unreachable!("it was lent its request"),
            LongTask::Many(Some(many)) => {
                let head = many.step(keyspace, *style, reply, stats, now, read)?;
                if head.is_some()
                    && let LongTask::Many(Some(many)) =
                        std::mem::replace(task, LongTask::Many(None))
                {
                    keyspace.dispose(many.into_pieces());
                }
                head
            }
            LongTask::Clients(left) if left.is_empty() => {
                let length = reply.bytes();
                reply.write(|out| out.push(b"\r\n"));
                Some(ReplyHead::Text(length))
            }
            LongTask::Clients(_) => None,
        };
        if reply.bytes() > keyspace.output_limit {
            return Err(too_large());
        }
        if head.is_none() && !keyspace.has_memory_for_replies() {
            return Err(RequestError::from(&Refusal::OutOfMemory));
        }
        Ok(head)
    }
}

/// Returns whether a request names so many keys that it takes long.
#[inline]
pub fn has_many_keys(request: &Request<'_>) -> bool {
    request.len() > MANY_WORDS
}

/// The words of a request that is still executed whole: some 500 keys and values, or 1,000 keys.
pub const MANY_WORDS: usize = 1001;
