//! An upstream that cannot keep up while clients pour in or ask for very much: what does not need
//! it goes on.

use crate::support::crowd::{Crowd, Guest};
use crate::support::fake::{Fake, Link, play, play_telling};
use crate::support::is_full;
use crate::support::process::{Client, PATIENCE, Process, proxy};
use crate::support::tools::{peak_memory, reset, stat, wait_until};
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

/// Far more than a busy machine needs, and far less than the upstream's timeout.
const PROMPT: Duration = Duration::from_secs(10);

/// A client that was there before, and one that comes, are both served.
#[track_caller]
fn check_others_are_served(proxy: &Process, client: &mut Client) {
    for client in [client, &mut proxy.client()] {
        client.stream().set_read_timeout(Some(PROMPT)).expect("it is not zero");
        assert_eq!(client.ask("PING"), "PONG");
        assert_eq!(client.ask("GET cached"), "kept");
        assert_eq!(stat(client, "upstream_up"), 1);
    }
}

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
fn serve(mut link: Link, is_fast: &AtomicBool) {
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
    let flags = ["--upstream-timeout", "60", "--trust", "600", "--ttl", "600"];
    let (_fake, proxy, mut link, mut watcher) = play_telling(&flags);
    link.serve(&mut watcher, "cached", "kept");
    let is_fast = Arc::new(AtomicBool::new(false));
    let fast = Arc::clone(&is_fast);
    let serving = thread::spawn(move || serve(link, &fast));
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
    check_others_are_served(&proxy, &mut watcher);
    assert!(taken < sent as u64, "nobody was paused");
    is_fast.store(true, Ordering::Relaxed);
    party.run_until("all is answered", are_done);
    assert_eq!(check(&party), 0, "errors, although the upstream was only slow");
    let all = peak_memory(proxy.id());
    println!("{} clients sent {sent} bytes; {taken} taken, {unanswered} unanswered", crowd());
    let [slow, all] = [slow, all].map(|peak| peak - base);
    println!("peak memory: {} KiB more, at the end {} KiB", slow >> 10, all >> 10);
    assert!(all < crowd() * BOUND + (8 << 20), "{all} bytes");
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

/// As many small replies as a client may be owed at a time, should the proxy go by experience.
fn earn_trust(client: &mut Client, link: &mut Link) {
    client.send("DEL k\r\n".repeat(1_200));
    for _ in 0..1_200 {
        link.expect("DEL k");
        link.say(":1\r\n");
    }
    assert_eq!(client.lines(1_200), ["OK"].repeat(1_200));
}

#[test]
fn hits_and_the_proxys_own_commands_do_not_wait_for_unanswered_requests() {
    const CLIENTS: u64 = 80;
    let (_fake, proxy, mut link, mut other) = play(&["--upstream-timeout", "60"]);
    link.serve(&mut other, "cached", "kept");
    let mut greedy: Vec<Client> = (0..CLIENTS).map(|_| proxy.client()).collect();
    greedy.iter_mut().for_each(|client| earn_trust(client, &mut link));
    for (number, client) in greedy.iter_mut().enumerate() {
        let line = |at| format!("GET k{number}.{at}\r\n");
        client.send((0..1_000).map(line).collect::<String>());
        // Before the limit is reached, the counters tell how far it is.
        if number < 60 {
            // Each asks for the life of the key, too.
            let taken = 2 * 1_000 * (number as u64 + 1);
            wait_until("they are sent", || stat(&mut other, "upstream_unanswered") == taken);
        }
    }
    check_others_are_served(&proxy, &mut other);
    for _ in 0..CLIENTS * 1_000 {
        let request = link.next().expect("the proxy stays");
        link.say_value(&request[4..]);
    }
    for (number, client) in greedy.iter_mut().enumerate() {
        for at in 0..1_000 {
            assert_eq!(client.line(), format!("k{number}.{at}"));
        }
    }
}

/// An upstream that tells of changes or one that does not is not asked whether it lives while this
/// runs. It answers, is killed, or stays silent.
#[test]
fn a_thousand_clients_that_ask_for_one_cold_key_are_one_request_and_all_are_told_what_came_of_it() {
    const LOST: &str = "ERR upstream lost";
    rlimit::increase_nofile_limit(3_000).expect("the limit can be read");
    let ends = [("60", "answer"), ("60", LOST), ("2", "ERR upstream timed out")];
    for (is_telling, (timeout, told)) in
        [false, true].into_iter().flat_map(|it| ends.map(|end| (it, end)))
    {
        let play = if is_telling { play_telling } else { play };
        let (_fake, proxy, mut link, mut watcher) =
            play(&["--trust", "60", "--upstream-timeout", timeout]);
        let mut clients: Vec<Client> = (0..1_000).map(|_| proxy.client()).collect();
        clients.iter_mut().for_each(|client| client.send("GET cold\r\n"));
        link.expect("GET cold");
        wait_until("all are waiting", || stat(&mut watcher, "misses") == 1_000);
        assert_eq!(stat(&mut watcher, "misses_coalesced"), 999);
        assert_eq!(stat(&mut watcher, "coherence_level"), u64::from(is_telling));
        // Some do not wait for the end.
        clients.drain(500..).for_each(reset);
        wait_until("they are gone", || stat(&mut watcher, "connections_now") == 501);
        if told == "answer" {
            link.say_value(told);
        }
        let _link = (told != LOST).then_some(link);
        let started = Instant::now();
        clients.iter_mut().for_each(|client| assert_eq!(client.line(), told));
        assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
    }
}
