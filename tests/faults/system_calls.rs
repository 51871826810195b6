//! System calls that fail: `strace` makes them, in a server and in a proxy with an upstream of its
//! own on a second thread.

use crate::support::process::{Client, Process, server};
use crate::support::strace::{Strace, failures};
use crate::support::tools::{descriptors, server_and_proxy, stat, wait_until};
use larder::reactor::ACCEPT_REST;
use std::io::Write;
use std::time::Instant;

/// Long enough to be written from where it is stored, by `writev`.
const LARGE: usize = 40_000;

/// A program with a few clients that are there before anything fails.
struct Scene {
    process: Process,
    inside: Vec<Client>,
    value: String,
}

fn scenes() -> Vec<Scene> {
    let scenes = server_and_proxy(&[]).into_iter().map(|process| {
        let mut inside: Vec<Client> = (0..3).map(|_| process.client()).collect();
        let value = "v".repeat(LARGE);
        for client in &mut inside {
            assert_eq!(client.ask(&format!("SET large {value}")), "OK");
            assert_eq!(client.ask("GET large"), value);
        }
        Scene { process, inside, value }
    });
    scenes.collect()
}

impl Scene {
    /// Clients old and new ask: every reply is right.
    #[track_caller]
    fn check_service(&mut self, rounds: usize) {
        for round in 0..rounds {
            let mut newcomer = self.process.client();
            for client in self.inside.iter_mut().chain([&mut newcomer]) {
                client.send(format!("SET k {round}\r\nGET k\r\nGET large\r\n"));
                assert_eq!(client.lines(2), ["OK", &round.to_string()]);
                assert_eq!(client.line(), self.value);
            }
            // A line in the log.
            self.process.signal("HUP");
            assert_eq!(newcomer.ask("BYE"), "Goodbye");
            assert_eq!(newcomer.until_eof(), b"");
        }
    }
}

const POLL: &str = "?epoll_wait,?epoll_pwait";

#[test]
fn calls_that_fail_in_passing_are_made_again_and_nobody_notices() {
    for (call, error, when) in [
        ("recvfrom", "EINTR", "1+2"),
        ("recvfrom", "EAGAIN", "1+2"),
        ("recvfrom", "EAGAIN", "2+3"),
        ("sendto", "EINTR", "1+2"),
        ("writev", "EINTR", "1+2"),
        (POLL, "EINTR", "1+2"),
        (POLL, "EINTR", "2+3"),
        ("accept4", "EINTR", "1+2"),
        ("accept4", "ECONNABORTED", "1+2"),
        ("accept4", "EPROTO", "1+2"),
        ("setsockopt", "EINVAL", "1+1"),
        ("write", "EINTR", "1+2"),
        ("write", "ENOSPC", "1+1"),
        ("write", "EIO", "1+1"),
        ("write", "EPIPE", "1+1"),
        ("write", "EAGAIN", "1+1"),
    ] {
        for mut scene in scenes() {
            let trace = Strace::fail(&scene.process, call, error, when);
            scene.check_service(3);
            // The log is written by a thread of its own, in its own time.
            let what = format!("{call} {error}");
            wait_until(&what, || failures(&trace.report()) > 0);
            assert!(!scene.process.log().contains("cannot"), "{call} {error}");
        }
    }
}

/// Linux promises an event when a write that would block may be tried again.
#[test]
fn what_a_write_that_would_block_left_goes_out_with_the_next_event() {
    let process = server(&[]);
    let mut client = process.client();
    assert_eq!(client.ask("PING"), "PONG");
    let trace = Strace::fail(&process, "sendto", "EAGAIN", "1");
    client.send("GET none\r\n");
    wait_until("the reply would block", || failures(&trace.report()) == 1);
    client.send("PING\r\n");
    assert_eq!(client.lines(2), ["Key not found", "PONG"]);
}

#[test]
fn clients_wait_while_there_is_nothing_to_take_them_with() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        for mut scene in scenes() {
            let trace = Strace::fail(&scene.process, "accept4", error, "1..3");
            let started = Instant::now();
            let mut outside: Vec<Client> = (0..5).map(|_| scene.process.client()).collect();
            scene.process.wait_for_log("cannot accept a client for now");
            for client in &mut scene.inside {
                assert_eq!(client.ask("GET large"), scene.value);
            }
            for client in &mut outside {
                assert_eq!(client.ask("GET large"), scene.value);
            }
            assert!(started.elapsed() >= 3 * ACCEPT_REST, "it does not try again at once");
            let report = trace.detach();
            assert_eq!(failures(&report), 3);
            let calls = report.matches("accept4(").count();
            assert!(calls <= 3 + 2 * outside.len(), "{calls} calls:\n{report}");
            assert_eq!(scene.process.log().matches("cannot accept").count(), 1);
            scene.check_service(1);
        }
    }
}

/// The reply, unless the connection ends instead.
fn try_to_ask(client: &mut Client, line: &str) -> Option<String> {
    client.stream().write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n") {
        match client.some_bytes() {
            Ok(bytes) if !bytes.is_empty() => reply.extend(bytes),
            _ => return None,
        }
    }
    Some(String::from_utf8(reply).expect("text").trim_end().to_string())
}

#[test]
fn a_connection_that_fails_ends_and_no_other() {
    for (call, errors) in [
        ("recvfrom", &["ECONNRESET", "ETIMEDOUT", "ENOMEM", "EHOSTUNREACH"][..]),
        ("sendto", &["EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM"]),
        ("writev", &["EPIPE", "ENOMEM"]),
        ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ] {
        for error in errors {
            for scene in scenes() {
                fail_now_and_then(scene, call, error);
            }
        }
    }
}

fn fail_now_and_then(scene: Scene, call: &str, error: &str) {
    let Scene { process, mut inside, value } = scene;
    inside.truncate(1);
    // It asks nothing while calls fail, so that none of them is its own.
    let quiet = &mut inside[0];
    wait_until("the others are gone", || stat(quiet, "connections_now") == 1);
    let before = descriptors(process.id());
    let mut client = process.client();
    assert_eq!(client.ask("PING"), "PONG");
    let trace = Strace::fail(&process, call, error, "3+5");
    let mut right = 0;
    for round in 0..60 {
        let (request, due) = [("GET large", &value[..]), ("PING", "PONG")][round % 2];
        match try_to_ask(&mut client, request) {
            Some(reply) if reply == due => right += 1,
            Some(reply) if reply.starts_with("ERR upstream ") => {}
            Some(reply) => panic!("{call} {error}: {reply}"),
            None => client = process.client(),
        }
        if call == "epoll_ctl" {
            client = process.client();
        }
    }
    let failed = failures(&trace.detach());
    assert!(
        failed > 0 && (20..60).contains(&right),
        "{call} {error}: {failed} times; {right} of 60 right"
    );
    drop(client);
    wait_until("it serves as before", || {
        try_to_ask(&mut process.client(), "GET large").as_ref() == Some(&value)
    });
    assert_eq!(quiet.ask("GET large"), value);
    wait_until("the others are gone", || stat(quiet, "connections_now") == 1);
    wait_until("their descriptors are back", || descriptors(process.id()) == before);
}
