//! An upstream that cannot keep up: what does not need it goes on.

use crate::support::fake::{Fake, Link};
use crate::support::process::{Client, Process, proxy};
use crate::support::tools::{peak_memory, stat, wait_until};
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Far more than a busy machine needs, and far less than the upstream's timeout.
const PROMPT: Duration = Duration::from_secs(10);

/// A proxy that has one answer in its cache.
fn with_a_cached_answer(flags: &[&str]) -> (Process, Link, Client) {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), flags);
    let mut link = fake.accept();
    let mut client = proxy.client();
    client.stream().set_read_timeout(Some(PROMPT)).expect("it is not zero");
    client.send("GET cached\r\n");
    link.expect("GET cached");
    link.say_value("kept");
    assert_eq!(client.line(), "kept");
    (proxy, link, client)
}

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
    let (proxy, mut link, mut other) = with_a_cached_answer(&["--upstream-timeout", "60"]);
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

#[test]
fn hits_and_the_proxys_own_commands_do_not_wait_for_an_upstream_that_takes_nothing() {
    let (proxy, mut link, mut other) = with_a_cached_answer(&["--upstream-timeout", "60"]);
    let base = peak_memory(proxy.id());
    let value = "v".repeat(1_000_000);
    let mut writers: Vec<Client> = (0..30).map(|_| proxy.client()).collect();
    let senders = writers.iter().enumerate().map(|(number, writer)| {
        let mut stream = writer.stream().try_clone().expect("a descriptor");
        let request = format!("SET k{number} {value}\r\n");
        thread::spawn(move || stream.write_all(request.as_bytes()).expect("it is taken"))
    });
    let senders: Vec<_> = senders.collect();
    wait_until("the upstream's buffers are full", || {
        let before = stat(&mut other, "bytes_in");
        // Whether nothing happens takes time to see.
        thread::sleep(Duration::from_millis(50));
        // Nothing but the question itself.
        stat(&mut other, "bytes_in") - before < 20
    });
    check_others_are_served(&proxy, &mut other);
    for _ in 0..30 {
        assert!(link.next().is_some_and(|request| request.starts_with("SET k")));
        link.say("+OK\r\n");
    }
    for writer in &mut writers {
        assert_eq!(writer.line(), "OK");
    }
    senders.into_iter().for_each(|sender| sender.join().expect("it did not fail"));
    let grown = peak_memory(proxy.id()) - base;
    assert!(grown < 64 << 20, "{grown} bytes of memory for 30 MB of writes");
}
