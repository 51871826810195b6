//! The programs from outside: their words, exit codes and signals.

mod support;

use std::io::Read;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::process::{Client, PATIENCE, Process, proxy, proxy_alone, server};
use support::tools::{own_loopback, server_and_proxy, start_in_shell, stat, wait_until};

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// Runs a program that is expected to end by itself.
fn run_to_end(program: &str, flags: &[&str]) -> Output {
    let limit = PATIENCE.as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args([&limit, program]).args(flags).env_remove("RUST_LOG");
    command.output().expect("timeout is there")
}

/// Ends with this exit code, and one line on stderr that holds `words`; nothing on stdout.
#[track_caller]
fn check_refused(program: &str, flags: &[&str], code: i32, words: &str) {
    let output = run_to_end(program, flags);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{flags:?}: {stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{flags:?}");
    assert!(stderr.ends_with('\n') && stderr.lines().count() == 1, "{flags:?}: {stderr:?}");
    assert!(stderr.contains(words), "{flags:?}: {stderr}");
    assert!(!stderr.contains('\x1b') && !stderr.contains("panicked"), "{flags:?}: {stderr:?}");
}

#[test]
fn help_and_version_are_printed_on_stdout() {
    for (name, program) in [("server", SERVER), ("proxy", PROXY), ("client", CLIENT)] {
        for flag in ["-h", "--help", "-V", "--version"] {
            let output = run_to_end(program, &[flag]);
            assert!(output.status.success() && output.stderr.is_empty(), "{name} {flag}");
            let text = String::from_utf8(output.stdout).expect("text");
            assert!(text.contains(name) && text.ends_with('\n'), "{name} {flag}: {text}");
            let wanted = if flag.to_lowercase().contains('v') { "0.1.0" } else { "--version" };
            assert!(text.contains(wanted), "{name} {flag}: {text}");
        }
    }
}

#[test]
fn a_wrong_flag_or_value_is_one_line_and_exit_code_2() {
    for program in [SERVER, PROXY] {
        for (flags, words) in [
            (&["--nonsense"][..], "nonsense"),
            (&["--non\nsense"], "non"),
            (&["--listen"], "listen"),
            (&["--listen", "5000"], "--listen"),
            (&["--listen", "127.0.0.1:99999"], "--listen"),
            (&["--listen", "127.0.0.1:x"], "--listen"),
            (&["--listen", "no.such.host.invalid:5000"], "no.such.host.invalid"),
            (&["--put", "sometimes"], "create or replace"),
            (&["--max-connections", "0"], "--max-connections"),
            (&["--max-connections", "-1"], "--max-connections"),
            (&["--idle-timeout", "soon"], "--idle-timeout"),
            (&["--idle-timeout", "NaN"], "--idle-timeout"),
            (&["--line-timeout", "inf"], "--line-timeout"),
            (&["--line-timeout", "0"], "--line-timeout"),
            (&["--request-timeout", "1e99"], "--request-timeout"),
            (&["--max-line", "1mb"], "--max-line"),
            (&["--max-value", "99999999999999GiB"], "--max-value"),
            (&["--output-limit", "1"], "--output-limit"),
            (&["--put", "create", "--put", "replace"], "put"),
            (&["--drain-timeout", "a\nb\x1b[31m"], "--drain-timeout"),
            (&["word"], "word"),
            (&["--", "wo\nrd\x1b[31m"], "wo"),
        ] {
            check_refused(program, flags, 2, words);
        }
    }
    check_refused(SERVER, &["--ttl", "5"], 2, "ttl");
    check_refused(PROXY, &["--ttl", "-5"], 2, "--ttl");
    check_refused(PROXY, &["--upstream", "nowhere"], 2, "--upstream");
    check_refused(PROXY, &["--upstream", ":6379"], 2, "--upstream");
    check_refused(PROXY, &["--upstream", "a b:6379"], 2, "--upstream");
    check_refused(PROXY, &["--upstream-db", "1"], 2, "go with --upstream");
    check_refused(PROXY, &["--upstream-auth-file", "x"], 2, "go with --upstream");
    let upstream = ["-u", "127.0.0.1:1"];
    for (flag, value, words) in [
        ("--upstream-db", "-1", "--upstream-db"),
        ("--upstream-db", "x\x1b[31m", "--upstream-db"),
        ("--upstream-auth-file", "/no/such\nfile", "No such file"),
        ("--upstream-auth-file", "/", "directory"),
        ("--upstream-auth-file", "/dev/null", "it holds no password"),
        ("--upstream-auth-file", "/dev/zero", "it is too large"),
        ("--upstream-auth-file", file!(), "one line"),
    ] {
        check_refused(PROXY, &[&upstream[..], &[flag, value]].concat(), 2, words);
    }
    let user = ["LARDER_UPSTREAM_USER=me", PROXY, "-u", "127.0.0.1:1"];
    check_refused("env", &user, 2, "LARDER_UPSTREAM_USER");
    check_refused(PROXY, &["--cache-bytes", "64Mb"], 2, "--cache-bytes");
    check_refused(PROXY, &["-u", "127.0.0.1:1", "--server-listen", "127.0.0.1:2"], 2, "upstream");
}

#[test]
fn a_place_where_nobody_can_listen_is_one_line_and_exit_code_1() {
    let place = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let taken = place.local_addr().expect("it is bound").to_string();
    check_refused(SERVER, &["--listen", &taken], 1, &taken);
    check_refused(SERVER, &["--listen", "192.0.2.1:0"], 1, "192.0.2.1:0");
    check_refused(SERVER, &["-l", "127.0.0.1:0", "-l", &taken], 1, "in use");
    check_refused(PROXY, &["--listen", &taken, "--upstream", "127.0.0.1:1"], 1, "in use");
    check_refused(PROXY, &["--listen", "192.0.2.1:0", "-u", "127.0.0.1:1"], 1, "192.0.2.1:0");
    check_refused(PROXY, &["-l", "127.0.0.1:0", "--server-listen", "192.0.2.1:0"], 1, "192.0.2.1");
    drop(place);
}

#[test]
fn every_listener_is_announced_by_one_line_and_served() {
    let flags = ["-l", "127.0.0.1:0", "--listen", "127.0.0.2:0", "--listen=localhost:0"];
    for (name, program, own) in
        [("server", SERVER, &[][..]), ("proxy", PROXY, &["--upstream", "127.0.0.1:1"])]
    {
        let process = Process::start(program, &[&flags, own].concat(), 3);
        for (announced, address) in process.announced() {
            assert_eq!(announced, name);
            assert_eq!(Client::connect(*address).ask("PING"), "PONG");
        }
    }
}

#[test]
fn announcements_are_printed_whatever_is_logged() {
    let process = start_in_shell("RUST_LOG=off", SERVER, &["--listen", "127.0.0.1:0"], 1);
    assert_eq!(process.client().ask("PING"), "PONG");
    assert_eq!(process.log(), "");
}

#[test]
fn ipv6_is_listened_on_where_there_is_ipv6() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("no IPv6 here");
        return;
    }
    let upstream = Process::start(SERVER, &["--listen", "[::1]:0"], 1);
    assert_eq!(upstream.client().ask("SET k v"), "OK");
    let flags = ["--listen", "[::1]:0", "--upstream", &upstream.address().to_string()];
    let proxy = Process::start(PROXY, &flags, 1);
    assert_eq!(proxy.client().ask("GET k"), "v");
}

