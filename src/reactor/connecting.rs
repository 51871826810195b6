//! Connections that the handler asked for, until they stand: a name is looked up, one of its
//! addresses connected to, all within the connection's timeout.

use super::resolver::{Answer, Lookup};
use super::{Message, Reactor, Timer};
use crate::handler::{CloseReason, ConnId, Connect, Handler, Via};
use crate::reactor::connection::Connection;
use mio::net::TcpStream;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Instant;

/// Linux's numbers for what `ErrorKind` has no name for.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

impl<H: Handler> Reactor<H> {
    /// Begins a connection that the handler asked for. Only a name needs another thread.
    pub(super) fn connect(&mut self, connect: Connect, now: Instant) {
        let (conn, deadline) = (connect.conn, now + connect.timeout);
        if let Ok(address) = connect.to.parse() {
            return self.connect_to(address, conn, deadline, now);
        }
        let timer = self.timers.insert(deadline, Timer::Connection(conn));
        let mailbox = self.mailbox.clone();
        let tell = move |answer| mailbox.send(Message::Resolved(answer));
        if let Err(error) = self.resolver.look_up(Lookup { connect, deadline, timer }, tell) {
            self.give_up_lookup(conn, CloseReason::ConnectFailed(error.kind()), now);
        }
    }

    fn connect_to(&mut self, to: SocketAddr, conn: ConnId, deadline: Instant, now: Instant) {
        let begun = TcpStream::connect(to).and_then(|mut stream| {
            self.register(&mut stream, conn)?;
            Ok(stream)
        });
        match begun {
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

    /// Ends a connection that has come to no socket.
    fn connect_failed(&mut self, conn: ConnId, why: CloseReason, now: Instant) {
        self.out.release(conn);
        self.handler.closed(&mut self.out, conn, why, now);
    }

    /// Ends a connection that waits for its address; of others it knows nothing.
    pub(super) fn give_up_lookup(&mut self, conn: ConnId, why: CloseReason, now: Instant) {
        if let Some(lookup) = self.resolver.forget(conn) {
            self.timers.cancel(lookup.timer);
            self.connect_failed(conn, why, now);
        }
    }

    /// Goes on with the connections that waited for the addresses of a name.
    pub(super) fn resolved(&mut self, answer: &Answer, now: Instant) {
        for Lookup { connect, deadline, timer } in self.resolver.answered(answer) {
            self.timers.cancel(timer);
            match connect.choose(answer.addresses.clone()) {
                Some(address) => self.connect_to(address, connect.conn, deadline, now),
                None => self.connect_failed(connect.conn, CloseReason::NoAddress, now),
            }
        }
    }

    pub(super) fn finish_connect(&mut self, id: ConnId, now: Instant) {
        let Some(connection) = self.connections.get(id) else { return };
        let failed = match connection.stream.take_error() {
            Ok(Some(error)) | Err(error) => Some(error),
            Ok(None) => match connection.stream.peer_addr() {
                Ok(_) => None,
                // An event that came too early.
                Err(error) if error.kind() == ErrorKind::NotConnected => return,
                Err(error) => Some(error),
            },
        };
        if let Some(error) = failed {
            return self.remove(id, CloseReason::ConnectFailed(error.kind()), now);
        }
        connection.connected();
        // What it says without being asked may have come with this very event.
        connection.suspect_readable();
        self.out.touch(id);
        self.handler.opened(&mut self.out, id, Via::Connect, now);
    }
}
