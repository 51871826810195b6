//! `GET` and `MGET`: from the cache, or from flights that several clients may wait for.

use super::Proxy;
use super::client::ProxyClient;
use super::client::gather::Gather;
use super::coherence::cache::Found;
use super::coherence::flight::Waiter;
use super::coherence::{Coherence, Confirmation, Writes, is_caching};
use super::error::Hold;
use super::upstream::Upstream;
use super::upstream::purpose::{Purpose, Shape};
use crate::base::output::Output;
use crate::handler::{ConnId, Outbox};
use crate::protocol::{Reply, Request};
use crate::session::{Origin, Style};
use crate::settings::Settings;
use crate::stats::{Stat, Stats};
use std::time::Instant;

/// Returns the hash of a key under which it may be cached; `None`: nothing is cached.
#[inline]
pub(super) fn hash(coherence: &Coherence, settings: &Settings, key: &[u8]) -> Option<u64> {
    is_caching(settings).then(|| coherence.hash(key))
}

/// Returns what is cached of a key, for a client that asks for it now; `None`: nothing is. The
/// error: it may not be served yet.
#[inline]
pub(super) fn look_up<'a>(
    client: &ProxyClient,
    coherence: &'a mut Coherence,
    upstream: &Upstream,
    settings: &Settings,
    stats: &mut Stats,
    (hash, key): (Option<u64>, &[u8]),
    now: Instant,
) -> Option<Result<Found<'a>, Hold>> {
    let hash = hash?;
    if client.reads_sent > 0 {
        coherence.forget_before_own_read(stats, hash, key);
    }
    coherence.look_up(hash, key, known_to(client, upstream), settings, now)
}

/// Returns what is known of the upstream's answers for the present request of a client.
#[inline]
fn known_to(client: &ProxyClient, upstream: &Upstream) -> Confirmation {
    Confirmation { is_covered: client.is_covered, confirmed: upstream.connection.confirmed() }
}

/// Answers a `GET` from the cache.
#[inline]
pub(super) fn answer_hit(
    client: &mut ProxyClient,
    output: &mut Output,
    stats: &mut Stats,
    style: Style,
    found: Found<'_>,
) {
    stats.add(Stat::Hits, 1);
    let write = |output: &mut Output| style.write(output, Origin::Cache, found.reply());
    client.replies.answer(output, style, write);
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
    ) -> Result<(), Hold> {
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(conn) else { return Ok(()) };
        let hash = hash(coherence, settings, key);
        match look_up(client, coherence, upstream, settings, &mut out.stats, (hash, key), now) {
            Some(found) => {
                let found = found?;
                if let Some((output, stats)) = out.output_and_stats(conn) {
                    answer_hit(client, output, stats, style, found);
                }
                Ok(())
            }
            None => self.fetch(out, conn, style, (hash, key), now),
        }
    }

    /// Answers a `GET` of what is not cached: by a flight, or by a request of the client's own.
    pub(super) fn fetch(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        (hash, key): (Option<u64>, &[u8]),
        now: Instant,
    ) -> Result<(), Hold> {
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(conn) else { return Ok(()) };
        if upstream.connection.is_full(out) {
            return Err(Hold::Upstream);
        }
        if let Some(hash) = hash
            && !coherence.may_fetch(hash, key, known_to(client, upstream), settings, now)
        {
            return Err(Hold::Confirmation);
        }
        out.stats.add(Stat::Misses, 1);
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        if let Some(hash) = hash {
            self.join_or_send(out, hash, key, waiter, now);
        } else {
            client.reads_sent += 1;
            let purpose = Purpose::Request(waiter, Writes::Nothing, Shape::Value);
            self.send(out, &[b"GET", key], purpose, now);
        }
        Ok(())
    }

    /// `MGET`: gathers values from the cache, and from a flight for each that is not there.
    pub(super) fn mget(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<(), Hold> {
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(conn) else { return Ok(()) };
        let known = known_to(client, upstream);
        if client.reads_sent > 0 {
            for key in request.keys() {
                coherence.forget_before_own_read(&mut out.stats, coherence.hash(key), key);
            }
        }
        let keys = || request.keys().enumerate();
        let mut gather = Gather::new(keys().len(), settings.limits.output_limit / 2);
        let (mut missing, mut is_too_large) = (Vec::new(), false);
        for (index, key) in keys() {
            let hash = coherence.hash(key);
            if let Some(found) = coherence.look_up(hash, key, known, settings, now) {
                is_too_large |= gather.take(index, found?.reply());
            } else if coherence.may_fetch(hash, key, known, settings, now) {
                missing.push((index, hash, key));
            } else {
                return Err(Hold::Confirmation);
            }
        }
        if !missing.is_empty() && upstream.connection.is_full(out) {
            return Err(Hold::Upstream);
        }
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
        for (index, hash, key) in missing {
            self.join_or_send(out, hash, key, Waiter { conn, ticket: ticket.part(index) }, now);
        }
        Ok(())
    }

    /// Joins the flight of a key, or begins one.
    ///
    /// The life of the key is asked for first: so the value is the last that is read, whatever
    /// changes it later is told later, and it can be stored at once.
    fn join_or_send(
        &mut self,
        out: &mut Outbox,
        hash: u64,
        key: &[u8],
        waiter: Waiter,
        now: Instant,
    ) {
        match self.coherence.join_or_begin(hash, key, waiter, now) {
            None => out.stats.add(Stat::MissesCoalesced, 1),
            Some(flight) => {
                self.send(out, &[b"PTTL", key], Purpose::Life(flight), now);
                self.send(out, &[b"GET", key], Purpose::Fetch(flight), now);
            }
        }
    }
}

impl<'a> Found<'a> {
    /// Returns the reply to a `GET`.
    #[inline]
    fn reply(self) -> Reply<'a> {
        match self {
            Found::Value(value) => Reply::Value(value),
            Found::Absent => Reply::NotFound,
        }
    }
}
