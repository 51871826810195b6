//! An upstream that answers what nobody asked for, too early or too much. Replies of the wrong kind
//! stand in `garbage.rs`, half replies in `cut.rs`.

use crate::support::fake::{Fake, play};
use crate::support::process::{proxy, server};
use crate::support::strace::start_traced;
use crate::support::tools::{own_loopback, stat};
use std::net::TcpListener;

#[test]
fn replies_that_nobody_asked_for_reach_nobody() {
    let (fake, _proxy, mut link, mut client) = play(&[]);
    for round in 0..5 {
        link.hear(&mut client, "GET k");
        link.say("$1\r\nv\r\n$4\r\nevil\r\n");
        assert_eq!(client.line(), "v");
        link.expect_end();
        link = fake.accept();
        link.serve(&mut client, &format!("fresh{round}"), "good");
        link.hear(&mut client, "DEL k");
        link.say(":1\r\n");
        assert_eq!(client.line(), "OK");
        // Said while nothing is asked at all.
        link.say("+OK\r\n");
        link.expect_end();
        link = fake.accept();
    }
}

/// What the upstream says, or that it leaves, may come with the very event that tells that the
/// connection stands. `strace` holds the proxy up until it has.
#[test]
fn what_an_upstream_says_before_it_is_asked_is_not_taken_for_an_answer() {
    for greeting in ["$4\r\nevil\r\n", "-ERR max number of clients reached\r\n", ""] {
        let listener = TcpListener::bind((own_loopback(), 0)).expect("there is a port");
        let fake = Fake::serve_on(listener);
        let upstream = fake.address().to_string();
        let held_up = ["-e", "trace=connect", "-e", "inject=connect:delay_exit=200000:when=1"];
        let flags = ["--listen", "127.0.0.1:0", "--upstream", &upstream];
        let proxy = start_traced(&held_up, env!("CARGO_BIN_EXE_proxy"), &flags);
        let mut link = fake.accept_in_silence();
        link.say(greeting);
        link.finish_sending();
        fake.accept().serve(&mut proxy.client(), "k", "good");
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
    assert_eq!(stat(&mut other, "hits"), 0, "nothing is kept where `--ttl` is 0");
}
