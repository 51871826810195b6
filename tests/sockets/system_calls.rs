//! What a request costs in system calls, counted by `strace`.

use crate::support::process::{Process, proxy, server};
use crate::support::strace::Strace;
use crate::support::tools::server_and_proxy;
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// Begins to count what a running process asks of the system.
fn count(process: &Process) -> Strace {
    Strace::attach(process, &["-c", "-U", "name,calls"])
}

/// The number of calls by their names.
fn counted(trace: Strace) -> HashMap<String, usize> {
    let report = trace.detach();
    let rows = report.lines().filter_map(|line| {
        let (name, calls) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_string(), calls.trim().parse().ok()?))
    });
    rows.filter(|(name, _)| name != "total").collect()
}

fn sum(calls: &HashMap<String, usize>, names: &[&str]) -> usize {
    names.iter().filter_map(|name| calls.get(*name)).sum()
}

const READS: &[&str] = &["read", "readv", "recvfrom", "recvmsg"];
const WRITES: &[&str] = &["write", "writev", "sendto", "sendmsg"];
const POLLS: &[&str] = &["epoll_wait", "epoll_pwait", "restart_syscall"];

#[test]
fn a_request_costs_one_read_and_one_write_and_no_registration() {
    const REQUESTS: usize = 500;
    for process in server_and_proxy(&[]) {
        let mut client = process.client();
        assert_eq!(client.ask("SET k v"), "OK");
        for _ in 0..100 {
            assert_eq!(client.ask("GET k"), "v");
        }
        let (trace, started) = (count(&process), Instant::now());
        for _ in 0..REQUESTS {
            assert_eq!(client.ask("GET k"), "v");
        }
        let calls = counted(trace);
        // strace may go before it has counted the last; and three times a second, a proxy asks
        // whether what it keeps is still true, and its own server answers.
        let questions = 6 * (started.elapsed().as_secs() as usize + 1);
        let expected = REQUESTS - 1..=REQUESTS + 4 + questions;
        assert!(expected.contains(&sum(&calls, READS)), "{calls:?}");
        assert!(expected.contains(&sum(&calls, WRITES)), "{calls:?}");
        assert_eq!(sum(&calls, &["epoll_ctl"]), 0, "{calls:?}");
        // One poll for each request, and the one that waited when strace came.
        assert!(sum(&calls, POLLS) <= REQUESTS + 30 + questions, "{calls:?}");
        assert!(calls.values().sum::<usize>() <= 3 * REQUESTS + 50 + 3 * questions, "{calls:?}");
    }
}

#[test]
fn an_idle_program_asks_nothing_of_the_system() {
    for process in server_and_proxy(&[]) {
        let mut clients: Vec<_> = (0..100).map(|_| process.client()).collect();
        for client in &mut clients {
            assert_eq!(client.ask("SET k v"), "OK");
            assert_eq!(client.ask("GET k"), "v");
            // While a proxy keeps anything, it asks whether it is still true.
            assert_eq!(client.ask("DEL k"), "OK");
        }
        let calls = calls_in_a_second(&process);
        // The polls that waited when strace came.
        assert_eq!(calls.keys().filter(|name| !POLLS.contains(&name.as_str())).count(), 0);
        assert!(sum(&calls, POLLS) <= process.announced().len(), "{calls:?}");
        assert_eq!(clients[0].ask("PING"), "PONG");
    }
}

/// What it keeps is worth little without word from the upstream that it is still true: three times
/// in each `--trust`, a second here.
#[test]
fn an_idle_proxy_that_keeps_something_asks_whether_it_is_true_and_no_more() {
    let upstream = server(&[]);
    let process = proxy(upstream.address(), &["--trust", "1"]);
    let mut client = process.client();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    let started = Instant::now();
    let calls = calls_in_a_second(&process);
    println!("an idle proxy with an entry in its cache, in a second: {calls:?}");
    let questions = sum(&calls, WRITES);
    // strace may have taken its time to come and to go.
    let most = 4 + 3 * started.elapsed().as_secs() as usize;
    assert!((1..=most).contains(&questions), "{calls:?}");
    assert!(calls.values().sum::<usize>() <= 6 * (questions + 1), "{calls:?}");
    assert_eq!(client.ask("DEL k"), "OK");
    let calls = calls_in_a_second(&process);
    assert!(calls.values().sum::<usize>() <= 1, "nothing is kept: {calls:?}");
}

fn calls_in_a_second(process: &Process) -> HashMap<String, usize> {
    let trace = count(process);
    // The time itself: nothing else is to happen in it.
    thread::sleep(Duration::from_secs(1));
    counted(trace)
}
