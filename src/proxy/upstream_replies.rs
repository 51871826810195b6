//! The upstream's replies, and the errors in their place where there is none: each is delivered to
//! the clients that wait for it.

use super::Proxy;
use super::client::count_if_error;
use super::client::dump::ProxyDump;
use super::client::replies::Replies;
use super::coherence::Writes;
use super::coherence::flight::{FlightId, Life, Waiter};
#[cfg(feature = "mutants")]
use super::coherence::rules::Rule;
use super::no_reply::{UnexpectedReply, UpstreamError, is_passing};
use super::upstream::connection::Received;
use super::upstream::purpose::{DumpPart, Purpose, Shape, reads};
use crate::base::buffer::Buffer;
use crate::base::output::{Block, Output, SHARED_FROM, Value};
use crate::handler::{ConnId, Outbox};
use crate::protocol::Reply;
use crate::protocol::command::Verb;
use crate::protocol::resp::{Element, Elements, ProtocolError};
use crate::stats::Stat;
use std::time::{Duration, Instant};

/// The error in place of a reply that is larger than what a client may leave unread.
const TOO_LARGE: &[u8] = b"-ERR reply too large\r\n";

impl Proxy {
    /// Delivers all replies and pushes of the upstream that are whole.
    ///
    /// # Errors
    /// One is malformed, or belongs to no request: the connection is of no use any more.
    pub(super) fn upstream_received(
        &mut self,
        out: &mut Outbox,
        input: &mut Buffer,
        now: Instant,
    ) -> Result<(), UnexpectedReply> {
        // The other half is for what the client has not taken yet.
        let most = self.settings.limits.output_limit / 2;
        loop {
            let received = self.upstream.next_reply(input, most).map_err(|error| {
                let what = match error {
                    ProtocolError::Unrequested => "a reply",
                    _ => "a malformed reply",
                };
                self.upstream.log_failure(format!("it sent {what}: {error}"));
                UnexpectedReply
            })?;
            match received {
                // It has answered requests that it cannot have read.
                None if self.upstream.is_ahead(out) => return Err(UnexpectedReply),
                None => return Ok(()),
                Some(Received::Push(length)) => {
                    let understood =
                        self.coherence.push_received(&mut out.stats, &input.bytes()[..length]);
                    input.consume(length);
                    understood?;
                }
                Some(Received::Reply { purpose, length: None }) => {
                    out.stats.add(Stat::TooLargeReplies, 1);
                    self.deliver(out, purpose, Value::Short(TOO_LARGE), now)?;
                }
                Some(Received::Reply { purpose, length: Some(length) })
                    if length >= SHARED_FROM && input.bytes()[0] == b'$' =>
                {
                    // Its waiters and the cache share the memory that it was read to.
                    let (block, range) = input.take(length);
                    let block = Block::new(block);
                    self.deliver(out, purpose, Value::long(&block, range), now)?;
                }
                Some(Received::Reply { purpose, length: Some(length) }) => {
                    let reply = Value::Short(&input.bytes()[..length]);
                    let delivered = self.deliver(out, purpose, reply, now);
                    input.consume(length);
                    delivered?;
                }
            }
        }
    }

    /// Delivers a reply by the purpose of its request.
    ///
    /// # Errors
    /// It cannot be the reply to such a request.
    fn deliver(
        &mut self,
        out: &mut Outbox,
        purpose: Option<Purpose>,
        reply: Value<'_>,
        now: Instant,
    ) -> Result<(), UnexpectedReply> {
        let bytes = reply.bytes();
        if !matches!(purpose, Some(Purpose::Greeting(_))) {
            self.upstream.note_answered();
        }
        match purpose {
            Some(Purpose::Greeting(step)) => {
                let tracking = self.settings.cache_bytes > 0;
                let level =
                    self.greeter.answered(&mut self.upstream, out, (step, bytes), tracking, now)?;
                if let Some(level) = level {
                    self.coherence.begin_level(&mut out.stats, level);
                }
                Ok(())
            }
            Some(Purpose::Ping(waiting)) => {
                self.release_unconfirmed(out, waiting, None);
                expect(bytes, b"PONG")
            }
            Some(Purpose::Life(id)) => {
                self.coherence.life_received(id, life(bytes)?);
                Ok(())
            }
            Some(Purpose::Multi) => {
                self.has_refused_multi =
                    matches!(Elements::new(bytes).next(), Some(Element::Error(_)));
                expect(bytes, b"OK")
            }
            // Without `MULTI`, each request of the block was executed by itself.
            None if self.has_refused_multi => Ok(()),
            None => expect(bytes, b"QUEUED"),
            Some(Purpose::Fetch(id)) => self.fetched(out, id, reply, now),
            Some(Purpose::Request(waiter, writes, shape)) => {
                self.request_ended(out, waiter, &writes, &shape);
                let (reply, from) = (shape.read(reply), self.greeter.version);
                let lost = Reply::Error(UpstreamError::Lost.message(writes.is_some()));
                let shown = reply.unwrap_or(lost);
                self.fulfil_with(out, waiter, shown, bytes.len(), |replies, output| {
                    replies.fulfil_with(waiter.ticket, output, |output, style| {
                        shape.write(output, shown, from, style);
                    });
                });
                reply.map(|_| ()).ok_or(UnexpectedReply)
            }
            Some(Purpose::Dump(part)) => self.dump_part_received(out, part, Elements::new(bytes)),
        }
    }

