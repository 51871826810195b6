//! The table of commands, row by row: each command is compared with Redis, or meant to differ; and
//! what a row says is what Redis's own table says.

use super::RUNS;
use super::compare::ONE_DATABASE;
use super::grammar::{COMMANDS, lines};
use super::tables::{DIFFERENCES, SCRIPTS};
use super::wire::Wire;
use crate::support::process::server;
use crate::support::redis_server::Redis;
use crate::support::resp::Value;
use larder::protocol::command::{Command, TABLE};

/// All requests that are compared, or meant to differ.
fn requests() -> Vec<String> {
    let parts: Vec<&str> = RUNS.iter().flat_map(|(parts, _)| *parts).copied().collect();
    let lines = lines(&parts).into_iter().flat_map(|line| line.split("; "));
    let lines = lines.map(|line| line.trim_start_matches(|it: char| it.is_numeric() || it == ' '));
    let asked = [SCRIPTS, DIFFERENCES].into_iter().flat_map(str::lines);
    let asked = asked.filter_map(|line| line.split_once("*> ")).map(|(_, request)| request);
    lines.chain(asked).map(str::to_ascii_uppercase).collect()
}

#[test]
fn every_part_of_the_commands_is_run() {
    let parts = COMMANDS.lines().filter_map(|line| line.strip_suffix(':'));
    let missing = parts.filter(|part| !RUNS.iter().any(|(run, _)| run.contains(part)));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "no row of `runs!` in tests/redis/main.rs runs {missing:?}");
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

/// What a server says of a command: the kinds are those of its arguments that are no tokens, in
/// their order; of the flags, those count that are in [`FLAGS`].
const COLUMNS: [&str; 6] = ["since", "group", "arity", "keys", "flags", "kinds"];

const FLAGS: [&str; 3] = ["write", "readonly", "denyoom"];

type Row = [String; COLUMNS.len()];

/// What our table says otherwise on purpose: the command, the column, and the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("CLUSTER", "group", "there is no cluster: it has no group of its own"),
    ("CLIENT|KILL", "kinds", "the filters are shown as pairs"),
    ("CLIENT|TRACKING", "kinds", "there are no PREFIX and REDIRECT"),
    ("CLIENT|LIST", "kinds", "TYPE and SETINFO take words"),
    ("CLIENT|SETINFO", "since", "it came with Redis 7.2"),
    ("CLUSTER", "kinds", "a container shows its subcommands"),
    ("COMMAND|GETKEYS", "kinds", "Redis shows no arguments"),
    ("COMMAND|GETKEYSANDFLAGS", "kinds", "Redis shows no arguments"),
    ("COMMAND|LIST", "kinds", "the filters are shown as pairs"),
    ("CONFIG|GET", "kinds", "the parameters are patterns, in Redis as well"),
];

/// Returns what stands under a name in a map.
fn field<'a, 'b>(map: &'b Value<'a>, name: &str) -> Option<&'b Value<'a>> {
    let mut pairs = map.parts().chunks(2);
    pairs.find(|pair| pair[0].text() == name)?.get(1)
}

/// Returns what a server says of a command; `None`: it has none.
fn row(wire: &mut Wire, name: &str) -> Option<Row> {
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
    let info = wire.ask(&format!("COMMAND INFO {name}"));
    let docs = wire.ask(&format!("COMMAND DOCS {name}"));
    let (info, docs) = (info.value()?, docs.value()?);
    let (info, docs) = (info.parts().first()?.parts(), docs.parts().get(1)?);
    let mut kinds = Vec::new();
    if let Some(arguments) = field(docs, "arguments") {
        add_kinds(arguments, &mut kinds);
    }
    let texts = |values: &[Value<'_>]| values.iter().map(Value::text).collect::<Vec<_>>();
    let mut flags = texts(info.get(2)?.parts());
    flags.retain(|flag| FLAGS.contains(&flag.as_str()));
    Some([
        field(docs, "since")?.text(),
        field(docs, "group")?.text(),
        info.get(1)?.text(),
        texts(info.get(3..6)?).join(" "),
        flags.join(" "),
        kinds.join(" "),
    ])
}

#[test]
fn every_row_says_what_that_of_redis_says() {
    let (redis, server) = (Redis::start(ONE_DATABASE), server(&[]));
    let (mut theirs, mut ours) = (Wire::connect(redis.address), Wire::connect(server.address()));
    let mut differences = Vec::new();
    for command in TABLE.iter().filter(|row| !row.since.starts_with("larder")) {
        let name = command.name;
        let otherwise = |column: &str| OTHERWISE.iter().any(|it| (it.0, it.1) == (name, column));
        let Some(redis) = row(&mut theirs, name) else {
            if !otherwise("since") {
                differences.push(format!("{name}: Redis has no such command"));
            }
            continue;
        };
        let ours = row(&mut ours, name).expect("it is in the table");
        for ((column, ours), redis) in COLUMNS.into_iter().zip(ours).zip(redis) {
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

/// What is said of a command that is asked for is compared above.
#[test]
fn the_list_of_commands_says_of_each_what_is_said_when_it_is_asked_for() {
    let server = server(&[]);
    let mut wire = Wire::connect(server.address());
    let all = wire.ask("COMMAND");
    let all = all.value().expect("a list");
    assert_eq!(all.parts().len(), Command::all().len());
    for row in all.parts() {
        let info = wire.ask(&format!("COMMAND INFO {}", row.parts()[0].text()));
        assert_eq!(info.value().expect("a list").parts(), std::slice::from_ref(row));
    }
}
