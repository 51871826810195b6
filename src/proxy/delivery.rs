//! What comes of the upstream's replies, and of the news that there will be none: each is given to
//! those who wait for it.

use super::cache::Found;
use super::dump::Dump;
use super::flight::Waiter;
use super::purpose::{Nonsense, Purpose, Shape, Writes};
use super::replies::Replies;
use super::state::Proxy;
use super::upstream::{Answered, Trouble};
use crate::buffer::Buffer;
use crate::handler::{ConnId, Outbox};
use crate::protocol::resp::{Element, Elements};
use crate::protocol::text::Reply;
use crate::stats::Stat;
use log::warn;
use std::time::Instant;

/// In place of a reply that is larger than what a client may leave unread.
const TOO_LARGE: &[u8] = b"-ERR reply too large\r\n";

impl Proxy {
    pub(super) fn upstream_received(
        &mut self,
        out: &mut Outbox,
        input: &mut Buffer,
        now: Instant,
    ) -> Result<(), Nonsense> {
        // The other half is for what the client has not taken yet.
        let most = self.options.limits.output_limit / 2;
        loop {
            let answered = self.upstream.next_reply(input, most).map_err(|error| {
                warn!("the upstream sends what is no reply: {error}");
                Nonsense
            })?;
            match answered {
                // Who has answered everything before all of it was sent has not read it.
                None if self.upstream.is_ahead(out) => return Err(Nonsense),
                None => return Ok(()),
                Some(Answered { purpose, length: None }) => {
                    self.deliver(out, purpose, TOO_LARGE, now)?;
                }
                Some(Answered { purpose, length: Some(length) }) => {
                    let delivered = self.deliver(out, purpose, &input.bytes()[..length], now);
                    input.consume(length);
                    delivered?;
                }
            }
        }
    }

