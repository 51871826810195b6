//! Everybody who is to know when a key changes: whoever watches it, and whoever has read it and is
//! to be told.

use super::tracking::{Cause, Tracking};
use super::watch::Watches;
use crate::settings::limits::Limits;
use std::time::Instant;

/// See the head of the file.
#[derive(Debug)]
pub struct Observers {
    /// `WATCH`.
    pub watches: Watches,
    /// `CLIENT TRACKING`.
    pub tracking: Tracking,
}

impl Observers {
    /// Nobody.
    pub fn new(limits: &Limits, now: Instant) -> Observers {
        let tracking = Tracking::new(limits.tracking_keys, now);
        Observers { watches: Watches::default(), tracking }
    }

    /// A key was changed or deleted, by the client that is served now.
    #[inline]
    pub fn changed(&mut self, key: &[u8]) {
        if self.any() {
            self.tell(key, Cause::Client);
        }
    }

    /// A key's time has come, and it is gone.
    #[inline]
    pub fn expired(&mut self, key: &[u8]) {
        if self.any() {
            self.tell(key, Cause::Nobody);
        }
    }

    /// Whether it can matter to somebody: one branch, for all writes.
    #[inline]
    fn any(&self) -> bool {
        !(self.watches.is_empty() & self.tracking.is_empty())
    }

    #[cold]
    fn tell(&mut self, key: &[u8], cause: Cause) {
        self.watches.changed(key);
        self.tracking.changed(key, cause);
    }

    /// All keys go. Of those that are watched, those that `exists` says yes of change.
    pub fn all_changed(&mut self, exists: impl Fn(&[u8]) -> bool) {
        self.watches.all_changed(exists);
        self.tracking.all_changed();
    }
}
