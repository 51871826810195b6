//! The programs from outside: their words and exit codes.

mod support;

use std::net::{Ipv6Addr, TcpListener};
use std::process::Command;
use support::child::{Exit, run};
use support::process::{Client, Process, proxy_alone, server};
use support::tools::start_in_shell;

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const PROXY: &str = env!("CARGO_BIN_EXE_proxy");
const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// Runs a program that is expected to end by itself.
fn run_to_end(program: &str, flags: &[&str]) -> Exit {
    run(Command::new(program).args(flags).env_remove("RUST_LOG"), b"")
}

/// Ends with this exit code, and one line on stderr that holds `words`; nothing on stdout.
#[track_caller]
fn check_refused(program: &str, flags: &[&str], code: i32, words: &str) {
    let Exit { stdout, stderr, code: ended } = run_to_end(program, flags);
    assert_eq!((ended, &stdout[..]), (Some(code), ""), "{flags:?}: {stderr}");
    assert!(stderr.ends_with('\n') && stderr.lines().count() == 1, "{flags:?}: {stderr:?}");
    assert!(stderr.contains(words), "{flags:?}: {stderr}");
    assert!(!stderr.contains('\x1b') && !stderr.contains("panicked"), "{flags:?}: {stderr:?}");
}

#[test]
fn help_and_version_are_printed_on_stdout() {
    for (name, program) in [("server", SERVER), ("proxy", PROXY), ("client", CLIENT)] {
        let usage = format!("Usage: {name} [options]");
        for flag in ["-h", "--help"] {
            let Exit { stdout, stderr, code } = run_to_end(program, &[flag]);
            assert_eq!((code, &stderr[..]), (Some(0), ""), "{name} {flag}");
            assert!(stdout.contains(&usage) && stdout.ends_with('\n'), "{name} {flag}: {stdout}");
        }
        let stdout = format!("{name} (larder) {}\n", env!("CARGO_PKG_VERSION"));
        let version = Exit { stdout, stderr: String::new(), code: Some(0) };
        for flag in ["-V", "--version"] {
            assert_eq!(run_to_end(program, &[flag]), version);
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
