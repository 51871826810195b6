//! Nothing that a peer says can forge a line of the log, or steer the terminal that shows it.

use crate::support::fake::Fake;
use crate::support::process::Process;
use crate::support::resp::resp_request;
use crate::support::tools::start_in_shell;

/// What would forge, or steer.
const NASTY: &str =
    "evil\r\n[2026-01-01T00:00:00Z ERROR forged] \x1b[2J\x1b]0;t\x07\"'\\\u{9b}31m\u{202e}\0";

/// Everything is logged that there is to log.
pub fn talkative(program: &str, flags: &[&str]) -> Process {
    let flags = [&["--listen", "127.0.0.1:0"], flags].concat();
    start_in_shell("RUST_LOG=trace", program, &flags, 1)
}

/// All that it logged, once it was told to stop.
pub fn whole_log(mut process: Process) -> String {
    process.signal("TERM");
    assert!(process.wait().success(), "{}", process.log());
    process.log()
}

/// Every line is one of ours, and holds nothing but printable characters.
#[track_caller]
fn check_clean(log: &str) {
    for line in log.lines() {
        let is_ours = ["TRACE mio::", "DEBUG larder::", "INFO  larder::", "WARN  larder::"];
        assert!(is_ours.iter().any(|start| line.contains(start)), "{line:?}");
        let is_raw = |character: char| character.is_control() || character == '\u{202e}';
        assert!(line.starts_with("[20") && !line.contains(is_raw), "{line:?}");
    }
}

/// Requests with something nasty wherever there is room for it.
fn nasty_requests() -> Vec<Vec<u8>> {
    let nasty = NASTY.as_bytes().to_vec();
    let one_word: String = NASTY.chars().filter(|it| !it.is_whitespace()).collect();
    let requests = [
        &["SET", "?", "?"][..],
        &["GET", "?"],
        &["?"],
        &["?", "?"],
        &["CLIENT", "SETNAME", "?"],
        &["CLIENT", "SETINFO", "LIB-NAME", "?"],
        &["CLIENT", "?"],
        &["HELLO", "3", "SETNAME", "?"],
        &["HELLO", "3", "AUTH", "?", "?"],
        &["AUTH", "?"],
        &["CONFIG", "SET", "?", "?"],
        &["CONFIG", "GET", "?"],
        &["SET", "k", "v", "?"],
        &["INFO", "?"],
        &["KEYS", "?"],
        &["CLIENT", "KILL", "ADDR", "?"],
        &["DUMP", "?"],
    ];
    let mut bytes = Vec::new();
    for request in requests {
        let words =
            request.iter().map(|&word| if word == "?" { nasty.clone() } else { word.into() });
        bytes.push(resp_request(&words.collect::<Vec<_>>()));
        bytes.push(format!("{}\n", request.join(" ").replace('?', &one_word)).into_bytes());
    }
    bytes.extend([b"*1\r\n\x1b".to_vec(), b"*\x1b[2J\r\n".to_vec(), b"*1\r\n$\x1b\r\n".to_vec()]);
    bytes.push(format!("POST {one_word}\r\n").into_bytes());
    bytes
}

#[test]
fn nothing_that_clients_say_reaches_the_log_raw() {
    let server = talkative(env!("CARGO_BIN_EXE_server"), &[]);
    let upstream = server.address().to_string();
    let proxy = talkative(env!("CARGO_BIN_EXE_proxy"), &["--upstream", &upstream]);
    for process in [proxy, server] {
        for request in nasty_requests() {
            let mut client = process.client();
            client.send(request);
            client.finish_sending();
            client.until_closed();
        }
        check_clean(&whole_log(process));
    }
}

#[test]
fn nothing_that_an_upstream_says_reaches_the_log_raw() {
    let one_line = NASTY.replace(['\r', '\n'], " ");
    let greetings = [
        (format!("-LOADING {one_line}\r\n"), "it is not ready: LOADING"),
        (format!("-{one_line}\r\n"), "the upstream speaks RESP2"),
        (format!("-LOADING \r{one_line}\r\n"), "it is not ready: LOADING"),
        (format!("!{}\r\nLOADING {NASTY}\r\n", 8 + NASTY.len()), ""),
        (format!("+{one_line}\r\n"), ""),
        (NASTY.to_string(), "it sent a malformed reply"),
        ("\x1b[2J\r\n".to_string(), "unknown reply type '\\x1b'"),
        (format!("${NASTY}\r\n"), "it sent a malformed reply"),
    ];
    for (greeting, logged) in greetings {
        let fake = Fake::start();
        let upstream = fake.address().to_string();
        let proxy = talkative(env!("CARGO_BIN_EXE_proxy"), &["--upstream", &upstream]);
        let mut link = fake.accept_in_silence();
        link.expect("HELLO 3");
        link.push(&greeting);
        if logged.is_empty() {
            // It says nothing, leaves, and comes again.
            fake.accept_in_silence();
        }
        proxy.wait_for_log(logged);
        check_clean(&whole_log(proxy));
    }
    let fake = Fake::start();
    let flags = ["--upstream", &fake.address().to_string(), "--upstream-db", "1"];
    let proxy = talkative(env!("CARGO_BIN_EXE_proxy"), &flags);
    let mut link = fake.accept_in_silence();
    for (question, answer) in [("HELLO 3", "NOPROTO no"), ("SELECT 1", &format!("ERR {one_line}"))]
    {
        link.expect(question);
        link.push(format!("-{answer}\r\n"));
    }
    proxy.wait_for_log("it does not give database 1: ERR evil");
    check_clean(&whole_log(proxy));
}
