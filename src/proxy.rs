//! The proxy: answers a repeated `GET` from its cache, and asks the server behind it for all else.
//!
//! [`Proxy`] is the [`Handler`]. It decodes clients' requests as the server does, and sends what it
//! cannot answer over one pipelined connection to the upstream, as standard Redis commands.
//!
//! ```text
//!   mod           the Handler: what the reactor calls
//!   routing       requests on their way up         delivery   replies on their way down
//!   transactions  MULTI to EXEC, sent as one       foreign    what only the upstream knows
//!   greeting      what a new connection begins with
//!   reads         GET and MGET, from the cache     coherence  whether what is kept may be served
//!   state         what the proxy is made of
//!   client        one client                       purpose    what each request upstream is for
//!   replies       a client's replies, in order     gather     the values of an MGET
//!   dump          DUMP, made of SCANs and GETs     flight     fetches and writes under way, by key
//!   cache         answers that are kept            upstream   the connection
//!   rules         what tests can switch off
//! ```
//!
//! What is promised of cached values, and the rules that keep the promise: `docs/coherence.md`.

pub mod cache;
mod client;
mod coherence;
pub mod credentials;
mod delivery;
mod dump;
mod flight;
mod foreign;
mod gather;
mod greeting;
mod purpose;
mod reads;
mod replies;
mod routing;
mod rules;
mod state;
mod transactions;
mod upstream;

pub use routing::MAX_GATHERED;
pub use rules::Rule;
pub use state::{Options, Proxy};

use crate::base::buffer::Buffer;
use crate::handler::{CloseReason, ConnId, Handler, Next, Outbox, Via};
use crate::protocol::Reply;
use crate::stats::Stat;
use client::Client;
use log::info;
use std::time::Instant;
use upstream::{Due, Trouble};

impl Handler for Proxy {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        match via {
            Via::Listener(peer) => {
                let client = Client::new(peer, out.clock.at(now));
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
                self.lose_upstream(out, Trouble::Lost, now);
            } else {
                self.release_held_back(out);
            }
            return Next::Read(None);
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.heard_from(out.clock.at(now));
        }
        // Lent out, so that a request does not borrow all of the proxy.
        let mut scratch = self.scratch.take().unwrap_or_default();
        scratch.forget();
        let mut next = None;
        while next.is_none() && self.clients.get_mut(conn).is_some_and(|client| !client.ended) {
            next = self.step(out, conn, input, &mut scratch, now);
        }
        self.scratch = Some(scratch);
        next.unwrap_or_else(|| {
            input.clear();
            Next::Wait
        })
    }

    fn expected_len(&self, conn: ConnId) -> usize {
        if self.upstream.is(conn) {
            return self.upstream.expected_len();
        }
        self.clients.get(conn).map_or(0, |client| client.session.expected_len())
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        if let Some(client) = self.clients.get_mut(conn) {
            client.end(out, conn);
        } else if self.upstream.is(conn) {
            self.upstream.complain("it closed the connection".to_string());
            self.lose_upstream(out, Trouble::Lost, now);
        }
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        let client = self.clients.get_mut(conn)?;
        let reply = client.session.timed_out(&self.options.limits);
        if reply.is_none() && !client.replies.is_empty() {
            // Whoever waits for a reply is not idle.
            return Some(now + self.options.limits.idle_timeout);
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
            self.upstream.complain(format!("no connection: {why}"));
            self.lose_upstream(out, Trouble::Lost, now);
        } else if self.clients.remove(conn).is_some_and(|client| client.waiting) {
            self.held_back.retain(|&held| held != conn);
        }
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.upstream.deadline(), self.cache.next_deadline(), self.confirmation_due()];
        deadlines.into_iter().flatten().min()
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.cache.expire(now);
        match self.upstream.deadline_reached(out, now) {
            Due::Nothing => {}
            Due::Connecting => self.greet(out, now),
            Due::Overdue => {
                self.upstream.complain("it has not answered within the timeout".to_string());
                self.lose_upstream(out, Trouble::TimedOut, now);
            }
        }
        self.confirm(out, now);
    }

    fn check_invariants(&self) {
        self.cache.check_invariants();
    }

    fn wants_fresh_time(&self) -> bool {
        self.is_caching() && self.keeps(Rule::ServeAtReadTime)
    }
}
