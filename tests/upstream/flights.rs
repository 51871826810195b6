//! Several clients that want the same, and replies in the order of requests.

use crate::support::fake::{Fake, Link};
use crate::support::process::{Client, PATIENCE, Process, proxy};
use crate::support::tools::{reset, stat, wait_until};
use std::time::{Duration, Instant};

/// A trust that no test outlasts: the upstream is not asked whether it lives.
const TRUSTING: &[&str] = &["--trust", "60"];

/// A thousand clients that wait for the same, at an upstream that tells of changes or one that does
/// not.
fn crowd(fake: &Fake, flags: &[&str], is_telling: bool) -> (Process, Link, Vec<Client>) {
    rlimit::increase_nofile_limit(3_000).expect("the limit can be read");
    let proxy = proxy(fake.address(), &[TRUSTING, flags].concat());
    let mut link = if is_telling { fake.accept_telling() } else { fake.accept() };
    let mut clients: Vec<Client> = (0..1_000).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send("GET cold\r\n");
    }
    link.expect("GET cold");
    let mut watcher = proxy.client();
    wait_until("all are waiting", || stat(&mut watcher, "misses") == 1_000);
    assert_eq!(stat(&mut watcher, "misses_coalesced"), 999);
    assert_eq!(stat(&mut watcher, "coherence_level"), u64::from(is_telling));
    (proxy, link, clients)
}

#[test]
fn a_thousand_clients_that_ask_for_one_cold_key_are_one_request_upstream() {
    for is_telling in [false, true] {
        let fake = Fake::start();
        let (proxy, mut link, mut clients) = crowd(&fake, &[], is_telling);
        link.say_value("answer");
        for client in &mut clients {
            assert_eq!(client.line(), "answer");
        }
        let mut watcher = proxy.client();
        watcher.send("GET cold\r\nGET other\r\n");
        link.expect("GET other");
        link.say("$-1\r\n");
        assert_eq!(watcher.lines(2), ["answer", "Key not found"]);
    }
}

#[test]
fn a_thousand_clients_are_told_that_the_upstream_is_killed_or_silent() {
    for (is_killed, error) in [(true, "ERR upstream lost"), (false, "ERR upstream timed out")] {
        for is_telling in [false, true] {
            let fake = Fake::start();
            let timeout = if is_killed { "60" } else { "2" };
            let flags = ["--upstream-timeout", timeout];
            let (proxy, link, mut clients) = crowd(&fake, &flags, is_telling);
            // Some do not wait for the end.
            clients.drain(500..).for_each(reset);
            let mut watcher = proxy.client();
            wait_until("they are gone", || stat(&mut watcher, "connections_now") == 501);
            let link = (!is_killed).then_some(link);
            let started = Instant::now();
            for client in &mut clients {
                assert_eq!(client.line(), error);
            }
            assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
            drop(link);
        }
    }
}

#[test]
fn replies_keep_the_order_of_requests_however_slow_the_upstream_is() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut link = fake.accept();
    let (mut client, mut other) = (proxy.client(), proxy.client());
    other.send("GET cached\r\n");
    link.expect("GET cached");
    link.say_value("kept");
    assert_eq!(other.line(), "kept");
    client
        .send("GET a\r\nGET cached\r\nPING\r\nGET b\r\nFOO\r\nSET c 1\r\nGET cached\r\nGET a\r\n");
    for request in ["GET a", "GET b", "SET c 1"] {
        link.expect(request);
    }
    let nothing_yet = |client: &Client| {
        client.stream().set_nonblocking(true).expect("it is a socket");
        let peeked = client.stream().peek(&mut [0]);
        client.stream().set_nonblocking(false).expect("it is a socket");
        assert!(peeked.is_err(), "a reply has overtaken another");
    };
    assert_eq!(other.ask("GET cached"), "kept", "a hit of another client waits for nobody");
    nothing_yet(&client);
    link.say_value("A");
    assert_eq!(client.lines(3), ["A", "kept", "PONG"]);
    nothing_yet(&client);
    link.say_value("B");
    assert_eq!(client.lines(2), ["B", "ERR unknown command 'FOO', try HELP"]);
    nothing_yet(&client);
    link.say("+OK\r\n");
    assert_eq!(client.lines(3), ["OK", "kept", "A"]);
}

#[test]
fn an_answer_that_a_write_overlapped_is_not_kept() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut link = fake.accept();
    let (mut reader, mut writer) = (proxy.client(), proxy.client());
    for round in 0..100 {
        reader.send("GET k\r\n");
        link.expect("GET k");
        writer.send(format!("SET k new {round}\r\n"));
        link.expect(&format!("SET k new {round}"));
        // A read after the write does not join the flight before it.
        writer.send("GET k\r\n");
        link.expect("GET k");
        link.say_value(&format!("old {round}"));
        link.say("+OK\r\n");
        link.say_value(&format!("new {round}"));
        assert_eq!(reader.line(), format!("old {round}"));
        assert_eq!(writer.lines(2), ["OK".to_string(), format!("new {round}")]);
        // Neither is in the cache: both flew while a write was under way.
        reader.send("GET k\r\n");
        link.expect("GET k");
        link.say_value(&format!("new {round}"));
        assert_eq!(reader.line(), format!("new {round}"));
        assert_eq!(writer.ask("GET k"), format!("new {round}"));
        assert_eq!(stat(&mut writer, "hits"), round + 1);
        writer.send("SET k gone\r\n");
        link.expect("SET k gone");
        link.say("+OK\r\n");
        assert_eq!(writer.line(), "OK");
    }
}

/// More than a client may have unanswered: it is paused, then goes on.
#[test]
fn a_client_with_very_many_unanswered_requests_is_paused_and_others_are_not() {
    const REQUESTS: usize = 20_000;
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &["--upstream-timeout", "60"]);
    let mut link = fake.accept();
    let (mut greedy, mut other) = (proxy.client(), proxy.client());
    greedy.send((0..REQUESTS).map(|number| format!("GET k{number}\r\n")).collect::<String>());
    let mut unanswered = 0;
    wait_until("it is paused", || {
        let before = unanswered;
        unanswered = stat(&mut other, "upstream_unanswered");
        unanswered == before && unanswered > 0
    });
    assert!(unanswered <= 2 * 1_024, "{unanswered} requests of one client");
    other.send("GET mine\r\n");
    let (mut number, mut others) = (0, 0);
    while number + others < REQUESTS + 1 {
        let request = link.next().expect("the proxy stays");
        if request == "GET mine" {
            others += 1;
        } else {
            assert_eq!(request, format!("GET k{number}"));
            number += 1;
        }
        link.say_value(&request[4..]);
        assert!(others == 1 || number < 2_048, "another client waits for all of it");
    }
    assert_eq!(other.line(), "mine");
    greedy.stream().set_read_timeout(Some(PATIENCE + Duration::from_secs(1))).expect("not zero");
    for number in 0..REQUESTS {
        assert_eq!(greedy.line(), format!("k{number}"));
    }
}
