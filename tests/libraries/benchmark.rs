//! `redis-benchmark`: every reply is counted, and one that is an error ends it.

use crate::places::everywhere;
use crate::support::child::{Exit, run};
use crate::support::rounds;
use std::net::SocketAddr;
use std::process::Command;

/// Its report on these flags, one line for each of `tests`.
fn check(address: SocketAddr, flags: &[&str], tests: &[&str]) {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let requests = rounds(20_000).to_string();
    let mut command = Command::new("redis-benchmark");
    command.args(["-h", &host, "-p", &port, "-n", &requests, "-q"]).args(flags);
    let Exit { stdout, stderr, code } = run(&mut command, b"");
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "{stdout}");
    // Progress overwrites itself within a line.
    let lines = stdout.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.filter(|line| !line.contains(": rps=")).collect();
    let is_result = |line: &str, test: &str| {
        line.starts_with(&format!("{test}: ")) && line.contains(" requests per second, p50=")
    };
    let all = lines.len() == tests.len()
        && lines.iter().zip(tests).all(|(line, test)| is_result(line, test));
    assert!(all, "{lines:#?}");
}

#[test]
fn one_request_at_a_time() {
    everywhere(|address, _| {
        let tests = ["PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"];
        check(address, &["-t", "ping_mbulk,set,get,incr,mset"], &tests);
    });
}

#[test]
fn pipelines_over_many_keys() {
    everywhere(|address, _| {
        let flags = ["-t", "set,get", "-P", "16", "-c", "10", "-r", "1000"];
        check(address, &flags, &["SET", "GET"]);
    });
}
