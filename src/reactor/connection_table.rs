//! All connections of a reactor: found by name, counted by kind, and the list of those that are
//! ready for a turn.
//!
//! ```text
//!   slots   [ client 1 | – | upstream 9 | client 4 | refused 7 ]     by the slot of their ConnId
//!   ready   [ client 4, client 1 ]                                   each at most once
//! ```
//!
//! Forgetting a ready connection would lose its wake-up for ever, since readiness is reported once:
//! so whoever gives a connection a turn, or changes what it wants, lists it again if it is ready.

use crate::handler::ConnId;
use crate::reactor::connection::{Connection, Role, Stream};

/// The connections of one reactor.
#[derive(Debug)]
pub struct ConnectionTable<S> {
    slots: Vec<Option<Connection<S>>>,
    clients: usize,
    refused: usize,
    upstreams: Vec<ConnId>,
    /// Clients that have a turn in this tick, then those that have one in the next.
    ready: Vec<ConnId>,
}

impl<S> Default for ConnectionTable<S> {
    fn default() -> Self {
        ConnectionTable {
            slots: Vec::new(),
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

    /// The connection of that name, if it is still there.
    #[inline]
    pub fn get(&mut self, id: ConnId) -> Option<&mut Connection<S>> {
        self.slots.get_mut(id.slot())?.as_mut().filter(|connection| connection.id() == id)
    }

    /// Adds a connection; its slot is free.
    pub fn insert(&mut self, connection: Connection<S>) {
        let slot = connection.id().slot();
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        match connection.role {
            Role::Client => self.clients += 1,
            Role::Refused => self.refused += 1,
            Role::Upstream => self.upstreams.push(connection.id()),
        }
        self.slots[slot] = Some(connection);
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<S>> {
        let connection =
            self.slots.get_mut(id.slot())?.take_if(|connection| connection.id() == id)?;
        match connection.role {
            Role::Client => self.clients -= 1,
            Role::Refused => self.refused -= 1,
            Role::Upstream => self.upstreams.retain(|&upstream| upstream != id),
        }
        Some(connection)
    }

    /// Returns the number of connections that the handler asked for.
    pub fn upstreams(&self) -> usize {
        self.upstreams.len()
    }

    /// The name of one of them.
    pub fn upstream(&self, index: usize) -> Option<ConnId> {
        self.upstreams.get(index).copied()
    }

    /// The names of all clients.
    pub fn client_ids(&self) -> Vec<ConnId> {
        let clients = self.slots.iter().flatten().filter(|one| one.role == Role::Client);
        clients.map(Connection::id).collect()
    }

    /// Returns whether a turn is due.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
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

    /// Returns how many turns there are in this tick: those listed later have theirs in the next.
    #[inline]
    pub fn turns(&self) -> usize {
        self.ready.len()
    }

    /// Whose the turn is; it is no longer listed. `None`: it has gone.
    #[inline]
    pub fn turn(&mut self, index: usize) -> Option<ConnId> {
        let id = self.ready[index];
        self.get(id)?.listed = false;
        Some(id)
    }

    /// The first so many turns have been had.
    #[inline]
    pub fn end_turns(&mut self, turns: usize) {
        self.ready.drain(..turns);
    }

    /// Panics unless the counts are those of the slots, and the ready list holds each listed
    /// connection once. For tests and debug builds.
    pub fn check_invariants(&self) {
        let all = || self.slots.iter().flatten();
        let count = |role| all().filter(|connection| connection.role == role).count();
        assert_eq!(self.clients, count(Role::Client), "clients");
        assert_eq!(self.refused, count(Role::Refused), "refused clients");
        assert_eq!(self.upstreams.len(), count(Role::Upstream), "upstream connections");
        let listed = all().filter(|connection| connection.listed).count();
        // Those who have gone are still on the list, and passed over.
        assert!(listed <= self.ready.len(), "a listed connection is on the ready list");
        for connection in all().filter(|one| one.role == Role::Client && one.is_ready()) {
            assert!(connection.listed, "a client that is ready is on the ready list");
        }
    }
}

#[cfg(test)]
mod tests;
