//! `CLIENT TRACKING` over connections, on virtual time and over sockets: when what has changed is
//! told, between which replies, and what is left when a client goes. What is told of which command
//! stands in the transcripts, and `tests/redis` compares it with Redis.

mod support;

use larder::server::Server;
use larder::settings::Settings;
use larder::settings::limits::{HIGH_WATER, Limits};
use std::iter;
use std::ops::Range;
use std::time::Duration;
use support::process::server;
use support::resp::resp_request as request;
use support::tools::{stat, stats, wait_until};
use support::world::{ClientId, NodeId, World};

const ON: &[u8] =
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n";

fn world_with(limits: Limits) -> (World, NodeId) {
    let mut world = World::new(1);
    let server = Server::new(Settings { limits, ..Settings::default() }, world.now());
    let node = world.add_server(server);
    (world, node)
}

/// A client that is told of changes.
fn reader(world: &mut World, node: NodeId) -> ClientId {
    let client = world.connect(node);
    let replies = world.exchange(client, [ON]);
    assert!(replies.ends_with(b"+OK\r\n"));
    client
}

fn told(key: &str) -> String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

const TOLD_ALL: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it is text")
}

fn gauge(world: &mut World, node: NodeId, name: &str) -> u64 {
    let lines = text(world.probe(node, b"STATS\r\n"));
    let line = lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).expect("there is such a gauge")
}

/// Returns a request with many arguments.
fn request_of(command: &str, arguments: impl Iterator<Item = String>) -> Vec<u8> {
    request(&iter::once(command.to_string()).chain(arguments).collect::<Vec<_>>())
}

fn mget(keys: Range<usize>) -> Vec<u8> {
    request_of("MGET", keys.map(|number| format!("k{number}")))
}

#[test]
fn a_key_that_expires_is_told_of_when_its_time_has_come() {
    let (mut world, node) = world_with(Limits::default());
    let client = reader(&mut world, node);
    world.exchange(client, [request(&["SET", "k", "v", "PX", "5000"]), request(&["GET", "k"])]);
    let begun = world.now();
    world.advance(Duration::from_millis(4999));
    assert_eq!(world.received(client), b"");
    world.advance(Duration::from_secs(5));
    let arrivals = world.arrivals(client);
    let [(stamp, bytes)] = &arrivals[..] else { panic!("one piece: {arrivals:?}") };
    assert_eq!(text(bytes.clone()), told("k"));
    let late = stamp.at - begun;
    assert!(late >= Duration::from_secs(5) && late <= Duration::from_millis(5010), "{late:?}");
    assert_eq!(gauge(&mut world, node, "tracking_keys"), 0);
}

/// A store so large that a `DUMP` takes many turns, and a client in the middle of it.
fn amid_a_dump() -> (World, NodeId, ClientId, ClientId) {
    let (mut world, node) = world_with(Limits::default());
    let client = reader(&mut world, node);
    let writer = world.connect(node);
    for number in 0..200 {
        let key = format!("{number}-{}", "x".repeat(60_000));
        world.exchange(writer, [request(&["SET", &key, "v"])]);
    }
    world.exchange(client, [mget(0..40_000)]);
    world.send(client, b"DUMP\r\nPING\r\n");
    while world.arrivals(client).is_empty() {
        assert!(world.step());
    }
    (world, node, client, writer)
}

#[test]
fn nothing_is_told_within_a_reply_that_is_streamed() {
    let (mut world, _, client, writer) = amid_a_dump();
    for key in ["k7", "k8"] {
        world.send(writer, &request(&["SET", key, "v"]));
        while world.received(writer).is_empty() {
            assert!(world.step());
        }
    }
    world.run();
    let rest = text(world.received(client));
    let (dump, after) = rest.split_once("\r\n").expect("the dump ends");
    assert!(dump.len() > 1_000_000 && !dump.contains('>'), "{} bytes", dump.len());
    assert_eq!(after, told("k7") + &told("k8") + "PONG\r\n");
    world.send(writer, &request(&["SET", "k9", "v"]));
    world.run();
    assert_eq!(text(world.received(client)), told("k9"), "later changes are told at once");
}

#[test]
fn what_is_too_much_to_hold_back_becomes_one_word() {
    let (mut world, node, client, writer) = amid_a_dump();
    let pairs = (0..40_000).flat_map(|it| [format!("k{it}"), "v".to_string()]);
    world.send(writer, &request_of("MSET", pairs));
    world.run();
    let rest = text(world.received(client));
    let (dump, after) = rest.split_once("\r\n").expect("the dump ends");
    assert!(dump.contains("x") && !dump.contains('>'));
    assert!(after.starts_with(TOLD_ALL) && after.ends_with("PONG\r\n"), "{}", &after[..60]);
    assert!(after.len() < HIGH_WATER + 100, "{} bytes", after.len());
    assert!(after.matches(TOLD_ALL).count() == 1 && after.contains(&told("k39999")));
    assert_eq!(gauge(&mut world, node, "tracking_keys"), 0);
}

