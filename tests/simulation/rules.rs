//! The rules of the cache, one at a time: each a few requests and the moment that matters.

use crate::scene::Scene;
use crate::support::resp::resp_request;
use crate::support::world::{ClientId, Reach, Side, Weather};
use larder::settings::{Settings, limits};
use larder::stats::Stat;
use std::time::Duration;

const UNAVAILABLE: &str = "ERR upstream unavailable\r\n";
const UNCERTAIN: &str = "ERR upstream lost, the write may or may not have happened\r\n";
const LOST: &str = "ERR upstream lost\r\n";
const TIMED_OUT: &str = "ERR upstream timed out\r\n";

const TIMEOUT: Duration = Duration::from_secs(5);
/// Something that happens to the upstream.
type Blow = fn(&mut Scene);

const NANOSECOND: Duration = Duration::from_nanos(1);

#[test]
fn an_entry_is_served_until_its_time_to_live_has_passed_since_its_request_was_sent() {
    let ttl = Duration::from_secs(3);
    let mut scene = Scene::by_hand(Settings { ttl, ..Settings::default() });
    let (client, link) = (scene.client(), scene.link());
    // Not at a whole millisecond, so that the timer wheel is late.
    scene.world.advance(Duration::from_micros(300));
    assert_eq!(scene.ask(client, "GET k"), "");
    // The reply takes its time, and that time is not added to the entry's life.
    scene.world.advance(Duration::from_secs(2));
    scene.reply(link, "$1\r\n1\r\n");
    assert_eq!(scene.heard(client), "1\r\n");
    scene.world.advance(Duration::from_secs(1) - NANOSECOND);
    assert_eq!(scene.ask(client, "GET k"), "1\r\n", "a hit to the last nanosecond");
    assert_eq!(scene.asked(link), ["GET k"]);
    scene.world.advance(NANOSECOND);
    assert_eq!(scene.ask(client, "GET k"), "", "and not one longer");
    assert_eq!(scene.asked(link), ["GET k"]);
    // A reply that took the whole time to live is passed on and not kept.
    scene.world.advance(ttl);
    scene.reply(link, "$1\r\n2\r\n");
    assert_eq!(scene.heard(client), "2\r\n");
    scene.ask(client, "GET k");
    assert_eq!(scene.asked(link), ["GET k"]);
}

#[test]
fn a_flight_older_than_the_time_to_live_is_not_joined() {
    let ttl = Duration::from_secs(1);
    let mut scene = Scene::by_hand(Settings { ttl, ..Settings::default() });
    let (first, second, link) = (scene.client(), scene.client(), scene.link());
    scene.ask(first, "GET k");
    scene.world.advance(ttl);
    scene.ask(second, "GET k");
    assert_eq!(scene.asked(link), ["GET k", "GET k"], "what the first would bring is too old");
}

#[test]
fn a_flight_overlapped_by_a_write_is_answered_and_not_kept() {
    let mut scene = Scene::by_hand(Settings::default());
    let (reader, writer, link) = (scene.client(), scene.client(), scene.link());
    scene.ask(reader, "GET k");
    scene.ask(writer, "SET k new");
    let later = scene.client();
    scene.ask(later, "GET k");
    assert_eq!(scene.asked(link), ["GET k", "SET k new", "GET k"], "the second does not join");
    scene.reply(link, "$3\r\nold\r\n");
    assert_eq!(scene.heard(reader), "old\r\n");
    scene.reply(link, "+OK\r\n");
    assert_eq!(scene.heard(writer), "OK\r\n");
    // Neither the flight before the write is kept, nor the one that began before its reply.
    scene.ask(reader, "GET k");
    assert_eq!(scene.asked(link), ["GET k"]);
    scene.reply(link, "$3\r\nnew\r\n");
    assert_eq!(scene.heard(later), "new\r\n");
    scene.ask(writer, "GET k");
    assert_eq!(scene.asked(link), Vec::<String>::new(), "it joins the one after the reply");
    scene.reply(link, "$3\r\nnew\r\n");
    assert_eq!((scene.heard(reader), scene.heard(writer)), ("new\r\n".into(), "new\r\n".into()));
    assert_eq!(scene.ask(later, "GET k"), "new\r\n", "and that one is kept");
}

