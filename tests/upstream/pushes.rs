//! What an upstream says that nobody asked for: words of changes between replies, words that the
//! proxy does not know, and what makes no sense. Values carry the names of their keys.

use crate::support::fake::{Fake, Link};
use crate::support::process::{Client, Process, proxy};
use crate::support::tools::{stat, wait_until};

/// The upstream is not asked whether it lives while a test runs.
const TRUSTING: &[&str] = &["--trust", "60", "--output-limit", "2MiB"];

fn scene(flags: &[&str]) -> (Fake, Process, Link) {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[TRUSTING, flags].concat());
    let link = fake.accept_telling();
    (fake, proxy, link)
}

fn fetch(client: &mut Client, link: &mut Link, key: &str, value: &str) {
    client.send(format!("GET {key}\r\n"));
    link.expect(&format!("GET {key}"));
    link.say_value(value);
    assert_eq!(client.line(), value);
}

#[test]
fn words_of_changes_between_replies_take_nobodys_reply() {
    let (_fake, proxy, mut link) = scene(&[]);
    let mut clients = [proxy.client(), proxy.client(), proxy.client()];
    for round in 0..50 {
        let key = |at: usize| format!("k{round}.{at}");
        for (at, client) in (0..30).map(|at| (at, at % 3)) {
            clients[client].send(format!("GET {}\r\n", key(at)));
            link.expect(&format!("GET {}", key(at)));
        }
        for at in 0..30 {
            // Before the value of every fifth key, and after that of the next.
            if at % 5 == 0 {
                link.push_invalidation(&[&key(at), "unknown"]);
            }
            link.say_value(&format!("value of {}", key(at)));
            if at % 5 == 1 {
                link.push_invalidation(&[&key(at)]);
            }
        }
        for at in 0..30 {
            assert_eq!(clients[at % 3].line(), format!("value of {}", key(at)));
        }
        for at in 0..30 {
            let client = &mut clients[(at + 1) % 3];
            if at % 5 < 2 {
                fetch(client, &mut link, &key(at), &format!("new value of {}", key(at)));
            } else {
                assert_eq!(
                    client.ask(&format!("GET {}", key(at))),
                    format!("value of {}", key(at))
                );
            }
        }
    }
    assert_eq!(stat(&mut clients[0], "upstream_connects"), 1);
}

#[test]
fn words_that_are_not_known_are_passed_over() {
    let (_fake, proxy, mut link) = scene(&[]);
    let mut client = proxy.client();
    fetch(&mut client, &mut link, "kept", "value of kept");
    let deep = ">2\r\n$4\r\ndeep\r\n".to_string() + &"*1\r\n".repeat(10_000) + ":1\r\n";
    let words = [
        ">0\r\n",
        ">1\r\n$4\r\nword\r\n",
        ">3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$4\r\nevil\r\n",
        ">2\r\n+word\r\n%1\r\n$1\r\na\r\n*2\r\n:1\r\n#t\r\n",
        ">2\r\n$7\r\nunknown\r\n_\r\n",
        &deep,
    ];
    for (number, word) in words.iter().enumerate() {
        let key = format!("k{number}");
        client.send(format!("GET {key}\r\n"));
        link.expect(&format!("GET {key}"));
        link.push(word);
        link.say_value(&format!("value of {key}"));
        link.push(word);
        assert_eq!(client.line(), format!("value of {key}"), "after {word:.40}");
        assert_eq!(client.ask("GET kept"), "value of kept");
    }
    assert_eq!(stat(&mut client, "upstream_connects"), 1);
}

