//! Replies of the wrong kind, and garbage from a seed, in place of each kind of reply.

use crate::states::{Stage, State};
use crate::support::fake::TELLING;
use crate::support::random::Random;
use crate::support::tools::{peak_memory, stat, wait_until};
use crate::support::{rounds, seed};

const UNAVAILABLE: &str = "ERR upstream unavailable";
/// What a reply can begin with.
const TYPES: &[u8] = b"+-:$*_#,(!=%~>|";

/// What is no reply to anything, in ways that chance is not likely to find.
const KNOWN: [&str; 11] = [
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\0\0\0\0",
    "$abc\r\n",
    "$-2\r\n",
    "$3\r\nabcdef",
    "$99999999999999999999\r\n",
    "*-7\r\n",
    "+no end\n",
    "\r\n",
    "value\r\n",
    "*18446744073709551615\r\n",
];

/// What is no reply to anything, and whether only the end of the connection makes it so.
fn garbage(random: &mut Random, takes_any: bool) -> (Vec<u8>, bool) {
    let length = 1 + random.below(300);
    let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
    match random.below(if takes_any { 5 } else { 7 }) {
        0 => {
            let mut first = (0..=255).filter(|byte| !TYPES.contains(byte));
            let first = first.nth(random.below(256 - TYPES.len())).expect("there are so many");
            ([&[first][..], &bytes].concat(), false)
        }
        1 => {
            let kind = b":$*%~>"[random.below(6)];
            let letters = bytes.iter().map(|byte| b'a' + byte % 26);
            ([kind].into_iter().chain(letters).chain(*b"\r\n").collect(), false)
        }
        // Never whole.
        2 => {
            let kinds = ["*1\r\n", "%1\r\n:1\r\n", "~1\r\n", "*2\r\n+a\r\n", ">1\r\n"];
            let nested = (0..10_000).map(|_| random.pick(&kinds)).collect::<String>();
            (nested.into_bytes(), true)
        }
        3 => {
            let kind = ["$", "*", "%", "~", ">", "="][random.below(6)];
            let claim = format!("{kind}{}\r\n", 100_000_000 + random.below(400_000_000));
            let body = if "$=".contains(kind) { "x" } else { ":1\r\n" };
            ((claim + &body.repeat(random.below(30_000))).into_bytes(), true)
        }
        4 => (KNOWN[random.below(KNOWN.len())].into(), false),
        5 => (format!("%1\r\n+a\r\n:{length}\r\n").into_bytes(), false),
        _ => (format!("*3\r\n:1\r\n$-1\r\n+{length}\r\n").into_bytes(), false),
    }
}

#[test]
fn a_reply_of_the_wrong_kind_costs_the_connection_and_nothing_else() {
    let mut stage = Stage::new(&[]);
    for state in State::all("wrong") {
        for nonsense in &state.wrong {
            stage.spoil(&state, nonsense.as_bytes(), false);
        }
    }
    let deep = ":-1\r\n".to_string() + &"*1\r\n".repeat(10_000) + ":1\r\n";
    stage.spoil(&State::all("deep")[0], deep.as_bytes(), false);
}

#[test]
fn garbage_from_a_seed_costs_the_connection_and_nothing_else() {
    let mut random = Random(seed());
    let mut stage = Stage::new(&[]);
    let mut before = (0, 0);
    let count = rounds(20_000);
    for round in 0..count {
        if random.below(50) == 0 {
            spoil_greeting(&mut stage, &mut random);
        }
        let mut states = State::all(&format!("garbage{round}"));
        let state = states.swap_remove(random.below(states.len()));
        let (bytes, ends) = garbage(&mut random, state.takes_any);
        stage.spoil(&state, &bytes, ends);
        if round == count / 10 {
            before = stage.takes();
        }
    }
    stage.check_no_growth("garbage", before);
}

fn spoil_greeting(stage: &mut Stage, random: &mut Random) {
    let questions = 1 + random.below(TELLING.len());
    drop(stage.take_link());
    let mut link = stage.accept_up_to(questions);
    stage.client.send("GET k\r\n");
    link.push(":1\r\n");
    assert_eq!(stage.client.line(), UNAVAILABLE);
    link.expect_end();
    stage.go_on();
}

/// The claims are as large as what the proxy takes by default, and one byte more.
#[test]
fn memory_is_taken_for_what_has_come_and_not_for_what_is_claimed() {
    const CAME: usize = 1 << 20;
    let mut stage = Stage::new(&[]);
    let base = peak_memory(stage.proxy.id());
    for claim in ["$134217700\r\n", "$134217729\r\n", "$9223372036854775000\r\n"] {
        for _ in 0..5 {
            stage.client.send("GET k\r\n");
            stage.link().expect("GET k");
            let before = stat(&mut stage.other, "bytes_in");
            stage.link().push(format!(":-1\r\n{claim}{}", "x".repeat(CAME)));
            wait_until("it has come", || stat(&mut stage.other, "bytes_in") > before + CAME as u64);
            drop(stage.take_link());
            assert_eq!(stage.client.line(), "ERR upstream lost");
            stage.go_on();
        }
    }
    let grown = peak_memory(stage.proxy.id()) - base;
    println!("claims of 128 MiB and more, of which 1 MiB comes: {} KiB", grown >> 10);
    assert!(grown < 6 * CAME, "{grown} bytes");
}
