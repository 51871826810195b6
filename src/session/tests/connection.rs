//! `PING`, `HELLO` and the others that concern one connection.

use super::*;
use crate::protocol::command::{Access, TABLE};

const GREETING: &str = "$6 server $5 redis $7 version $5 7.4.0 $5 proto :P $2 id :1 $4 mode \
                        $10 standalone $4 role $6 master $14 larder_version LARDER $7 modules *0";

fn greeting(version: u8) -> String {
    let head = if version == 3 { "%8" } else { "*16" };
    let body = GREETING.replace(":P", &format!(":{version}"));
    format!("{head} {}", body.replace("LARDER", &shown(env!("CARGO_PKG_VERSION"))))
}

fn shown(text: &str) -> String {
    format!("${} {text}", text.len())
}

#[test]
fn simple_questions_have_simple_answers() {
    Desk::new().check(&[
        ("PING", "+PONG"),
        ("ping", "+PONG"),
        ("PING hello", "$5 hello"),
        ("PING ''", "$0"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO a\\r\\nb", "$4 a b"),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
        ("TIME", "*2 $10 1000000000 $6 123456"),
        ("TIME x", "-ERR wrong number of arguments for 'time' command"),
        ("ROLE", "*3 $6 master :0 *0"),
        ("CLUSTER INFO", "-ERR This instance has cluster support disabled"),
        ("CLUSTER", "-ERR wrong number of arguments for 'cluster' command"),
        ("CLIENT ID", ":1"),
        ("ORIGIN ON", "-ERR ORIGIN needs RESP3: say HELLO 3 first"),
    ]);
}

#[test]
fn every_connection_command_has_somebody_who_answers_it() {
    for row in TABLE.iter().filter(|row| row.access == Access::Connection) {
        let mut words: Vec<&str> = row.name.split('|').collect();
        words.resize(words.len().max(usize::from(row.arity.unsigned_abs())), "x");
        assert_ne!(Desk::new().reply(1, &words.join(" ")), "", "{words:?}");
    }
}

#[test]
fn the_last_words_depend_on_the_verb() {
    for (line, reply) in [("QUIT", "+OK"), ("QUIT now", "+OK"), ("BYE", "+Goodbye")] {
        let mut desk = Desk::new();
        desk.check(&[(line, reply)]);
        assert_eq!(desk.closed, [1]);
    }
}

#[test]
fn hello_chooses_the_version_and_tells_who_is_there() {
    let mut desk = Desk::new();
    let (two, three) = (greeting(2), greeting(3));
    desk.check(&[
        ("HELLO", &two),
        ("HELLO 2", &two),
        ("HELLO 3", &three),
        ("HELLO", &three),
        ("CLIENT GETNAME", "_"),
        ("HELLO 3 AUTH default any SETNAME me", &three),
        ("CLIENT GETNAME", "$2 me"),
        ("HELLO 2 setname you setname them auth default ''", &two),
        ("CLIENT GETNAME", "$4 them"),
        ("HELLO 2 SETNAME ''", &two),
        ("CLIENT GETNAME", "$-1"),
    ]);
}

#[test]
fn hello_in_vain_leaves_the_version() {
    let wrong_password = "-WRONGPASS invalid username-password pair or user is disabled.";
    let out_of_range = "-ERR Protocol version is not an integer or out of range";
    let bad_name = "-ERR Client names cannot contain spaces, newlines or special characters.";
    for (line, reply) in [
        ("HELLO 1", "-NOPROTO unsupported protocol version"),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO -3", "-NOPROTO unsupported protocol version"),
        ("HELLO three", out_of_range),
        ("HELLO 99999999999999999999", out_of_range),
        ("HELLO AUTH default x", out_of_range),
        ("HELLO 3 SETNAME you AUTH somebody x", wrong_password),
        ("HELLO 3 AUTH Default x", wrong_password),
        ("HELLO 3 SETNAME you AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 SETNAME you F\\r\\nO", "-ERR Syntax error in HELLO option 'F\\r\\nO'"),
        ("HELLO 3 SETNAME you\\_two", bad_name),
        ("HELLO 3 SETNAME a\\n", bad_name),
    ] {
        let mut desk = Desk::new();
        desk.check(&[(line, reply)]);
        assert_eq!(desk.session(1).version, Version::Two, "{line}");
    }
}

#[test]
fn everybody_is_the_default_user_of_the_only_database() {
    let wrong_password = "-WRONGPASS invalid username-password pair or user is disabled.";
    let no_integer = "-ERR value is not an integer or out of range";
    Desk::new().check(&[
        ("AUTH default x", "+OK"),
        ("AUTH default ''", "+OK"),
        ("AUTH DEFAULT x", wrong_password),
        ("AUTH somebody x", wrong_password),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        ("AUTH a b c", "-ERR syntax error"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SELECT -1", "-ERR DB index is out of range"),
        ("SELECT zero", no_integer),
        ("SELECT ''", no_integer),
        ("SELECT 00", no_integer),
        (
            "SELECT 2147483648",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
    ]);
}

#[test]
fn a_reset_leaves_nothing_but_the_library() {
    let mut desk = Desk::new();
    desk.check(&[
        ("CLIENT SETINFO LIB-NAME lib", "+OK"),
        ("HELLO 3 SETNAME me", &greeting(3)),
        ("CLIENT REPLY OFF", ""),
    ]);
    desk.session(1).origin = true;
    assert_eq!(desk.session(1).transaction_command(Verb::Multi), Ok(TransactionStep::Begun));
    desk.check(&[("RESET", "+RESET"), ("CLIENT GETNAME", "$-1")]);
    let session = desk.session(1);
    assert!(session.is_plain() && !session.origin && session.transaction.is_none());
    assert_eq!(session.names.as_deref().map(|names| names.library.as_str()), Some("lib"));
}

#[test]
fn replies_are_for_those_who_want_them() {
    let mut desk = Desk::new();
    let mut wanted = |line: &str| {
        let reply = desk.reply(1, line);
        let wanted = !desk.session(1).is_quiet();
        desk.session(1).end_request();
        if wanted { reply } else { String::new() }
    };
    for (line, expected) in [
        ("CLIENT REPLY ON", "+OK"),
        ("CLIENT REPLY SKIP", ""),
        ("PING 1", ""),
        ("PING 2", "$1 2"),
        ("CLIENT REPLY SKIP", ""),
        ("CLIENT REPLY SKIP", ""),
        ("PING 3", ""),
        ("PING 4", "$1 4"),
        ("CLIENT REPLY SKIP", ""),
        ("CLIENT REPLY ON", "+OK"),
        ("PING 5", "$1 5"),
        ("CLIENT REPLY OFF", ""),
        ("CLIENT REPLY SKIP", ""),
        ("PING 6", ""),
        ("PING 7", ""),
        ("NOSUCH", ""),
        ("CLIENT REPLY ON", "+OK"),
        ("CLIENT REPLY NEVER", "-ERR syntax error"),
        ("CLIENT REPLY OFF", ""),
        ("RESET", "+RESET"),
        ("PING 8", "$1 8"),
        ("CLIENT REPLY SKIP", ""),
        ("RESET", ""),
        ("PING 9", "$1 9"),
    ] {
        // As a server does with a request that it refuses.
        let reply = if line == "NOSUCH" { String::new() } else { wanted(line) };
        assert_eq!(reply, expected, "{line}");
    }
}

#[test]
fn a_session_stays_small() {
    // Each connection has one, idle or not.
    assert!(size_of::<Session>() <= 88, "{} bytes", size_of::<Session>());
}
