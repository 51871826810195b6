//! Signals: what is under way when one comes, and what comes after.

use crate::support::process::{Client, PATIENCE, Process, proxy, server};
use crate::support::rounds;
use crate::support::strace::start_traced;
use crate::support::tools::{peak_memory, server_and_proxy, stat, wait_until};
use std::fmt::Write as _;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Whether all of `received` is whole replies of `expected`, from the first on.
#[track_caller]
fn check_whole_replies(received: &[u8], expected: &str) -> usize {
    let received = std::str::from_utf8(received).expect("text");
    assert!(expected.starts_with(received), "other replies than expected");
    assert!(received.is_empty() || received.ends_with('\n'), "half a reply");
    received.lines().count()
}

/// So many writes of each writer are acknowledged before the signal comes.
const BEFORE: usize = 2_500;

/// Writes, always some way ahead of the replies, until the program has closed, and returns how many
/// writes were acknowledged. It drops `begun` when [`BEFORE`] are, and goes on.
fn write_until_closed(mut client: Client, name: usize, begun: Sender<()>) -> usize {
    let (mut number, mut expected, mut received) = (0, String::new(), Vec::new());
    let (mut lines, mut begun) = (0, Some(begun));
    loop {
        let mut requests = String::new();
        for _ in 0..20 {
            write!(requests, "SET {name}:{number} {number}\r\nGET {name}:{number}\r\n")
                .expect("memory");
            write!(expected, "OK\r\n{number}\r\n").expect("memory");
            number += 1;
        }
        client.stream().write_all(requests.as_bytes()).expect("the program lingers");
        if number >= 100 {
            let bytes = client.some_bytes().expect("it is closed in order");
            if bytes.is_empty() {
                return check_whole_replies(&received, &expected).div_ceil(2);
            }
            lines += bytes.iter().filter(|byte| **byte == b'\n').count();
            received.extend(bytes);
        }
        if lines >= 2 * BEFORE {
            drop(begun.take());
        }
    }
}

const WRITERS: usize = 8;

/// What is acknowledged by a server shows in its own replies; what a proxy acknowledges, in those
/// of its upstream, which goes on.
#[test]
fn what_was_acknowledged_before_a_signal_to_stop_is_stored_and_no_reply_is_cut() {
    let upstream = server(&[]);
    let mut names = 0..;
    for _ in 0..rounds(20) {
        for signal in ["TERM", "INT"] {
            stop_writers(server(&[]), signal, &mut names);
            let proxy = proxy(upstream.address(), &[]);
            let acknowledged = stop_writers(proxy, signal, &mut names);
            let mut client = upstream.client();
            for (name, count) in acknowledged {
                let line = |number: usize| format!("GET {name}:{number}\r\n");
                client.send((0..count).map(line).collect::<String>());
                let stored = client.lines(count);
                let stored = stored.iter().map(|value| value.parse());
                assert!(stored.eq((0..count).map(Ok)), "not all that was acknowledged is there");
            }
        }
    }
}

/// Each writer's name, and how many of its writes were acknowledged.
fn stop_writers(
    mut process: Process,
    signal: &str,
    names: &mut impl Iterator<Item = usize>,
) -> Vec<(usize, usize)> {
    let mut idle = process.client();
    assert_eq!(idle.ask("PING"), "PONG");
    let (begun, all_begun) = mpsc::channel();
    let acknowledged: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = names
            .take(WRITERS)
            .map(|name| {
                let (client, begun) = (process.client(), begun.clone());
                (name, scope.spawn(move || write_until_closed(client, name, begun)))
            })
            .collect();
        drop(begun);
        // It ends when each of them has dropped its end.
        assert_eq!(all_begun.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        process.signal(signal);
        let join = |(name, writer): (_, ScopedJoinHandle<'_, _>)| (name, writer.join());
        writers.into_iter().map(join).map(|(name, it)| (name, it.expect("it was right"))).collect()
    });
    assert_eq!(idle.until_eof(), b"");
    drop(idle);
    let started = Instant::now();
    assert!(process.wait().success(), "{signal}");
    let writes: usize = acknowledged.iter().map(|(_, count)| count).sum();
    println!("{writes} writes; ended {:?} after the last client", started.elapsed());
    acknowledged
}

