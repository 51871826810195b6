//! The table of commands, row by row: each command is compared with Redis, or meant to differ; and
//! what a row says is what Redis's own table says.

use super::commands::{
    CONNECTION, HUSHED, KEYS, LIVES, NUMBERS, PROGRAM, STRINGS, TRACKING, TRANSACTIONS,
};
use super::compare::ONE_DATABASE;
use super::differences::DIFFERENCES;
use super::reply::Value;
use super::script::Request;
use super::tables::SCRIPTS;
use super::wire::Wire;
use crate::support::redis_server::Redis;
use larder::protocol::command::arguments::Argument;
use larder::protocol::command::{Command, TABLE};

/// All requests that are compared, or meant to differ.
fn requests() -> Vec<String> {
    let lines =
        [STRINGS, NUMBERS, LIVES, KEYS, TRANSACTIONS, CONNECTION, PROGRAM, TRACKING, HUSHED];
    let lines = lines.concat().into_iter().flat_map(|line| line.split("; "));
    let lines = lines.map(|line| line.trim_start_matches(|it: char| it.is_numeric() || it == ' '));
    let scripts = SCRIPTS.lines().filter_map(|line| line.split_once("*> "));
    let differences = DIFFERENCES.iter().filter_map(|(text, _)| text.split_once("*> "));
    let asked = scripts.chain(differences).map(|(_, request)| request);
    lines.chain(asked).map(str::to_ascii_uppercase).collect()
}

#[test]
fn every_command_is_compared_with_redis_or_meant_to_differ() {
    let requests = requests();
    let is_in = |name: &str, request: &String| {
        request.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let missing = TABLE.iter().filter(|row| {
        let name = row.name.replace('|', " ");
        !requests.iter().any(|request| is_in(&name, request))
    });
    let missing: Vec<_> = missing.map(|row| row.name).collect();
    assert!(
        missing.is_empty(),
        "neither compared with Redis (a line in tests/redis/commands.rs or a script in \
         tests/redis/tables.rs) nor meant to differ (tests/redis/differences.rs): {}",
        missing.join(", ")
    );
}

/// What Redis's table says of a command, or ours.
#[derive(Debug, Default, PartialEq)]
struct Row {
    since: String,
    group: String,
    arity: i64,
    keys: Vec<i64>,
    /// Refused for want of memory.
    stores: bool,
    /// The kinds of the arguments that are no tokens, in their order.
    kinds: Vec<String>,
}

/// What our table says otherwise on purpose: the command, the column, and the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("CLUSTER", "group", "there is no cluster: it has no group of its own"),
    ("CLIENT|KILL", "kinds", "the filters are shown as pairs"),
    ("CLIENT|TRACKING", "kinds", "there are no PREFIX and REDIRECT"),
    ("CLIENT|LIST", "kinds", "TYPE and SETINFO take words"),
    ("CLIENT|SETINFO", "since", "it came with Redis 7.2"),
    ("CLIENT", "kinds", "a container shows its subcommands"),
    ("COMMAND", "kinds", "a container shows its subcommands"),
    ("CONFIG", "kinds", "a container shows its subcommands"),
    ("CLUSTER", "kinds", "a container shows its subcommands"),
    ("COMMAND|GETKEYS", "kinds", "Redis shows no arguments"),
    ("COMMAND|LIST", "kinds", "the filters are shown as pairs"),
    ("CONFIG|GET", "kinds", "the parameters are patterns, in Redis as well"),
];

fn our_row(command: &Command) -> Row {
    fn add_kinds(arguments: &[Argument], kinds: &mut Vec<String>) {
        for argument in arguments {
            match argument.kind {
                "oneof" | "block" => add_kinds(&argument.parts, kinds),
                "pure-token" => {}
                kind => kinds.push(kind.to_string()),
            }
        }
    }
    let keys = command.keys;
    let mut kinds = Vec::new();
    add_kinds(&command.argument_tree(), &mut kinds);
    Row {
        since: command.since.to_string(),
        group: command.group.to_string(),
        arity: command.arity.into(),
        keys: vec![keys.first.into(), keys.last.into(), keys.step.into()],
        stores: command.stores(),
        kinds,
    }
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Line(_, text) | Value::Bulk(_, text) => String::from_utf8_lossy(text).into_owned(),
        Value::Array(..) => String::new(),
    }
}

