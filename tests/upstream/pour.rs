//! Clients that pour in while the upstream is slow.

use crate::support::fake::Fake;
use crate::support::is_full;
use crate::support::process::{PATIENCE, proxy};
use crate::support::tools::{peak_memory, stat};
use larder::base::buffer::SCRATCH_BYTES;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
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

/// One client, which sends all and then reads.
struct Guest {
    stream: TcpStream,
    requests: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    replies: usize,
}

impl Guest {
    fn new(number: usize, address: SocketAddr) -> Guest {
        let stream = std::net::TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
        stream.set_nonblocking(true).expect("it is a socket");
        let mut requests = String::new();
        for at in 0..READS {
            requests += &format!("GET r{number}.{at}\r\n");
            if at % 2 == 1 {
                let fill = "v".repeat(VALUE);
                requests += &format!("SET w{number}.{at} {fill}\r\n");
            }
        }
        let stream = TcpStream::from_std(stream);
        Guest { stream, requests: requests.into(), sent: 0, received: Vec::new(), replies: 0 }
    }

    /// Sends and receives what can be.
    fn go_on(&mut self) {
        match self.stream.write(&self.requests[self.sent..]) {
            Ok(count) => self.sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("a client was closed"),
                Ok(count) => {
                    self.replies += memchr::memchr_iter(b'\n', &bytes[..count]).count();
                    self.received.extend(&bytes[..count]);
                }
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.replies == READS + READS / 2
    }

    /// Every reply is the right one in its place, or an error; how many are errors.
    fn check(&self, number: usize) -> usize {
        let text = String::from_utf8_lossy(&self.received);
        let mut lines = text.lines();
        let mut errors = 0;
        for at in 0..READS {
            let right =
                [Some(format!("value of r{number}.{at}")), (at % 2 == 1).then(|| "OK".into())];
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
}

/// All of them, on one thread.
struct Party {
    poll: Poll,
    guests: Vec<Guest>,
}

impl Party {
    fn new(address: SocketAddr) -> Party {
        rlimit::increase_nofile_limit(8_000).expect("the limit can be read");
        let poll = Poll::new().expect("a descriptor");
        let mut guests: Vec<_> = (0..crowd()).map(|number| Guest::new(number, address)).collect();
        for (number, guest) in guests.iter_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = poll.registry().register(&mut guest.stream, Token(number), interest);
            registered.expect("it is registered once");
        }
        Party { poll, guests }
    }

    /// Goes on until it is so.
    fn run_until(&mut self, what: &str, mut is_so: impl FnMut(&[Guest]) -> bool) {
        let deadline = Instant::now() + 2 * PATIENCE;
        let mut events = Events::with_capacity(1024);
        while !is_so(&self.guests) {
            assert!(Instant::now() < deadline, "waited too long until {what}");
            let pause = Some(Duration::from_millis(20));
            self.poll.poll(&mut events, pause).expect("no signal comes");
            events.iter().for_each(|event| self.guests[event.token().0].go_on());
        }
    }

    fn is_done(guests: &[Guest]) -> bool {
        guests.iter().all(Guest::is_done)
    }

    fn check(&self) -> usize {
        self.guests.iter().enumerate().map(|(number, guest)| guest.check(number)).sum()
    }
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
    let mut party = Party::new(proxy.address());
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
    party.run_until("all is answered", Party::is_done);
    assert_eq!(party.check(), 0, "errors, although the upstream was only slow");
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
    let mut party = Party::new(proxy.address());
    let started = Instant::now();
    party.run_until("all is refused", Party::is_done);
    let waited = started.elapsed();
    assert_eq!(party.check(), party.guests.len() * (READS + READS / 2));
    let grown = peak_memory(proxy.id()) - base;
    println!("all are refused after {waited:?}; peak memory: {} KiB more", grown >> 10);
    assert!(grown < crowd() * BOUND + (8 << 20), "{grown} bytes");
    drop(fake);
}
