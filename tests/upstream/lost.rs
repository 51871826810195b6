//! A server that is killed under a loaded proxy, and comes back.

use crate::support::guards::AtEnd;
use crate::support::process::{Client, PATIENCE, proxy};
use crate::support::redis_server::Redis;
use crate::support::tools::{connected_proxy, own_loopback, server_at, stat, wait_until};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const CLIENTS: usize = 50;

/// What all clients together have seen.
#[derive(Default)]
struct Seen {
    good: AtomicUsize,
    errors: AtomicUsize,
    stop: AtomicBool,
}

/// Writes and reads keys of its own until told to stop. Every request is answered, and soon; an
/// answer is right, or it is one of the errors of a lost upstream.
fn work(mut client: Client, number: usize, seen: &Seen) {
    let mut round = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        round += 1;
        let value = format!("{number}.{round}");
        let started = Instant::now();
        client.send(format!("SET k{number} {value}\r\nGET k{number}\r\nGET k{number}\r\nPING\r\n"));
        let replies = client.lines(4);
        assert!(started.elapsed() < PATIENCE / 2, "client {number} waited {:?}", started.elapsed());
        assert_eq!(replies[3], "PONG");
        let failed = |reply: &String| reply.starts_with("ERR upstream ");
        assert!(replies[0] == "OK" || failed(&replies[0]), "{replies:?}");
        for reply in &replies[1..3] {
            let lost = *reply == "Key not found" || failed(reply);
            let right = *reply == value || replies[0] != "OK" || lost;
            assert!(right, "client {number} in round {round}: {replies:?}");
        }
        let all_good = replies[0] == "OK" && replies[1] == value && replies[2] == value;
        let count = if all_good { &seen.good } else { &seen.errors };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn wait_for_more(count: &AtomicUsize, what: &str) {
    let before = count.load(Ordering::Relaxed);
    wait_until(what, || count.load(Ordering::Relaxed) >= before + 5 * CLIENTS);
}

#[test]
fn a_server_killed_under_load_costs_errors_and_nothing_else() {
    let place = SocketAddr::new(own_loopback(), 0);
    let mut upstream = server_at(place);
    let address = upstream.address();
    let proxy = proxy(address, &["--upstream-timeout", "2"]);
    let seen = Seen::default();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| proxy.client()).collect();
    let mut watcher = proxy.client();
    let _upstream = thread::scope(|scope| {
        let stop_at_end = AtEnd(|| seen.stop.store(true, Ordering::Relaxed));
        for (number, client) in clients.into_iter().enumerate() {
            let seen = &seen;
            scope.spawn(move || work(client, number, seen));
        }
        for _ in 0..3 {
            wait_for_more(&seen.good, "all goes well");
            upstream.kill();
            wait_for_more(&seen.errors, "the loss is told");
            assert_eq!(stat(&mut watcher, "upstream_up"), 0);
            upstream = server_at(address);
            wait_for_more(&seen.good, "all goes on");
        }
        drop(stop_at_end);
        upstream
    });
    assert_eq!(stat(&mut watcher, "upstream_up"), 1);
    assert_eq!(stat(&mut watcher, "upstream_unanswered"), 0);
    wait_until("the clients are gone", || stat(&mut watcher, "connections_now") == 1);
}

/// An upstream that tells of changes is gone with all that it would tell: nothing is known to be
/// true any more.
#[test]
fn what_is_cached_is_forgotten_when_the_server_that_told_of_changes_goes() {
    let mut upstream = server_at(SocketAddr::new(own_loopback(), 0));
    let address = upstream.address();
    let proxy = proxy(address, &[]);
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    upstream.kill();
    wait_until("the loss is noticed", || stat(&mut client, "upstream_up") == 0);
    for request in ["GET k", "GET other", "SET k w"] {
        assert_eq!(client.ask(request), "ERR upstream unavailable");
    }
    assert_eq!(stat(&mut client, "flushes_by_disconnect"), 1);
    upstream = server_at(address);
    wait_until("it is back", || stat(&mut client, "upstream_up") == 1);
    assert_eq!(client.ask("GET k"), "Key not found", "it has forgotten");
    drop(upstream);
}

/// One that never told of any goes on being trusted for `--ttl`.
#[test]
fn what_is_cached_of_a_server_that_tells_nothing_is_served_while_it_is_away() {
    let redis = Redis::start(&[]);
    redis.tell("ACL SETUSER default -client|tracking");
    let proxy = connected_proxy(redis.address, &[]);
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    assert_eq!(stat(&mut client, "coherence_level"), 0);
    drop(redis);
    wait_until("the loss is noticed", || stat(&mut client, "upstream_up") == 0);
    assert_eq!(client.ask("GET k"), "v");
    assert_eq!(client.ask("GET other"), "ERR upstream unavailable");
}

/// A server that is stopped and not dead takes connections and answers nothing.
#[test]
fn a_server_that_is_stopped_for_a_while_is_waited_for_and_found_again() {
    let upstream = server_at(SocketAddr::new(own_loopback(), 0));
    let proxy = proxy(upstream.address(), &["--upstream-timeout", "1"]);
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), "OK");
    upstream.signal("STOP");
    assert_eq!(client.ask("GET k"), "ERR upstream timed out");
    for _ in 0..3 {
        // The system takes the connection; nobody says a word on it.
        assert_eq!(client.ask("SET k w"), "ERR upstream unavailable");
        assert_eq!(stat(&mut client, "upstream_up"), 0);
    }
    upstream.signal("CONT");
    wait_until("it answers", || client.ask("GET k") == "v");
    assert_eq!(client.ask("DEL k"), "OK");
}