    /// Gives the upstream's reply to whom it is for.
    fn deliver(
        &mut self,
        out: &mut Outbox,
        purpose: Option<Purpose>,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Nonsense> {
        if !matches!(purpose, Some(Purpose::Hello | Purpose::Commands)) {
            self.upstream.has_answered();
        }
        match purpose {
            Some(Purpose::Hello) => self.hello_came(bytes),
            Some(Purpose::Commands) => self.commands_came(bytes),
            Some(Purpose::Multi) => expect(bytes, b"OK"),
            None => expect(bytes, b"QUEUED"),
            Some(Purpose::Fetch(id)) => {
                let flight = self.flights.land(id);
                let reply = Shape::Value.read(bytes);
                if let (Some(Reply::Value(value)), false) = (reply, flight.poisoned) {
                    let deadline = flight.sent_at + self.options.ttl;
                    self.cache.insert(&flight.key, Found::Value(value), deadline, now);
                }
                let shown = reply.unwrap_or(Reply::Error(Trouble::Lost.message(false)));
                for waiter in flight.waiters() {
                    self.fulfil(out, waiter, shown);
                }
                reply.map(|_| ()).ok_or(Nonsense)
            }
            Some(Purpose::Request(waiter, writes, shape)) => {
                self.write_ended(out, &writes);
                let (reply, from) = (shape.read(bytes), self.version);
                let lost = Reply::Error(Trouble::Lost.message(writes.is_some()));
                let shown = reply.unwrap_or(lost);
                self.fulfil_with(out, waiter, bytes.len(), |replies, output| {
                    replies.fulfil_with(waiter.ticket, output, |output, style| {
                        shape.write(output, shown, from, style);
                    });
                });
                reply.map(|_| ()).ok_or(Nonsense)
            }
            Some(Purpose::DumpKeys(conn)) => self
                .dump_came(out, conn, |dump, output| dump.keys_came(Elements::new(bytes), output)),
            Some(Purpose::DumpValue(conn)) => self
                .dump_came(out, conn, |dump, output| dump.value_came(Elements::new(bytes), output)),
        }
    }

    /// Tells whoever waits for a reply that there will be none.
    pub(super) fn fail(&mut self, out: &mut Outbox, purpose: Purpose, trouble: Trouble) {
        match purpose {
            Purpose::Fetch(id) => {
                let flight = self.flights.land(id);
                for waiter in flight.waiters() {
                    self.fulfil(out, waiter, Reply::Error(trouble.message(false)));
                }
            }
            Purpose::Request(waiter, writes, _) => {
                self.write_ended(out, &writes);
                self.fulfil(out, waiter, Reply::Error(trouble.message(writes.is_some())));
            }
            Purpose::DumpKeys(conn) | Purpose::DumpValue(conn) => {
                self.dump_failed(out, conn, trouble.message(false));
            }
            Purpose::Hello | Purpose::Commands | Purpose::Multi => {}
        }
    }

    /// What is to be remembered of a request's keys: without a cache, nothing. A `ttl` of 0 is not
    /// enough, since it may be set to another.
    pub(super) fn tracked(&self, writes: Writes) -> Writes {
        match writes {
            Writes::Keys(_) if self.options.cache_bytes == 0 => Writes::Keys(Vec::new()),
            writes => writes,
        }
    }

    /// A request is sent: what it may change is dropped, and not kept until it is answered.
    pub(super) fn write_begun(&mut self, out: &mut Outbox, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    self.drop_entry(out, key);
                    self.flights.write_begun(key);
                }
            }
            Writes::Everything => {
                self.drop_entries(out);
                self.flights.write_of_all_begun();
            }
        }
    }

    /// It is answered, or never will be.
    fn write_ended(&mut self, out: &mut Outbox, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    self.flights.write_ended(key);
                    self.drop_entry(out, key);
                }
            }
            Writes::Everything => {
                self.flights.write_of_all_ended();
                self.drop_entries(out);
            }
        }
    }

    fn drop_entry(&mut self, out: &mut Outbox, key: &[u8]) {
        if self.cache.remove(key) {
            out.stats.add(Stat::Invalidated, 1);
        }
    }

    fn drop_entries(&mut self, out: &mut Outbox) {
        if !self.cache.is_empty() {
            out.stats.add(Stat::Invalidated, self.cache.len() as u64);
            self.cache.clear();
        }
    }

    /// Gives an owed reply, or a part of one, unless its client has left.
    fn fulfil(&mut self, out: &mut Outbox, waiter: Waiter, reply: Reply<'_>) {
        let bytes = if let Reply::Value(value) = reply { value.len() } else { 0 };
        self.fulfil_with(out, waiter, bytes, |replies, output| {
            replies.fulfil(waiter.ticket, output, reply);
        });
    }

    fn fulfil_with(
        &mut self,
        out: &mut Outbox,
        waiter: Waiter,
        bytes: usize,
        give: impl FnOnce(&mut Replies, &mut Buffer),
    ) {
        let Some(client) = self.clients.get_mut(waiter.conn) else { return };
        let Some(output) = out.output(waiter.conn) else { return };
        // One value may have many waiters, and all its copies are made here at once: who is over
        // the limit gets no more of them.
        if output.len() + client.replies.parked_bytes() > self.options.limits.output_limit {
            out.stats.add(Stat::OutputLimitCloses, 1);
            client.ended = true;
            return out.abort(waiter.conn);
        }
        client.last_bytes = bytes;
        give(&mut client.replies, output);
        client.replied(out, waiter.conn);
    }

    /// Gives up the upstream's connection, and tells all who wait on it.
    pub(super) fn lose_upstream(&mut self, out: &mut Outbox, why: Trouble, now: Instant) {
        out.stats.add(Stat::UpstreamErrors, 1);
        let (trouble, waiting) = self.upstream.lose(out, why, now);
        for purpose in waiting {
            self.fail(out, purpose, trouble);
        }
        self.release_held_back(out);
    }

    /// Lets the clients go on that waited for room at the upstream, if there is room.
    pub(super) fn release_held_back(&mut self, out: &mut Outbox) {
        if !self.held_back.is_empty() && self.upstream.has_room(out) {
            for conn in std::mem::take(&mut self.held_back) {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.go_on(out, conn);
                }
            }
        }
    }

    /// Something has come for a client's `DUMP`.
    fn dump_came(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        take: impl FnOnce(&mut Dump, &mut Buffer) -> Result<(), Option<String>>,
    ) -> Result<(), Nonsense> {
        let Some((dump, output)) = self.dump_of(out, conn) else { return Ok(()) };
        match take(dump, output) {
            Ok(()) => {
                self.go_on_with_dump(out, conn);
                Ok(())
            }
            Err(Some(refused)) => {
                self.dump_failed(out, conn, &refused);
                Ok(())
            }
            Err(None) => {
                self.dump_failed(out, conn, Trouble::Lost.message(false));
                Err(Nonsense)
            }
        }
    }

    fn dump_of<'a>(
        &'a mut self,
        out: &'a mut Outbox,
        conn: ConnId,
    ) -> Option<(&'a mut Dump, &'a mut Buffer)> {
        let dump = self.clients.get_mut(conn)?.dump.as_deref_mut()?;
        Some((dump, out.output(conn)?))
    }

    fn go_on_with_dump(&mut self, out: &mut Outbox, conn: ConnId) {
        let most = self.options.limits.output_limit;
        let Some(client) = self.clients.get_mut(conn) else { return };
        match &client.dump {
            Some(dump) if dump.is_waiting() => {}
            Some(dump) if dump.gathered_bytes() > most => {
                self.dump_failed(out, conn, "reply too large, use SCAN");
            }
            _ => client.go_on(out, conn),
        }
    }

    /// Ends a `DUMP` with an error. One that the client has a part of cannot be mended: the
    /// connection is closed after the error, lest the part be taken for the whole.
    pub(super) fn dump_failed(&mut self, out: &mut Outbox, conn: ConnId, message: &str) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let (Some(dump), Some(output)) = (client.dump.take(), out.output(conn)) else { return };
        if dump.write_error(output, message) {
            client.end(out, conn);
        } else {
            client.go_on(out, conn);
        }
    }
}

/// A reply within a transaction: this word, or an error.
fn expect(bytes: &[u8], word: &[u8]) -> Result<(), Nonsense> {
    match Elements::new(bytes).next() {
        Some(Element::Simple(said)) if said == word => Ok(()),
        Some(Element::Error(_)) => Ok(()),
        _ => Err(Nonsense),
    }
}
