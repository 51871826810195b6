//! Clients that behave badly, and some that ask for much.

use crate::ground::{Ground, count};
use crate::support::process::Client;
use crate::support::random::Random;
use crate::support::resp::resp_request;
use crate::support::tools::reset;
use std::thread;
use std::time::Duration;

/// Goes on until it is over.
pub fn run(ground: &Ground, mut random: Random) {
    while !ground.is_over() {
        let at_work = ground.at_work();
        let random_now = &mut random;
        match random_now.below(8) {
            0 | 1 => reset_midway(ground, random_now),
            2 => half_sent(ground, random_now),
            3 => read_slowly(ground, random_now),
            4 => speak_http(ground),
            5 => speak_junk(ground, random_now),
            6 => dump(ground),
            _ => be_told(ground, random_now),
        }
        drop(at_work);
        // So that two processors are enough for all.
        thread::sleep(Duration::from_millis(random.below(30) as u64));
    }
}

fn gets_left(ground: &Ground, sent: &str) {
    count(&ground.asked.gets_of_leavers, sent.matches("GET ").count());
}

/// Leaves by RST, wherever it is; what it wrote is anybody's guess.
fn reset_midway(ground: &Ground, random: &mut Random) {
    let mut client = ground.visit();
    let number = random.below(50);
    let pipeline = format!("SET junk{number} junk\r\nGET junk{number}\r\nDEL junk{number}\r\n");
    let pipeline = pipeline.repeat(1 + random.below(5));
    let sent = &pipeline[..random.below(pipeline.len() + 1)];
    client.send(sent);
    gets_left(ground, sent);
    reset(client);
}

/// The proxy's timeouts end it, if nothing else does.
fn half_sent(ground: &Ground, random: &mut Random) {
    let mut client = ground.visit();
    let halves =
        ["*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100\r\nabc", "SET half no end", "*2\r\n$3\r\nGE"];
    client.send(halves[random.below(halves.len())]);
    ground.leave(client, random);
}

/// Asks for more large values than it takes.
fn read_slowly(ground: &Ground, random: &mut Random) {
    let mut client = ground.visit();
    let key = ground.slots[0].begin_read().key;
    let sent = format!("GET {key}\r\n").repeat(40);
    client.send(&sent);
    gets_left(ground, &sent);
    // It may be over the limit before it has read anything.
    let _ = client.some_bytes();
    ground.leave(client, random);
}

fn speak_http(ground: &Ground) {
    let mut client = ground.visit();
    client.send("PUT /x HTTP/1.1\r\nHost: localhost\r\n\r\nSET smuggled v\r\n");
    assert_eq!(client.until_closed().0, b"-ERR HTTP is not spoken on this port\r\n");
}

fn speak_junk(ground: &Ground, random: &mut Random) {
    let mut client = ground.visit();
    let junk: Vec<u8> = (0..random.below(3_000)).map(|_| random.below(256) as u8).collect();
    client.send(junk);
    client.send("\r\nBYE\r\n");
    // However it is understood, it comes to an end, which may be a reset.
    if random.below(2) == 0 {
        ground.leave(client, random);
    }
}

fn is_of_soak(key: &str) -> bool {
    ["k", "left", "right", "junk"].iter().any(|prefix| {
        key.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
    })
}

fn dump(ground: &Ground) {
    let mut client = ground.visit();
    client.send("DUMP PAIRS\r\n");
    loop {
        let line = client.line();
        if line == "END" || line.starts_with("ERR upstream ") {
            return;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no pair: {line:.80}"));
        let whose = match key.trim_end_matches(|it: char| it.is_ascii_digit()) {
            "left" | "right" => "pair",
            "junk" => "junk",
            _ => key,
        };
        assert!(is_of_soak(key) && value.starts_with(whose), "{key} holds {value:.80}");
    }
}

/// A client of the server that is told of changes, of nothing but what it has read.
fn be_told(ground: &Ground, random: &mut Random) {
    let mut client = Client::connect(ground.server);
    client.send(resp_request(&["HELLO", "3"]));
    client.send(resp_request(&["CLIENT", "TRACKING", "ON"]));
    let count = ground.slots.len();
    let keys: Vec<String> =
        (0..5).map(|_| ground.slots[random.below(count)].begin_read().key).collect();
    keys.iter().for_each(|key| client.send(resp_request(&["STRLEN", key])));
    // Long enough for some of them to change.
    thread::sleep(Duration::from_millis(random.below(100) as u64));
    client.send("BYE\r\n");
    let told = String::from_utf8(client.until_eof()).expect("text");
    for (at, _) in told.match_indices("invalidate\r\n*") {
        let key = told[at..].split("\r\n").nth(3).unwrap_or_default();
        assert!(keys.iter().any(|it| it == key), "told of {key:?}, not of {keys:?}");
    }
}