#[test]
fn a_write_removes_what_is_kept_before_its_reply_and_whatever_its_reply() {
    for reply in ["+OK\r\n", "$-1\r\n", "-ERR no\r\n"] {
        let mut scene = Scene::by_hand(Settings::default());
        let (reader, writer, link) = (scene.client(), scene.client(), scene.link());
        scene.ask(reader, "GET k");
        scene.reply(link, "$3\r\nold\r\n");
        assert_eq!(scene.ask(reader, "GET k"), "old\r\nold\r\n");
        scene.ask(writer, "SET k new");
        scene.ask(reader, "GET k");
        assert_eq!(scene.asked(link), ["GET k", "SET k new", "GET k"]);
        scene.reply(link, reply);
        scene.ask(writer, "GET k");
        assert_eq!(scene.asked(link), ["GET k"], "its reply does not put the value in the cache");
    }
}

#[test]
fn errors_and_not_found_are_not_kept() {
    let mut scene = Scene::by_hand(Settings::default());
    let (client, link) = (scene.client(), scene.link());
    for (reply, told) in
        [("$-1\r\n", "Key not found\r\n"), ("-LOADING busy\r\n", "ERR LOADING busy\r\n")]
    {
        scene.ask(client, "GET k");
        scene.reply(link, reply);
        assert_eq!(scene.heard(client), told);
    }
    scene.ask(client, "GET k");
    assert_eq!(scene.asked(link), ["GET k", "GET k", "GET k"]);
}

#[test]
fn a_reply_within_the_timeout_is_in_time_and_late_bytes_are_never_delivered() {
    let mut scene = Scene::by_hand(Settings::default());
    let (client, old) = (scene.client(), scene.link());
    scene.ask(client, "GET soon");
    scene.world.advance(TIMEOUT - NANOSECOND);
    assert_eq!(scene.heard(client), "");
    scene.reply(old, "$1\r\na\r\n");
    assert_eq!(scene.heard(client), "a\r\n");
    scene.ask(client, "GET a");
    // The reply is on its way when the time is up, and half of it comes in time.
    scene.reply(old, "$4\r\nla");
    scene.world.weather(old).delay = (TIMEOUT, TIMEOUT + NANOSECOND);
    scene.world.advance(NANOSECOND);
    scene.world.send(old, b"te\r\n$4\r\nlate\r\n");
    scene.world.advance(TIMEOUT - NANOSECOND);
    assert_eq!(scene.heard(client), TIMED_OUT);
    let new = scene.link();
    assert_ne!(old, new, "a connection that failed once is not used again");
    scene.ask(client, "GET b");
    scene.world.advance(TIMEOUT / 2);
    assert_eq!(scene.heard(client), "");
    scene.reply(new, "$1\r\nb\r\n");
    assert_eq!(scene.heard(client), "b\r\n");
    scene.ask(client, "GET a");
    assert_eq!(scene.asked(new), ["GET b", "GET a"], "what came late was not kept");
}

#[test]
fn everybody_who_waits_is_told_when_the_upstream_is_lost() {
    let ways: [(&str, Blow); 4] = [
        (TIMED_OUT, |scene| scene.world.advance(TIMEOUT)),
        (LOST, |scene| {
            let link = scene.link();
            scene.world.cut_link(link, None);
        }),
        (LOST, |scene| {
            let link = scene.link();
            scene.world.finish(link);
        }),
        (LOST, |scene| {
            let link = scene.link();
            scene.reply(link, ":1\r\n");
        }),
    ];
    for (told, lose) in ways {
        let mut scene = Scene::by_hand(Settings::default());
        let asked = ["GET k", "GET k", "PUT k 1", "DEL k", "GET k", "DUMP PAIRS"];
        let clients = asked.map(|request| {
            let client = scene.client();
            assert_eq!(scene.ask(client, request), "");
            client
        });
        assert_eq!(scene.ask(clients[0], "PING"), "", "it keeps its place");
        let link = scene.link();
        lose(&mut scene);
        scene.world.run();
        let heard = clients.map(|client| scene.heard(client));
        let first = format!("{told}PONG\r\n");
        assert_eq!(heard, [first.as_str(), told, UNCERTAIN, UNCERTAIN, told, told]);
        assert_ne!(scene.link(), link);
        let link = scene.link();
        assert_eq!(scene.asked(link), Vec::<String>::new(), "and nothing is tried again");
    }
}