    /// Notes that a request of one client is answered, or never will be.
    fn request_ended(&mut self, out: &mut Outbox, waiter: Waiter, writes: &Writes, shape: &Shape) {
        self.coherence.write_ended(&mut out.stats, writes);
        if reads(writes, shape)
            && let Some(client) = self.clients.get_mut(waiter.conn)
        {
            debug_assert!(client.reads_sent > 0, "a read ends once");
            client.reads_sent -= 1;
        }
    }

    /// Lands a flight: stores its value, if it may be stored, and sends it to its waiters.
    ///
    /// # Errors
    /// The reply is none to a `GET`.
    fn fetched(
        &mut self,
        out: &mut Outbox,
        id: FlightId,
        reply: Value<'_>,
        now: Instant,
    ) -> Result<(), UnexpectedReply> {
        let reply = Shape::Value.read(reply);
        let flight = self.coherence.land(id, reply, &self.settings, now);
        let shown = reply.unwrap_or(Reply::Error(UpstreamError::Lost.message(false)));
        for waiter in flight.waiters() {
            self.fulfil(out, waiter, shown);
        }
        reply.map(|_| ()).ok_or(UnexpectedReply)
    }

    /// Answers the waiters of a request with an error, since there will be no reply.
    pub(super) fn fail(&mut self, out: &mut Outbox, purpose: Purpose, failure: UpstreamError) {
        match purpose {
            Purpose::Fetch(id) => {
                let flight = self.coherence.abandon(id);
                for waiter in flight.waiters() {
                    self.fulfil(out, waiter, Reply::Error(failure.message(false)));
                }
            }
            Purpose::Request(waiter, writes, shape) => {
                self.request_ended(out, waiter, &writes, &shape);
                self.fulfil(out, waiter, Reply::Error(failure.message(writes.is_some())));
            }
            Purpose::Dump(part) => {
                if self.dump_of(out, part).is_some() {
                    self.dump_failed(out, part.conn, failure.message(false));
                }
            }
            Purpose::Ping(waiting) => {
                self.release_unconfirmed(out, waiting, Some(failure));
            }
            Purpose::Greeting(_) | Purpose::Multi | Purpose::Life(_) => {}
        }
    }

    /// Answers a waiter, or gives it a part of its reply, unless the client has left.
    fn fulfil(&mut self, out: &mut Outbox, waiter: Waiter, reply: Reply<'_>) {
        let bytes = if let Reply::Value(value) = reply { value.len() } else { 0 };
        let mut is_too_large = false;
        self.fulfil_with(out, waiter, reply, bytes, |replies, output| {
            is_too_large = replies.fulfil(waiter.ticket, output, reply);
        });
        if is_too_large {
            out.stats.add(Stat::TooLargeReplies, 1);
            out.stats.count_error(b"ERR", Some(Verb::Mget));
        }
    }

    fn fulfil_with(
        &mut self,
        out: &mut Outbox,
        waiter: Waiter,
        reply: Reply<'_>,
        bytes: usize,
        give: impl FnOnce(&mut Replies, &mut Output),
    ) {
        let Some(client) = self.clients.get_mut(waiter.conn) else { return };
        let Some((output, stats)) = out.output_and_stats(waiter.conn) else { return };
        // A value may have many waiters, and all its copies are made at once.
        if output.len() + client.replies.parked_bytes() > self.settings.limits.output_limit {
            stats.add(Stat::OutputLimitCloses, 1);
            client.has_ended = true;
            return out.abort(waiter.conn);
        }
        client.last_bytes = bytes;
        if matches!(reply, Reply::Error(_) | Reply::Failure(_) | Reply::Exists)
            && let Some(style) = client.replies.style_to_fail(waiter.ticket, &reply)
        {
            count_if_error(stats, reply, style);
        }
        give(&mut client.replies, output);
        client.replied(out, waiter.conn);
    }

    /// Gives up the upstream's connection, and answers all that wait for it with an error.
    pub(super) fn lose_upstream(&mut self, out: &mut Outbox, why: UpstreamError, now: Instant) {
        out.stats.add(Stat::UpstreamErrors, 1);
        #[cfg(feature = "mutants")]
        if why == UpstreamError::TimedOut && !self.coherence.keeps(Rule::AbandonLateConnection) {
            for purpose in self.upstream.wait_no_longer() {
                self.fail(out, purpose, why);
            }
            return;
        }
        let (failure, waiting) = self.upstream.lose(out, why, now);
        let waiting_for_ping = self.coherence.connection_lost(&mut out.stats);
        self.release_unconfirmed(out, waiting_for_ping, Some(failure));
        for purpose in waiting {
            self.fail(out, purpose, failure);
        }
        self.release_held_back(out);
    }

