//! System calls that fail while a proxy connects to its upstream, and in the client.

use crate::support::child::{Exit, run};
use crate::support::process::{Process, server};
use crate::support::strace::Failing;
use crate::support::tools::wait_until;
use std::net::SocketAddr;
use std::process::Command;

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
const CLIENT: &str = env!("CARGO_BIN_EXE_client");

#[test]
fn an_upstream_that_cannot_be_connected_to_is_tried_again() {
    let upstream = server(&[]);
    assert_eq!(upstream.client().ask("SET k v"), "OK");
    let place = upstream.address().to_string();
    // The first socket is the listener's.
    for (call, when, errors) in [
        ("connect", "1..2", &["ECONNREFUSED", "EINTR", "EAGAIN", "ENETUNREACH", "ENOMEM"][..]),
        ("socket", "2..3", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
        ("getsockopt", "1..2", &["ENOBUFS"]),
        ("getpeername", "1..2", &["EINVAL"]),
    ] {
        for error in errors {
            let faults = Failing::new(call, error, when);
            let flags = [PROXY, "--listen", "127.0.0.1:0", "--upstream", &place];
            let flags = [&["-D"], &faults.arguments()[..], &flags].concat();
            let proxy = Process::start("strace", &flags, 1);
            let mut client = proxy.client();
            wait_until("it is connected", || match &client.ask("GET k")[..] {
                "v" => true,
                reply => {
                    assert_eq!(reply, "ERR upstream unavailable", "{call} {error}");
                    false
                }
            });
            assert_eq!(client.ask("SET k v"), "OK");
            drop(client);
            assert!(proxy.terminate().success());
            assert_eq!(faults.count(), 2, "{call} {error}");
        }
    }
}

/// Runs the client under strace.
fn client(fault: (&str, &str, &str), words: &[&str], input: &str) -> Exit {
    let faults = Failing::new(fault.0, fault.1, fault.2);
    let mut command = Command::new("strace");
    command.args(faults.arguments()).arg(CLIENT).args(words);
    let ended = run(&mut command, input.as_bytes());
    assert!(faults.count() > 0, "{fault:?}");
    ended
}

fn words_for(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

#[test]
fn a_client_goes_on_after_calls_that_fail_in_passing() {
    let server = server(&[]);
    let [host, port] = words_for(server.address());
    for call in ["recvfrom", "sendto", "write", "?poll,?ppoll"] {
        let fault = (call, "EINTR", "1+2");
        let ended = client(fault, &[&host, &port], "set k v\nget k\nbye\n");
        let replies = ["OK", "v", "Goodbye"].map(|reply| format!("Server replied: {reply}\n"));
        let stdout =
            format!("Connected to server\nEnter request: {}", replies.join("Enter request: "));
        assert_eq!(ended, Exit { stdout, stderr: String::new(), code: Some(0) }, "{call}");
        let ended = client(fault, &["--load", "-", &host, &port], &"set k v\n".repeat(2_000));
        assert_eq!(ended.code, Some(0), "{call}: {ended:?}");
        assert!(ended.stdout.starts_with("sent 2000, OK 2000,"), "{call}: {ended:?}");
    }
}

#[test]
fn a_client_says_in_one_line_what_stopped_it() {
    let server = server(&[]);
    let [host, port] = words_for(server.address());
    for fault in [
        ("recvfrom", "ECONNRESET", "2"),
        ("recvfrom", "ENOMEM", "2"),
        ("sendto", "EPIPE", "2"),
        ("sendto", "ENOBUFS", "2"),
        ("connect", "ECONNREFUSED", "1"),
        ("connect", "ENETUNREACH", "1"),
        ("socket", "EMFILE", "1"),
        ("write", "ENOSPC", "1"),
    ] {
        let ended = client(fault, &[&host, &port], "set k v\nget k\nbye\n");
        assert_eq!(ended.code, Some(2), "{fault:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{fault:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{fault:?}: {ended:?}");
    }
}
