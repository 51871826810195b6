//! The client as its tests start it.

use crate::support::child::{self, Exit};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// The client with these arguments, in a home of its own that is empty and not there yet.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(arguments).env("HOME", home("none")).env("TERM", "xterm").env_remove("NO_COLOR");
    command
}

/// A folder for one test.
pub fn home(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{name}"))
}

/// `[options] HOST PORT words…` for a server at `address`.
pub fn arguments(options: &[&str], address: SocketAddr, words: &[&str]) -> Vec<String> {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let all = [options, &[host.as_str(), port.as_str()], words].concat();
    all.into_iter().map(str::to_string).collect()
}

/// Runs the client with `input` on a pipe.
pub fn run(options: &[&str], address: SocketAddr, words: &[&str], input: &[u8]) -> Exit {
    let arguments = arguments(options, address, words);
    run_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), input)
}

/// The same with all arguments given.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Exit {
    child::run(&mut command(arguments), input)
}
