//! Listeners and the clients that come to them: taken, refused where there are as many as may be,
//! and left to wait while the system has no descriptors.

use super::{Reactor, Timer};
use crate::handler::{Handler, Via};
use crate::reactor::connection::{Connection, Kind};
use crate::stats::Stat;
use log::warn;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use slab::Slab;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Clients past `--max-connections` that may at one time be waited for while they read why they are
/// refused; any beyond are told and closed at once. Half of [`RESERVED_DESCRIPTORS`].
pub const MAX_REFUSALS: usize = 32;

/// How long a listener rests after the system ran out of descriptors or memory.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Clients that wait to be accepted while the loop is busy.
const BACKLOG: i32 = 4096;

/// What a client past the connection limit reads.
const REFUSAL: &[u8] = b"ERR too many connections\r\n";

/// Linux's number for "protocol error", which `accept` may return and `ErrorKind` has no name for.
const EPROTO: i32 = 71;

/// All listeners of a reactor.
#[derive(Default)]
pub(super) struct Listeners {
    places: Slab<Listener>,
    /// A client that came when there were as many as may be. It may have seen others leave before
    /// it came, which the next poll tells us too: so it is taken or refused in the next tick.
    overflow: Option<(TcpStream, SocketAddr)>,
}

struct Listener {
    socket: TcpListener,
    /// There may be clients to accept.
    pending: bool,
    /// The system was out of descriptors; a timer ends the rest.
    resting: bool,
    /// That has been logged, and no client was accepted since.
    complained: bool,
}

impl Listeners {
    /// An event said that there are clients at one of them.
    #[inline]
    pub(super) fn note(&mut self, place: usize) {
        if let Some(listener) = self.places.get_mut(place) {
            listener.pending = true;
        }
    }

    /// One of them may go on after it ran out of descriptors.
    pub(super) fn end_rest(&mut self, place: usize) {
        if let Some(listener) = self.places.get_mut(place) {
            listener.resting = false;
        }
    }

    /// Whether a client is to be taken or refused in the next tick.
    #[inline]
    pub(super) fn has_overflow(&self) -> bool {
        self.overflow.is_some()
    }

    /// Closes them all, and turns away who waits.
    pub(super) fn close(&mut self) {
        *self = Listeners::default();
    }
}

impl<H: Handler> Reactor<H> {
    /// Accepts clients at `address`; returns the real one, where the port was 0.
    ///
    /// # Errors
    /// The port is in use, or the address is not ours.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // So that both families can be listened on by name, on one port.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let mut socket = TcpListener::from_std(socket.into());
        let real = socket.local_addr()?;
        let entry = self.listeners.places.vacant_entry();
        let token = Token(entry.key() << 32);
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        entry.insert(Listener { socket, pending: true, resting: false, complained: false });
        Ok(real)
    }

    pub(super) fn accept_all(&mut self, now: Instant) {
        if let Some((stream, peer)) = self.listeners.overflow.take() {
            self.accepted(stream, peer, now);
        }
        for index in 0..self.listeners.places.capacity() {
            while let Some(listener) = self.listeners.places.get_mut(index)
                && listener.pending
                && !listener.resting
            {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        listener.complained = false;
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
        let listener = &mut self.listeners.places[index];
        match error.kind() {
            ErrorKind::WouldBlock => listener.pending = false,
            // The client left while it waited; the next one may be there.
            ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
            _ if error.raw_os_error() == Some(EPROTO) => {}
            // Out of descriptors or memory. The client goes on waiting; to try again at once would
            // only spin.
            _ => {
                if !std::mem::replace(&mut listener.complained, true) {
                    warn!("cannot accept a client for now: {error}");
                }
                listener.resting = true;
                self.timers.insert(now + ACCEPT_REST, Timer::Listener(index));
            }
        }
    }

    fn accepted(&mut self, mut stream: TcpStream, peer: SocketAddr, now: Instant) {
        if self.is_full() {
            // Those who have just left have made room.
            self.settle(self.share, now);
        }
        let kind = if self.is_full() { Kind::Refused } else { Kind::Client };
        if kind == Kind::Refused {
            self.out.stats.add(Stat::ConnectionsRefused, 1);
            if self.connections.refused() >= MAX_REFUSALS {
                // Told too, but not waited for.
                let _ = stream.write(REFUSAL);
                return;
            }
        }
        let id = self.out.admit();
        if let Err(error) = self.register(&mut stream, id) {
            warn!("cannot take a client: {error}");
            self.out.release(id);
            return;
        }
        let mut connection = Connection::accepted(id, stream, kind);
        connection.expect_by(self.limits.idle_timeout, now);
        self.connections.insert(connection);
        self.set_timer(id);
        if kind == Kind::Refused {
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
