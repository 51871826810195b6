//! Clients that pour in while the upstream is slow.

use crate::support::crowd::{Crowd, Guest};
use crate::support::fake::Fake;
use crate::support::is_full;
use crate::support::process::proxy;
use crate::support::tools::{peak_memory, stat};
use larder::base::buffer::SCRATCH_BYTES;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A client's reads; half as many writes stand among them.
const READS: usize = 12;
const VALUE: usize = 24 << 10;
/// What the proxy may take for each client: what was read of it at once (it may be answered by the
/// cache), behind what was left of its last request, and some room.
const BOUND: usize = SCRATCH_BYTES + VALUE + (24 << 10);
const MAYBE: &str = "ERR upstream lost, the write may or may not have happened";
const ERRORS: [&str; 4] =
    ["ERR upstream unavailable", "ERR upstream lost", "ERR upstream timed out", MAYBE];

fn crowd() -> usize {
    if is_full() { 3_000 } else { 1_200 }
}

/// Returns what a client sends, all at once.
fn requests(number: usize) -> String {
    let fill = "v".repeat(VALUE);
    let read = |at: usize| format!("GET r{number}.{at}\r\n");
    let write = |at: usize| format!("SET w{number}.{at} {fill}\r\n");
    (0..READS).map(|at| if at % 2 == 1 { read(at) + &write(at) } else { read(at) }).collect()
}

/// Checks that every reply is the right one in its place, or an error; returns how many are errors.
fn check_replies(number: usize, guest: &Guest) -> usize {
    let text = String::from_utf8_lossy(&guest.received);
    let mut lines = text.lines();
    let mut errors = 0;
    for at in 0..READS {
        let right = [Some(format!("value of r{number}.{at}")), (at % 2 == 1).then(|| "OK".into())];
        for right in right.into_iter().flatten() {
            let line = lines.next().expect("it is done");
            if line != right {
                assert!(ERRORS.contains(&line), "{line}");
                errors += 1;
            }
        }
    }
    errors
}

/// All of them, who begin at once.
fn party(address: SocketAddr) -> Crowd {
    let mut party = Crowd::new(address, crowd());
    party.guests.iter_mut().enumerate().for_each(|(number, it)| it.request(requests(number)));
    party
}

fn are_done(guests: &[Guest]) -> bool {
    let replies = |guest: &Guest| memchr::memchr_iter(b'\n', &guest.received).count();
    guests.iter().all(|guest| replies(guest) == READS + READS / 2)
}

fn check(party: &Crowd) -> usize {
    party.guests.iter().enumerate().map(|(number, guest)| check_replies(number, guest)).sum()
}

/// Answers a request now and then, and at once when told to.
fn serve(fake: Fake, is_fast: Arc<AtomicBool>) {
    let mut link = fake.accept_telling();
    while let Some(request) = link.next() {
        if !is_fast.load(Ordering::Relaxed) {
            // To be slow takes time.
            thread::sleep(Duration::from_millis(20));
        }
        match request.strip_prefix("GET ") {
            Some(key) => link.say_value(&format!("value of {key}")),
            None if request == "PING" => link.say("+PONG\r\n"),
            None => link.say("+OK\r\n"),
        }
    }
}

#[test]
fn clients_that_pour_in_at_a_slow_upstream_are_paused_and_then_answered_in_order() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &["--upstream-timeout", "60"]);
    let is_fast = Arc::new(AtomicBool::new(false));
    let fast = Arc::clone(&is_fast);
    let serving = thread::spawn(move || serve(fake, fast));
    let mut watcher = proxy.client();
    let base = peak_memory(proxy.id());
    let mut party = party(proxy.address());
    let (mut taken, mut since) = (0, Instant::now());
    party.run_until("no more is taken", |_| {
        let now = stat(&mut watcher, "bytes_in");
        // The question itself, and what the slow upstream answers.
        if now > taken + 10_000 {
            (taken, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    });
    let sent: usize = party.guests.iter().map(|guest| guest.sent).sum();
    let (slow, unanswered) = (peak_memory(proxy.id()), stat(&mut watcher, "upstream_unanswered"));
    assert_eq!(watcher.ask("PING"), "PONG");
    assert!(taken < sent as u64, "nobody was paused");
    is_fast.store(true, Ordering::Relaxed);
    party.run_until("all is answered", are_done);
    assert_eq!(check(&party), 0, "errors, although the upstream was only slow");
    let all = peak_memory(proxy.id());
    println!("{} clients sent {sent} bytes; {taken} taken, {unanswered} unanswered", crowd());
    println!(
        "peak memory: {} KiB more, at the end {} KiB",
        (slow - base) >> 10,
        (all - base) >> 10
    );
    assert!(all - base < crowd() * BOUND + (8 << 20), "{} bytes", all - base);
    drop(proxy);
    serving.join().expect("the upstream did not fail");
}

#[test]
fn clients_that_pour_in_at_a_silent_upstream_are_refused_within_some_timeouts() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &["--upstream-timeout", "1"]);
    let base = peak_memory(proxy.id());
    let mut party = party(proxy.address());
    let started = Instant::now();
    party.run_until("all is refused", are_done);
    let waited = started.elapsed();
    assert_eq!(check(&party), party.guests.len() * (READS + READS / 2));
    let grown = peak_memory(proxy.id()) - base;
    println!("all are refused after {waited:?}; peak memory: {} KiB more", grown >> 10);
    assert!(grown < crowd() * BOUND + (8 << 20), "{grown} bytes");
    drop(fake);
}
