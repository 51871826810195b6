//! Reads of values: answered from the cache, from a flight that is under way, or by a new one.

use super::cache::Found;
use super::flight::Waiter;
use super::gather::Gather;
use super::purpose::{Purpose, Shape, Writes};
use super::rules::Rule;
use super::state::{Level, NotYet, Proxy};
use crate::base::output::Output;
use crate::handler::{ConnId, Outbox};
use crate::protocol::Reply;
use crate::protocol::Request;
use crate::session::{Origin, Style};
use crate::stats::Stat;
use std::time::Instant;

/// What decides about what a client may be given that is kept.
#[derive(Clone, Copy)]
struct Reader {
    /// The upstream has answered a question that was put after the request came.
    covered: bool,
    /// It waits for replies to reads that were sent on as they are.
    has_reads_sent: bool,
}

impl Proxy {
    /// `GET`.
    pub(super) fn get(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        key: &[u8],
        now: Instant,
    ) -> Result<(), NotYet> {
        let caching = self.is_caching();
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let reader = Reader { covered: client.covered, has_reads_sent: client.reads_sent > 0 };
        let may_hit = self.may_hit(reader, now);
        if caching && reader.has_reads_sent {
            self.forget_what_may_be_older(out, key);
        }
        if caching && let Some(found) = self.cache.get(key, now) {
            may_hit?;
            if let Some((output, stats)) = out.output_and_stats(conn)
                && let Some(client) = self.clients.get_mut(conn)
            {
                stats.add(Stat::Hits, 1);
                let reply = shown(found);
                let write = |output: &mut Output| style.write(output, Origin::Cache, reply);
                client.replies.answer(output, style, write);
            }
            return Ok(());
        }
        if self.upstream.is_full(out) {
            return Err(NotYet::Upstream);
        }
        if caching {
            self.may_fetch(key, reader, now)?;
        }
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        out.stats.add(Stat::Misses, 1);
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        if caching {
            self.fetch(out, key, waiter, now);
        } else {
            client.reads_sent += 1;
            let purpose = Purpose::Request(waiter, Writes::Nothing, Shape::Value);
            self.send(out, &[b"GET", key], purpose, now);
        }
        Ok(())
    }

    /// Before a client is given what is known of a key, although a read that it sent before is not
    /// answered: what is known may be older than what that read finds. A new flight is not. Without
    /// word of changes, what is cached may be older in any case.
    fn forget_what_may_be_older(&mut self, out: &mut Outbox, key: &[u8]) {
        if self.keeps(Rule::ReadBehindOwnReads) {
            self.flights.poison(key);
            if self.level == Level::One {
                self.drop_entry(out, key);
            }
        }
    }

    /// `MGET`: gathers values from the cache, and from a flight for each that is not there.
    pub(super) fn mget(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<(), NotYet> {
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let reader = Reader { covered: client.covered, has_reads_sent: client.reads_sent > 0 };
        if reader.has_reads_sent {
            request.keys().for_each(|key| self.forget_what_may_be_older(out, key));
        }
        let may_hit = self.may_hit(reader, now);
        let keys = || request.keys().enumerate();
        let mut gather = Gather::new(keys().len(), self.options.limits.output_limit / 2);
        let (mut missing, mut is_too_large) = (Vec::new(), false);
        for (place, key) in keys() {
            if let Some(found) = self.cache.get(key, now) {
                may_hit?;
                is_too_large |= gather.take(place, shown(found));
            } else {
                self.may_fetch(key, reader, now)?;
                missing.push((place, key));
            }
        }
        if !missing.is_empty() && self.upstream.is_full(out) {
            return Err(NotYet::Upstream);
        }
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Ok(()) };
        stats.add(Stat::TooLargeReplies, is_too_large.into());
        stats.add(Stat::Hits, (keys().len() - missing.len()) as u64);
        stats.add(Stat::Misses, missing.len() as u64);
        if missing.is_empty() {
            let write = |output: &mut Output| gather.write(output, style.version);
            client.replies.answer(output, style, write);
            return Ok(());
        }
        let ticket = client.replies.gather(style, gather);
        for (place, key) in missing {
            self.fetch(out, key, Waiter { conn, ticket: ticket.part(place) }, now);
        }
        Ok(())
    }

    /// Whether a hit may be given.
    fn may_hit(&self, reader: Reader, now: Instant) -> Result<(), NotYet> {
        if self.is_fresh(reader.covered, now) { Ok(()) } else { Err(NotYet::Confirmation) }
    }

    /// Whether a key can be fetched: there is no flight of it, or one that may be joined. One that
    /// is too old for that is left behind at level 0; at level 1 it will have landed when the
    /// upstream has confirmed.
    fn may_fetch(&mut self, key: &[u8], reader: Reader, now: Instant) -> Result<(), NotYet> {
        let Some(sent_at) = self.flights.joinable(key) else { return Ok(()) };
        if now.saturating_duration_since(sent_at) >= self.options.ttl {
            self.flights.poison(key);
            return Ok(());
        }
        let may_join = self.is_joinable(sent_at, reader.covered, now);
        if may_join { Ok(()) } else { Err(NotYet::Confirmation) }
    }

    /// Joins or begins a flight.
    ///
    /// The life of the key is asked for first: so the value is the last that is read, whatever
    /// changes it later is told later, and it can be stored at once.
    fn fetch(&mut self, out: &mut Outbox, key: &[u8], waiter: Waiter, now: Instant) {
        if self.flights.join(key, waiter) {
            out.stats.add(Stat::Coalesced, 1);
        } else {
            let flight = self.flights.begin(key, waiter, now);
            self.send(out, &[b"PTTL", key], Purpose::Life(flight), now);
            self.send(out, &[b"GET", key], Purpose::Fetch(flight), now);
        }
    }
}

fn shown(found: Found<'_>) -> Reply<'_> {
    match found {
        Found::Value(value) => Reply::Value(value),
        Found::Absent => Reply::NotFound,
    }
}
