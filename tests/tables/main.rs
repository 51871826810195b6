//! The tables of settings and of counters are complete: every live setting acts while a program
//! runs, every counter counts, the documents have both, and what is missing is named.

mod counters;
mod documents;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use larder::settings::Program;
use support::process::{Client, Process, proxy_alone, server};
use support::resp::resp_request;

/// Both programs, with the names that people know them by.
const PROGRAMS: [(Program, &str); 2] = [(Program::Server, "server"), (Program::Proxy, "proxy")];

/// Returns a program that runs with these flags; a proxy has a server of its own.
fn start(program: Program, flags: &[&str]) -> Process {
    if program == Program::Server { server(flags) } else { proxy_alone(flags) }
}

/// Sends a request in RESP, and returns its reply: see [`reply`].
#[track_caller]
fn resp(client: &mut Client, words: &[&str]) -> String {
    client.send(resp_request(words));
    reply(client)
}

/// Returns a reply in RESP: its line, or the text of a bulk string, or the parts of a list with
/// spaces between them.
#[track_caller]
fn reply(client: &mut Client) -> String {
    let line = client.line();
    match (line.as_bytes()[0], line[1..].parse()) {
        (b'$' | b'=', Ok(length)) => {
            let mut bytes = client.exactly(length + 2);
            bytes.truncate(length);
            String::from_utf8(bytes).expect("text")
        }
        (kind @ (b'*' | b'~' | b'%'), Ok(count)) => {
            let count: usize = if kind == b'%' { 2 * count } else { count };
            (0..count).map(|_| reply(client)).collect::<Vec<_>>().join(" ")
        }
        _ => line,
    }
}

/// Returns a client that is told of changes.
fn tracking_client(process: &Process) -> Client {
    let mut client = process.client();
    resp(&mut client, &["HELLO", "3"]);
    assert_eq!(resp(&mut client, &["CLIENT", "TRACKING", "ON"]), "+OK");
    client
}
