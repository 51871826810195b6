//! `MULTI` to `EXEC`, and `WATCH`: requests of one client that are carried out together, or not at
//! all.

use super::{Server, Then, commands};
use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::handler::{ConnId, Outbox};
use crate::protocol::Reply;
use crate::protocol::command::Verb;
use crate::protocol::{Decoded, Decoder, Form, Refusal, Request, Scratch};
use crate::session::{Origin, Style};
use crate::settings::limits::Limits;
use crate::stats::Stat;

/// A reply of so many bytes is given in a transaction, whatever came before it.
const SHORT_REPLY: usize = 256;

impl Server {
    pub(super) fn transaction_command(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        style: Style,
        now: Now,
    ) -> Then {
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        let mut reply = style.writer(output);
        let collecting = client.session.transaction().is_some();
        match request.command.verb {
            Verb::Multi if collecting => reply.error("MULTI calls can not be nested"),
            Verb::Multi => {
                client.session.begin_transaction();
                reply.simple("OK");
            }
            Verb::Watch if collecting => reply.error("WATCH inside MULTI is not allowed"),
            Verb::Watch => {
                if request.keys().all(|key| self.keyspace.watch(conn, key, now)) {
                    reply.simple("OK");
                } else {
                    stats.add(Stat::TooLargeRequests, 1);
                    reply.error("too many keys watched");
                }
            }
            Verb::Unwatch => {
                self.keyspace.observers.watches.forget(conn);
                reply.simple("OK");
            }
            Verb::Discard if collecting => {
                client.session.end_transaction();
                self.keyspace.observers.watches.forget(conn);
                reply.simple("OK");
            }
            Verb::Discard => reply.error("DISCARD without MULTI"),
            _ => return self.exec(out, conn, style, now),
        }
        Then::GoOn
    }

    /// Carries out a client's transaction: all of it, or nothing.
    fn exec(&mut self, out: &mut Outbox, conn: ConnId, style: Style, now: Now) -> Then {
        let begin = out.unsent(conn);
        let requests = self.begin_exec(out, conn, style, now);
        self.discard_unwanted_reply(out, conn, begin);
        // Whatever the limits have become since.
        let limits =
            Limits { max_value: usize::MAX, max_request: usize::MAX, ..self.settings.limits };
        let mut then = Then::GoOn;
        let (mut scratch, mut decoder) = (Scratch::default(), Decoder::default());
        let mut rest = requests.bytes();
        while let (consumed, Decoded::Request(request)) =
            decoder.decode(rest, &mut scratch, &limits)
        {
            let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
            let style = client.session.style(Form::Resp, Some(request.command.verb));
            let mark = out.unsent(conn);
            // All replies together have the room of one. A short one is always given.
            let room = limits.output_limit.saturating_sub(mark - begin).max(SHORT_REPLY);
            self.keyspace.output_limit = room;
            if self.carry_out(out, conn, &request, style, now) == Then::Close {
                then = Then::Close;
            }
            if out.unsent(conn) - mark > room
                && let Some((output, stats)) = out.output_and_stats(conn)
            {
                output.truncate(mark);
                let message = commands::too_large();
                style.write(output, Origin::Server, Reply::Error(message.told(stats)));
            }
            self.discard_unwanted_reply(out, conn, mark);
            rest = &rest[consumed..];
        }
        self.keyspace.output_limit = limits.output_limit;
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.end_transaction();
        }
        then
    }

    /// Writes an error in place of a transaction, or the head of its reply; the requests to carry
    /// out.
    fn begin_exec(&mut self, out: &mut Outbox, conn: ConnId, style: Style, now: Now) -> Buffer {
        let (Some(client), Some(output)) = (self.clients.get_mut(conn), out.output(conn)) else {
            return Buffer::new();
        };
        let mut reply = style.writer(output);
        let Some(transaction) = client.session.transaction() else {
            reply.error("EXEC without MULTI");
            return Buffer::new();
        };
        let changed = self.keyspace.forget_watches(conn, now);
        if transaction.has_failed() {
            reply.failure("EXECABORT Transaction discarded because of previous errors.");
            return Buffer::new();
        }
        if let Some(command) = transaction.growing()
            && !changed
            && self.keyspace.has_no_memory_for(command)
        {
            reply.failure(&format!(
                "EXECABORT Transaction discarded because of: {}",
                Refusal::OutOfMemory
            ));
            return Buffer::new();
        }
        if changed {
            reply.null_array();
            return Buffer::new();
        }
        reply.array(transaction.len());
        transaction.take_requests()
    }
}
