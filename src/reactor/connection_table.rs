//! All connections of a reactor: found by name, counted by kind, and the list of those that are
//! ready for a turn.
//!
//! ```text
//!   slots   [ client 1 | – | upstream 9 | client 4 | refused 7 ]     by the slot of their ConnId
//!   ready   [ client 4, client 1 ]                                   each at most once
//! ```
//!
//! Forgetting a ready connection would lose its wake-up for ever, since readiness is reported once:
//! so after a turn of a connection, or a change of what it waits for, it is listed again if it is
//! ready.

use crate::handler::{ConnId, ConnMap};
use crate::reactor::connection::{Connection, Role, Stream};

/// The connections of one reactor.
#[derive(Debug)]
pub struct ConnectionTable<S> {
    connections: ConnMap<Connection<S>>,
    clients: usize,
    refused: usize,
    /// The connections that the handler ordered.
    pub upstreams: Vec<ConnId>,
    /// Connections, most of them clients', that have a turn in this tick, then those of the next.
    ready: Vec<ConnId>,
}

impl<S> Default for ConnectionTable<S> {
    fn default() -> Self {
        ConnectionTable {
            connections: ConnMap::default(),
            clients: 0,
            refused: 0,
            upstreams: Vec::new(),
            ready: Vec::new(),
        }
    }
}

impl<S: Stream> ConnectionTable<S> {
    /// Returns the number of clients.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Returns the number of clients that are being refused.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Returns the connection of that name, if it is still there.
    pub fn get(&mut self, id: ConnId) -> Option<&mut Connection<S>> {
        self.connections.get_mut(id)
    }

    /// Adds a connection; its slot is free.
    pub fn insert(&mut self, connection: Connection<S>) {
        match connection.role {
            Role::Client => self.clients += 1,
            Role::Refused => self.refused += 1,
            Role::Upstream => self.upstreams.push(connection.id()),
        }
        self.connections.insert(connection.id(), connection);
    }

    /// Takes a connection out, and returns it.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<S>> {
        let connection = self.connections.remove(id)?;
        match connection.role {
            Role::Client => self.clients -= 1,
            Role::Refused => self.refused -= 1,
            Role::Upstream => self.upstreams.retain(|&upstream| upstream != id),
        }
        Some(connection)
    }

    /// Returns the names of all clients.
    pub fn client_ids(&self) -> Vec<ConnId> {
        let clients = self.connections.iter().filter(|(_, one)| one.role == Role::Client);
        clients.map(|(id, _)| id).collect()
    }

    /// Lists a connection that is ready for a turn, unless it is listed.
    #[inline]
    pub fn list_if_ready(&mut self, id: ConnId) {
        if let Some(connection) = self.get(id)
            && !connection.listed
            && connection.is_ready()
        {
            connection.listed = true;
            self.ready.push(id);
        }
    }

    /// Returns the number of turns in this tick: connections listed later have theirs in the next.
    pub fn turns(&self) -> usize {
        self.ready.len()
    }

    /// Takes a connection off the list for its turn, and returns its name; `None` if it has gone.
    #[inline]
    pub fn turn(&mut self, index: usize) -> Option<ConnId> {
        let id = self.ready[index];
        self.get(id)?.listed = false;
        Some(id)
    }

    /// Ends the first `turns` turns.
    pub fn end_turns(&mut self, turns: usize) {
        self.ready.drain(..turns);
    }

    /// Panics unless the counts are right, and the ready list holds each listed connection once.
    pub fn check_invariants(&self) {
        let all = || self.connections.iter().map(|(_, connection)| connection);
        let count = |role| all().filter(|connection| connection.role == role).count();
        assert_eq!(self.clients, count(Role::Client), "clients");
        assert_eq!(self.refused, count(Role::Refused), "refused clients");
        assert_eq!(self.upstreams.len(), count(Role::Upstream), "upstream connections");
        let listed = all().filter(|connection| connection.listed).count();
        // Connections that have gone are still on the list, and passed over.
        assert!(listed <= self.ready.len(), "a listed connection is on the ready list");
        for connection in all().filter(|one| one.role == Role::Client && one.is_ready()) {
            assert!(connection.listed, "a client that is ready is on the ready list");
        }
    }
}

#[cfg(test)]
mod tests;