#[test]
fn a_proxy_alone_brings_a_server() {
    let process = proxy_alone(&[]);
    let announced = process.announced();
    assert_eq!([&announced[0].0, &announced[1].0], ["server", "proxy"]);
    let mut behind = Client::connect(announced[0].1);
    assert_eq!(behind.ask("PUT k v"), "OK");
    assert_eq!(process.client().ask("GET k"), "v");
    assert_eq!(process.client().ask("PUT k w"), "Key already exists");
    drop(behind);
    assert!(process.terminate().success());
}

#[test]
fn a_proxy_uses_the_server_that_is_there() {
    let upstream = server(&[]);
    assert_eq!(upstream.client().ask("PUT k v"), "OK");
    let place = upstream.address().to_string();
    let flags = ["--listen", "127.0.0.1:0", "--server-listen", &place];
    let proxy = Process::start(PROXY, &flags, 1);
    assert_eq!(proxy.announced()[0].0, "proxy");
    assert_eq!(proxy.client().ask("GET k"), "v");
    assert!(proxy.terminate().success());
    assert_eq!(upstream.client().ask("GET k"), "v", "it was not the proxy's to stop");
}

/// Whether all of `received` is whole replies of `expected`, from the first on.
#[track_caller]
fn check_whole_replies(received: &[u8], expected: &str) -> usize {
    let received = std::str::from_utf8(received).expect("text");
    assert!(expected.starts_with(received), "other replies than expected");
    assert!(received.is_empty() || received.ends_with('\n'), "half a reply");
    received.lines().count()
}

