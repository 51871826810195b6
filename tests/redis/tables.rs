//! Requests that are not left to chance: how many arguments commands take, and what needs to know
//! another client.

use super::compare::{Kind, Pair, REDIS};
use super::script::{MARKS, Script};
use larder::protocol::command::TABLE;

/// Faults of one table that are shown.
const SHOWN: usize = 25;

/// Runs them all, and tells all that differ.
#[track_caller]
pub fn none_differs(outcomes: impl Iterator<Item = Result<(), String>>) {
    let mut faults: Vec<String> = outcomes.filter_map(Result::err).collect();
    faults.dedup();
    let shown = faults[..faults.len().min(SHOWN)].join("\n");
    assert!(faults.is_empty(), "{} differ:\n{shown}", faults.len());
}

/// Names that are no command's.
const NO_COMMANDS: [&str; 2] = ["NOSUCH", "\"\""];

/// Commands whose numbers of arguments are not compared, since one request for each is meant to
/// differ whatever its arguments are.
const OUR_OWN_REPLIES: &[&str] = &[
    "CLIENT|HELP",
    "CLIENT|SETINFO",
    "CLUSTER",
    "COMMAND|DOCS",
    "COMMAND|HELP",
    "COMMAND|LIST",
    "CONFIG|HELP",
];

/// The commands that Redis has too, and what is none.
fn commands() -> Vec<String> {
    let rows = TABLE.iter().filter(|row| !row.since.starts_with("larder"));
    let rows = rows.filter(|row| !OUR_OWN_REPLIES.contains(&row.name));
    let names = rows.map(|row| row.name.replace('|', " "));
    names.chain(NO_COMMANDS.map(str::to_string)).collect()
}

/// Requests for a command with none to six arguments.
fn arguments(of: &str) -> impl Iterator<Item = Script> {
    let requests = ["k", "0", "-1"].into_iter().flat_map(move |argument| {
        (0..=6).map(move |count| format!("{}{}", of, format!(" {argument}").repeat(count)))
    });
    // PING shows what state the connection was left in, or that it was closed.
    requests.map(|request| Script::of(&format!("*> {request}\n*> PING\n*> GET k")))
}

fn numbers_of_arguments(other: Kind) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let run = |command: &String| arguments(command).try_for_each(|script| pair.run(&script));
    commands().iter().map(run).collect()
}

#[test]
fn every_command_takes_as_many_arguments_as_in_redis() {
    none_differs(numbers_of_arguments(Kind::Larder).into_iter());
}

#[test]
fn numbers_of_arguments_are_told_alike_by_two_redis_servers() {
    none_differs(numbers_of_arguments(REDIS).into_iter());
}

/// Blocks of requests, each on its own: what chance would seldom say, and what it once found.
pub const SCRIPTS: &str = r#"
*> SET k v EX 100
*> EXPIRE k 50 GT
*> TTL k
*> EXPIRE k 200 GT
*> TTL k
*> PEXPIRE k 100000 GT
*> PEXPIRE k 300000 GT
*> TTL k
*> PERSIST k
*> EXPIRE k 400 GT
*> EXPIRE none 400 GT
*> TTL k

*> CLIENT KILL ID {other-id}
other*> PING

*> CLIENT KILL ID {id}
*> PING

*> CLIENT KILL ID {id} SKIPME no
*> PING

*> CLIENT KILL {other-address}
other*> PING

*> CLIENT KILL ADDR {other-address}
other*> PING

*> CLIENT KILL {address}
*> PING

*> CLIENT KILL ADDR {other-address} ID {id}
other*> PING

*> CLIENT KILL ADDR {other-address} ID {other-id} TYPE normal USER default
other*> PING

*> CLIENT KILL 127.0.0.1:1
*> CLIENT KILL ID 999999999
*> CLIENT KILL ID abc
*> CLIENT KILL ID 0
*> CLIENT KILL ID -1
*> CLIENT KILL ID 999999999 SKIPME maybe
*> CLIENT KILL ID 999999999 SKIPME
*> CLIENT KILL TYPE nosuch
*> CLIENT KILL TYPE pubsub
*> CLIENT KILL TYPE replica
*> CLIENT KILL USER nosuch
*> CLIENT KILL NOSUCH x

*> CLIENT KILL ID {other-id}
*> CLIENT KILL ID {other-id}

*> CLIENT LIST ID {id}
*> CLIENT LIST ID {other-id}
*> CLIENT LIST ID 999999999
*> CLIENT LIST ID abc
*> CLIENT LIST ID
*> CLIENT LIST TYPE normal
*> CLIENT LIST TYPE pubsub
*> CLIENT LIST TYPE nosuch
*> CLIENT LIST NOSUCH

