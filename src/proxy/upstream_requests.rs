//! The proxy's requests to its upstream: each is sent, or fails at once without a connection.

use super::Proxy;
use super::no_reply::UpstreamError;
use super::upstream::purpose::Purpose;
use crate::handler::Outbox;
use std::time::Instant;

impl Proxy {
    /// Sends a request upstream, or fails it if there is no connection.
    pub(super) fn send(
        &mut self,
        out: &mut Outbox,
        words: &[&[u8]],
        purpose: Purpose,
        now: Instant,
    ) {
        if let Err(purpose) = self.upstream.send(out, words, purpose, now) {
            self.fail(out, purpose, UpstreamError::Unavailable);
        }
    }

    /// Sends the PING that hits wait for, if it is due.
    pub(super) fn send_ping(&mut self, out: &mut Outbox, now: Instant) {
        let sent = self.upstream.sent();
        if self.coherence.ping_due(sent, &self.settings).is_some_and(|due| due <= now) {
            let waiting = self.coherence.begin_ping();
            self.send(out, &[b"PING"], Purpose::Ping(waiting), now);
        }
    }
}
