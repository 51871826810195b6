//! The proxy: answers a repeated `GET` from its cache, and sends all else to the server behind it.
//!
//! [`Proxy`] is the [`Handler`]. It decodes clients' requests as the server does, and sends what it
//! cannot answer over one pipelined connection to the upstream, as standard Redis commands.
//!
//! ```text
//!   client ──▶ requests.rs, reads.rs, transactions.rs ──▶ upstream_requests.rs ──▶ upstream.rs
//!      ▲         │ a hit      │ look up, begin                                        │
//!      │         │            ▼                                                       │
//!      │         │         coherence.rs ◀── land, end, invalidate ──┐                 │
//!      │         ▼                                                  │                 ▼
//!      └────── client.rs ◀────────────── replies, in order ──────── upstream_replies.rs
//! ```
//!
//! - `client.rs`: one client: its session, its replies in order, its `DUMP`
//! - `coherence.rs`: the cache, and whether it may be used: `docs/coherence.md` has the promise and
//!   the rules
//! - `upstream.rs`: the connection to the server behind, its greeting, its commands
//! - `requests.rs`, `reads.rs`, `transactions.rs`: the requests of clients
//! - `upstream_requests.rs`, `upstream_replies.rs`: requests to the upstream, and its replies
//! - `no_reply.rs`: the reasons for which there is no reply, or none yet
//! - `invariants.rs`: the invariants between all these

mod client;
pub mod coherence;
mod invariants;
mod no_reply;
mod reads;
mod requests;
mod transactions;
pub mod upstream;
mod upstream_replies;
mod upstream_requests;

pub use coherence::rules::Rule;
pub use upstream::UpstreamOptions;

use crate::base::buffer::Buffer;
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::protocol::{Reply, Scratch};
use crate::session::work::Work;
use crate::settings::{Settings, limits};
use crate::stats::Stat;
use client::ProxyClient;
use coherence::{Coherence, is_caching};
use log::info;
use no_reply::UpstreamError;
use std::time::{Duration, Instant};
use upstream::connection::{Due, UpstreamConnection};
use upstream::greeting::Greeter;
use upstream::purpose::Purpose;

/// The most keys of an `MGET` whose values the proxy gathers from its cache and from single `GET`s:
/// as many as a client may have unanswered requests. An `MGET` with more is sent on as it is.
pub const MAX_GATHERED: usize = limits::MAX_UNANSWERED;

/// The proxy's policy.
pub struct Proxy {
    settings: Settings,
    started: Instant,
    clients: ConnMap<ProxyClient>,
    upstream: UpstreamConnection<Purpose>,
    greeter: Greeter,
    /// Whether the upstream has refused the `MULTI` of the transaction that it answers now.
    has_refused_multi: bool,
    /// The clients that wait until the upstream has room, or has sent its commands.
    held: Vec<ConnId>,
    coherence: Coherence,
    /// The memory for decoding, lent to one client after the other.
    scratch: Option<Box<Scratch>>,
    /// The work of the client that is served now.
    work: Work,
}

impl Proxy {
    /// Returns a proxy with an empty cache, which connects to its upstream as soon as it runs.
    pub fn new(settings: Settings, upstream: UpstreamOptions, now: Instant) -> Proxy {
        let UpstreamOptions { address, credentials, database, seed } = upstream;
        Proxy {
            started: now,
            clients: ConnMap::default(),
            upstream: UpstreamConnection::new(address, settings.upstream_timeout, seed, now),
            greeter: Greeter::new(credentials, database),
            has_refused_multi: false,
            held: Vec::new(),
            coherence: Coherence::new(settings.cache_bytes, now),
            scratch: None,
            work: Work::default(),
            settings,
        }
    }

    /// Returns the proxy without one of its rules, to see that tests notice.
    #[cfg(feature = "mutants")]
    pub fn without(mut self, rule: Rule) -> Proxy {
        self.coherence.switch_off(rule);
        self
    }
}

impl Handler for Proxy {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        match via {
            Via::Listener(peer) => {
                let client = ProxyClient::new(peer, out.clock.at(now));
                self.clients.insert(conn, client);
            }
            Via::Connect if self.upstream.is(conn) => {
                if !self.upstream.is_retrying() {
                    info!("upstream connected");
                }
                out.stats.add(Stat::UpstreamConnects, 1);
                self.upstream.connected(conn, now);
            }
            Via::Connect => {}
        }
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        if self.upstream.is(conn) {
            if self.upstream_received(out, input, now).is_err() {
                input.clear();
                self.lose_upstream(out, UpstreamError::Lost, now);
            } else {
                self.release_held_back(out);
            }
            return Next::Read(None);
        }
        self.serve_requests(out, conn, input, out.clock.at(now))
    }

    fn idle_timeout(&self) -> Duration {
        self.settings.limits.idle_timeout
    }

    fn expected_len(&self, conn: ConnId) -> usize {
        if self.upstream.is(conn) {
            return self.upstream.expected_len();
        }
        self.clients.get(conn).map_or(0, |client| client.session.decoder.expected_len())
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        if let Some(client) = self.clients.get_mut(conn) {
            client.end(out, conn);
        } else if self.upstream.is(conn) {
            self.upstream.log_failure("it closed the connection".to_string());
            self.lose_upstream(out, UpstreamError::Lost, now);
        }
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        let client = self.clients.get_mut(conn)?;
        let reply = client.session.timed_out(&self.settings.limits);
        if reply.is_none() && !client.replies.is_empty() {
            // A client that waits for a reply is not idle.
            return Some(now + self.settings.limits.idle_timeout);
        }
        out.stats.add(Stat::ConnectionsTimedOut, 1);
        if let Some((style, message)) = reply {
            client.answer(out, conn, style, Reply::Error(&message));
        }
        client.end(out, conn);
        None
    }

    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) {
        if self.upstream.is(conn) {
            self.upstream.log_failure(format!("no connection: {why}"));
            self.lose_upstream(out, UpstreamError::Lost, now);
        } else if self.clients.remove(conn).is_some_and(|client| client.is_waiting) {
            self.held.retain(|&held| held != conn);
        }
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        let upstream = &self.upstream;
        let ping = self.coherence.ping_due(upstream.sent(), &self.settings);
        let deadlines = [upstream.deadline(), self.coherence.next_deadline(), ping];
        deadlines.into_iter().flatten().min()
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.coherence.remove_expired(now);
        match self.upstream.deadline_reached(out, now) {
            Due::Nothing => {}
            Due::Connecting => {
                if let Err(why) = self.greeter.greet(&mut self.upstream, out) {
                    self.upstream.log_failure(why);
                    self.lose_upstream(out, UpstreamError::Unavailable, now);
                }
            }
            Due::Overdue => {
                self.upstream.log_failure("it has not answered within the timeout".to_string());
                self.lose_upstream(out, UpstreamError::TimedOut, now);
            }
        }
        self.send_ping(out, now);
    }

    fn check_invariants(&self) {
        self.coherence.check_invariants();
        self.upstream.check_invariants();
        self.clients.iter().for_each(|(_, client)| client.check_invariants());
        self.check_unanswered_requests();
    }

    fn wants_fresh_time(&self) -> bool {
        is_caching(&self.settings) && self.coherence.keeps(Rule::ServeAtReadTime)
    }
}
