//! `MULTI` to `EXEC`, and `WATCH`: requests of one client that are executed together, or not at
//! all.

use super::{Server, Then, commands};
use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::handler::Outbox;
use crate::protocol::{Decoded, Form, Refusal};
use crate::session::transaction::{Replay, TransactionStep, aborted_for_memory};
use crate::session::{RequestContext, RequestError};
use crate::stats::Stat;

/// The bytes of a reply that is sent in a transaction, however long those before it are.
const SHORT_REPLY: usize = 256;

impl Server {
    /// Executes a command whose access is `Transaction`. Returns whether the connection goes on.
    pub(super) fn transaction_command(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
    ) -> Then {
        let RequestContext { conn, request, style, .. } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        let mark = output.len();
        let done = match client.session.transaction_command(request.command.verb) {
            Ok(TransactionStep::Exec) => return self.exec(out, context),
            Ok(TransactionStep::Watch) => self.watch(context),
            Ok(TransactionStep::Discarded | TransactionStep::Unwatch) => {
                self.keyspace.observers.watches.forget(conn);
                Ok(())
            }
            Ok(TransactionStep::Begun) => Ok(()),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => style.writer(output).simple("OK"),
            Err(error) => error.write(style, output, stats),
        }
        self.discard_unwanted_reply(out, conn, mark);
        Then::Continue
    }

    fn watch(&mut self, context: &RequestContext<'_>) -> Result<(), RequestError> {
        let RequestContext { conn, request, now, .. } = *context;
        if request.keys().all(|key| self.keyspace.watch(conn, key, now)) {
            return Ok(());
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.watch_refused();
        }
        Err(RequestError::counted(Stat::TooLargeRequests, "too many keys watched"))
    }

    /// Executes a client's transaction: all of it, or nothing.
    fn exec(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Then {
        let RequestContext { conn, style, .. } = *context;
        let begin = out.unsent(conn);
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        let requests = self.begin_exec(context, output).unwrap_or_else(|error| {
            error.write(style, output, stats);
            Buffer::new()
        });
        self.discard_unwanted_reply(out, conn, begin);
        let output_limit = self.settings.limits.output_limit;
        let mut then = Then::Continue;
        self.keyspace.work.begin_transaction();
        let mut replay = Replay::new(requests.bytes());
        while let Some(Decoded::Request(request)) = replay.next_request() {
            let Some(client) = self.clients.get_mut(conn) else {
                then = Then::Close;
                break;
            };
            client.session.set_in_exec(true);
            let style = client.session.style(Form::Resp, Some(request.command.verb));
            let mark = out.unsent(conn);
            // All replies together have the room of one. A short one is always given.
            let room = output_limit.saturating_sub(mark - begin).max(SHORT_REPLY);
            self.keyspace.output_limit = room;
            if !self.keyspace.make_memory_for(request.command) {
                // The other requests go on.
                if let Some((output, stats)) = out.output_and_stats(conn) {
                    RequestError::from(&Refusal::OutOfMemory).write(style, output, stats);
                }
            } else if self.execute(out, &RequestContext { request: &request, style, ..*context })
                == Then::Close
            {
                then = Then::Close;
            }
            if out.unsent(conn) - mark > room
                && let Some((output, stats)) = out.output_and_stats(conn)
            {
                output.truncate(mark);
                commands::too_large().write(style, output, stats);
            }
            self.discard_unwanted_reply(out, conn, mark);
        }
        self.keyspace.output_limit = output_limit;
        self.keyspace.work.end_transaction();
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.set_in_exec(false);
            client.session.end_transaction();
        }
        then
    }

    /// Writes the head of a transaction's reply, and returns the requests to execute: none if a
    /// watched key has changed.
    fn begin_exec(
        &mut self,
        context: &RequestContext<'_>,
        output: &mut Output,
    ) -> Result<Buffer, RequestError> {
        let RequestContext { conn, style, now, .. } = *context;
        let changed = self.keyspace.forget_watches(conn, now);
        let client = self.clients.get_mut(conn);
        let Some(transaction) = client.and_then(|client| client.session.transaction()) else {
            return Ok(Buffer::new());
        };
        transaction.check()?;
        if changed {
            style.writer(output).null_array();
            return Ok(Buffer::new());
        }
        if let Some(command) = transaction.growing()
            && !self.keyspace.make_memory_for(command)
        {
            return Err(aborted_for_memory());
        }
        style.writer(output).array(transaction.len());
        Ok(transaction.take_requests())
    }
}
