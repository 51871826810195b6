//! An upstream that answers what is no answer to the question. Garbage and half replies stand in
//! `garbage.rs` and `cut.rs`.

use crate::support::fake::Fake;
use crate::support::process::{proxy, server};
use crate::support::strace::start_traced;
use crate::support::tools::{own_loopback, stat, wait_until};
use std::net::{SocketAddr, TcpListener};

const MAYBE: &str = "ERR upstream lost, the write may or may not have happened";

/// The proxy asks `request`, hears `answer` and nothing else; the client reads `expected`, and all
/// goes on over another connection.
#[track_caller]
fn check(request: &str, upstream_request: &str, answer: &str, expected: &str) {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut link = fake.accept();
    let mut client = proxy.client();
    client.send(format!("{request}\r\n"));
    link.expect(upstream_request);
    link.say(answer);
    assert_eq!(client.line(), expected, "{answer:?}");
    link.expect_end();
    let mut link = fake.accept();
    client.send("GET other\r\n");
    link.expect("GET other");
    link.say_value("v");
    assert_eq!(client.line(), "v");
}

#[test]
fn a_reply_of_the_wrong_kind_costs_the_connection() {
    for answer in [":1\r\n", "+OK\r\n", "*0\r\n", "*1\r\n$1\r\nv\r\n"] {
        check("GET k", "GET k", answer, "ERR upstream lost");
    }
    for answer in [":1\r\n", "$1\r\nv\r\n", "+QUEUED\r\n", "*-1x\r\n"] {
        check("SET k v", "SET k v", answer, MAYBE);
        check("PUT k v", "SET k v NX", answer, MAYBE);
    }
    for answer in ["+OK\r\n", "$-1\r\n", ":-1\r\n", ":x\r\n"] {
        check("DEL k", "DEL k", answer, MAYBE);
    }
    for answer in ["$-1\r\n", "*1\r\n$1\r\n0\r\n", "*2\r\n$1\r\n0\r\n:1\r\n", ":1\r\n"] {
        check("DUMP", "SCAN 0 COUNT 500", answer, "ERR upstream lost");
    }
}

#[test]
fn replies_that_nobody_asked_for_reach_nobody() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut client = proxy.client();
    for round in 0..5 {
        let mut link = fake.accept();
        wait_until("it is connected", || stat(&mut client, "upstream_up") == 1);
        client.send("GET k\r\n");
        link.expect("GET k");
        link.say("$1\r\nv\r\n$4\r\nevil\r\n");
        assert_eq!(client.line(), "v");
        link.expect_end();
        let mut link = fake.accept();
        wait_until("it is connected", || stat(&mut client, "upstream_up") == 1);
        client.send(format!("GET fresh{round}\r\nDEL k\r\n"));
        link.expect(&format!("GET fresh{round}"));
        link.say_value("good");
        link.expect("DEL k");
        link.say(":1\r\n");
        assert_eq!(client.lines(2), ["good", "OK"]);
        // Said while nothing is asked at all.
        link.say("+OK\r\n");
        link.expect_end();
    }
}

/// What the upstream says, or that it leaves, may come with the very event that tells that the
/// connection stands. `strace` holds the proxy up until it has.
#[test]
fn what_an_upstream_says_before_it_is_asked_is_not_taken_for_an_answer() {
    for greeting in ["$4\r\nevil\r\n", "-ERR max number of clients reached\r\n", ""] {
        let place = SocketAddr::new(own_loopback(), 0);
        let listener = TcpListener::bind(place).expect("there is a port");
        let fake = Fake::serve_on(listener);
        let upstream = fake.address().to_string();
        let held_up = ["-e", "trace=connect", "-e", "inject=connect:delay_exit=200000:when=1"];
        let flags = ["--listen", "127.0.0.1:0", "--upstream", &upstream];
        let proxy = start_traced(&held_up, env!("CARGO_BIN_EXE_proxy"), &flags);
        let mut link = fake.accept_in_silence();
        link.say(greeting);
        link.finish_sending();
        let mut link = fake.accept();
        let mut client = proxy.client();
        client.send("GET k\r\n");
        link.expect("GET k");
        link.say_value("good");
        assert_eq!(client.line(), "good", "after {greeting:?}");
    }
}

/// One client's request must not cost the others their connection to the upstream.
#[test]
fn a_value_too_large_for_the_proxy_is_refused_to_its_client_alone() {
    let upstream = server(&["--max-line", "4MiB"]);
    let mut loader = upstream.client();
    assert_eq!(loader.ask(&format!("SET huge {}", "v".repeat(3 << 20))), "OK");
    assert_eq!(loader.ask("SET small v"), "OK");
    let proxy = proxy(upstream.address(), &["--output-limit", "2MiB", "--ttl", "0"]);
    let (mut greedy, mut other) = (proxy.client(), proxy.client());
    for _ in 0..20 {
        greedy.send("GET huge\r\n");
        other.send("GET small\r\n".repeat(10));
        let reply = greedy.line();
        assert!(reply.starts_with("ERR "), "{} bytes", reply.len());
        assert_eq!(other.lines(10), ["v"; 10]);
    }
    assert_eq!(stat(&mut other, "upstream_connects"), 1);
}