    /// Goes on with the clients that are held for the upstream, if it has room.
    pub(super) fn release_held_back(&mut self, out: &mut Outbox) {
        if self.held.is_empty() || !self.upstream.has_room(out) {
            return;
        }
        for conn in std::mem::take(&mut self.held) {
            if let Some(client) = self.clients.get_mut(conn) {
                client.go_on(out, conn);
            }
        }
    }

    /// Goes on with the clients that waited for the answer to a PING; with `failure`, there will be
    /// none, and their requests fail.
    fn release_unconfirmed(
        &mut self,
        out: &mut Outbox,
        waiting: Vec<ConnId>,
        failure: Option<UpstreamError>,
    ) {
        self.coherence.end_ping();
        for conn in waiting {
            if let Some(client) = self.clients.get_mut(conn) {
                client.end_wait_for_ping(failure);
                if client.is_waiting {
                    client.go_on(out, conn);
                }
            }
        }
    }

    /// Takes a reply for a client's `DUMP`, and goes on with that or ends it.
    ///
    /// # Errors
    /// It is not the reply to such a request.
    fn dump_part_received(
        &mut self,
        out: &mut Outbox,
        part: DumpPart,
        reply: Elements<'_>,
    ) -> Result<(), UnexpectedReply> {
        let Some((dump, output)) = self.dump_of(out, part) else { return Ok(()) };
        let conn = part.conn;
        match dump.received(part.request, reply, output) {
            Ok(()) => {
                self.go_on_with_dump(out, conn);
                Ok(())
            }
            Err(Some(refused)) => {
                self.dump_failed(out, conn, &refused);
                Ok(())
            }
            Err(None) => {
                self.dump_failed(out, conn, UpstreamError::Lost.message(false));
                Err(UnexpectedReply)
            }
        }
    }

    fn dump_of<'a>(
        &'a mut self,
        out: &'a mut Outbox,
        part: DumpPart,
    ) -> Option<(&'a mut ProxyDump, &'a mut Output)> {
        let dump = self.clients.get_mut(part.conn)?.dump.as_deref_mut();
        let dump = dump.filter(|dump| dump.number() == part.dump)?;
        Some((dump, out.output(part.conn)?))
    }

    fn go_on_with_dump(&mut self, out: &mut Outbox, conn: ConnId) {
        let most = self.settings.limits.output_limit;
        let Some(client) = self.clients.get_mut(conn) else { return };
        match &client.dump {
            Some(dump) if dump.unanswered() > 0 => {}
            Some(dump) if dump.gathered_bytes() > most => {
                out.stats.add(Stat::TooLargeReplies, 1);
                self.dump_failed(out, conn, "reply too large, use SCAN");
            }
            _ => client.go_on(out, conn),
        }
    }

    /// Ends a `DUMP` with an error. If the client has a part of the reply, its connection is closed
    /// after the error, lest the part be taken for the whole.
    pub(super) fn dump_failed(&mut self, out: &mut Outbox, conn: ConnId, message: &str) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let (Some(dump), Some((output, stats))) = (client.dump.take(), out.output_and_stats(conn))
        else {
            return;
        };
        stats.count_error(b"ERR", Some(Verb::Dump));
        if dump.write_error(output, message) {
            client.end(out, conn);
        } else {
            client.go_on(out, conn);
        }
    }
}

/// Returns what a reply to `PTTL` means: milliseconds, -1 for a key without expiry, -2 for no key.
fn life(bytes: &[u8]) -> Result<Life, UnexpectedReply> {
    match Elements::new(bytes).next() {
        Some(Element::Integer(-2)) => Ok(Life::Absent),
        Some(Element::Integer(-1)) => Ok(Life::Forever),
        // Most of the present millisecond may have passed.
        Some(Element::Integer(millis)) => u64::try_from(millis)
            .map(|it| Life::For(Duration::from_millis(it.saturating_sub(1))))
            .map_err(|_| UnexpectedReply),
        Some(Element::Error(error)) if is_passing(error) => Ok(Life::Unknown),
        Some(Element::Error(_)) => Ok(Life::Refused),
        _ => Err(UnexpectedReply),
    }
}

/// Checks that a reply is this status, or an error.
fn expect(bytes: &[u8], expected: &[u8]) -> Result<(), UnexpectedReply> {
    match Elements::new(bytes).next() {
        Some(Element::Simple(status)) if status == expected => Ok(()),
        Some(Element::Error(_)) => Ok(()),
        _ => Err(UnexpectedReply),
    }
}
