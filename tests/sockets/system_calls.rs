//! What a request costs in system calls, counted by `strace` (Debian's package of that name).

use crate::support::process::{Process, proxy, server};
use crate::support::tools::server_and_proxy;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A `strace` that counts what a running process asks of the system.
struct Trace {
    strace: Child,
    report: PathBuf,
}

impl Trace {
    fn attach(process: &Process) -> Trace {
        let name = format!("larder-strace-{}-{}", std::process::id(), process.id());
        let report = std::env::temp_dir().join(name);
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-U", "name,calls", "-p", &process.id().to_string(), "-o"]);
        command.arg(&report);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = command.spawn().expect("strace is there: apt-get install strace");
        let mut line = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().expect("it is piped"));
        stderr.read_line(&mut line).expect("it is a pipe");
        assert!(line.contains("attached"), "strace cannot trace a child of ours: {line}");
        thread::spawn(move || stderr.lines().for_each(drop));
        Trace { strace, report }
    }

    /// The number of calls by their names.
    fn finish(mut self) -> HashMap<String, usize> {
        let status = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
        self.strace.wait().expect("it is a child");
        let report = fs::read_to_string(&self.report).expect("strace wrote it");
        fs::remove_file(&self.report).expect("it was there");
        let rows = report.lines().filter_map(|line| {
            let (name, calls) = line.trim().split_once(char::is_whitespace)?;
            Some((name.to_string(), calls.trim().parse().ok()?))
        });
        rows.filter(|(name, _)| name != "total").collect()
    }
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
        let trace = Trace::attach(&process);
        for _ in 0..REQUESTS {
            assert_eq!(client.ask("GET k"), "v");
        }
        let calls = trace.finish();
        // strace may go before it has counted the last; and now and then, a proxy asks whether what
        // it keeps is still true.
        let expected = REQUESTS - 1..=REQUESTS + 10;
        assert!(expected.contains(&sum(&calls, READS)), "{calls:?}");
        assert!(expected.contains(&sum(&calls, WRITES)), "{calls:?}");
        assert_eq!(sum(&calls, &["epoll_ctl"]), 0, "{calls:?}");
        // One poll for each request, and the one that waited when strace came.
        assert!(sum(&calls, POLLS) <= REQUESTS + 30, "{calls:?}");
        assert!(calls.values().sum::<usize>() <= 3 * REQUESTS + 50, "{calls:?}");
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
    let calls = calls_in_a_second(&process);
    println!("an idle proxy with an entry in its cache, in a second: {calls:?}");
    let questions = sum(&calls, WRITES);
    assert!((1..=4).contains(&questions), "{calls:?}");
    assert!(calls.values().sum::<usize>() <= 6 * (questions + 1), "{calls:?}");
    assert_eq!(client.ask("DEL k"), "OK");
    let calls = calls_in_a_second(&process);
    assert!(calls.values().sum::<usize>() <= 1, "nothing is kept: {calls:?}");
}

fn calls_in_a_second(process: &Process) -> HashMap<String, usize> {
    let trace = Trace::attach(process);
    // The time itself: nothing else is to happen in it.
    thread::sleep(Duration::from_secs(1));
    trace.finish()
}
