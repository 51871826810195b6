//! Tests of `arguments.rs`.

use super::*;
use crate::protocol::command::TABLE;

/// As Redis's documentation writes it.
fn shown(arguments: &[Argument], between: &str) -> String {
    let one = |argument: &Argument| {
        let token = argument.token;
        let inner = match argument.kind {
            "pure-token" => String::new(),
            "oneof" => shown(&argument.parts, " | "),
            "block" => shown(&argument.parts, " "),
            kind => format!("{}:{kind}", argument.name),
        };
        let mut text = format!("{token} {inner}").trim().to_string();
        if argument.multiple {
            text = format!("{text} [{inner} ...]");
        }
        if argument.optional { format!("[{text}]") } else { text }
    };
    arguments.iter().map(one).collect::<Vec<_>>().join(between)
}

#[track_caller]
fn check(arguments: &'static str, options: &'static str, expected: &str) {
    let kinds = &[
        ("key", ArgumentKind::Key),
        ("seconds", ArgumentKind::Integer),
        ("version", ArgumentKind::Integer),
        ("pattern", ArgumentKind::Pattern),
    ];
    let command = Command { arguments, options, kinds, ..copy(&TABLE[0]) };
    assert_eq!(shown(&command.argument_tree(), " "), expected);
}

fn copy(row: &Command) -> Command {
    Command { ..*row }
}

#[test]
fn arguments_are_read_from_what_people_read() {
    check("", "", "");
    check("<key>", "", "key:key");
    check("<key>", "[<key> ...]", "key:key [key:key ...]");
    check("<key> [<key> ...]", "", "key:key [key:key ...]");
    check(
        "<key> <value> [<key> <value> ...]",
        "",
        "key:key value:string [key:key value:string ...]",
    );
    check(
        "<key> <value>",
        "[NX|XX] [GET] [EX <seconds>|KEEPTTL]",
        "key:key value:string [NX | XX] [GET] [EX seconds:integer | KEEPTTL]",
    );
    check("[<section> ...]", "", "[section:string [section:string ...]]");
    check(
        "[<version> [AUTH <user> <password>] [SETNAME <name>]]",
        "",
        "[version:integer [AUTH user:string password:string] [SETNAME name:string]]",
    );
    check("ON|OFF|SKIP", "", "ON | OFF | SKIP");
    check(
        "[TYPE <type>|ID <id> [<id> ...]]",
        "",
        "[TYPE type:string | ID id:string [id:string ...]]",
    );
    check(
        "<cursor> [MATCH <pattern>] [COUNT <n>]",
        "",
        "cursor:string [MATCH pattern:pattern] [COUNT n:string]",
    );
    check(
        "<address>|<filter> <value> [<filter> <value> ...]",
        "",
        "address:string | filter:string value:string [filter:string value:string ...]",
    );
    check(
        "<subcommand> [<argument> ...]",
        "",
        "subcommand:string [argument:string [argument:string ...]]",
    );
}

#[test]
fn every_row_can_be_read() {
    for command in TABLE {
        let tree = command.argument_tree();
        let text = format!("{} {}", command.arguments, command.options);
        let names = text.matches('<').count() + text.matches("|").count();
        assert_eq!(tree.is_empty(), names == 0 && text.trim().is_empty(), "{}", command.name);
    }
}

#[test]
fn every_kind_is_that_of_an_argument_and_every_key_is_one() {
    for command in TABLE {
        let text = format!("{} {}", command.arguments, command.options);
        for (name, _) in command.kinds {
            let argument = format!("<{name}>");
            assert!(text.contains(&argument), "{}: there is no {argument}", command.name);
        }
        let keys = command.kinds.iter().filter(|(_, kind)| *kind == ArgumentKind::Key).count();
        let has_keys = command.keys.first > 0;
        assert_eq!(keys > 0, has_keys, "{}: kinds and key positions", command.name);
    }
}
