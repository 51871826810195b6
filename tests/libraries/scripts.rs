//! The libraries for Python and Node.js, each with a script beside this file.

use crate::places::everywhere;
use crate::support::child::{Exit, run};
use crate::support::place::Place;
use crate::support::process::server;
use crate::support::redis_server::Redis;
use crate::support::rounds;
use crate::support::tools::connected_proxy;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the scripts.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/libraries");

/// The folder in which `tests/all` installs the libraries.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("libraries");
    let pinned = [
        include_str!("requirements.txt"),
        include_str!("package.json"),
        include_str!("package-lock.json"),
    ];
    let found = fs::read_to_string(folder.join("installed")).unwrap_or_default();
    assert!(
        found == pinned.concat(),
        "the libraries are not in {}: run tests/all, which installs them",
        folder.display()
    );
    folder
}

/// A script in Python; what the library logs or warns of is printed, and so are errors.
fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", installed().join("python"));
    command.args(["-B", "-W", "error", "-W", "ignore::DeprecationWarning"]);
    command.arg(Path::new(SCRIPTS).join(script));
    command
}

#[track_caller]
fn expect_silence(command: &mut Command, input: &[u8]) {
    let silence = Exit { stdout: String::new(), stderr: String::new(), code: Some(0) };
    let ended = run(command, input);
    assert!(ended == silence, "{:?}\n{}{}", ended.code, ended.stdout, ended.stderr);
}

fn arguments(address: SocketAddr, place: Place) -> [String; 3] {
    let role = if place.is_proxy() { "proxy" } else { "server" };
    [address.to_string(), role.to_string(), rounds(2_000).to_string()]
}

#[test]
fn redis_py() {
    everywhere(|address, place| {
        expect_silence(python("redis_py.py").args(arguments(address, place)), b"");
    });
}

/// The script comes on stdin, so that it finds the libraries in the folder where it runs.
fn node(script: &str) {
    everywhere(|address, place| {
        let source = fs::read(Path::new(SCRIPTS).join(script)).expect("it is there");
        let mut command = Command::new("node");
        command.current_dir(installed()).args(["--input-type=module", "-"]);
        expect_silence(command.args(arguments(address, place)), &source);
    });
}

#[test]
fn node_redis() {
    node("node_redis.mjs");
}

#[test]
fn ioredis() {
    node("ioredis.mjs");
}

/// What only Redis has reaches its clients through the proxy unchanged.
#[test]
fn data_types_through_the_proxy() {
    let redis = Redis::start(&[]);
    let proxy = connected_proxy(redis.address, &[]);
    let addresses = [redis.address, proxy.address()].map(|it| it.to_string());
    expect_silence(python("data_types.py").args(addresses), b"");
}

/// What a shared connection cannot carry is refused, and nothing hangs.
#[test]
fn what_would_block_or_stay_is_refused() {
    let redis = Redis::start(&[]);
    for program in [connected_proxy(redis.address, &[]), server(&[])] {
        expect_silence(python("refusals.py").arg(program.address().to_string()), b"");
    }
}