/// What makes no sense comes while a read, a write and a block are under way, and something is
/// kept.
#[track_caller]
fn check_costs_the_connection(nonsense: &str, is_all: bool) {
    let (fake, proxy, mut link) = scene(&[]);
    let [mut reader, mut writer, mut other] = [(); 3].map(|()| proxy.client());
    fetch(&mut other, &mut link, "kept", "value of kept");
    reader.send("GET first\r\nGET second\r\n");
    link.expect("GET first");
    link.expect("GET second");
    writer.send("SET third v\r\n");
    link.expect("SET third v");
    link.say_value("value of first");
    link.push(nonsense);
    if is_all {
        link.finish_sending();
    }
    let shown = nonsense.get(..40).unwrap_or(nonsense);
    assert_eq!(reader.lines(2), ["value of first", "ERR upstream lost"], "{shown:?}");
    let maybe = "ERR upstream lost, the write may or may not have happened";
    assert_eq!(writer.line(), maybe, "{shown:?}");
    link.expect_end();
    let mut link = fake.accept_telling();
    wait_until("it is connected", || stat(&mut other, "upstream_up") == 1);
    fetch(&mut other, &mut link, "kept", "new value of kept");
    fetch(&mut reader, &mut link, "second", "value of second");
}

#[test]
fn words_that_make_no_sense_cost_the_connection_and_all_that_is_kept() {
    let invalidate = ">2\r\n$10\r\ninvalidate\r\n";
    let huge = format!("{invalidate}*1\r\n$3000000\r\n{}\r\n", "k".repeat(3_000_000));
    let deep = invalidate.to_string() + &"*1\r\n".repeat(10_000) + ":1\r\n";
    let garbled = [
        ">-1\r\n",
        ">x\r\n",
        ">\r\n",
        ">18446744073709551615\r\n",
        ">2\r\n$10\r\ninvalidateXX*1\r\n",
        ">2\r\n$99999999999999999999\r\n",
        &format!("{invalidate}*1\r\n$1\r\nkept"),
        &format!("{invalidate}value\r\n"),
        &format!("{invalidate}:1\r\n"),
        &format!("{invalidate}*2\r\n$1\r\na\r\n:1\r\n"),
        ">1\r\n$10\r\ninvalidate\r\n",
        ">3\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nkept\r\n:1\r\n",
        &huge,
        &deep,
    ];
    for nonsense in garbled {
        check_costs_the_connection(nonsense, false);
    }
}

#[test]
fn words_that_end_in_the_middle_cost_the_connection_and_all_that_is_kept() {
    let half = [">", ">2", ">2\r\n$10\r\ninval", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\n"];
    for half in half {
        check_costs_the_connection(half, true);
    }
    check_costs_the_connection(&">1\r\n".repeat(10_000), true);
}

#[test]
fn replies_that_make_no_sense_cost_the_connection_and_all_that_is_kept() {
    let deep = "*1\r\n".repeat(10_000);
    for nonsense in ["+early\r\n", "*1\r\n$1\r\nv\r\n", &format!("{deep}:1\r\n"), "$3\r\nabcdef"] {
        check_costs_the_connection(nonsense, false);
    }
    for half in ["$5\r\nab", &deep] {
        check_costs_the_connection(half, true);
    }
}

#[test]
fn a_word_that_is_never_whole_holds_nobody_for_longer_than_the_timeout() {
    let (fake, proxy, mut link) = scene(&["--upstream-timeout", "2"]);
    let mut client = proxy.client();
    client.send("GET k\r\n");
    link.expect("GET k");
    link.push(">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\n");
    assert_eq!(client.line(), "ERR upstream timed out");
    link.expect_end();
    // What would have been the rest of it is on no connection that counts.
    link.push_invalidation(&["k"]);
    let mut link = fake.accept_telling();
    fetch(&mut client, &mut link, "k", "value of k");
    assert_eq!(client.ask("GET k"), "value of k");
}

/// A request that was held and then went on for another reason is what fails, and none after it.
#[test]
fn what_comes_after_a_hit_that_was_given_up_does_not_fail_for_it() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &["--trust", "0"]);
    let mut client = proxy.client();
    let mut link = fake.accept_telling();
    client.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("v");
    assert_eq!(client.line(), "v");
    client.send("GET x\r\nGET k\r\n");
    link.expect("GET x");
    link.expect("PING");
    link.push_invalidation(&["k"]);
    link.say_value("1");
    assert_eq!(client.line(), "1");
    link.expect("GET k");
    drop(link);
    assert_eq!(client.line(), "ERR upstream lost");
    assert_eq!(client.ask("PING"), "PONG");
}
