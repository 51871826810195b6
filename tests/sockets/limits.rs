//! Readers past the output limit, clients past the limit, and last words before a close.

use crate::support::process::{Client, Process, proxy, proxy_alone, server};
use crate::support::rounds;
use crate::support::tools::{server_and_proxy, stat, wait_until};
use std::io::Write;
use std::thread;

const MEGABYTE: usize = 1_000_000;

/// The server itself never builds more than it can keep: such a reader is only paused. What comes
/// from an upstream cannot be called back.
#[test]
fn a_reader_past_the_output_limit_is_closed_and_counted() {
    let upstream = server(&[]);
    let mut loader = upstream.client();
    for key in 0..100 {
        assert_eq!(loader.ask(&format!("SET k{key} {}", "v".repeat(MEGABYTE))), "OK");
    }
    let process = proxy(upstream.address(), &["--output-limit", "2MiB"]);
    let mut watcher = process.client();
    let mut reader = process.client();
    small_replies(&mut reader);
    reader.send((0..100).map(|key| format!("GET k{key}\r\n")).collect::<String>());
    wait_until("it is closed", || stat(&mut watcher, "output_limit_closes") == 1);
    let (received, _) = reader.until_closed();
    assert!(received.len() < 100 * MEGABYTE);
    assert_eq!(watcher.ask("SET k other"), "OK");
    wait_until("it is gone", || stat(&mut watcher, "connections_now") == 1);
}

/// As many replies as a client may be owed at a time, all of them small: what a proxy learns of a
/// client by them may be wrong a moment later.
fn small_replies(client: &mut Client) {
    client.send("DEL nothing\r\n".repeat(2_000));
    assert_eq!(client.lines(2_000), ["Key not found"].repeat(2_000));
}

fn full_house(process: &Process, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| process.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    clients
}

#[test]
fn one_client_past_the_limit_reads_why_it_is_refused() {
    for process in server_and_proxy(&["--max-connections", "50"]) {
        let mut clients = full_house(&process, 50);
        for _ in 0..rounds(1_000) {
            let refused = process.client().until_eof();
            assert_eq!(refused, b"-ERR too many connections\r\n");
        }
        let at_once: Vec<_> = (0..100).map(|_| process.client()).collect();
        for mut refused in at_once {
            assert_eq!(refused.until_eof(), b"-ERR too many connections\r\n");
        }
        let mut talkative = process.client();
        talkative.send("PING\r\n".repeat(10_000));
        assert_eq!(talkative.until_eof(), b"-ERR too many connections\r\n");
        assert_eq!(stat(&mut clients[49], "connections_refused"), rounds(1_000) as u64 + 101);
        assert_eq!(stat(&mut clients[0], "connections_now"), 50);
    }
}

/// The promise: once `STATS` counts a client no more, or a client has read the end of its
/// connection after it had sent its own, the next one finds room. (One that comes sooner may be
/// refused: on several processors its connect may overtake the FIN before it.)
#[test]
fn a_place_that_a_client_left_is_free_at_once() {
    let endings: [fn(&mut Client); 3] = [
        |_| {},
        |client| client.send("PING\r\nSET half of a li"),
        |client| {
            client.send("BYE\r\n");
            assert_eq!(client.until_eof(), b"Goodbye\r\n");
        },
    ];
    for process in server_and_proxy(&["--max-connections", "3"]) {
        let mut inside = full_house(&process, 3);
        let mut watcher = inside.remove(0);
        for round in 0..rounds(4_000) {
            assert_eq!(process.client().until_eof(), b"-ERR too many connections\r\n");
            let mut leaver = inside.remove(0);
            endings[round % endings.len()](&mut leaver);
            drop(leaver);
            wait_until("it is gone", || stat(&mut watcher, "connections_now") == 2);
            let mut next = process.client();
            assert_eq!(next.ask("PING"), "PONG");
            inside.push(next);
        }
        assert_eq!(stat(&mut watcher, "connections_refused"), rounds(4_000) as u64);
    }
}

#[test]
fn a_place_is_free_once_its_client_has_read_the_end() {
    let process = proxy_alone(&["--max-connections", "1"]);
    for _ in 0..rounds(20_000) {
        let mut client = process.client();
        client.send("PING\r\n");
        client.finish_sending();
        assert_eq!(client.until_eof(), b"PONG\r\n");
    }
}

/// What closes a connection with a word, and the word: but for too many connections, which closes
/// by itself.
const LAST_WORDS: &[(&str, &str)] = &[
    ("*1\r\n+x\r\n", "-ERR Protocol error: expected '$', got '+'\r\n"),
    ("BYE\r\n", "Goodbye\r\n"),
    ("Host: x\r\n", "-ERR HTTP is not spoken on this port\r\n"),
    ("*2\r\n$3\r\nGET\r\n$5000\r\n", "-ERR Protocol error: request too large\r\n"),
    ("*2\r\n$3\r\nGET\r\n$67108865\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
    ("*1048577\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
];

/// Sends a megabyte more than `request`; all that is read.
fn last_words(client: &mut Client, request: &str) -> String {
    let mut sender = client.stream().try_clone().expect("a descriptor");
    let mut bytes = request.as_bytes().to_vec();
    bytes.resize(1 << 20, b'x');
    let sending = thread::spawn(move || {
        sender.write_all(&bytes).expect("it is taken and dropped");
    });
    let words = String::from_utf8_lossy(&client.until_eof()).into_owned();
    sending.join().expect("it did not fail");
    words
}

#[test]
fn the_last_words_before_a_close_arrive_though_much_input_is_unread() {
    for process in server_and_proxy(&["--max-request", "4KiB"]) {
        for round in 0..rounds(1_000) {
            let (request, reply) = LAST_WORDS[round % LAST_WORDS.len()];
            assert_eq!(last_words(&mut process.client(), request), reply);
        }
    }
    for process in server_and_proxy(&["--max-connections", "1"]) {
        let _inside = full_house(&process, 1);
        for _ in 0..rounds(1_000) {
            let words = last_words(&mut process.client(), "PING\r\n");
            assert_eq!(words, "-ERR too many connections\r\n");
        }
    }
}