#[test]
fn who_waited_for_the_connection_has_the_whole_timeout_for_the_reply() {
    let mut scene = Scene::by_hand(Settings::default());
    let delay = TIMEOUT * 2 / 5;
    let (client, link) = (scene.client(), scene.link());
    scene.world.set_weather(scene.upstream, Weather { delay: (delay, delay), ..Weather::CALM });
    scene.world.cut_link(link, None);
    scene.world.run();
    scene.ask(client, "GET k");
    scene.world.advance(delay * 2);
    let link = scene.link();
    scene.world.advance(delay);
    // The reply is on its way before the question has come.
    scene.reply(link, ":-1\r\n$1\r\n1\r\n");
    scene.world.advance(delay);
    assert_eq!(scene.heard(client), "1\r\n");
    scene.ask(client, "GET other");
    scene.world.advance(TIMEOUT);
    assert_eq!(scene.heard(client), TIMED_OUT);
}

#[test]
fn a_key_whose_write_was_lost_is_kept_again_later() {
    let mut scene = Scene::by_hand(Settings::default());
    let (client, link) = (scene.client(), scene.link());
    scene.ask(client, "SET k 1");
    scene.world.cut_link(link, None);
    scene.world.run();
    assert_eq!(scene.heard(client), UNCERTAIN);
    let link = scene.link();
    scene.ask(client, "GET k");
    scene.reply(link, "$1\r\n1\r\n");
    assert_eq!(scene.ask(client, "GET k"), "1\r\n1\r\n");
}

#[test]
fn between_attempts_it_is_unavailable_at_once_and_what_is_kept_is_served() {
    for reach in [Reach::Refuse, Reach::RefuseAtOnce] {
        let mut scene = Scene::by_hand(Settings::default());
        let (client, link) = (scene.client(), scene.link());
        scene.ask(client, "GET kept");
        scene.reply(link, "$1\r\n1\r\n");
        assert_eq!(scene.heard(client), "1\r\n");
        scene.world.set_reach(scene.upstream, reach);
        scene.world.cut_link(link, None);
        scene.world.run();
        assert_eq!(scene.ask(client, "GET k"), UNAVAILABLE);
        assert_eq!(scene.ask(client, "PUT k 1"), UNAVAILABLE);
        assert_eq!(scene.ask(client, "DUMP PAIRS"), UNAVAILABLE);
        assert_eq!(scene.ask(client, "GET kept"), "1\r\n");
        assert_eq!(scene.ask(client, "PING"), "PONG\r\n");
        scene.world.advance(Duration::from_secs(20));
        assert_eq!(scene.ask(client, "GET k"), UNAVAILABLE);
        let attempts = scene.world.stat(scene.proxy, Stat::UpstreamErrors);
        assert!((20..60).contains(&attempts), "{attempts} attempts in 20 seconds");
        scene.world.set_reach(scene.upstream, Reach::Accept);
        scene.world.advance(Duration::from_secs(1));
        let link = scene.link();
        scene.ask(client, "GET k");
        assert_eq!(scene.asked(link), ["GET k"], "a second at the most, and it is back");
    }
}

/// A client that has had so many replies that it may wait for as many as anybody.
fn busy_client(scene: &mut Scene) -> ClientId {
    let client = scene.client();
    let requests = 2 * limits::MAX_UNANSWERED;
    let replies = scene.ask(client, &"GET missing\r\n".repeat(requests));
    assert!(replies == "Key not found\r\n".repeat(requests));
    client
}

#[test]
fn a_client_with_too_many_unanswered_requests_is_paused_and_all_are_answered_in_order() {
    let mut scene = Scene::with_server(1, Settings::default());
    let client = busy_client(&mut scene);
    let other = scene.client();
    let before = scene.count("get");
    let link = scene.world.links_to(scene.upstream)[0];
    scene.world.silence(link, Side::Initiator, true);
    let lines: String =
        (0..5000).map(|n| format!("GET {n}\r\nSET {n} v{n}\r\nGET {n}\r\n")).collect();
    scene.world.send(client, lines.as_bytes());
    scene.world.run();
    assert_eq!(scene.count("get") - before + scene.count("set"), 1024);
    assert_eq!(scene.ask(other, "PING"), "PONG\r\n", "others are not held up");
    assert_eq!(scene.ask(other, "GET x"), "");
    assert_eq!(scene.count("get") - before + scene.count("set"), 1025);
    scene.world.silence(link, Side::Initiator, false);
    scene.world.run();
    let expected: String = (0..5000).map(|n| format!("Key not found\r\nOK\r\nv{n}\r\n")).collect();
    assert!(scene.heard(client) == expected);
    assert_eq!(scene.heard(other), "Key not found\r\n");
}

