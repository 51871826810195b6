//! Listeners and the clients that come to them: accepted, refused beyond the limit of connections,
//! and left to wait while the system has no descriptors.

use super::connection::{Connection, Role};
use super::network::Network;
use super::{Reactor, Timer};
use crate::handler::{Handler, Via};
use crate::stats::Stat;
use log::warn;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Clients past `--max-connections` that are kept at one time until they have read the refusal; any
/// beyond are sent it and closed at once. Half of the program's reserved descriptors.
pub const MAX_REFUSALS: usize = 32;

/// How long a listener rests after the system ran out of descriptors or memory.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The reply to a client past the connection limit.
const REFUSAL: &[u8] = b"-ERR too many connections\r\n";

/// Linux's number for "protocol error", which `accept` may return and `ErrorKind` has no name for.
const EPROTO: i32 = 71;

/// The state of a listener.
#[derive(Default)]
pub(super) struct Listener {
    /// There may be clients to accept.
    pub(super) is_pending: bool,
    /// The system was out of descriptors; a timer ends the rest.
    pub(super) is_resting: bool,
    /// The lack of descriptors has been logged, and no client was accepted since.
    pub(super) has_complained: bool,
}

impl<H: Handler, N: Network> Reactor<H, N> {
    pub(super) fn accept_all(&mut self, now: Instant) {
        if let Some((stream, peer)) = self.overflow.take() {
            self.accepted(stream, peer, now);
        }
        for index in 0..self.listeners.len() {
            while let Some(listener) = self.listeners.get_mut(index)
                && listener.is_pending
                && !listener.is_resting
            {
                match self.network.accept(index) {
                    Ok((stream, peer)) => {
                        listener.has_complained = false;
                        if self.is_full() {
                            self.overflow = Some((stream, peer));
                            return;
                        }
                        self.accepted(stream, peer, now);
                    }
                    Err(error) => self.accept_failed(index, &error, now),
                }
            }
        }
    }

    fn accept_failed(&mut self, index: usize, error: &io::Error, now: Instant) {
        let listener = &mut self.listeners[index];
        match error.kind() {
            ErrorKind::WouldBlock => listener.is_pending = false,
            // The client left while it waited; the next one may be there.
            ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
            _ if error.raw_os_error() == Some(EPROTO) => {}
            // Out of descriptors or memory. The client waits; to try again at once would only spin.
            _ => {
                if !std::mem::replace(&mut listener.has_complained, true) {
                    warn!("cannot accept a client for now: {error}");
                }
                listener.is_resting = true;
                self.timers.insert(now + ACCEPT_REST, Timer::Listener(index));
            }
        }
    }

    fn accepted(&mut self, mut stream: N::Stream, peer: SocketAddr, now: Instant) {
        if self.is_full() {
            // Clients that have just left have made room.
            self.settle(self.share, now);
        }
        let role = if self.is_full() { Role::Refused } else { Role::Client };
        if role == Role::Refused {
            self.out.stats.add(Stat::ConnectionsRefused, 1);
            if self.connections.refused() >= MAX_REFUSALS {
                // It is sent the refusal, too, but the reactor does not wait until it is read.
                let _ = stream.write(REFUSAL);
                return self.network.close(stream);
            }
        }
        debug_assert!(self.connections.refused() <= MAX_REFUSALS);
        let id = self.out.admit();
        if let Err(error) = self.network.register(&mut stream, id) {
            warn!("cannot take a client: {error}");
            self.out.release(id);
            return self.network.close(stream);
        }
        let mut connection = Connection::accepted(id, stream, role);
        connection.expect_by(self.handler.idle_timeout(), now);
        self.connections.insert(connection);
        self.set_timer(id);
        if role == Role::Refused {
            if let Some(output) = self.out.output(id) {
                output.push(REFUSAL);
            }
            return self.out.close(id);
        }
        self.out.stats.add(Stat::ConnectionsTotal, 1);
        self.out.stats.set(Stat::ConnectionsNow, self.connections.clients() as u64);
        self.handler.opened(&mut self.out, id, Via::Listener(peer), now);
    }

    fn is_full(&self) -> bool {
        self.connections.clients() >= self.limits.max_connections
    }
}