/// Others read and write meanwhile, as they do until it is told to stop, and no memory is taken for
/// what the reader does not take yet.
#[test]
fn a_dump_under_way_holds_nobody_up_and_is_finished_when_the_program_is_told_to_stop() {
    for mut process in server_and_proxy(&[]) {
        let (mut client, mut other) = (process.client(), process.client());
        let key = |number: usize| format!("k{number:0>1000}");
        for batch in 0..20 {
            let keys = (0..1_000).map(|at| key(batch * 1_000 + at));
            client.send(keys.map(|key| format!("SET {key} v\r\n")).collect::<String>());
            client.lines(1_000);
        }
        let base = peak_memory(process.id());
        client.send("DUMP\r\n");
        let begin = client.exactly(1);
        for round in 0..1_000 {
            assert_eq!(other.ask(&format!("SET {round} v")), "OK");
            assert_eq!(other.ask(&format!("GET {}", key(round))), "v");
            assert_eq!(other.ask(&format!("DEL {round}")), "OK");
        }
        process.signal("TERM");
        assert_eq!(other.until_eof(), b"");
        let line = String::from_utf8([begin, client.bytes_through(b'\n')].concat()).expect("text");
        let grown = peak_memory(process.id()) - base;
        assert!(grown < 8 << 20, "{grown} bytes of memory for a DUMP of 20 MB");
        assert_eq!(client.until_eof(), b"");
        let mut keys: Vec<&str> =
            line.split_whitespace().filter(|it| it.starts_with('k')).collect();
        keys.sort_unstable();
        let is_whole = (0..20_000).map(key).eq(keys);
        assert!(is_whole, "not each key that stays is shown once");
        drop((client, other));
        assert!(process.wait().success());
    }
}

/// An upstream that takes connections and says nothing; a client of the proxy waits for it.
fn waiting_on_a_silent_upstream(flags: &[&str]) -> (TcpListener, Process, Client) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let proxy = proxy(silent.local_addr().expect("it is bound"), flags);
    let mut client = proxy.client();
    client.send("GET k\r\n");
    // It asks for the life of the key, too; and beside both, first of all, for RESP3.
    wait_until("it waits", || stat(&mut proxy.client(), "upstream_unanswered") == 3);
    (silent, proxy, client)
}

#[test]
fn a_reply_owed_by_the_upstream_is_waited_for_within_the_drain_timeout() {
    let flags = ["--upstream-timeout", "0.8", "--drain-timeout", "20"];
    let (_silent, mut proxy, mut client) = waiting_on_a_silent_upstream(&flags);
    proxy.signal("TERM");
    assert_eq!(client.until_eof(), b"ERR upstream unavailable\r\n");
    drop(client);
    assert!(proxy.wait().success());

    let flags = ["--upstream-timeout", "25", "--drain-timeout", "0.3"];
    let (_silent, mut proxy, mut client) = waiting_on_a_silent_upstream(&flags);
    let started = Instant::now();
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20), "{took:?}");
    client.until_closed();
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let flags = ["--upstream-timeout", "25", "--drain-timeout", "25"];
        let (_silent, mut proxy, mut client) = waiting_on_a_silent_upstream(&flags);
        let started = Instant::now();
        proxy.signal(first);
        wait_until("it listens no more", || TcpStream::connect(proxy.address()).is_err());
        proxy.signal(second);
        proxy.wait();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        client.until_closed();
    }
}

/// Whoever has read where it listens may tell it to stop: `strace` makes the moment after long.
#[test]
fn a_signal_right_after_the_announcement_is_heeded() {
    let delayed = ["-e", "trace=write", "-e", "inject=write:delay_exit=300000"];
    let process = start_traced(&delayed, SERVER, &["--listen", "127.0.0.1:0"]);
    process.signal("HUP");
    assert!(process.terminate().success());
}

#[test]
fn a_client_that_does_not_leave_does_not_hold_the_end_up() {
    for mut process in server_and_proxy(&["--drain-timeout", "0.5"]) {
        let mut client = process.client();
        let mut reader = process.client();
        assert_eq!(reader.ask(&format!("SET big {}", "v".repeat(1_000_000))), "OK");
        reader.send("GET big\r\n".repeat(30));
        wait_until("replies are owed", || stat(&mut client, "requests_get") >= 2);
        let started = Instant::now();
        process.signal("TERM");
        assert_eq!(client.some_bytes().expect("a FIN comes"), b"");
        client.send("PING\r\n");
        assert!(process.wait().success());
        // Without `--drain-timeout`, whoever takes nothing would be waited for at least so long.
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