fn parts<'a, 'b>(value: &'b Value<'a>) -> &'b [Value<'a>] {
    if let Value::Array(_, parts) = value { parts } else { &[] }
}

/// Returns what stands under a name in a map.
fn field<'a, 'b>(map: &'b Value<'a>, name: &str) -> Option<&'b Value<'a>> {
    let pairs = parts(map).chunks(2);
    pairs.filter(|pair| text(&pair[0]) == name).find_map(|pair| pair.get(1))
}

/// Returns Redis's row for a command; `None`: it has none.
fn redis_row(wire: &mut Wire, name: &str) -> Option<Row> {
    fn add_kinds(arguments: &Value<'_>, kinds: &mut Vec<String>) {
        for argument in parts(arguments) {
            let kind = field(argument, "type").map(text).unwrap_or_default();
            match field(argument, "arguments") {
                Some(inner) => add_kinds(inner, kinds),
                None if kind == "pure-token" => {}
                None => kinds.push(kind),
            }
        }
    }
    let mut ask = |request: String| {
        wire.send(&Request::of(&request).encode());
        (0..60).find_map(|_| wire.reply()).expect("Redis answers")
    };
    let info = ask(format!("COMMAND INFO {name}"));
    let docs = ask(format!("COMMAND DOCS {name}"));
    let (info, docs) = (info.value()?, docs.value()?);
    let (info, docs) = (parts(parts(&info).first()?), parts(&docs).get(1)?);
    let number = |value: &Value<'_>| text(value).parse().expect("a number");
    let mut kinds = Vec::new();
    if let Some(arguments) = field(docs, "arguments") {
        add_kinds(arguments, &mut kinds);
    }
    Some(Row {
        since: text(field(docs, "since")?),
        group: text(field(docs, "group")?),
        arity: number(info.get(1)?),
        keys: info.get(3..6)?.iter().map(number).collect(),
        stores: parts(info.get(2)?).iter().any(|flag| text(flag) == "denyoom"),
        kinds,
    })
}

#[test]
fn every_row_says_what_that_of_redis_says() {
    let redis = Redis::start(ONE_DATABASE);
    let mut wire = Wire::connect(redis.address);
    let mut differences = Vec::new();
    for command in TABLE.iter().filter(|row| !row.since.starts_with("larder")) {
        let name = command.name;
        let otherwise = |column: &str| OTHERWISE.iter().any(|it| (it.0, it.1) == (name, column));
        let Some(redis) = redis_row(&mut wire, name) else {
            if !otherwise("since") {
                differences.push(format!("{name}: Redis has no such command"));
            }
            continue;
        };
        let ours = our_row(command);
        let mut compare =
            |column: &str, ours: String, redis: String| match (ours == redis, otherwise(column)) {
                (false, false) => differences.push(format!(
                    "{name}: {column} is {ours} in src/protocol/command/table.rs, in Redis {redis}"
                )),
                (true, true) => differences.push(format!(
                    "{name}: {column} is as in Redis, and is meant to differ in tests/redis/rows.rs"
                )),
                _ => {}
            };
        compare("since", ours.since, redis.since);
        compare("group", ours.group, redis.group);
        compare("arity", ours.arity.to_string(), redis.arity.to_string());
        compare("keys", format!("{:?}", ours.keys), format!("{:?}", redis.keys));
        compare("memory", stored(ours.stores), stored(redis.stores));
        compare("kinds", ours.kinds.join(" "), redis.kinds.join(" "));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn stored(stores: bool) -> String {
    (if stores { "that of what stores" } else { "that of what does not store" }).to_string()
}
