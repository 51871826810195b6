//! `DUMP` while keys come and go: each key that stays throughout appears exactly once, also where
//! the store grows meanwhile; and what a `DUMP` that breaks off looks like.

use crate::scene::Scene;
use crate::support;
use crate::support::world::{ClientId, NodeId, Random, Side, Weather};
use crate::traffic::Command;
use larder::settings::Settings;
use std::collections::HashMap;
use std::time::Duration;

const STAYING: usize = 3000;

/// A server with keys that stay, at some distance from the proxy.
fn scene_with_keys(seed: u64, delay: Duration) -> Scene {
    let mut scene = Scene::with_server(seed, Settings::default());
    let weather = Weather { delay: (delay / 2, delay), ..Weather::CALM };
    scene.world.set_weather(scene.upstream, weather);
    let lines: String = (0..STAYING).map(|number| format!("SET s{number} v{number}\r\n")).collect();
    scene.world.probe(scene.upstream, lines.as_bytes());
    scene.world.advance(Duration::from_secs(1));
    scene
}

/// How often each key appears in the reply to a request that is one of the four forms of DUMP, with
/// its value checked if there is one.
fn count_keys(request: &str, reply: &str) -> HashMap<String, usize> {
    let command = if request.contains("PAIRS") { Command::DumpPairs } else { Command::Dump };
    let mut rest = reply;
    let read = command.read_reply(!request.starts_with('*'), &mut rest);
    let read = read.expect("it is a reply").expect("it is whole");
    assert_eq!(rest, "", "nothing comes after it");
    let mut times = HashMap::new();
    for (key, value) in command.dumped(&read).expect("it is a list of keys") {
        assert!(value.is_none_or(|value| key[1..] == value[1..]), "{key} = {value:?}");
        *times.entry(key.to_string()).or_default() += 1;
    }
    times
}

/// Lets keys come and go until the client's reply is whole.
fn dump_amid_changes(
    scene: &mut Scene,
    dumper: ClientId,
    writer: ClientId,
    request: &str,
) -> String {
    scene.world.send(dumper, request.as_bytes());
    let (mut reply, mut quiet) = (String::new(), 0);
    for round in 0.. {
        let mut random = Random(round);
        let lines = (0..20).map(|_| match random.below(2000) {
            number if random.chance(50) => format!("SET t{number} v{number}\r\n"),
            number => format!("DEL t{number}\r\n"),
        });
        let lines: String = lines.collect();
        scene.world.send(writer, lines.as_bytes());
        if round == 3 {
            // So many that the store has to grow.
            let lines: String = (0..9000).map(|n| format!("SET u{n} v{n}\r\n")).collect();
            scene.world.send(writer, lines.as_bytes());
        }
        scene.world.advance(Duration::from_millis(2));
        let more = scene.heard(dumper);
        quiet = if more.is_empty() { quiet + 1 } else { 0 };
        reply.push_str(&more);
        if !reply.is_empty() && quiet > 200 {
            break;
        }
    }
    scene.heard(writer);
    reply
}

#[test]
fn a_dump_has_every_key_that_stays_exactly_once() {
    let requests = [
        "DUMP\r\n",
        "DUMP PAIRS\r\n",
        "*1\r\n$4\r\nDUMP\r\n",
        "*2\r\n$4\r\nDUMP\r\n$5\r\nPAIRS\r\n",
    ];
    let seed = support::seed();
    for request in requests {
        let nodes: [fn(&Scene) -> NodeId; 2] = [|scene| scene.proxy, |scene| scene.upstream];
        for node in nodes {
            let mut scene = scene_with_keys(seed, Duration::from_millis(4));
            let (dumper, writer) = (scene.world.connect(node(&scene)), scene.client());
            scene.world.weather(dumper).window = 5000;
            let reply = dump_amid_changes(&mut scene, dumper, writer, request);
            let times = count_keys(request, &reply);
            for number in 0..STAYING {
                let key = format!("s{number}");
                assert_eq!(times.get(&key), Some(&1), "{key} in {request:?}");
            }
        }
    }
}

#[test]
fn a_dump_holds_up_nobody() {
    let mut scene = scene_with_keys(1, Duration::from_millis(4));
    let (dumper, other) = (scene.client(), scene.client());
    scene.world.silence(dumper, Side::Initiator, true);
    scene.ask(dumper, "DUMP PAIRS\r\nPING");
    scene.world.send(other, b"GET s7\r\n");
    scene.world.advance(Duration::from_millis(10));
    assert_eq!(scene.heard(other), "v7\r\n");
    scene.world.silence(dumper, Side::Initiator, false);
    scene.world.advance(Duration::from_secs(10));
    let reply = scene.heard(dumper);
    let dump = reply.strip_suffix("PONG\r\n").expect("what came after it comes after it");
    assert_eq!(count_keys("DUMP PAIRS", dump).len(), STAYING);
}

#[test]
fn a_dump_under_way_is_finished_though_nothing_more_is_taken() {
    for drain in [true, false] {
        let mut scene = scene_with_keys(1, Duration::from_millis(4));
        let dumper = scene.client();
        let mut reply = scene.ask(dumper, "DUMP PAIRS");
        match drain {
            true => scene.world.drain(scene.proxy),
            false => scene.world.finish(dumper),
        }
        scene.world.advance(Duration::from_secs(10));
        reply += &scene.heard(dumper);
        assert_eq!(count_keys("DUMP PAIRS", &reply).len(), STAYING);
        assert!(scene.world.is_closed(dumper));
    }
}

#[test]
fn a_dump_that_breaks_off_says_so_and_is_never_taken_for_a_whole_one() {
    for request in ["DUMP", "DUMP PAIRS", "*1\r\n$4\r\nDUMP"] {
        let mut scene = scene_with_keys(1, Duration::from_millis(4));
        let dumper = scene.client();
        let mut reply = scene.ask(dumper, request);
        scene.world.advance(Duration::from_millis(20));
        let link = scene.world.links_to(scene.upstream)[0];
        scene.world.cut_link(link, None);
        scene.world.advance(Duration::from_millis(20));
        reply += &scene.heard(dumper);
        if request.starts_with('*') {
            assert_eq!(reply, "-ERR upstream lost\r\n");
            assert_eq!(scene.ask(dumper, "PING"), "PONG\r\n", "it has no part of it");
        } else {
            assert!(scene.world.is_closed(dumper), "what it has is not mended");
            let part = reply.strip_suffix("ERR upstream lost\r\n").expect("a word of it");
            assert!(part.starts_with('s') && part.ends_with("\r\n") && !part.contains("END"));
        }
    }
}
