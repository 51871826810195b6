//! The clients that are notified when a key changes: those that watch it, and those that track what
//! they read and have read it.
//!
//! - `watch.rs`: `WATCH`      - `tracking.rs`: `CLIENT TRACKING`
//! - `invalidations.rs`: sends invalidations to the clients that track

mod invalidations;
pub mod tracking;
pub mod watch;

use crate::settings::limits::Limits;
use std::time::Instant;
use tracking::{Cause, Tracking};
use watch::Watches;

/// The clients that are notified of changes; see the head of the file.
pub struct Observers {
    /// `WATCH`.
    pub watches: Watches,
    /// `CLIENT TRACKING`.
    pub tracking: Tracking,
}

impl Observers {
    /// Returns observers without any client.
    pub fn new(limits: &Limits, now: Instant) -> Observers {
        let tracking = Tracking::new(limits.tracking_keys, now);
        Observers { watches: Watches::default(), tracking }
    }

    /// Notifies of a key that was changed or deleted by the client that is served now.
    #[inline]
    pub fn changed(&mut self, key: &[u8]) {
        if self.any() {
            self.notify(key, Cause::Client);
        }
    }

    /// Notifies of a key that has expired.
    #[inline]
    pub fn changed_by_expiry(&mut self, key: &[u8]) {
        if self.any() {
            self.notify(key, Cause::NoClient);
        }
    }

    /// Returns whether a client may have to be notified: one branch, for all writes.
    fn any(&self) -> bool {
        !(self.watches.is_empty() & self.tracking.is_empty())
    }

    #[cold]
    fn notify(&mut self, key: &[u8], cause: Cause) {
        self.watches.changed(key);
        self.tracking.changed(key, cause);
    }

    /// Notifies of the deletion of all keys. Of those that are watched, those that exist change.
    pub fn all_changed(&mut self, exists: impl Fn(&[u8]) -> bool) {
        self.watches.all_changed(exists);
        self.tracking.all_changed();
    }
}
