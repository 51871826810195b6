//! Every limit of what one may say or be told, driven one step beyond: the error that is read, and
//! the counter that tells of it. The limits of how many and how long stand in `limits.rs`,
//! `slow.rs` and `readers.rs`.

use crate::support::process::{Client, Process};
use crate::support::resp::resp_request;
use crate::support::tools::{server_and_proxy, stat};
use larder::protocol::resp::{MAX_ARGUMENTS, MAX_HEADER};
use larder::proxy::MAX_GATHERED;
use larder::session::MAX_NAME;
use larder::settings::limits::{HIGH_WATER, MAX_KEY, MAX_PATTERN};
use std::io::Write;
use std::iter;
use std::thread;

const FLAGS: &[&str] = &[
    "--max-line",
    "256KiB",
    "--max-value",
    "128KiB",
    "--max-request",
    "2MiB",
    "--output-limit",
    "2MiB",
];
const MAX_LINE: usize = 256 << 10;
const MAX_VALUE: usize = 128 << 10;
const OUTPUT_LIMIT: usize = 2 << 20;
const BIG: usize = 100_000;
const MIDDLE: usize = 1_500;

const REQUESTS: &str = "too_large_requests";
const REPLIES: &str = "too_large_replies";

/// Where the limit stands: the answer comes from there, and is counted there.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// In both programs.
    Both,
    /// In the server; a proxy passes its answer on.
    Server,
    /// In the server; a proxy has no such command.
    ServerOnly,
    /// In the proxy.
    Proxy,
}

/// Where the limit stands, what is sent, what is read, and which counter there rises by one.
type Row = (By, Vec<u8>, &'static str, &'static str);

fn line(words: &[&str], last: usize) -> Vec<u8> {
    format!("{} {}\r\n", words.join(" "), "x".repeat(last)).into_bytes()
}

/// A request in RESP: some words, and then one so many times.
fn repeated(words: &[&str], last: &str, times: usize) -> Vec<u8> {
    resp_request(&[words, &vec![last; times]].concat())
}

/// The same, where the last word has so many bytes.
fn resp(words: &[&str], last: usize, times: usize) -> Vec<u8> {
    repeated(words, &"x".repeat(last), times)
}

/// So many different keys.
fn watch(count: usize) -> Vec<u8> {
    let keys = (0..count).map(|key| format!("{key:06}"));
    resp_request(&iter::once("WATCH".to_string()).chain(keys).collect::<Vec<_>>())
}

/// `big` and others have [`BIG`] bytes, together more than the output limit; `middle` has
/// [`MIDDLE`].
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use By::{Both, Proxy, Server, ServerOnly};
    let header = |kind: &str| [kind.as_bytes(), &[b'1'; MAX_HEADER + 1]].concat();
    let mget = repeated(&["MGET"], "big", OUTPUT_LIMIT / BIG + 1);
    // More keys than a proxy gathers, and values of more than half of the output limit.
    let passed_on = repeated(&["MGET"], "middle", MAX_GATHERED + 1);
    let docs = repeated(&["COMMAND", "DOCS"], "client", HIGH_WATER / 1_000);
    let multi = [resp(&["MULTI"], 0, 0), resp(&["ECHO"], MAX_VALUE, 1).repeat(16)].concat();
    vec![
        (Both, line(&[], MAX_LINE), "ERR line longer than 262144 bytes", REQUESTS),
        (Both, line(&["GET"], MAX_KEY + 1), "ERR key longer than 65536 bytes", REQUESTS),
        (Both, resp(&["GET"], MAX_KEY + 1, 1), "-ERR key longer than 65536 bytes", REQUESTS),
        (Both, line(&["SET k"], MAX_VALUE + 1), "ERR value longer than 131072 bytes", REQUESTS),
        (Both, resp(&["SET", "k"], MAX_VALUE + 1, 1), "-ERR Protocol error: invalid bulk length", REQUESTS),
        (Both, format!("*{}\r\n", MAX_ARGUMENTS + 1).into_bytes(), "-ERR Protocol error: invalid multibulk length", REQUESTS),
        (Both, resp(&["MSET"], MAX_VALUE, 16), "-ERR Protocol error: request too large", REQUESTS),
        (Both, header("*"), "-ERR Protocol error: too big mbulk count string", REQUESTS),
        (Both, header("*1\r\n$"), "-ERR Protocol error: too big bulk count string", REQUESTS),
        (Both, resp(&["CLIENT", "SETNAME"], MAX_NAME + 1, 1), "-ERR Client names cannot be longer than 1024 bytes", REQUESTS),
        (Both, resp(&["HELLO", "2", "SETNAME"], MAX_NAME + 1, 1), "-ERR Client names cannot be longer than 1024 bytes", REQUESTS),
        (Both, resp(&["CLIENT", "SETINFO", "LIB-NAME"], MAX_NAME + 1, 1), "-ERR LIB-NAME cannot be longer than 1024 bytes", REQUESTS),
        (Both, resp(&["CONFIG", "GET"], MAX_PATTERN + 1, 1), "-ERR pattern longer than 1024 bytes", REQUESTS),
        (Both, resp(&["COMMAND", "LIST", "FILTERBY", "PATTERN"], MAX_PATTERN + 1, 1), "-ERR pattern longer than 1024 bytes", REQUESTS),
        (Both, multi, "-ERR transaction too large", REQUESTS),
        (Both, docs, "-ERR reply too large", REPLIES),
        (Server, resp(&["KEYS"], MAX_PATTERN + 1, 1), "-ERR pattern longer than 1024 bytes", REQUESTS),
        (Server, resp(&["SCAN", "0", "MATCH"], MAX_PATTERN + 1, 1), "-ERR pattern longer than 1024 bytes", REQUESTS),
        (Server, resp(&["APPEND", "big"], MAX_VALUE - BIG + 1, 1), "-ERR string exceeds maximum allowed size (proto-max-bulk-len)", REQUESTS),
        (ServerOnly, watch(100_001), "-ERR too many keys watched", REQUESTS),
        (ServerOnly, mget.clone(), "-ERR reply too large, use SCAN", REPLIES),
        (Proxy, mget, "-ERR reply too large", REPLIES),
        (Proxy, passed_on, "-ERR reply too large", REPLIES),
        (Both, resp(&["DUMP", "PAIRS"], 0, 0), "-ERR reply too large, use SCAN", REPLIES),
    ]
}