#[test]
fn too_much_for_the_upstream_holds_all_back_and_loses_nobody() {
    let mut scene = Scene::with_server(1, Settings::default());
    let clients: Vec<_> = (0..100).map(|_| busy_client(&mut scene)).collect();
    let before = scene.count("get");
    let link = scene.world.links_to(scene.upstream)[0];
    scene.world.silence(link, Side::Initiator, true);
    for (number, &client) in clients.iter().enumerate() {
        let lines: String = (0..1000).map(|n| format!("GET {number}.{n}\r\n")).collect();
        scene.world.send(client, lines.as_bytes());
        scene.world.run();
    }
    assert_eq!(scene.count("get") - before, 64 * 1024);
    scene.world.cut(clients[99]);
    scene.world.silence(link, Side::Initiator, false);
    scene.world.run();
    for &client in &clients[..99] {
        assert!(scene.heard(client) == "Key not found\r\n".repeat(1000));
    }
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody_and_gets_all_in_the_end() {
    let mut scene = Scene::with_server(1, Settings::default());
    let weather = Weather { window: 1000, ..Weather::CALM };
    scene.world.set_weather(scene.proxy, weather);
    let value = "v".repeat(100_000);
    scene.world.probe(scene.upstream, format!("SET k {value}\r\n").as_bytes());
    let (slow, other) = (scene.client(), scene.client());
    // What is kept needs no upstream that could slow it down.
    assert!(scene.ask(other, "GET k").starts_with(&value));
    scene.world.silence(slow, Side::Initiator, true);
    assert_eq!(scene.ask(slow, &"GET k\r\n".repeat(100)), "");
    assert_eq!(scene.ask(other, "GET missing"), "Key not found\r\n");
    scene.world.finish(slow);
    scene.world.advance(Duration::from_secs(1));
    scene.world.silence(slow, Side::Initiator, false);
    scene.world.run();
    assert_eq!(scene.heard(slow).matches(&value).count(), 100);
    assert!(scene.world.is_closed(slow));
}

#[test]
fn who_stops_asking_still_gets_every_reply() {
    for drain in [false, true] {
        let mut scene = Scene::by_hand(Settings::default());
        let (client, link) = (scene.client(), scene.link());
        scene.world.send(client, b"GET a\r\nGET b\r\nPING\r\nGET unfinish");
        scene.world.run();
        match drain {
            true => scene.world.drain(scene.proxy),
            false => scene.world.finish(client),
        }
        scene.world.run();
        assert!(!scene.world.is_closed(client));
        scene.reply(link, "$1\r\na\r\n");
        assert!(!scene.world.is_closed(client));
        scene.reply(link, "$1\r\nb\r\n");
        assert_eq!(scene.heard(client), "a\r\nb\r\nPONG\r\n");
        assert!(scene.world.is_closed(client));
    }
}

/// Whoever waits for a reply is not idle, also where there is no such thing as idle any more.
#[test]
fn who_waits_when_the_idle_timeout_goes_waits_on() {
    let mut scene = Scene::by_hand(Settings::default());
    let (client, other, link) = (scene.client(), scene.client(), scene.link());
    let set = |scene: &mut Scene, seconds: &str| {
        let request = resp_request(&["CONFIG", "SET", "idle-timeout", seconds]);
        scene.world.send(other, &request);
        scene.world.run();
        assert_eq!(scene.heard(other), "+OK\r\n");
    };
    set(&mut scene, "1");
    scene.ask(client, "GET k");
    set(&mut scene, "0");
    scene.world.advance(Duration::from_secs(3));
    scene.reply(link, "$1\r\nv\r\n");
    assert_eq!(scene.heard(client), "v\r\n");
}
