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

/// The client for a server at `address`: `[options] HOST PORT words…`.
pub fn command_to(options: &[&str], address: SocketAddr, words: &[&str]) -> Command {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    command(&[options, &[host.as_str(), port.as_str()], words].concat())
}

/// Runs the client with `input` on a pipe.
pub fn run(options: &[&str], address: SocketAddr, words: &[&str], input: &[u8]) -> Exit {
    child::run(&mut command_to(options, address, words), input)
}

/// The same with all arguments given.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Exit {
    child::run(&mut command(arguments), input)
}
