//! Clients that take too long: thousands that send a byte now and then, beside others, and some
//! that say nothing.

use crate::support::figures::{check_others, take_descriptors};
use crate::support::process::{read_once, server};
use crate::support::rounds;
use crate::support::tools::{descriptors, server_and_proxy, stat, stats, wait_until};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a request and a line may take, in seconds, which is far less than they would need.
const ALLOWED: [u64; 2] = [1, 2];

/// One of them: a value of a megabyte, byte by byte.
struct Slow {
    stream: TcpStream,
    began: Instant,
    said: Vec<u8>,
    /// How long it was let.
    lasted: Option<Duration>,
}

impl Slow {
    fn new(address: SocketAddr, beginning: &str) -> Slow {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_nonblocking(true).expect("it is a socket");
        stream.write_all(beginning.as_bytes()).expect("it is taken");
        Slow { stream, began, said: Vec::new(), lasted: None }
    }

    /// Sends a byte, and takes what has come.
    fn go_on(&mut self) {
        // It may be closed by now, which the read tells.
        let _ = self.stream.write(b"v");
        let mut bytes = [0; 256];
        match read_once(&mut self.stream, &mut bytes) {
            Ok(0) => self.lasted = Some(self.began.elapsed()),
            Ok(count) => self.said.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("closed by {error} after: {}", self.said.escape_ascii()),
        }
    }
}

/// Returns all of them once the last is closed: the first sends a request in RESP, the second a
/// line, and so on.
fn send_slowly(address: SocketAddr, count: usize) -> Vec<Slow> {
    let beginnings = ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n", "SET k "];
    let mut all: Vec<Slow> = (0..count).map(|it| Slow::new(address, beginnings[it % 2])).collect();
    let started = Instant::now();
    while all.iter().any(|slow| slow.lasted.is_none()) {
        assert!(started.elapsed() < Duration::from_secs(60), "they are never closed");
        all.iter_mut().filter(|slow| slow.lasted.is_none()).for_each(Slow::go_on);
        // Their pace.
        thread::sleep(Duration::from_millis(100));
    }
    all
}

#[test]
fn thousands_of_slow_senders_are_dropped_and_others_are_served() {
    let count = rounds(9_000);
    let _turn = take_descriptors(count);
    let [request, line] = ALLOWED.map(|seconds| seconds.to_string());
    for process in server_and_proxy(&["--request-timeout", &request, "--line-timeout", &line]) {
        let mut watcher = process.client();
        assert_eq!(watcher.ask("SET k v"), "OK");
        let before = descriptors(process.id());
        let what = format!("{count} slow senders");
        let address = process.address();
        let all = check_others(&what, address, || send_slowly(address, count));
        for (number, Slow { said, lasted, .. }) in all.iter().enumerate() {
            let allowed = ALLOWED[number % 2];
            let expected = match number % 2 {
                0 => format!("-ERR no complete request within {allowed} seconds\r\n"),
                _ => format!("ERR no complete line within {allowed} seconds\r\n"),
            };
            assert_eq!(String::from_utf8_lossy(said), expected, "client {number}");
            assert!(*lasted >= Some(Duration::from_secs(allowed)), "{expected} after {lasted:?}");
        }
        assert_eq!(stat(&mut watcher, "connections_timed_out"), count as u64);
        wait_until("their descriptors are back", || descriptors(process.id()) == before);
        assert_eq!(stat(&mut watcher, "connections_now"), 1);
        assert_eq!(watcher.ask("GET k"), "v", "nothing of theirs was carried out");
    }
}

#[test]
fn an_idle_client_is_closed_and_an_active_one_is_not() {
    for process in server_and_proxy(&["--idle-timeout", "2"]) {
        let (mut active, mut idle) = (process.client(), process.client());
        let started = Instant::now();
        assert_eq!(idle.ask("PING"), "PONG");
        wait_until("one is closed", || stat(&mut active, "connections_timed_out") == 1);
        assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(idle.until_eof(), b"");
        let lost = stats(&mut active).get("upstream_errors").copied();
        assert!(lost.is_none_or(|lost| lost == 0), "the proxy's own server closes nobody");
    }
}

/// A line that was begun while replies held the client up is not the line that was begun before.
#[test]
fn the_time_for_a_line_does_not_begin_with_an_earlier_one() {
    // A server: a proxy reads on while it waits for its upstream.
    let process = server(&["--line-timeout", "2", "--max-line", "2MiB"]);
    let mut client = process.client();
    // Above the high-water mark, so that the loop rests after each.
    let value = "v".repeat(1_200_000);
    assert_eq!(client.ask(&format!("SET big {value}")), "OK");
    client.send("GE");
    let mut other = process.client();
    assert_eq!(other.ask("PING"), "PONG");
    let gets = "GET big\r\n".repeat(30);
    client.send(gets["GE".len()..].to_string() + "PI");
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_100) {
        assert_eq!(other.ask("PING"), "PONG");
    }
    for _ in 0..30 {
        assert_eq!(client.line(), value);
    }
    assert_eq!(client.ask("NG"), "PONG");
}
