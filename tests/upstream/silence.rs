//! An upstream that is slow, silent or not there. What comes too late stands in `cut.rs`.

use crate::support::fake::{Fake, play, play_telling};
use crate::support::process::{Client, PATIENCE, proxy};
use crate::support::tools::{Reserved, stat, wait_until};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Long enough for a busy machine to be greeted, and to send what is to wait.
const IMPATIENT: &[&str] = &["--upstream-timeout", "1"];
const MAYBE: &str = "ERR upstream lost, the write may or may not have happened";

/// Sends a line; the reply must come within a time that is far below a hang.
#[track_caller]
fn ask_promptly(client: &mut Client, line: &str) -> String {
    let started = Instant::now();
    let reply = client.ask(line);
    assert!(started.elapsed() < PATIENCE / 2, "{line}: {:?}", started.elapsed());
    reply
}

#[test]
fn an_upstream_that_never_answers_is_given_up_and_asked_on_a_new_connection() {
    let (fake, proxy, mut link, mut reader) = play(IMPATIENT);
    let (mut writer, mut dumper) = (proxy.client(), proxy.client());
    for _ in 0..3 {
        let started = Instant::now();
        reader.send("GET k\r\nGET other\r\nPING\r\n");
        writer.send("SET k v\r\nDEL k\r\nGET k\r\n");
        dumper.send("DUMP\r\n");
        link.expect("GET k");
        assert_eq!(proxy.client().ask("PING"), "PONG");
        assert_eq!(reader.lines(2), ["ERR upstream timed out", "ERR upstream timed out"]);
        assert_eq!(reader.line(), "PONG");
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(1) && waited < PATIENCE / 2, "{waited:?}");
        assert_eq!(writer.lines(2), [MAYBE, MAYBE]);
        assert_eq!(writer.line(), "ERR upstream timed out");
        assert_eq!(dumper.line(), "ERR upstream timed out");
        link.expect_end();
        link = fake.accept();
    }
    link.serve(&mut reader, "k", "at last");
}

/// It is not asked anew on the next connection: that would take the time again.
#[test]
fn a_hit_that_nobody_confirms_is_an_error_after_one_timeout() {
    let (fake, _proxy, mut link, mut client) =
        play_telling(&[IMPATIENT, &["--trust", "0"]].concat());
    link.serve(&mut client, "k", "v");
    client.send("GET k\r\nPING\r\n");
    link.expect("PING");
    assert_eq!(client.lines(2), ["ERR upstream timed out", "PONG"]);
    assert_eq!((stat(&mut client, "hits"), stat(&mut client, "misses")), (0, 2));
    fake.accept_telling().serve(&mut client, "k", "w");
}

#[test]
fn a_refusing_upstream_is_unavailable_at_once_and_used_as_soon_as_it_is_there() {
    let place = Reserved::new();
    let proxy = proxy(place.address, &[]);
    let mut client = proxy.client();
    for _ in 0..100 {
        for line in ["GET k", "SET k v", "DEL k", "DUMP", "DUMP PAIRS", "PUT k v"] {
            assert_eq!(ask_promptly(&mut client, line), "ERR upstream unavailable", "{line}");
        }
    }
    assert_eq!(client.ask("PING"), "PONG");
    assert_eq!(stat(&mut client, "upstream_up"), 0);
    let fake = Fake::serve_on(TcpListener::bind(place.address).expect("nobody else takes it"));
    let mut link = fake.accept();
    wait_until("it is connected", || stat(&mut client, "upstream_up") == 1);
    link.serve(&mut client, "k", "there");
    let lines = proxy.log().lines().count();
    assert!(lines < 20, "{lines} lines in the log for one upstream that was away");
}

/// A listener whose queue is full: the system drops what comes, and a connect hangs.
#[test]
fn requests_wait_for_a_connect_that_hangs_but_not_for_longer_than_the_timeout() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("there is a port");
    socket.listen(0).expect("it is bound");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
    }
    let proxy = proxy(address, IMPATIENT);
    let mut clients: Vec<Client> = (0..10).map(|_| proxy.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let line = if number % 2 == 0 { "GET k" } else { "SET k v" };
        assert_eq!(ask_promptly(client, line), "ERR upstream unavailable");
        assert_eq!(ask_promptly(client, "PING"), "PONG");
    }
    drop(queue);
}

#[test]
fn a_flight_is_not_joined_once_the_life_of_its_key_is_over() {
    let (_fake, proxy, mut link, mut first) = play_telling(&[]);
    link.hear(&mut first, "GET k");
    link.push(":1\r\n"); // The key expires within this millisecond.
    let mut second = proxy.client();
    link.hear(&mut second, "GET k");
    link.push("$3\r\nold\r\n:-2\r\n_\r\n");
    assert_eq!([first.line(), second.line()], ["old", "Key not found"]);
}

#[test]
fn a_passing_refusal_of_pttl_is_not_told_as_a_lasting_one_and_that_is_taken_back() {
    let (_fake, proxy, mut link, mut client) = play_telling(&[]);
    for busy in ["BUSY a script runs", "LOADING it loads", "MASTERDOWN no link"] {
        link.hear(&mut client, "GET k");
        link.push(format!("-{busy}\r\n-{busy}\r\n"));
        assert_eq!(client.line(), format!("ERR {busy}"));
    }
    link.hear(&mut client, "GET k");
    link.push(":-2\r\n_\r\n");
    assert_eq!(client.line(), "Key not found");
    assert!(!proxy.log().contains("PTTL"), "{}", proxy.log());
    link.hear(&mut client, "GET other");
    link.push("-NOPERM no\r\n$1\r\nv\r\n");
    assert_eq!(client.line(), "v");
    proxy.wait_for_log("the upstream refuses PTTL");
    link.hear(&mut client, "GET other");
    link.push(":-1\r\n$1\r\nv\r\n");
    assert_eq!(client.line(), "v");
    proxy.wait_for_log("the upstream answers PTTL");
}

/// Whatever answers on the upstream's port, it is told once.
#[test]
fn what_is_no_upstream_is_told_of_once_until_it_is_one() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    for _ in 0..4 {
        fake.accept_in_silence().push("HTTP/1.1 400 Bad Request\r\n\r\n");
    }
    let mut link = fake.accept_telling();
    link.serve(&mut proxy.client(), "k", "v");
    proxy.wait_for_log("the upstream answers");
    assert_eq!(proxy.log().matches("it sent a malformed reply").count(), 1, "{}", proxy.log());
}
