//! `WATCH`: the keys that clients watch, and whether one of them has changed.

use crate::handler::ConnId;
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// The keys that clients watch, and the clients whose keys have changed.
#[derive(Debug, Default)]
pub struct Watches {
    by_key: HashMap<Arc<[u8]>, Vec<ConnId>, RandomState>,
    by_client: HashMap<ConnId, Watching, RandomState>,
}

#[derive(Debug, Default)]
struct Watching {
    keys: Vec<Arc<[u8]>>,
    /// The length of all keys together.
    bytes: usize,
    changed: bool,
}

impl Watches {
    /// The most keys that one client may watch.
    pub const MAX: usize = 100_000;
    /// The most bytes of the keys that one client watches.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Adds a key to those that a client watches. Returns `false` if it watches too many.
    pub fn watch(&mut self, client: ConnId, key: &[u8]) -> bool {
        let watching = self.by_client.entry(client).or_default();
        let known = self.by_key.get_key_value(key);
        if known.is_some_and(|(_, clients)| clients.contains(&client)) {
            return true;
        }
        let bytes = watching.bytes + key.len();
        if watching.keys.len() >= Self::MAX || bytes > Self::MAX_BYTES {
            return false;
        }
        let key = known.map_or_else(|| key.into(), |(key, _)| Arc::clone(key));
        watching.keys.push(Arc::clone(&key));
        watching.bytes = bytes;
        self.by_key.entry(key).or_default().push(client);
        true
    }

    /// Forgets what a client watches. Returns whether any of it has changed.
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

    /// Returns whether no key is watched.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the keys that a client watches.
    pub fn keys_of(&self, client: ConnId) -> Vec<Arc<[u8]>> {
        self.by_client.get(&client).map_or(Vec::new(), |watching| watching.keys.clone())
    }

    /// Notes that a key was changed, deleted or has expired.
    pub fn changed(&mut self, key: &[u8]) {
        for client in self.by_key.get(key).into_iter().flatten() {
            let watching = self.by_client.get_mut(client).expect("a client knows its keys");
            watching.changed = true;
        }
    }

    /// Notes that all keys go: those that exist change.
    pub fn all_changed(&mut self, exists: impl Fn(&[u8]) -> bool) {
        for watching in self.by_client.values_mut() {
            watching.changed |= watching.keys.iter().any(|key| exists(key));
        }
    }
}

#[cfg(test)]
mod tests;
