//! What the world of these rounds can do beyond that of the others: that it does it.

use super::traffic;
use super::witness::{Age, Truth};
use crate::support::history::Version;
use crate::support::world::{Order, World};
use larder::proxy::Rule;
use larder::server::Server;
use larder::settings::Settings;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn a_frozen_node_finds_all_at_once_that_came_meanwhile() {
    let mut world = World::new(1);
    let server = Server::new(Settings::default(), world.now());
    let node = world.add_server(server);
    let client = world.connect(node);
    assert_eq!(world.exchange(client, [&b"SET a 1\r\n"[..]]), b"OK\r\n");
    world.freeze(node);
    let ticks = world.ticks(node);
    for _ in 0..5 {
        world.send(client, b"GET a\r\n");
        world.advance(MOMENT);
    }
    assert_eq!((world.ticks(node), world.received(client)), (ticks, Vec::new()));
    world.wake(node);
    world.step();
    assert_eq!(world.ticks(node), ticks + 1);
    world.run();
    assert_eq!(world.arrivals(client).len(), 1, "one write for all of them");
}

#[test]
fn the_witness_sees_every_version_and_when_it_expires() {
    let mut world = World::new(1);
    let mut truth = Truth::new(1, world.stamp());
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
        let truth = Truth::new(1, world.stamp());
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
fn a_loop_that_serves_clients_first_serves_what_is_old() {
    for (order, expected) in [(Order::UpstreamsFirst, 2), (Order::ClientsFirst, 1)] {
        let mut scene = crate::scene::Scene::with_server(1, crate::scene::Setup::default());
        let (writer, reader) = (scene.world.connect(scene.upstream), scene.client());
        scene.world.set_order(scene.proxy, order);
        scene.world.exchange(writer, [&b"SET k 1\r\n"[..]]);
        assert_eq!(scene.ask(reader, "GET k"), "1\r\n");
        scene.world.freeze(scene.proxy);
        assert_eq!(scene.world.exchange(writer, [&b"SET k 2\r\n"[..]]), b"OK\r\n");
        scene.world.send(reader, b"GET k\r\n");
        scene.world.wake(scene.proxy);
        scene.world.run();
        assert_eq!(scene.heard(reader), format!("{expected}\r\n"));
    }
}

#[test]
fn a_proxy_that_was_stopped_in_a_tick_serves_nothing_by_the_time_at_which_that_began() {
    for (broken, expected) in [(None, 2), (Some(Rule::ServeAtReadTime), 1)] {
        let setup = crate::scene::Setup { broken, ..crate::scene::Setup::default() };
        let mut scene = crate::scene::Scene::with_server(1, setup);
        let (writer, reader) = (scene.world.connect(scene.upstream), scene.client());
        scene.world.exchange(writer, [&b"SET k 1\r\n"[..]]);
        assert_eq!(scene.ask(reader, "GET k"), "1\r\n");
        scene.world.freeze(scene.proxy);
        scene.world.advance(2 * setup.trust);
        assert_eq!(scene.world.exchange(writer, [&b"SET k 2\r\n"[..]]), b"OK\r\n");
        scene.world.advance(2 * setup.trust);
        scene.world.send(reader, b"GET k\r\n");
        scene.world.wake_in_tick(scene.proxy);
        scene.world.run();
        assert_eq!(scene.heard(reader), format!("{expected}\r\n"));
    }
}
