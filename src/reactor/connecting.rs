//! Connections that the handler ordered, until they are open: a name is looked up, one of its
//! addresses connected to, all within the connection's timeout.

use super::connection::{Connection, Stream};
use super::network::{Answer, Network};
use super::resolver::PendingConnect;
use super::{Reactor, Timer};
use crate::handler::{CloseReason, ConnId, Connect, Handler, Via};
use std::net::SocketAddr;
use std::time::Instant;

/// Linux's numbers for what `ErrorKind` has no name for.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

impl<H: Handler, N: Network> Reactor<H, N> {
    /// Begins a connection that the handler ordered. Only a name needs another thread.
    pub(super) fn connect(&mut self, connect: Connect, now: Instant) {
        let (conn, deadline) = (connect.conn, now + connect.timeout);
        if let Ok(address) = connect.to.parse() {
            return self.connect_to(address, conn, deadline, now);
        }
        let timer = self.timers.insert(deadline, Timer::Connection(conn));
        if let Some(name) = self.resolver.add(PendingConnect { connect, deadline, timer })
            && let Err(error) = self.network.look_up(&name)
        {
            self.resolver.failed(&name);
            self.give_up_lookup(conn, CloseReason::ConnectFailed(error.kind()), now);
        }
    }

    fn connect_to(&mut self, to: SocketAddr, conn: ConnId, deadline: Instant, now: Instant) {
        match self.network.connect(to, conn) {
            Ok(stream) => {
                self.connections.insert(Connection::connecting(conn, stream, deadline));
                self.set_timer(conn);
            }
            Err(error) => {
                let no_descriptor = matches!(error.raw_os_error(), Some(ENFILE | EMFILE));
                let failed = CloseReason::ConnectFailed(error.kind());
                let why = if no_descriptor { CloseReason::NoDescriptor } else { failed };
                self.connect_failed(conn, why, now);
            }
        }
    }

    /// Ends a connection that has no socket.
    fn connect_failed(&mut self, conn: ConnId, why: CloseReason, now: Instant) {
        self.out.release(conn);
        self.handler.closed(&mut self.out, conn, why, now);
    }

    /// Ends a connection that waits for its address; no effect if no lookup is pending for it.
    pub(super) fn give_up_lookup(&mut self, conn: ConnId, why: CloseReason, now: Instant) {
        if let Some(lookup) = self.resolver.remove(conn) {
            self.timers.cancel(lookup.timer);
            self.connect_failed(conn, why, now);
        }
    }

    /// Goes on with the connections that waited for the addresses of a name.
    pub(super) fn resolved(&mut self, answer: &Answer, now: Instant) {
        for PendingConnect { connect, deadline, timer } in self.resolver.answered(answer) {
            self.timers.cancel(timer);
            match connect.choose(answer.addresses.clone()) {
                Some(address) => self.connect_to(address, connect.conn, deadline, now),
                None => self.connect_failed(connect.conn, CloseReason::NoAddress, now),
            }
        }
    }

    pub(super) fn finish_connect(&mut self, id: ConnId, now: Instant) {
        let Some(connection) = self.connections.get(id) else { return };
        match connection.stream.is_connected() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return self.remove(id, CloseReason::ConnectFailed(error.kind()), now);
            }
        }
        connection.connected();
        // Data may have come with this very event.
        connection.suspect_readable();
        self.out.touch(id);
        self.handler.opened(&mut self.out, id, Via::Connect, now);
    }
}
