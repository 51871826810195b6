//! What an upstream says that nobody asked for: words of changes between replies, words that the
//! proxy does not know, and what makes no sense. Values carry the names of their keys.

use crate::states::{Stage, State};
use crate::support::fake::play_telling;
use crate::support::tools::stat;

/// The upstream is not asked whether it lives while a test runs.
const TRUSTING: &[&str] = &["--trust", "60"];

#[test]
fn words_of_changes_between_replies_take_nobodys_reply() {
    let (_fake, proxy, mut link, client) = play_telling(TRUSTING);
    let mut clients = [client, proxy.client(), proxy.client()];
    for round in 0..50 {
        let key = |at: usize| format!("k{round}.{at}");
        for (at, client) in (0..30).map(|at| (at, at % 3)) {
            link.hear(&mut clients[client], &format!("GET {}", key(at)));
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
                link.serve(client, &key(at), &format!("new value of {}", key(at)));
            } else {
                let kept = client.ask(&format!("GET {}", key(at)));
                assert_eq!(kept, format!("value of {}", key(at)));
            }
        }
    }
    assert_eq!(stat(&mut clients[0], "upstream_connects"), 1);
}

#[test]
fn words_that_are_not_known_are_passed_over() {
    let (_fake, _proxy, mut link, mut client) = play_telling(TRUSTING);
    link.serve(&mut client, "kept", "value of kept");
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
        link.hear(&mut client, &format!("GET {key}"));
        link.push(word);
        link.say_value(&format!("value of {key}"));
        link.push(word);
        assert_eq!(client.line(), format!("value of {key}"), "after {word:.40}");
        assert_eq!(client.ask("GET kept"), "value of kept");
    }
    assert_eq!(stat(&mut client, "upstream_connects"), 1);
}

/// Whatever the proxy is waiting for. Words that end in the middle stand in `cut.rs`.
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
    let mut stage = Stage::new(&["--output-limit", "2MiB"]);
    for (number, nonsense) in garbled.iter().enumerate() {
        for state in State::all(&format!("garbled{number}")) {
            stage.spoil(&state, nonsense.as_bytes(), false);
        }
    }
}

/// A request that was held and then went on for another reason is what fails, and none after it.
#[test]
fn what_comes_after_a_hit_that_was_given_up_does_not_fail_for_it() {
    let (_fake, _proxy, mut link, mut client) = play_telling(&["--trust", "0"]);
    link.serve(&mut client, "k", "v");
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
