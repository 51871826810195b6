//! The server: keys and values that all clients share.
//!
//! [`Server`] is the [`Handler`] that decodes requests, executes them and appends the
//! replies; it knows of no socket and no clock.
//!
//! - `commands/`: what each command does to the keys
//! - `keyspace.rs`: the keys, with the clients that observe their changes
//! - `store.rs`: how keys and values are kept
//! - `client.rs`: one client      - `requests.rs`: its requests, one after the other
//! - `transactions.rs`: `MULTI` to `EXEC`
//! - `listing.rs`: `CLIENT LIST`
//! - `observers.rs`: the clients that are notified of changes, by `WATCH` and `CLIENT TRACKING`

mod client;
pub mod commands;
pub mod keyspace;
mod listing;
pub mod memory;
pub mod observers;
mod requests;
pub mod store;
mod transactions;

use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::protocol::command::Verb;
use crate::protocol::{Reply, Scratch};
use crate::server::memory::Memory;
use crate::session::{Identity, Origin, Outcome, RequestContext, Session, program, work};
use crate::settings::{Program, Settings};
use crate::stats::{Stat, Stats};
use client::Client;
use keyspace::Keyspace;
use std::time::{Duration, Instant};

/// The server's policy.
pub struct Server {
    settings: Settings,
    started: Instant,
    clients: ConnMap<Client>,
    scratch: Option<Box<Scratch>>,
    keyspace: Keyspace,
    /// The number of clients whose `CLIENT LIST` is under way.
    listings: usize,
}

/// Whether a connection goes on after a request.
#[derive(Debug, PartialEq)]
enum Then {
    Continue,
    Close,
}

impl Server {
    /// Returns a server without keys.
    pub fn new(settings: Settings, now: Instant) -> Server {
        Server {
            settings,
            started: now,
            clients: ConnMap::default(),
            scratch: None,
            keyspace: Keyspace::new(&settings, now),
            listings: 0,
        }
    }

    /// Returns the server with all of the process's memory counted for `--max-memory`; otherwise
    /// only that of entries of up to 16 KiB is.
    pub fn counting(mut self, memory: Memory) -> Server {
        self.keyspace.memory = memory;
        self
    }

    /// Returns the work of the latest turn: see `work.rs`. For tests.
    pub fn work_of_turn(&self) -> usize {
        self.keyspace.work.done()
    }
}

impl Handler for Server {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        if let Via::Listener(peer) = via {
            let mut session = Session::new(peer, out.clock.at(now));
            session.offer_tracking();
            self.clients.insert(conn, Client::new(session));
        }
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        self.serve_requests(out, conn, input, out.clock.at(now))
    }

    fn idle_timeout(&self) -> Duration {
        self.settings.limits.idle_timeout
    }

    fn expected_len(&self, conn: ConnId) -> usize {
        self.clients.get(conn).map_or(0, |client| client.session.decoder.expected_len())
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) {
        self.end(out, conn);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) -> Option<Instant> {
        out.stats.add(Stat::ConnectionsTimedOut, 1);
        if let Some(client) = self.clients.get_mut(conn)
            && let Some((style, message)) = client.session.timed_out(&self.settings.limits)
            && let Some((output, stats)) = out.output_and_stats(conn)
        {
            stats.count_error(b"ERR", None);
            style.write(output, Origin::Server, Reply::Error(&message));
        }
        self.end(out, conn);
        None
    }

    fn closed(&mut self, _out: &mut Outbox, conn: ConnId, _why: CloseReason, _now: Instant) {
        self.forget(conn);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.keyspace.next_deadline()
    }

    fn wants_fresh_time(&self) -> bool {
        false
    }

    fn check_invariants(&self) {
        self.keyspace.store().check_invariants();
        let tracking = &self.keyspace.observers.tracking;
        tracking.check_invariants();
        let readers = self.clients.iter().filter(|(_, client)| client.reader().is_some()).count();
        assert_eq!(readers, tracking.readers());
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.keyspace.sweep(out.clock.at(now));
        self.push_invalidations(out);
    }
}

impl Server {
    fn connection_command(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Then {
        let before = out.unsent(context.conn);
        let then = self.execute_connection_command(out, context);
        let written = out.unsent(context.conn).saturating_sub(before);
        self.keyspace.work.add(written * work::FORMATTED + context.request.len() * work::WORD);
        then
    }

    fn execute_connection_command(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
    ) -> Then {
        let RequestContext { conn, request, style, now } = *context;
        let unix = out.clock.unix(now.instant);
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        let identity = &Identity::default();
        let outcome =
            client.session.connection_command(request, conn, unix, identity, output, stats);
        let tracking = &mut self.keyspace.observers.tracking;
        match (client.reader(), client.session.is_tracking()) {
            (None, true) => client.change_rare(|rare| rare.reader = Some(tracking.enter(conn))),
            (Some(reader), false) => {
                client.change_rare(|rare| rare.reader = None);
                tracking.leave(reader);
            }
            _ => {}
        }
        tracking.set_author(client.author());
        match outcome {
            Outcome::Answered => {}
            Outcome::Last => return Then::Close,
            Outcome::Reset => {
                self.keyspace.observers.watches.forget(conn);
            }
            Outcome::Program => {
                self.publish(stats, now);
                if matches!(request.command.verb, Verb::Stats | Verb::Info) {
                    // The system takes some 15 µs for it.
                    let resident = self.keyspace.memory.resident_bytes();
                    stats.set(Stat::ResidentBytes, resident as u64);
                }
                let settings = &mut self.settings;
                program::answer(request, style, Program::Server, identity, stats, settings, output);
                self.keyspace.apply(settings);
            }
            Outcome::Clients(request) => return self.clients_command(out, context, &request),
        }
        Then::Continue
    }

    /// Forgets a client, and closes its connection once its output is sent.
    fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        self.forget(conn);
        out.close(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        let client = self.clients.remove(conn);
        self.keyspace.observers.watches.forget(conn);
        let Some(mut client) = client else { return };
        if let Some(reader) = client.reader() {
            self.keyspace.observers.tracking.leave(reader);
        }
        self.forget_listing(&mut client);
        client.abandon(&mut self.keyspace);
    }

    fn publish(&self, stats: &mut Stats, now: Now) {
        let store = self.keyspace.store();
        stats.set(Stat::UptimeSeconds, (now.instant - self.started).as_secs());
        stats.set(Stat::Keys, store.len() as u64);
        stats.set(Stat::KeysExpiring, store.expiring() as u64);
        stats.set(Stat::MeanTtlMs, store.mean_ttl_millis(now));
        stats.pending_frees = store.pending_clears() as u64;
        stats.set(Stat::Expired, store.expired());
        stats.set(Stat::KeyBytes, store.key_bytes());
        stats.set(Stat::ValueBytes, store.value_bytes());
        stats.set(Stat::MemoryBytes, self.keyspace.memory.bytes() as u64);
        let tracking = &self.keyspace.observers.tracking;
        stats.set(Stat::TrackingClients, tracking.readers() as u64);
        stats.set(Stat::TrackingKeys, tracking.len() as u64);
        stats.set(Stat::TrackingPairs, tracking.pairs() as u64);
        stats.set(Stat::TrackingDropped, tracking.dropped());
    }
}
