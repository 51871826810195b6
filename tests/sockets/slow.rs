//! Thousands of clients that send a byte now and then, beside others.

use crate::support::figures::{check_others, take_descriptors};
use crate::support::process::read_once;
use crate::support::rounds;
use crate::support::tools::{descriptors, server_and_proxy, stat, wait_until};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long they may take, in seconds, which is far less than they would need.
const ALLOWED: &str = "1";

/// One of them: a value of a megabyte, byte by byte.
struct Slow {
    stream: TcpStream,
    said: Vec<u8>,
    is_closed: bool,
}

impl Slow {
    fn new(address: SocketAddr, is_resp: bool) -> Slow {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_nonblocking(true).expect("it is a socket");
        let beginning =
            if is_resp { "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n" } else { "SET k " };
        stream.write_all(beginning.as_bytes()).expect("it is taken");
        Slow { stream, said: Vec::new(), is_closed: false }
    }

    /// Sends a byte, and takes what has come.
    fn go_on(&mut self) {
        // It may be closed by now, which the read tells.
        let _ = self.stream.write(b"v");
        let mut bytes = [0; 256];
        match read_once(&mut self.stream, &mut bytes) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.said.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("closed by {error} after: {}", self.said.escape_ascii()),
        }
    }
}

/// All of them until the last is closed; what the last words of each were, in order.
fn send_slowly(address: SocketAddr, count: usize) -> Vec<String> {
    let mut all: Vec<Slow> = (0..count).map(|nr| Slow::new(address, nr % 2 == 0)).collect();
    let started = Instant::now();
    while all.iter().any(|slow| !slow.is_closed) {
        assert!(started.elapsed() < Duration::from_secs(60), "they are never closed");
        all.iter_mut().filter(|slow| !slow.is_closed).for_each(Slow::go_on);
        // Their pace.
        thread::sleep(Duration::from_millis(100));
    }
    all.iter().map(|slow| String::from_utf8_lossy(&slow.said).into_owned()).collect()
}

#[test]
fn thousands_of_slow_senders_are_dropped_and_others_are_served() {
    let count = rounds(9_000);
    let _turn = take_descriptors(count);
    for process in server_and_proxy(&["--request-timeout", ALLOWED, "--line-timeout", ALLOWED]) {
        let mut watcher = process.client();
        assert_eq!(watcher.ask("SET k v"), "OK");
        let before = descriptors(process.id());
        let what = format!("{count} slow senders");
        let address = process.address();
        let last_words = check_others(&what, address, || send_slowly(address, count));
        for (number, words) in last_words.iter().enumerate() {
            let expected = match number % 2 {
                0 => format!("-ERR no complete request within {ALLOWED} seconds\r\n"),
                _ => format!("ERR no complete line within {ALLOWED} seconds\r\n"),
            };
            assert_eq!(*words, expected, "client {number}");
        }
        assert_eq!(stat(&mut watcher, "connections_timed_out"), count as u64);
        wait_until("their descriptors are back", || descriptors(process.id()) == before);
        assert_eq!(stat(&mut watcher, "connections_now"), 1);
        assert_eq!(watcher.ask("GET k"), "v", "nothing of theirs was carried out");
    }
}
