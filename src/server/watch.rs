//! `WATCH`: who is to know that a key has changed.

use crate::handler::ConnId;
use ahash::RandomState;
use std::collections::HashMap;

/// The keys that clients watch, and the clients whose keys have changed.
#[derive(Debug, Default)]
pub struct Watches {
    by_key: HashMap<Box<[u8]>, Vec<ConnId>, RandomState>,
    by_client: HashMap<ConnId, Watching, RandomState>,
}

#[derive(Debug, Default)]
struct Watching {
    keys: Vec<Box<[u8]>>,
    changed: bool,
}

impl Watches {
    /// Keys that one client may watch.
    pub const MOST: usize = 100_000;

    /// Has a client watch a key. `false`: it watches too many.
    pub fn watch(&mut self, client: ConnId, key: &[u8]) -> bool {
        let watching = self.by_client.entry(client).or_default();
        let clients = self.by_key.entry(key.into()).or_default();
        if clients.contains(&client) {
            return true;
        }
        if watching.keys.len() >= Self::MOST {
            if clients.is_empty() {
                self.by_key.remove(key);
            }
            return false;
        }
        clients.push(client);
        watching.keys.push(key.into());
        true
    }

    /// Forgets what a client watches; says whether any of it has changed.
    pub fn forget(&mut self, client: ConnId) -> bool {
        let Some(watching) = self.by_client.remove(&client) else { return false };
        for key in watching.keys {
            let clients = self.by_key.get_mut(&key).expect("every watched key has its clients");
            clients.retain(|&other| other != client);
            if clients.is_empty() {
                self.by_key.remove(&key);
            }
        }
        watching.changed
    }

    /// Whether no key is watched.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// What a client watches.
    pub fn keys_of(&self, client: ConnId) -> Vec<Box<[u8]>> {
        self.by_client.get(&client).map_or(Vec::new(), |watching| watching.keys.clone())
    }

    /// A key was changed, deleted or has expired.
    pub fn changed(&mut self, key: &[u8]) {
        for client in self.by_key.get(key).into_iter().flatten() {
            let watching = self.by_client.get_mut(client).expect("a client knows its keys");
            watching.changed = true;
        }
    }

    /// All keys go: those that exist change.
    pub fn all_changed(&mut self, exists: impl Fn(&[u8]) -> bool) {
        for watching in self.by_client.values_mut() {
            watching.changed |= watching.keys.iter().any(|key| exists(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallClock;
    use crate::handler::Outbox;
    use std::time::{Duration, Instant};

    #[test]
    fn a_change_is_told_to_those_who_watch_the_key() {
        let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
        let [first, second, third] = [out.admit(), out.admit(), out.admit()];
        let mut watches = Watches::default();
        assert!(watches.watch(first, b"k") && watches.watch(first, b"k"));
        assert!(watches.watch(second, b"other") && watches.watch(second, b"k"));
        assert!(watches.watch(third, b"other"));
        watches.changed(b"k");
        watches.changed(b"nobody's");
        assert!(watches.forget(first) && watches.forget(second) && !watches.forget(third));
        assert!(!watches.forget(first), "it was forgotten");
        assert!(watches.by_key.is_empty() && watches.by_client.is_empty());
    }

    #[test]
    fn when_all_keys_go_those_that_exist_change() {
        let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
        let [first, second] = [out.admit(), out.admit()];
        let mut watches = Watches::default();
        assert!(watches.watch(first, b"here") && watches.watch(second, b"missing"));
        watches.all_changed(|key| key == b"here");
        assert!(watches.forget(first) && !watches.forget(second));
    }
}
