//! The table of commands, row by row: each command is compared with Redis, or meant to differ; and
//! what a row says is what Redis's own table says.

use super::compare::ONE_DATABASE;
use super::grammar::COMMANDS;
use super::script::Request;
use super::tables::{DIFFERENCES, SCRIPTS};
use super::wire::Wire;
use crate::support::redis_server::Redis;
use crate::support::resp::Value;
use larder::protocol::command::arguments::Argument;
use larder::protocol::command::{Command, TABLE};

/// All requests that are compared, or meant to differ.
fn requests() -> Vec<String> {
    let lines = COMMANDS.lines().flat_map(|line| line.split("; "));
    let lines = lines.map(|line| line.trim_start_matches(|it: char| it.is_numeric() || it == ' '));
    let asked = [SCRIPTS, DIFFERENCES].into_iter().flat_map(str::lines);
    let asked = asked.filter_map(|line| line.split_once("*> ")).map(|(_, request)| request);
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
        "neither compared with Redis (a line in tests/redis/commands.txt or a script in \
         tests/redis/scripts.txt) nor meant to differ (tests/redis/differences.txt): {}",
        missing.join(", ")
    );
}

/// What a table says of a command: whether it is refused for want of memory is under *stores*, and
/// the kinds of its arguments that are no tokens, in their order, under *kinds*.
const COLUMNS: [&str; 6] = ["since", "group", "arity", "keys", "stores", "kinds"];

type Row = [String; COLUMNS.len()];

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
    [
        command.since.to_string(),
        command.group.to_string(),
        command.arity.to_string(),
        format!("{} {} {}", keys.first, keys.last, keys.step),
        command.stores().to_string(),
        kinds.join(" "),
    ]
}

/// Returns what stands under a name in a map.
fn field<'a, 'b>(map: &'b Value<'a>, name: &str) -> Option<&'b Value<'a>> {
    let mut pairs = map.parts().chunks(2);
    pairs.find(|pair| pair[0].text() == name)?.get(1)
}

/// Returns Redis's row for a command; `None`: it has none.
fn redis_row(wire: &mut Wire, name: &str) -> Option<Row> {
    fn add_kinds(arguments: &Value<'_>, kinds: &mut Vec<String>) {
        for argument in arguments.parts() {
            let kind = field(argument, "type").map(Value::text).unwrap_or_default();
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
    let (info, docs) = (info.parts().first()?.parts(), docs.parts().get(1)?);
    let mut kinds = Vec::new();
    if let Some(arguments) = field(docs, "arguments") {
        add_kinds(arguments, &mut kinds);
    }
    let texts = |values: &[Value<'_>]| values.iter().map(Value::text).collect::<Vec<_>>();
    let stores = texts(info.get(2)?.parts()).contains(&"denyoom".to_string());
    Some([
        field(docs, "since")?.text(),
        field(docs, "group")?.text(),
        info.get(1)?.text(),
        texts(info.get(3..6)?).join(" "),
        stores.to_string(),
        kinds.join(" "),
    ])
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
        for ((column, ours), redis) in COLUMNS.into_iter().zip(our_row(command)).zip(redis) {
            match (ours == redis, otherwise(column)) {
                (false, false) => differences.push(format!(
                    "{name}: {column}: {ours} in src/protocol/command/table.rs, {redis} in Redis"
                )),
                (true, true) => differences.push(format!(
                    "{name}: {column} is as in Redis, and is meant to differ in tests/redis/rows.rs"
                )),
                _ => {}
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
