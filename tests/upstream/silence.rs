//! An upstream that is slow, silent or not there.

use crate::support::fake::Fake;
use crate::support::process::{Client, PATIENCE, Process, proxy};
use crate::support::tools::{Reserved, reset, stat, wait_until};
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
    let fake = Fake::start();
    let proxy = proxy(fake.address(), IMPATIENT);
    let (mut reader, mut writer, mut dumper) = (proxy.client(), proxy.client(), proxy.client());
    let mut link = fake.accept();
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
    reader.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("at last");
    assert_eq!(reader.line(), "at last");
}

/// It is not asked anew on the next connection: that would take the time again.
#[test]
fn a_hit_that_nobody_confirms_is_an_error_after_one_timeout() {
    let fake = Fake::start();
    let flags = [IMPATIENT, &["--trust", "0"]].concat();
    let proxy = proxy(fake.address(), &flags);
    let mut client = proxy.client();
    let mut link = fake.accept_telling();
    client.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("v");
    assert_eq!(client.line(), "v");
    client.send("GET k\r\nPING\r\n");
    link.expect("PING");
    assert_eq!(client.lines(2), ["ERR upstream timed out", "PONG"]);
    assert_eq!((stat(&mut client, "hits"), stat(&mut client, "misses")), (0, 2));
    let mut link = fake.accept_telling();
    client.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("w");
    assert_eq!(client.line(), "w");
}

#[test]
fn an_answer_after_the_timeout_reaches_nobody() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), IMPATIENT);
    let mut client = proxy.client();
    let mut link = fake.accept();
    for round in 0..3 {
        client.send("GET k\r\n");
        link.expect("GET k");
        assert_eq!(client.line(), "ERR upstream timed out");
        let mut next = fake.accept();
        client.send("GET other\r\n");
        link.say_value("late");
        next.expect("GET other");
        link.say_value("late again");
        next.say_value(&round.to_string());
        assert_eq!(client.line(), round.to_string());
        client.send("GET k\r\nDEL other\r\n");
        next.expect("GET k");
        next.say("$-1\r\n");
        next.expect("DEL other");
        next.say(":1\r\n");
        assert_eq!(client.lines(2), ["Key not found", "OK"]);
        link = next;
    }
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
    client.send("GET k\r\n");
    link.expect("GET k");
    link.say_value("there");
    assert_eq!(client.line(), "there");
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

fn forget(proxy: &Process, client: Client) {
    reset(client);
    let mut watcher = proxy.client();
    wait_until("it is gone", || stat(&mut watcher, "connections_now") == 1);
}

#[test]
fn a_reply_to_a_client_that_left_finds_nobody() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut link = fake.accept();
    for round in 0..200 {
        let mut leaving = proxy.client();
        leaving.send(format!("GET k{round}\r\nSET s{round} v\r\nDUMP\r\n"));
        link.expect(&format!("GET k{round}"));
        link.expect(&format!("SET s{round} v"));
        forget(&proxy, leaving);
        // It takes the place of the one that left.
        let mut coming = proxy.client();
        coming.send(format!("GET mine{round}\r\n"));
        link.expect(&format!("GET mine{round}"));
        link.say_value("not yours");
        link.say("+OK\r\n");
        link.say_value("yours");
        assert_eq!(coming.line(), "yours");
        assert_eq!(coming.ask(&format!("GET k{round}")), "not yours", "it is in the cache");
    }
}
