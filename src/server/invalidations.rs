//! Telling clients of changes to what they have read: `CLIENT TRACKING`.

use super::Server;
use super::client::push_invalidation;
use crate::handler::{ConnId, Outbox};
use crate::stats::Stat;

impl Server {
    /// Whoever is served now makes the changes that follow.
    #[cold]
    pub(super) fn note_author(&mut self, conn: ConnId) {
        let author = self.clients.get_mut(conn).and_then(|client| client.author());
        self.keyspace.observers.tracking.set_author(author);
    }

    /// Tells clients what has changed, each after the last reply that it was given.
    #[cold]
    pub(super) fn tell_news(&mut self, out: &mut Outbox) {
        for news in self.keyspace.observers.tracking.take_news() {
            for reader in news.readers() {
                if let Some(conn) = self.keyspace.observers.tracking.client(reader) {
                    self.tell(out, conn, news.key.as_deref());
                }
            }
        }
    }

    fn tell(&mut self, out: &mut Outbox, conn: ConnId, key: Option<&[u8]>) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some((output, stats)) = out.output_and_stats(conn) else { return };
        stats.add(Stat::InvalidationsSent, 1);
        match client.dumping() {
            Some(dumping) => dumping.hold(key),
            None => push_invalidation(output, key),
        }
    }
}
