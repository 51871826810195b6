//! The tables of settings and of counters are complete: every live setting acts while a program
//! runs, every counter counts, and a row without a case here fails by its name.

mod counters;
mod defaults;
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

/// Sends a request in RESP, and returns the first line of its reply.
#[track_caller]
fn resp(client: &mut Client, words: &[&str]) -> String {
    client.send(resp_request(words));
    client.line()
}

/// Returns a client that is told of changes.
fn tracking_client(process: &Process) -> Client {
    let mut client = process.client();
    // The modules are the last that is told, and there are none.
    client.send(resp_request(&["HELLO", "3"]));
    client.bytes_through(b'*');
    client.line();
    assert_eq!(resp(&mut client, &["CLIENT", "TRACKING", "ON"]), "+OK");
    client
}
