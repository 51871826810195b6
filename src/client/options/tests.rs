//! Tests of `options.rs`.

use super::*;
use std::os::unix::ffi::OsStringExt;

fn parse_words(words: &[&str]) -> Result<Parsed<Options>, String> {
    parse(words.iter().map(OsString::from))
}

fn options(host: &str, port: u16, task: Task) -> Options {
    Options { host: host.to_string(), port, raw: false, origin: false, task }
}

#[track_caller]
fn check(words: &[&str], expected: Options) {
    assert_eq!(parse_words(words), Ok(Parsed::Run(expected)));
}

#[track_caller]
fn check_wrong(words: &[&str], expected: &str) {
    assert_eq!(parse_words(words), Err(expected.to_string()));
}

#[test]
fn host_port_and_command_stand_in_that_order() {
    check(&[], options("127.0.0.1", 5000, Task::Interactive));
    check(&["::1"], options("::1", 5000, Task::Interactive));
    check(&["[::1]", "1"], options("::1", 1, Task::Interactive));
    let put = Task::Command(["put", "1", "-3", "--raw"].map(|word| word.into()).to_vec());
    check(&["h", "7", "put", "1", "-3", "--raw"], options("h", 7, put));
    let load = Task::Load(None);
    check(&["--load", "-", "h"], options("h", 5000, load));
    let load = Task::Load(Some("f".into()));
    let origin = Options { origin: true, ..options("127.0.0.1", 5000, load) };
    check(&["--origin", "--load=f"], origin);
    let raw = Options { raw: true, ..options("h", 5000, Task::Interactive) };
    check(&["--raw", "--", "h"], raw);
}

#[test]
fn a_command_may_be_any_bytes() {
    let words = ["h".into(), "7".into(), "get".into(), OsString::from_vec(b"\xff".to_vec())];
    let task = Task::Command(vec![b"get".to_vec(), b"\xff".to_vec()]);
    assert_eq!(parse(words), Ok(Parsed::Run(options("h", 7, task))));
}

#[test]
fn a_wrong_argument_is_named() {
    check_wrong(&["--row"], "there is no flag --row");
    check_wrong(&["-3"], "there is no flag -3");
    check_wrong(&["--load"], "--load needs a value");
    check_wrong(&["--raw=1"], "--raw takes no value");
    check_wrong(&["--raw", "--raw"], "--raw is given twice");
    check_wrong(&["h", "0"], "'0' is not a port (1 to 65535)");
    check_wrong(&["h", "get"], "'get' is not a port (1 to 65535)");
    check_wrong(&["h:1"], "'h:1' is not a host, write h 1");
    check_wrong(&["[::1]:1"], "'[::1]:1' is not a host, write [::1] 1");
    check_wrong(&[""], "'' is not a host");
    check_wrong(&["h", "1", ""], "the command is empty");
    let lines = "a command is one line, and cannot hold CR or LF";
    check_wrong(&["h", "1", "put", "k", "a\nb"], lines);
    check_wrong(&["h", "1", "put", "k", "a\rb"], lines);
    check_wrong(&["--load", "f", "h", "1", "get"], "--load takes no command");
}

#[test]
fn help_and_version_are_said() {
    assert!(matches!(parse_words(&["-h"]), Ok(Parsed::Print(text)) if text.contains("--load")));
    let Ok(Parsed::Print(version)) = parse_words(&["--version"]) else { panic!("no version") };
    assert!(version.contains(env!("CARGO_PKG_VERSION")));
}
