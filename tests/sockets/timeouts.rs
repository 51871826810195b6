//! Clients that take too long, beside others that do not.

use crate::support::process::{Client, read_once, server};
use crate::support::tools::{server_and_proxy, stat, stats};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Sends a piece of something every few milliseconds until the peer has closed; what it said, and
/// how long it took.
fn drip(client: Client, pieces: impl Iterator<Item = &'static str>) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    let mut stream = client.stream();
    stream.set_read_timeout(Some(Duration::from_millis(10))).expect("it is not zero");
    let mut received = Vec::new();
    for piece in pieces {
        let mut bytes = [0; 1024];
        match read_once(&mut stream, &mut bytes) {
            Ok(0) => return (received, started.elapsed()),
            Ok(count) => received.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("closed by {error} after: {}", received.escape_ascii()),
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it is never closed");
        // It may be closed between the read and this.
        let _ = stream.write_all(piece.as_bytes());
    }
    unreachable!("there are endless pieces");
}

/// A client that asks again and again while `meanwhile` goes on. It is excused if this machine let
/// it wait for longer than `allowed` itself.
fn stays_while(address: SocketAddr, allowed: Duration, meanwhile: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let other = scope.spawn(meanwhile);
        let mut stream = Client::connect(address).stream().try_clone().expect("a descriptor");
        let mut last = Instant::now();
        while !other.is_finished() {
            let mut reply = [0; 6];
            let sent = stream.write_all(b"PING\r\n");
            let result = sent.and_then(|()| stream.read_exact(&mut reply));
            let gap = last.elapsed();
            assert!(result.is_ok() || gap > allowed, "closed after {gap:?}: {result:?}");
            if result.is_err() {
                break;
            }
            last = Instant::now();
            // The client's own pace.
            thread::sleep(allowed / 20);
        }
    });
}

/// Somebody takes too long, is refused in these words, and is the only one: who has begun a request
/// that has a timeout of its own finishes it.
fn check_refused(
    flag: &str,
    begun: &str,
    pieces: impl Fn() -> Box<dyn Iterator<Item = &'static str> + Send>,
    refusal: &str,
) {
    for process in server_and_proxy(&[flag, "0.4"]) {
        let mut other = process.client();
        other.send(begun);
        let (address, pieces) = (process.address(), pieces());
        stays_while(address, Duration::from_millis(400), || {
            let (words, time) = drip(Client::connect(address), pieces);
            assert_eq!(String::from_utf8_lossy(&words), refusal);
            assert!(time > Duration::from_millis(400), "{time:?}");
        });
        assert_eq!(other.ask(&"PING"[begun.len()..]), "PONG");
        assert_eq!(stat(&mut other, "connections_timed_out"), 1);
    }
}

#[test]
fn a_line_that_is_typed_for_too_long_is_refused_and_closed() {
    let pieces = || Box::new(["PUT k ", "v", "w"].into_iter().cycle()) as Box<_>;
    check_refused("--line-timeout", "", pieces, "ERR no complete line within 0.4 seconds\r\n");
}

#[test]
fn a_request_that_takes_too_long_is_refused_and_closed() {
    let header = "*2\r\n$3\r\nGET\r\n$100000\r\n";
    let pieces = || Box::new(std::iter::once(header).chain(std::iter::repeat("k"))) as Box<_>;
    let refusal = "-ERR no complete request within 0.4 seconds\r\n";
    check_refused("--request-timeout", "PI", pieces, refusal);
}

#[test]
fn an_idle_client_is_closed_and_an_active_one_is_not() {
    for process in server_and_proxy(&["--idle-timeout", "0.4"]) {
        let address = process.address();
        stays_while(address, Duration::from_millis(400), || {
            let started = Instant::now();
            let mut idle = Client::connect(address);
            assert_eq!(idle.ask("PING"), "PONG");
            assert_eq!(idle.until_eof(), b"");
            assert!(started.elapsed() > Duration::from_millis(400));
        });
        let counted = stats(&mut process.client());
        assert_eq!(counted["connections_timed_out"], 1);
        let lost = counted.get("upstream_errors");
        assert!(lost.is_none_or(|&lost| lost == 0), "the proxy's own server closes nobody");
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
    assert_eq!(process.client().ask("PING"), "PONG");
    let gets = "GET big\r\n".repeat(30);
    client.send(gets["GE".len()..].to_string() + "PI");
    let mut other = process.client();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_100) {
        assert_eq!(other.ask("PING"), "PONG");
    }
    for _ in 0..30 {
        assert_eq!(client.line(), value);
    }
    assert_eq!(client.ask("NG"), "PONG");
}
