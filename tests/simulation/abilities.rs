//! What the world of these rounds can do beyond that of the others: that it does it.

use crate::scene::{self, Scene};
use crate::support::history::Version;
use crate::support::world::{Order, World};
use crate::traffic;
use crate::witness::{Age, Truth};
use larder::proxy::Rule;
use larder::server::Server;
use larder::settings::Settings;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn the_witness_sees_every_version_and_when_it_expires() {
    let mut world = World::new(1);
    let mut truth = Truth::new(1, 0, world.stamp());
    let lateness = Duration::from_secs(2);
    let node = world.add_node(truth.server(Age::New, lateness, world.now()));
    let client = world.connect(node);
    let began = world.now();
    let set = |id: u32| traffic::encode(&["SET", "k0", &traffic::value(id), "PX", "30"]);
    let requests = set(1) + &set(2) + &traffic::encode(&["DEL", "k0"]) + &set(3);
    world.send(client, requests.as_bytes());
    world.advance_with(MOMENT * 10, &mut |world| truth.observe(world.stamp()));
    truth.observe(world.stamp());
    let seen: Vec<_> =
        truth.versions[0].iter().map(|&Version { value, since, .. }| (value, since.at)).collect();
    let expired = began + MOMENT * 3;
    let expected = [(None, began), (Some(1), began), (Some(2), began), (None, began)];
    assert_eq!(seen[..4], expected);
    assert_eq!(seen[4..], [(Some(3), began), (None, expired)]);
    assert!(truth.versions[0][5].known.is_some());
}

#[test]
fn an_old_server_refuses_what_it_does_not_know() {
    for (age, hello, tracking) in
        [(Age::Old, "-ERR unknown", "-ERR unknown"), (Age::Middling, "%", "-ERR unknown")]
    {
        let mut world = World::new(1);
        let truth = Truth::new(1, 0, world.stamp());
        let node = world.add_node(truth.server(age, Duration::ZERO, world.now()));
        let client = world.connect(node);
        let mut ask = |words: &[&str]| {
            let reply = world.exchange(client, [traffic::encode(words)]);
            String::from_utf8(reply).expect("UTF-8")
        };
        assert!(ask(&["hello", "3"]).starts_with(hello));
        assert!(ask(&["CLIENT", "TRACKING", "ON"]).starts_with(tracking));
        assert!(ask(&["PING"]).starts_with("+PONG"));
    }
}

#[test]
fn a_proxy_that_wakes_serves_what_is_old_only_if_it_breaks_a_rule() {
    // Its order, the rule that it breaks, whether it was stopped in a tick, and what it serves.
    let cases = [
        (Order::UpstreamsFirst, None, false, "2\r\n"),
        (Order::ClientsFirst, None, false, "1\r\n"),
        (Order::UpstreamsFirst, None, true, "2\r\n"),
        (Order::UpstreamsFirst, Some(Rule::ServeAtReadTime), true, "1\r\n"),
    ];
    for (order, broken, is_in_tick, expected) in cases {
        let mut world = World::new(1);
        let upstream = world.add_server(Server::new(Settings::default(), world.now()));
        let mut proxy = scene::proxy(&mut world, upstream, Settings::default());
        if let Some(rule) = broken {
            proxy = proxy.without(rule);
        }
        let mut scene = Scene::new(world, upstream, proxy);
        scene.world.set_order(scene.proxy, order);
        let (writer, reader) = (scene.world.connect(upstream), scene.client());
        scene.world.exchange(writer, [&b"SET k 1\r\n"[..]]);
        assert_eq!(scene.ask(reader, "GET k"), "1\r\n");
        scene.world.freeze(scene.proxy);
        let pause = if is_in_tick { 2 * Settings::default().trust } else { Duration::ZERO };
        scene.world.advance(pause);
        assert_eq!(scene.world.exchange(writer, [&b"SET k 2\r\n"[..]]), b"OK\r\n");
        scene.world.advance(pause);
        let ticks = scene.world.ticks(scene.proxy);
        scene.world.send(reader, b"GET k\r\n");
        scene.world.run();
        assert_eq!(scene.world.ticks(scene.proxy), ticks, "it does nothing");
        match is_in_tick {
            true => scene.world.wake_in_tick(scene.proxy),
            false => scene.world.wake(scene.proxy),
        }
        scene.world.step();
        assert_eq!(scene.world.ticks(scene.proxy), ticks + 1, "it finds all at once");
        scene.world.run();
        assert_eq!(scene.heard(reader), expected, "{order:?}, {broken:?}");
    }
}
