//! What tests measure of a process from outside: how long others wait for it.

use super::process::Client;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long requests took.
#[derive(Default)]
pub struct Waits {
    sorted: Vec<Duration>,
}

impl Waits {
    /// Of requests of one client, one after the other, to each of which `reply` is the reply; at
    /// least `least` of them, and more as long as `goes_on`.
    #[track_caller]
    pub fn of(
        client: &mut Client,
        request: &str,
        least: usize,
        goes_on: impl Fn() -> bool,
    ) -> Waits {
        let reply = client.ask(request);
        let mut sorted = Vec::new();
        while sorted.len() < least || goes_on() {
            let started = Instant::now();
            assert_eq!(client.ask(request), reply);
            sorted.push(started.elapsed());
        }
        sorted.sort_unstable();
        Waits { sorted }
    }

    /// What so many of a hundred stayed below.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.sorted[(self.sorted.len() * percent / 100).min(self.sorted.len() - 1)]
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most) = (self.percentile(50), self.percentile(100));
        let (p99, count) = (self.percentile(99), self.sorted.len());
        write!(f, "p50 {half:.1?}, p99 {p99:.1?}, longest {most:.1?}, of {count}")
    }
}

/// How long the requests of a client take while `meanwhile` goes on; prints it beside how long they
/// take alone, and fails if one in a hundred takes far too long.
#[track_caller]
pub fn check_others<T: Send>(
    what: &str,
    address: SocketAddr,
    meanwhile: impl FnOnce() -> T + Send,
) -> T {
    const REQUESTS: usize = 2_000;
    let mut client = Client::connect(address);
    assert_eq!(client.ask("SET small v"), "OK");
    let alone = Waits::of(&mut client, "GET small", REQUESTS, || false);
    let (result, beside) = thread::scope(|scope| {
        let other = scope.spawn(meanwhile);
        let beside = Waits::of(&mut client, "GET small", REQUESTS, || !other.is_finished());
        (other.join(), beside)
    });
    let result = result.expect("it did not fail");
    println!("{what}; before them: {alone}");
    println!("{what}; beside them: {beside}");
    let p99 = beside.percentile(99);
    assert!(p99 < Duration::from_millis(250), "{what}: one of a hundred waits {p99:?}");
    result
}

/// For tests that take most of the descriptors that a process may have: one at a time.
pub fn take_descriptors(count: usize) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let granted = rlimit::increase_nofile_limit(count as u64 + 3_000).expect("it can be read");
    assert!(granted >= count as u64 + 100, "only {granted} descriptors for {count} connections");
    turn
}