*> CLIENT SETNAME me
*> CLIENT INFO
*> MULTI
*> CLIENT ID
*> EXEC
*> RESET
*> CLIENT INFO
*> HELLO 3 SETNAME other
*> CLIENT INFO

*> SET k v PX {soon}
*> WATCH k
*> MULTI
*> PING
*> EXEC

*> SET k v
*> WATCH k
*> PEXPIRE k {soon}
*> MULTI
*> PING
*> EXEC

*> SET k v
*> WATCH k
other*> SET k v
*> MULTI
*> PING
*> EXEC

*> WATCH k
other*> DEL k
*> MULTI
*> PING
*> EXEC

*> SET k v PX {soon}
*> WATCH k
other*> GET k
*> MULTI
*> PING
*> EXEC

*> SET k v PX {soon}
*> WATCH k
other*> SET k v
*> MULTI
*> PING
*> EXEC

*> SET k v
*> WATCH k
other*> FLUSHALL
*> MULTI
*> PING
*> EXEC

*> WATCH k
other*> FLUSHALL
*> MULTI
*> PING
*> EXEC

*> WATCH k
*> SET k v
*> MULTI
*> PING
*> EXEC

*> SET k v
*> WATCH k
*> EXPIRE k 1000
*> MULTI
*> PING
*> EXEC

*> WATCH k
other*> SET k v
*> UNWATCH
*> MULTI
*> PING
*> EXEC

*> WATCH k
other*> SET k v
*> MULTI
*> DISCARD
*> MULTI
*> PING
*> EXEC

*> MULTI
*> MULTI
*> WATCH k
*> SET k
*> NOSUCH
*> EXEC
*> EXEC

*> SET k text
*> MULTI
*> INCR k
*> SET k 1
*> INCR k
*> EXEC
*> GET k

*> SET k v PX {soon}
*> SET k2 v
*> RENAMENX k2 k
*> SET k v PX {soon}
*> INCR k
*> TTL k
*> SET k v PX {soon}
*> APPEND k w
*> SET k v PX {soon}
*> SETNX k w
*> SET k v PX {soon}
*> SET k w XX GET
*> SET k v PX {soon}
*> SET k w KEEPTTL
*> TTL k
*> SET k v PX {soon}
*> PERSIST k
*> SET k v PX {soon}
*> EXPIRE k 100
*> SET k v PX {soon}
*> TOUCH k
*> SET k v PX {soon}
*> DEL k
*> SET k v PX {soon}
*> RENAME k k2
*> SET k v PX {soon}
*> GETDEL k
*> SET k v PX {soon}
*> KEYS *
*> SCAN 0
*> RANDOMKEY
*> EXPIRETIME k
*> PTTL k
*> TYPE k
*> STRLEN k
*> MGET k
*> EXISTS k k
*> DBSIZE

*> COMMAND
*> COMMAND INFO
*> COMMAND INFO get set del mget mset scan ping multi exec watch expire client|id config|get
*> COMMAND COUNT

*> COMMAND GETKEYS GET k
*> COMMAND GETKEYS mset k 1 l 2
*> COMMAND GETKEYS SETRANGE k 0 v
*> COMMAND GETKEYS DEL k l m

*> QUIT

*> QUIT now

*> CONFIG RESETSTAT
*> SETRANGE k 5 v
*> GETRANGE k 3 100
*> SETRANGE k 1 ab
*> GETRANGE k 0 -1
*> SETRANGE none 7 ""
*> EXISTS none
*> SETRANGE none -1 ""
*> SETRANGE none 536870912 v
*> SETRANGE none 536870912 ""
*> GETRANGE k -1 -3
*> GETRANGE k -100 -50
*> SET k v PX {soon}
*> SETRANGE k 1 w
*> TTL k
*> SET k v EX 100
*> SETRANGE k 20000 w
*> GETRANGE k -3 -1
*> TTL k

*> SET k v
*> WATCH k
*> SETRANGE k 9 ""
*> MULTI
*> SETRANGE k 1 w
*> GETRANGE k 0 0
*> EXEC
*> WATCH k
other*> SETRANGE k 0 x
*> MULTI
*> PING
*> EXEC

*> INFO
*> INFO all
*> INFO default
*> INFO everything
*> INFO keyspace
*> SET k v
*> SET k2 v EX 1000
*> INFO keyspace
*> INFO Keyspace server

