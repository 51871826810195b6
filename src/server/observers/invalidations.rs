//! Sending invalidations to clients: `CLIENT TRACKING`.

use crate::handler::{ConnId, Outbox};
use crate::server::Server;
use crate::server::client::write_invalidation;
use crate::stats::Stat;

impl Server {
    /// Sets the client that is served now as the author of the changes that follow.
    #[cold]
    pub(in crate::server) fn set_author(&mut self, conn: ConnId) {
        let author = self.clients.get_mut(conn).and_then(|client| client.author());
        self.keyspace.observers.tracking.set_author(author);
    }

    /// Sends all pending invalidations, to each client after the last reply that it was given.
    #[cold]
    pub(in crate::server) fn push_invalidations(&mut self, out: &mut Outbox) {
        for invalidation in self.keyspace.observers.tracking.take_invalidations() {
            for reader in invalidation.readers() {
                if let Some(conn) = self.keyspace.observers.tracking.client(reader) {
                    self.push_invalidation(out, conn, invalidation.key.as_deref());
                }
            }
        }
    }

    fn push_invalidation(&mut self, out: &mut Outbox, conn: ConnId, key: Option<&[u8]>) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some((output, stats)) = out.output_and_stats(conn) else { return };
        stats.add(Stat::InvalidationsSent, 1);
        match client.underway() {
            Some(underway) => underway.hold(key),
            None => write_invalidation(output, key),
        }
    }
}