/// The counters of whoever listens where.
fn watchers(process: &Process) -> Vec<(String, Client)> {
    let all = process.announced().iter();
    all.map(|(name, address)| (name.clone(), Client::connect(*address))).collect()
}

fn check(process: &Process, row: &Row, watchers: &mut [(String, Client)]) {
    let (by, request, due, counter) = row;
    let what = request[..request.len().min(40)].escape_ascii().to_string();
    let is_proxy = watchers.len() == 2;
    let (whose, other) = match by {
        By::Both | By::Proxy if is_proxy => (1, 0),
        By::Server if is_proxy => (0, 1),
        _ => (0, 0),
    };
    let mut counts = |at: usize| stat(&mut watchers[at].1, counter);
    let before = (counts(whose), counts(other));
    let mut client = process.client();
    let mut sender = client.stream().try_clone().expect("a descriptor");
    let request = request.clone();
    let sending = thread::spawn(move || sender.write_all(&request));
    let mut reply = client.line();
    while matches!(reply.as_str(), "+OK" | "+QUEUED") {
        reply = client.line();
    }
    assert_eq!(reply, *due, "{what}");
    sending.join().expect("it did not fail").expect("all of it is taken, or dropped");
    if due.contains("Protocol error") {
        assert_eq!(client.until_eof(), b"", "{what}");
    } else {
        // It goes on, if need be within its transaction.
        let reply = client.ask("*1\r\n$4\r\nPING");
        assert!(["+PONG", "+QUEUED"].contains(&reply.as_str()), "{what}: {reply}");
    }
    let after = (counts(whose), counts(other));
    assert_eq!(after.0, before.0 + 1, "{counter} of {what}");
    assert!(whose == other || after.1 == before.1, "{what} is counted once");
}

#[test]
fn each_limit_has_an_error_and_a_counter() {
    for process in server_and_proxy(FLAGS) {
        let mut watchers = watchers(&process);
        let is_proxy = watchers.len() == 2;
        let mut loader = process.client();
        let big = "v".repeat(BIG);
        let others = (0..OUTPUT_LIMIT / BIG).map(|number| format!("big{number}"));
        for key in others.chain(["big".to_string()]) {
            assert_eq!(loader.ask(&format!("SET {key} {big}")), "OK");
        }
        assert_eq!(loader.ask(&format!("SET middle {}", "v".repeat(MIDDLE))), "OK");
        for row in rows() {
            let is_there = match row.0 {
                By::Both | By::Server => true,
                By::ServerOnly => !is_proxy,
                By::Proxy => is_proxy,
            };
            if is_there {
                check(&process, &row, &mut watchers);
            }
        }
        assert!(loader.ask("GET big") == big, "no request over a limit has changed anything");
    }
}
