//! What all threads share: where the programs are, when to rest, and what was asked of them.

use crate::support::process::Client;
use crate::support::random::Random;
use crate::truth::Slot;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock, RwLockReadGuard};

/// Threads that work, each with a connection to the proxy and one to the server.
pub const WORKERS: usize = 8;
/// Keys of each; every one is written by its own worker only, and read by all.
pub const SLOTS: usize = 6;

pub struct Ground {
    pub server: SocketAddr,
    pub proxy: SocketAddr,
    pub slots: Vec<Slot>,
    pub asked: Asked,
    stop: AtomicBool,
    /// Held for reading by whoever works, for writing while all rest.
    gate: RwLock<()>,
    /// Connections to the proxy that are left as they are for a while.
    pub left: Mutex<Vec<Client>>,
}

/// What clients of the proxy asked, as they counted it.
#[derive(Default)]
pub struct Asked {
    pub connections: AtomicU64,
    /// `GET`s that were answered.
    pub gets: AtomicU64,
    /// `GET`s of those who did not wait: they may have come or not.
    pub gets_of_leavers: AtomicU64,
    /// `GET`s in transactions, and keys of `MGET`s.
    pub gets_in_blocks: AtomicU64,
    pub gathered: AtomicU64,
    pub errors: AtomicU64,
}

pub fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Ground {
    pub fn new(server: SocketAddr, proxy: SocketAddr) -> Ground {
        // One of each worker's has large values.
        let padding = |number: usize| if number.is_multiple_of(SLOTS) { 200_000 } else { 100 };
        Ground {
            server,
            proxy,
            slots: (0..WORKERS * SLOTS).map(|it| Slot::new(it, padding(it))).collect(),
            asked: Asked::default(),
            stop: AtomicBool::new(false),
            gate: RwLock::default(),
            left: Mutex::default(),
        }
    }

    /// A new client of the proxy.
    pub fn visit(&self) -> Client {
        count(&self.asked.connections, 1);
        Client::connect(self.proxy)
    }

    /// To be held while something is under way. Waits while all rest.
    pub fn at_work(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().expect("the checks found nothing")
    }

    /// Has all rest, and whoever was left hanging leave, while `check` looks.
    pub fn rest<T>(&self, check: impl FnOnce() -> T) -> T {
        let all_rest = self.gate.write().expect("nobody panicked with it");
        self.left.lock().expect("nobody panicked with it").clear();
        let checked = check();
        drop(all_rest);
        checked
    }

    /// Leaves a connection as it is, until so many others have come.
    pub fn leave(&self, client: Client, random: &mut Random) {
        let mut left = self.left.lock().expect("nobody panicked with it");
        left.push(client);
        if left.len() > 20 {
            let at = random.below(left.len());
            drop(left.swap_remove(at));
        }
    }

    /// Ends it all: the time has passed, or somebody has failed.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
