//! Thousands of clients that have begun to say something, or claim to, and go no further.

use crate::support::figures::take_descriptors;
use crate::support::process::{Client, Process, proxy, server};
use crate::support::rounds;
use crate::support::tools::{resident_memory, stat, wait_until};

/// What each of them sends, and no more.
const BEGINNINGS: &[(&str, &[u8])] = &[
    ("a thousand words, the first of 64 MiB", b"*1000\r\n$67108864\r\n"),
    ("the same, and one byte of it", b"*1000\r\n$67108864\r\nx"),
    ("as many words as there may be", b"*1048576\r\n"),
    ("one byte of a line", b"x"),
    ("one byte of a telnet command", b"\xff"),
];

/// The most that one of them may take of the process's memory, in bytes.
const MAX: usize = 4096;

#[test]
fn thousands_that_claim_much_and_send_little_take_little_memory() {
    // Fewer would not show what one takes beside what the first of them takes.
    let count = rounds(5_000).max(1_000);
    let _turn = take_descriptors(count);
    for &(what, beginning) in BEGINNINGS {
        let upstream = server(&[]);
        check_claims(&upstream, what, beginning, count);
        check_claims(&proxy(upstream.address(), &[]), what, beginning, count);
    }
}

fn check_claims(process: &Process, what: &str, beginning: &[u8], count: usize) {
    let mut watcher = process.client();
    assert_eq!(watcher.ask("SET k v"), "OK");
    let came = stat(&mut watcher, "bytes_in");
    let before = resident_memory(process.id());
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..count {
        let mut client = process.client();
        client.send(beginning);
        clients.push(client);
        if clients.len().is_multiple_of(100) {
            assert_eq!(watcher.ask("GET k"), "v");
        }
    }
    let all = came + (count * beginning.len()) as u64;
    wait_until("all of it has come", || stat(&mut watcher, "bytes_in") >= all);
    let each = resident_memory(process.id()).saturating_sub(before) / count;
    let name = &process.announced()[0].0;
    println!("{count} clients send {what}: {each} bytes each in the {name}");
    assert!(each <= MAX, "{each} bytes for each client that sends {what}");
    assert_eq!(stat(&mut watcher, "connections_now"), count as u64 + 1);
    assert_eq!(watcher.ask("SET k other"), "OK");
}