/// Each way to end, and who stays is still told.
#[test]
fn who_goes_leaves_nothing_behind() {
    type End = fn(&mut World, NodeId, ClientId);
    let ends: [(&str, End); 7] = [
        ("a reset", |world, _, client| world.cut(client)),
        ("a FIN", |world, _, client| world.finish(client)),
        ("BYE", |world, _, client| world.send(client, b"BYE\r\n")),
        ("OFF", |world, _, client| world.send(client, &request(&["CLIENT", "TRACKING", "OFF"]))),
        ("RESET", |world, _, client| world.send(client, &request(&["RESET"]))),
        ("HELLO 2", |world, _, client| world.send(client, &request(&["HELLO", "2"]))),
        ("KILL by another", |world, node, client| {
            let id = text(world.exchange(client, [request(&["CLIENT", "ID"])]));
            let id = id.trim_start_matches(':').trim_end();
            let reply = world.probe(node, &request(&["CLIENT", "KILL", "ID", id]));
            assert_eq!(reply, b":1\r\n");
        }),
    ];
    for (name, end) in ends {
        let (mut world, node) = world_with(Limits::default());
        let (goes, stays) = (reader(&mut world, node), reader(&mut world, node));
        world.exchange(goes, [mget(0..3000)]);
        world.exchange(stays, [mget(2999..3001)]);
        assert_eq!(gauge(&mut world, node, "tracking_pairs"), 3002);
        world.received(goes);
        end(&mut world, node, goes);
        world.run();
        assert_eq!(gauge(&mut world, node, "tracking_clients"), 1, "{name}");
        world.exchange(stays, [request(&["SET", "k5", "v"])]);
        world.advance(Duration::from_millis(100));
        assert_eq!(gauge(&mut world, node, "tracking_pairs"), 2, "{name}");
        assert_eq!(gauge(&mut world, node, "tracking_keys"), 2, "{name}");
        let replies = world.exchange(stays, [request(&["DEL", "k2999"]), mget(2999..3000)]);
        assert_eq!(text(replies), ":0\r\n*1\r\n_\r\n");
        let replies = world.exchange(stays, [request(&["SET", "k2999", "v"])]);
        assert_eq!(text(replies), "+OK\r\n".to_string() + &told("k2999"), "{name}");
        assert!(!text(world.received(goes)).contains("invalidate"), "{name}");
    }
}

/// It reads no more, while more is told it than it may leave unread.
#[test]
fn who_takes_no_news_is_closed_and_others_are_told() {
    let process = server(&["--output-limit", "2MiB"]);
    let [mut silent, mut other] = [process.client(), process.client()];
    let mut watcher = process.client();
    for client in [&mut silent, &mut other] {
        client.send(ON);
        client.bytes_through(b'+');
        assert_eq!(client.line(), "OK");
    }
    // So few that they are read in one turn: the rest would wait until what is told is taken.
    let long = "l".repeat(2000);
    let keys: Vec<String> = (0..1000).map(|number| format!("{number}{long}")).collect();
    let mget = request_of("MGET", keys.iter().cloned());
    let misses = format!("*{}\r\n{}", keys.len(), "_\r\n".repeat(keys.len())).len();
    let mut rounds = 0;
    while stats(&mut watcher)["output_limit_closes"] == 0 {
        // The system's own buffers take some of it first.
        assert!(rounds < 20, "{rounds} times two megabytes are not too much");
        silent.send(&mget);
        other.send(&mget);
        assert_eq!(other.exactly(misses).len(), misses);
        wait_until("both have read", || {
            stat(&mut watcher, "tracking_pairs") == 2000
                || stat(&mut watcher, "output_limit_closes") > 0
        });
        for key in &keys {
            watcher.send(request(&["SET", key, "v"]));
            assert_eq!(watcher.line(), "+OK");
            let told = told(key);
            assert_eq!(other.exactly(told.len()), told.as_bytes());
        }
        for key in &keys {
            watcher.send(request(&["DEL", key]));
            assert_eq!(watcher.line(), ":1");
        }
        rounds += 1;
    }
    wait_until("it is gone", || stat(&mut watcher, "tracking_clients") == 1);
}
