//! Listeners and the clients that come to them: taken, refused where there are as many as may be,
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

/// Clients past `--max-connections` that may at one time be waited for while they read why they are
/// refused; any beyond are told and closed at once. Half of the program's reserved descriptors.
pub const MAX_REFUSALS: usize = 32;

/// How long a listener rests after the system ran out of descriptors or memory.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What a client past the connection limit reads.
const REFUSAL: &[u8] = b"ERR too many connections\r\n";

/// Linux's number for "protocol error", which `accept` may return and `ErrorKind` has no name for.
const EPROTO: i32 = 71;

/// All listeners of a reactor, in the order of [`Network::listen`].
pub(super) struct Listeners<S> {
    listeners: Vec<Listener>,
    /// A client that came when there were as many as may be. It may have seen others leave before
    /// it came, which the next wait reports too: so it is taken or refused in the next tick.
    overflow: Option<(S, SocketAddr)>,
}

#[derive(Default)]
struct Listener {
    /// There may be clients to accept.
    is_pending: bool,
    /// The system was out of descriptors; a timer ends the rest.
    is_resting: bool,
    /// That has been logged, and no client was accepted since.
    has_complained: bool,
}

impl<S> Default for Listeners<S> {
    fn default() -> Self {
        Listeners { listeners: Vec::new(), overflow: None }
    }
}

impl<S> Listeners<S> {
    /// Returns the client that waits to be taken or refused, if there is one.
    pub(super) fn into_overflow(self) -> Option<(S, SocketAddr)> {
        self.overflow
    }

    /// Adds one, at which clients may wait already.
    pub(super) fn add(&mut self) {
        self.listeners.push(Listener { is_pending: true, ..Listener::default() });
    }

    /// An event said that there are clients at one of them.
    #[inline]
    pub(super) fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.is_pending = true;
        }
    }

    /// One of them may go on after it ran out of descriptors.
    pub(super) fn end_rest(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.is_resting = false;
        }
    }

    /// Returns whether a client is to be taken or refused in the next tick.
    #[inline]
    pub(super) fn has_overflow(&self) -> bool {
        self.overflow.is_some()
    }
}

impl<H: Handler, N: Network> Reactor<H, N> {
    pub(super) fn accept_all(&mut self, now: Instant) {
        if let Some((stream, peer)) = self.listeners.overflow.take() {
            self.accepted(stream, peer, now);
        }
        for index in 0..self.listeners.listeners.len() {
            while let Some(listener) = self.listeners.listeners.get_mut(index)
                && listener.is_pending
                && !listener.is_resting
            {
                match self.network.accept(index) {
                    Ok((stream, peer)) => {
                        listener.has_complained = false;
                        if self.is_full() {
                            self.listeners.overflow = Some((stream, peer));
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
        let listener = &mut self.listeners.listeners[index];
        match error.kind() {
            ErrorKind::WouldBlock => listener.is_pending = false,
            // The client left while it waited; the next one may be there.
            ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
            _ if error.raw_os_error() == Some(EPROTO) => {}
            // Out of descriptors or memory. The client goes on waiting; to try again at once would
            // only spin.
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
            // Those who have just left have made room.
            self.settle(self.share, now);
        }
        let role = if self.is_full() { Role::Refused } else { Role::Client };
        if role == Role::Refused {
            self.out.stats.add(Stat::ConnectionsRefused, 1);
            if self.connections.refused() >= MAX_REFUSALS {
                // Sent the refusal too, but not waited for.
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
