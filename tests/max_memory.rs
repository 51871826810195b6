//! `--max-memory` over the table of commands: each row says what memory its command may take, and
//! where there is none, it is refused, in a transaction too.

mod support;

use larder::protocol::command::arguments::Argument;
use larder::protocol::command::{Command, MemoryEffect, TABLE};
use larder::server::Server;
use larder::server::memory::{Allocated, Memory};
use larder::settings::Settings;
use larder::settings::limits::Limits;
use support::resp::resp_request;
use support::world::{ClientId, World};

/// More than any process takes.
const FAR_TOO_MUCH: usize = 1 << 50;

const OUT_OF_MEMORY: &str = "-OOM out of memory: nothing is stored until some is free\r\n";

/// A server and a client of it.
struct Stage {
    world: World,
    client: ClientId,
}

impl Stage {
    fn new(max_memory: usize, memory: Option<Memory>) -> Stage {
        let mut world = World::new(1);
        let limits = Limits { max_memory, ..Limits::default() };
        let mut server = Server::new(Settings { limits, ..Settings::default() }, world.now());
        if let Some(memory) = memory {
            server = server.counting(memory);
        }
        let node = world.add_server(server);
        let client = world.connect(node);
        Stage { world, client }
    }

    fn ask(&mut self, words: &[String]) -> String {
        let reply = self.world.exchange(self.client, [resp_request(words)]);
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn says(&mut self, request: &str) -> String {
        self.ask(&words(request))
    }

    /// Returns what the store holds: bytes of keys, bytes of values, deadlines.
    fn held(&mut self) -> [u64; 3] {
        let stats = self.says("STATS");
        ["key_bytes", "value_bytes", "keys_expiring"].map(|name| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.and_then(|number| number.parse().ok()).expect("a counter")
        })
    }
}

fn words(request: &str) -> Vec<String> {
    request.split(' ').map(str::to_string).collect()
}

/// Adds words that stand for the arguments: only those that must be there, or all.
fn add_words(arguments: &[Argument], all: bool, words: &mut Vec<String>) {
    for argument in arguments.iter().filter(|argument| all || !argument.optional) {
        if !argument.token.is_empty() {
            words.push(argument.token.to_string());
        }
        match argument.kind {
            "oneof" => add_words(&argument.parts[..1], all, words),
            "block" => add_words(&argument.parts, all, words),
            "pure-token" => {}
            // A time far ahead, in seconds and in milliseconds.
            "unix-time" => words.push("4102444800000".to_string()),
            "integer" => words.push("1000".to_string()),
            _ => words.push(argument.name.clone()),
        }
    }
}

/// Requests for a command: with as little as it takes, and with all that it may have.
fn requests(command: &Command) -> [Vec<String>; 2] {
    [false, true].map(|all| {
        let (container, name) = command.split_name();
        let mut words = vec![container.to_string()];
        words.extend(Some(name.to_string()).filter(|name| !name.is_empty()));
        add_words(&command.argument_tree(), all, &mut words);
        words
    })
}

/// The rows whose commands are for the keys, but those that only contain others.
fn for_keys() -> impl Iterator<Item = &'static Command> {
    TABLE.iter().filter(|row| row.is_for_keys() && !row.is_container())
}

#[test]
fn every_command_takes_the_memory_that_its_row_says() {
    let mut faults = Vec::new();
    for command in for_keys() {
        let (mut grows, mut stores) = (false, false);
        for before in ["PING", "SET key 7", "SET key 7 EX 5"] {
            for request in requests(command) {
                let mut stage = Stage::new(0, None);
                stage.says(before);
                let [keys, values, deadlines] = stage.held();
                let reply = stage.ask(&request);
                let is_wrong = reply.contains("wrong number") || reply.contains("unknown");
                assert!(!is_wrong, "{request:?}: {reply}");
                let after = stage.held();
                stores |= after[1] > values;
                grows |= after[0] > keys || after[2] > deadlines;
            }
        }
        let seen = match (stores, grows) {
            (true, _) => MemoryEffect::Stores,
            (false, true) => MemoryEffect::Grows,
            (false, false) => MemoryEffect::None,
        };
        if seen != command.memory {
            let (name, said) = (command.name, command.memory);
            faults.push(format!(
                "{name}: its row in src/protocol/command/table.rs has {said:?}, seen is {seen:?}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Has each command be refused as its row says, alone and in a transaction in which there is
/// suddenly no memory.
#[track_caller]
fn check_refusals(memory: fn() -> Memory, is_refused: fn(&Command) -> bool) {
    let mut faults = Vec::new();
    for command in for_keys() {
        for request in requests(command) {
            let expected = is_refused(command);
            let mut check = |reply: &str, how: &str| {
                if reply.contains(OUT_OF_MEMORY) != expected {
                    faults.push(format!("{request:?} {how}: {reply:?}, row: {:?}", command.memory));
                }
            };
            let mut stage = Stage::new(0, Some(memory()));
            stage.says("SET key 7");
            assert_eq!(stage.says("CONFIG SET max-memory 1"), "+OK\r\n");
            check(&stage.ask(&request), "alone");

            let mut stage = Stage::new(0, Some(memory()));
            stage.says("SET key 7");
            for request in [words("MULTI"), words("CONFIG SET max-memory 1"), request.clone()] {
                stage.ask(&request);
            }
            stage.says("PING");
            let reply = stage.says("EXEC");
            assert!(reply.starts_with("*3\r\n+OK\r\n") && reply.ends_with("+PONG\r\n"), "{reply}");
            check(&reply, "in a transaction");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_stores_is_refused_at_the_limit() {
    let memory = || Memory::new(Allocated::default, || 0);
    check_refusals(memory, |command| command.memory == MemoryEffect::Stores);
}

#[test]
fn what_grows_is_refused_far_above_the_limit() {
    let memory = || Memory::new(Allocated::default, || FAR_TOO_MUCH);
    check_refusals(memory, |command| command.memory != MemoryEffect::None);
}

/// A request that makes far more than it brought is checked by what it makes.
#[test]
fn a_far_setrange_takes_no_more_than_there_is() {
    let mut stage = Stage::new(60 << 20, None);
    assert_eq!(stage.says("SETRANGE far 67108000 v"), OUT_OF_MEMORY);
    assert_eq!(stage.says("SETRANGE near 1000000 v"), ":1000001\r\n");
    stage.says("MULTI");
    for number in 0..12 {
        assert_eq!(stage.says(&format!("SETRANGE key{number} 67000000 v")), "+QUEUED\r\n");
    }
    stage.says("STRLEN near");
    let expected = format!("*13\r\n{}:1000001\r\n", OUT_OF_MEMORY.repeat(12));
    assert_eq!(stage.says("EXEC"), expected);
    assert_eq!(stage.held()[1], 1_000_001);
    let stats = stage.says("STATS");
    assert!(stats.contains("\nout_of_memory 13\n"), "{stats}");
}