*> HELLO 3
*> CLIENT TRACKING ON
*> MGET k l m
other*> SET k 1
other*> SET k 2
other*> MSET l 1 k 3 m 1
*> GETEX k
*> GETSET k 4
other*> SET k 5
*> GET k
other*> RENAME k l
*> MGET k l
other*> RENAME l k
*> EXISTS l
other*> FLUSHALL
other*> SET l 1

*> HELLO 3
*> CLIENT TRACKING ON
*> GET k
*> SET k 1
*> GET k
*> MULTI
*> SET k 2
*> GET k
*> FLUSHALL
*> GET k
*> INCR k
*> EXEC
*> PING

*> HELLO 3
*> CLIENT TRACKING ON NOLOOP
*> MGET k l
*> SET k 1
other*> SET k 2
*> GET k
other*> SET k 3
*> FLUSHALL
*> CLIENT TRACKINGINFO
*> CLIENT INFO
*> CLIENT GETREDIR

*> HELLO 3
*> CLIENT TRACKING ON
*> GET k
*> CLIENT REPLY OFF
other*> SET k 1
*> GET k
*> SET k 2
*> GET k
*> MULTI
*> SET k 3
*> EXEC
other*> FLUSHALL
*> CLIENT REPLY ON
*> GET k
*> CLIENT REPLY SKIP
*> SET k 4
*> PING

*> HELLO 3
*> CLIENT CACHING YES
*> CLIENT TRACKING ON OPTIN OPTOUT
*> CLIENT TRACKING ON OPTIN
*> CLIENT TRACKING ON OPTOUT
*> CLIENT CACHING NO
*> CLIENT TRACKINGINFO
*> CLIENT CACHING YES
*> CLIENT TRACKINGINFO
*> MULTI
*> CLIENT TRACKINGINFO
*> GET k
*> EXEC
*> CLIENT TRACKINGINFO
*> GET l
other*> MSET k 1 l 1
*> CLIENT TRACKING ON
*> CLIENT CACHING YES
*> CLIENT CACHING
*> CLIENT TRACKING ON OPTOUT
*> CLIENT CACHING YES
*> CLIENT CACHING NO
*> CLIENT ID x
*> CLIENT TRACKINGINFO
*> NOSUCH
*> CLIENT TRACKINGINFO

*> HELLO 3
*> CLIENT TRACKING ON
*> GET k
*> CLIENT TRACKING OFF
*> CLIENT TRACKINGINFO
*> CLIENT INFO
other*> SET k 1
*> CLIENT TRACKING ON
*> GET k
*> RESET
*> CLIENT TRACKINGINFO
other*> SET k 1

*> HELLO 3
*> CLIENT TRACKING ON
*> SET k v
*> GET k
other*> PEXPIRE k {soon}
other*> GET k
other*> SET k w
*> GET k
other*> EXPIRE k -1
*> GET k
other*> SETEX k 100 v
*> TTL k
other*> PERSIST k
*> STRLEN k
other*> DEL nosuch k
other*> DEL k

*> SCAN 0 COUNT 1
*> MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9 j 10 k 11 l 12
*> SCAN 0 COUNT 1
*> SCAN 0 COUNT 3 MATCH [a-f]
*> SCAN 0 TYPE string MATCH *
*> SCAN 0 TYPE list
"#;

fn scripts(other: Kind) -> Vec<Result<(), String>> {
    let mut pair = Pair::start(REDIS, other);
    let scripts = SCRIPTS.split("\n\n").map(Script::of);
    scripts.flat_map(|script| [pair.run(&script), pair.run(&script.in_resp3())]).collect()
}

#[test]
fn scripts_are_answered_as_in_redis() {
    none_differs(scripts(Kind::Larder).into_iter());
}

#[test]
fn scripts_are_answered_alike_by_two_redis_servers() {
    none_differs(scripts(REDIS).into_iter());
}

/// What is printed can be put into [`SCRIPTS`] as it is.
#[test]
fn a_script_reads_as_it_is_shown() {
    let words = [&b""[..], b"\"\"", b"\"'\\", b"a b\r\n\t\x00\xff", &[b'x'; 300], &[b' '; 300]];
    let text = words.map(|word| {
        let request = super::script::Request { words: vec![b"ECHO".to_vec(), word.to_vec()] };
        format!("{} {request:?}\n", MARKS[1])
    });
    let read = Script::of(&text.concat());
    for (step, word) in read.steps.iter().zip(words) {
        assert_eq!((step.by, &step.request.words[1][..]), (1, word), "{:?}", step.request);
    }
    assert_eq!(read.steps.len(), words.len());
}