#[test]
fn work_under_way_is_finished_when_the_program_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        for mut process in server_and_proxy(&[]) {
            let lines = |n: usize| format!("SET k{n} {n}\r\nGET k{n}\r\nGET k{n}\r\n");
            let requests: String = (0..5_000).map(lines).collect();
            let expected: String = (0..5_000).map(|n| format!("OK\r\n{n}\r\n{n}\r\n")).collect();
            let mut idle = process.client();
            assert_eq!(idle.ask("PING"), "PONG");
            let mut client = process.client();
            client.send(requests);
            let first = client.exactly(4);
            let started = Instant::now();
            process.signal(signal);
            let received = [first, client.until_eof()].concat();
            check_whole_replies(&received, &expected);
            assert_eq!(idle.until_eof(), b"");
            drop((client, idle));
            assert!(process.wait().success(), "{signal}");
            assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        }
    }
}

#[test]
fn a_dump_under_way_is_finished_when_the_program_is_told_to_stop() {
    for mut process in server_and_proxy(&[]) {
        let mut client = process.client();
        let key = |number: usize| format!("k{number:0>1000}");
        for batch in 0..20 {
            let keys = (0..1_000).map(|at| key(batch * 1_000 + at));
            client.send(keys.map(|key| format!("SET {key} v\r\n")).collect::<String>());
            client.lines(1_000);
        }
        client.send("DUMP PAIRS\r\n");
        let first = client.line();
        process.signal("TERM");
        let pairs = client.until_end();
        assert_eq!(pairs.len(), 20_000 - 1);
        assert!(!pairs.contains(&first));
        assert_eq!(client.until_eof(), b"");
        drop(client);
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

fn wait_for_closed_listener(address: SocketAddr) {
    wait_until("it listens no more", || TcpStream::connect(address).is_err());
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
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    client.until_closed();
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let flags = ["--upstream-timeout", "25", "--drain-timeout", "25"];
        let (_silent, mut proxy, mut client) = waiting_on_a_silent_upstream(&flags);
        let started = Instant::now();
        proxy.signal(first);
        wait_for_closed_listener(proxy.address());
        proxy.signal(second);
        proxy.wait();
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        client.until_closed();
    }
}

/// Whoever has read where it listens may tell it to stop: `strace` makes the moment after long.
#[test]
fn a_signal_right_after_the_announcement_is_heeded() {
    let traced = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e"];
    let delayed = ["inject=write:delay_exit=300000", SERVER, "--listen", "127.0.0.1:0"];
    let process = Process::start("strace", &[&traced[..], &delayed].concat(), 1);
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
        let mut end = [0];
        assert_eq!(client.stream().read(&mut end).expect("a FIN comes"), 0);
        client.send("PING\r\n");
        assert!(process.wait().success());
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn a_hangup_does_not_end_the_programs() {
    for process in server_and_proxy(&[]) {
        let mut client = process.client();
        for signal in ["HUP", "PIPE", "HUP"] {
            process.signal(signal);
            assert_eq!(client.ask("PING"), "PONG");
        }
        process.wait_for_log("SIGHUP");
        assert_eq!(process.client().ask("PING"), "PONG");
        assert!(process.terminate().success());
    }
}

/// A child whose words go nowhere; killed when dropped.
struct Mute(Child);

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs both programs with these redirections of the shell, and both pipes closed at our end.
fn check_lives_on(redirections: &str) {
    let upstream = server(&[]);
    let upstream = upstream.address().to_string();
    for (program, own) in [(SERVER, &[][..]), (PROXY, &["--upstream", &upstream])] {
        // It cannot say where it listens.
        let free = TcpListener::bind((own_loopback(), 0)).expect("there is a port");
        let place = free.local_addr().expect("it is bound");
        drop(free);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\" {redirections}"), program]);
        command.args(["--listen", &place.to_string()]).args(own);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Mute(command.spawn().expect("sh is there"));
        drop((process.0.stdout.take(), process.0.stderr.take()));
        wait_until("it listens", || TcpStream::connect(place).is_ok());
        let id = process.0.id().to_string();
        let signal = |name: &str| {
            let status = Command::new("kill").args([name, &id]).status();
            assert!(status.expect("kill is there").success(), "{redirections}");
        };
        for _ in 0..20 {
            signal("-HUP");
            assert_eq!(Client::connect(place).ask("SET k v"), "OK", "{redirections}");
        }
        signal("-TERM");
        let mut status = None;
        wait_until("it ends", || {
            status = process.0.try_wait().expect("it is a child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{redirections}: {status:?}");
    }
}

#[test]
fn closed_or_full_outputs_do_not_end_the_programs() {
    for redirections in ["", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"] {
        check_lives_on(redirections);
    }
}
