//! Answers from the cache: how long they live, what ends them, what is counted.

use crate::support::fake::Fake;
use crate::support::process::{Client, PATIENCE, Process, proxy, server};
use crate::support::tools::{stat, stats, wait_until};
use std::time::{Duration, Instant};

const SOON: &[&str] = &["--ttl", "0.5"];

fn pair(flags: &[&str]) -> (Process, Process) {
    let upstream = server(&[]);
    let proxy = proxy(upstream.address(), flags);
    (upstream, proxy)
}

fn origin_client(proxy: &Process) -> Client {
    let mut client = proxy.client();
    assert_eq!(client.ask("ORIGIN ON"), "OK");
    client
}

/// Asks until the answer comes from the server. No answer of the cache may come once the time to
/// live has passed since the first request was sent upstream, and none of the server before.
fn watch_an_answer_expire(client: &mut Client, key: &str, value: &str, ttl: Duration) {
    let asked = Instant::now();
    assert_eq!(client.ask(&format!("GET {key}")), format!("server: {value}"));
    let answered = Instant::now();
    let mut hits = 0;
    loop {
        let asked_again = Instant::now();
        assert!(asked_again - asked < PATIENCE, "it is never asked for again");
        let reply = client.ask(&format!("GET {key}"));
        if reply == format!("server: {value}") {
            break;
        }
        assert_eq!(reply, format!("proxy: {value}"));
        assert!(asked_again < answered + ttl, "served {:?} late", asked_again - answered - ttl);
        hits += 1;
    }
    assert!(asked.elapsed() >= ttl, "asked for again {:?} early", ttl - asked.elapsed());
    assert!(hits > 10, "only {hits} answers of the cache");
}

#[test]
fn an_answer_is_repeated_by_the_cache_until_its_time_to_live_has_passed() {
    let (_upstream, proxy) = pair(SOON);
    let mut client = origin_client(&proxy);
    assert_eq!(client.ask("PUT name = a"), "server: OK");
    for _ in 0..3 {
        watch_an_answer_expire(&mut client, "name", "a", Duration::from_millis(500));
        wait_until("the new answer has expired too", || stat_of(&proxy, "cache_entries") == 0);
    }
}

fn stat_of(proxy: &Process, name: &str) -> u64 {
    stat(&mut proxy.client(), name)
}

#[test]
fn the_time_to_live_counts_from_the_request_and_not_from_a_late_answer() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), SOON);
    let mut link = fake.accept();
    let mut client = origin_client(&proxy);
    let mut other = origin_client(&proxy);
    client.send("GET k\r\n");
    link.expect("GET k");
    // The answer takes longer than it may live.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(510) {
        assert_eq!(other.ask("PING"), "server: PONG");
    }
    link.say_value("late");
    assert_eq!(client.line(), "server: late");
    client.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("new");
    assert_eq!(client.line(), "server: new");
}

#[test]
fn counters_tell_hits_misses_and_expired_answers_apart() {
    let (_upstream, proxy) = pair(SOON);
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    for _ in 0..9 {
        assert_eq!(client.ask("GET k"), "v");
    }
    assert_eq!(client.ask("GET nothing"), "Key not found");
    let counted = stats(&mut client);
    let (hits, misses) = (counted["hits"], counted["misses"]);
    assert_eq!((hits + misses, counted["requests_get"], counted["requests_set"]), (11, 11, 1));
    // On a machine that stops for half a second, an answer may expire in between.
    assert!(hits == 9 || counted["expired"] > 0, "{counted:?}");
    assert_eq!((counted["upstream_up"], counted["upstream_connects"]), (1, 1));
    // The value, and that there is no other: each in its time.
    wait_until("both have expired", || stat(&mut client, "cache_entries") == 0);
    assert!(stat(&mut client, "expired") >= 2);
    assert_eq!(stat(&mut client, "cache_bytes"), 0);
    assert_eq!(client.ask("GET k"), "v");
    assert_eq!(stat(&mut client, "misses"), misses + 1);
}

#[test]
fn a_write_through_the_proxy_ends_the_cached_answer() {
    let (upstream, proxy) = pair(&[]);
    let (mut client, mut other) = (origin_client(&proxy), origin_client(&proxy));
    let mut behind = upstream.client();
    for round in 0..200 {
        assert_eq!(client.ask(&format!("SET k {round}")), "server: OK");
        assert_eq!(other.ask("GET k"), format!("server: {round}"));
        assert_eq!(client.ask("GET k"), format!("proxy: {round}"));
        assert_eq!(client.ask("PUT k x"), "server: Key already exists");
        assert_eq!(client.ask("GET k"), format!("server: {round}"), "a write is a write");
        assert_eq!(behind.ask(&format!("SET k behind {round}")), "OK");
        let told = format!(": behind {round}");
        wait_until("the proxy is told", || other.ask("GET k").ends_with(&told));
        assert_eq!(other.ask("DEL k"), "server: OK");
        assert_eq!(client.ask("GET k"), "server: Key not found");
        assert_eq!(client.ask("GET k"), "proxy: Key not found");
    }
}

#[test]
fn a_pipeline_of_writes_and_reads_of_one_key_sees_its_own_writes() {
    let (_upstream, proxy) = pair(&[]);
    let mut client = proxy.client();
    let mut noise = proxy.client();
    for round in 0..50 {
        noise.send("GET k\r\n".repeat(20));
        let number = |at: usize| round * 100 + at;
        let lines = (0..20).map(|at| format!("SET k {}\r\nGET k\r\nGET k\r\n", number(at)));
        client.send(lines.collect::<String>());
        for at in 0..20 {
            assert_eq!(client.line(), "OK");
            assert_eq!(client.lines(2), [number(at).to_string(), number(at).to_string()]);
        }
        noise.lines(20);
        assert_eq!(noise.ask("GET k"), number(19).to_string());
    }
}

#[test]
fn the_cache_stays_within_its_bytes() {
    let (_upstream, proxy) = pair(&["--cache-bytes", "64KiB"]);
    let mut client = proxy.client();
    for batch in 0..100 {
        let keys = || (0..50).map(move |at| batch * 50 + at);
        let value = |key: usize| "v".repeat(1 + key * 37 % 3_000);
        client.send(keys().map(|key| format!("SET k{key} {}\r\n", value(key))).collect::<String>());
        assert_eq!(client.lines(50), ["OK"].repeat(50));
        client.send(keys().map(|key| format!("GET k{key}\r\n")).collect::<String>());
        for key in keys() {
            assert_eq!(client.line(), value(key));
        }
        let counted = stats(&mut client);
        assert!(counted["cache_bytes"] <= 64 << 10, "{counted:?}");
        assert!(batch < 10 || counted["cache_entries"] > 10, "{counted:?}");
    }
    assert!(stat(&mut client, "evicted") > 1_000);
}

#[test]
fn without_a_cache_every_answer_is_the_servers() {
    for flags in [["--cache-bytes", "0"], ["--ttl", "0"]] {
        let (_upstream, proxy) = pair(&flags);
        let mut client = origin_client(&proxy);
        assert_eq!(client.ask("SET k v"), "server: OK");
        for _ in 0..10 {
            assert_eq!(client.ask("GET k"), "server: v");
        }
    }
}
