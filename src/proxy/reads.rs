//! `GET` and `MGET`: answered from the cache, or by flights that several clients may wait for.

use super::Proxy;
use super::client::ProxyClient;
use super::client::gather::Gather;
use super::coherence::cache::Found;
use super::coherence::flight::Waiter;
use super::coherence::{Coherence, Freshness, Writes, is_caching};
use super::no_reply::Hold;
use super::upstream::connection::UpstreamConnection;
use super::upstream::purpose::{Purpose, Shape};
use crate::base::output::Output;
use crate::handler::Outbox;
use crate::protocol::command::Verb;
use crate::protocol::{Key, Reply};
use crate::session::{Origin, RequestContext};
use crate::settings::Settings;
use crate::stats::Stat;
use std::time::Instant;

/// Returns the hash of a key under which it may be cached; `None`: nothing is cached.
#[inline]
pub(super) fn hash(coherence: &Coherence, settings: &Settings, key: Key<'_>) -> Option<u64> {
    is_caching(settings).then(|| key.hash(|key| coherence.hash(key)))
}

/// Returns what the present request of a client may rely on.
#[inline]
fn known_to(client: &ProxyClient, upstream: &UpstreamConnection<Purpose>) -> Freshness {
    Freshness { ping_answered: client.ping_answered, confirmed: upstream.confirmed() }
}

/// Answers a `GET` from the cache, where `hash` is that of its key. Returns how many bytes the
/// client has not taken then; `None`: the key is not cached. The error: it may not be served yet.
#[inline]
pub(super) fn answer_from_cache(
    client: &mut ProxyClient,
    coherence: &mut Coherence,
    upstream: &UpstreamConnection<Purpose>,
    settings: &Settings,
    out: &mut Outbox,
    context: &RequestContext<'_>,
    hash: Option<u64>,
) -> Option<Result<usize, Hold>> {
    let (hash, key, style) = (hash?, context.request.word(1), context.style);
    if client.reads_sent > 0 {
        coherence.forget_before_own_read(&mut out.stats, hash, key);
    }
    let known = known_to(client, upstream);
    let found = match coherence.look_up(hash, key, known, settings, context.now.instant)? {
        Ok(found) => found,
        Err(hold) => return Some(Err(hold)),
    };
    let Some((output, stats)) = out.output_and_stats(context.conn) else { return Some(Ok(0)) };
    stats.add(Stat::Hits, 1);
    let write = |output: &mut Output| style.write(output, Origin::Cache, found.reply());
    client.replies.answer(output, style, write);
    Some(Ok(output.len()))
}

impl Proxy {
    /// Executes a `GET`.
    pub(super) fn get(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
    ) -> Result<(), Hold> {
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(context.conn) else { return Ok(()) };
        let hash = hash(coherence, settings, context.request.key());
        match answer_from_cache(client, coherence, upstream, settings, out, context, hash) {
            Some(answered) => answered.map(|_| ()),
            None => self.fetch(out, context, hash),
        }
    }

    /// Answers a `GET` of a key that is not cached: by a flight, or by a request of the client's
    /// own.
    pub(super) fn fetch(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
        hash: Option<u64>,
    ) -> Result<(), Hold> {
        let RequestContext { conn, request, style, now } = *context;
        let (key, now) = (request.word(1), now.instant);
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(conn) else { return Ok(()) };
        if upstream.is_full(out) {
            return Err(Hold::Upstream);
        }
        if let Some(hash) = hash
            && !coherence.prepare_fetch(hash, key, known_to(client, upstream), settings, now)
        {
            return Err(Hold::Unconfirmed);
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

    /// Executes an `MGET`: gathers values from the cache, and from a flight for each that is not
    /// there.
    pub(super) fn mget(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
    ) -> Result<(), Hold> {
        let RequestContext { conn, request, style, now } = *context;
        let now = now.instant;
        let Proxy { settings, clients, upstream, coherence, .. } = self;
        let Some(client) = clients.get_mut(conn) else { return Ok(()) };
        let known = known_to(client, upstream);
        if client.reads_sent > 0 {
            for key in request.keys() {
                coherence.forget_before_own_read(&mut out.stats, coherence.hash(key), key);
            }
        }
        let count = request.keys().len();
        let mut gather = Gather::new(count, settings.limits.output_limit / 2);
        let (mut missing, mut is_too_large) = (Vec::new(), false);
        for (index, key) in request.hashed_keys().enumerate() {
            let (hash, key) = (key.hash(|key| coherence.hash(key)), key.bytes);
            if let Some(found) = coherence.look_up(hash, key, known, settings, now) {
                is_too_large |= gather.take(index, found?.reply());
            } else if coherence.prepare_fetch(hash, key, known, settings, now) {
                missing.push((index, hash, key));
            } else {
                return Err(Hold::Unconfirmed);
            }
        }
        if !missing.is_empty() && upstream.is_full(out) {
            return Err(Hold::Upstream);
        }
        let Some((output, stats)) = out.output_and_stats(conn) else { return Ok(()) };
        if is_too_large {
            stats.add(Stat::TooLargeReplies, 1);
            stats.count_error(b"ERR", Some(Verb::Mget));
        }
        stats.add(Stat::Hits, (count - missing.len()) as u64);
        stats.add(Stat::Misses, missing.len() as u64);
        if missing.is_empty() {
            let write = |output: &mut Output| {
                style.write_origin(output, Origin::Server);
                gather.write(output, style.version);
            };
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
    /// The life of the key is requested first: so the value is read last, whatever changes it later
    /// is reported later, and it can be stored at once.
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
