//! How a connection to the upstream comes about and begins: names and their addresses, the user
//! and the password, the database. Nothing of a client goes out before all is well.

use crate::scene::{Scene, upstream_options};
use crate::support::world::{LinkId, NodeId, Reach, Weather, World};
use larder::proxy::upstream::credentials::{Credentials, Source};
use larder::proxy::{Proxy, UpstreamOptions};
use larder::settings::Settings;
use larder::stats::Stat;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const UNAVAILABLE: &str = "ERR upstream unavailable\r\n";
const UNKNOWN: &str = "-ERR unknown command `HELLO`, with args beginning with: `3`\r\n";
const THREE: &str = "%1\r\n$5\r\nproto\r\n:3\r\n";
const NAME: &str = "upstream.example:6379";
const TIMEOUT: Duration = Duration::from_secs(5);

/// A proxy with these options, in front of an upstream by hand.
fn scene(change: impl FnOnce(&mut UpstreamOptions)) -> Scene {
    let mut world = World::new(1);
    let upstream = world.add_by_hand();
    let mut options = upstream_options(&mut world, upstream);
    change(&mut options);
    let mut scene = with_options(world, upstream, options);
    scene.world.run();
    scene
}

fn with_options(world: World, upstream: NodeId, options: UpstreamOptions) -> Scene {
    let proxy = Proxy::new(Settings::default(), options, world.now());
    Scene::new(world, upstream, proxy)
}

fn login(user: Option<&str>, password: &str) -> Source {
    let user = user.map(|user| user.as_bytes().to_vec());
    let credentials = Credentials { user, password: password.as_bytes().to_vec() };
    Source::new(move || Ok(credentials.clone()))
}

/// The newest connection to an upstream by hand.
#[track_caller]
fn newest(scene: &Scene) -> LinkId {
    *scene.world.hands(scene.upstream).last().expect("the proxy is connected")
}

/// Whether the upstream tells of changes, and its commands.
const TOLD: (&str, &str) = ("CLIENT TRACKING ON", "+OK\r\n");
const COMMANDS: (&str, &str) = ("COMMAND", "*0\r\n");

/// The proxy asks this now, and nothing else; the upstream answers.
#[track_caller]
fn answer(scene: &mut Scene, link: LinkId, request: &str, reply: &str) {
    assert_eq!(scene.requests(link), [request]);
    scene.reply(link, reply);
}

/// A client's request waits until all these questions are answered, and is answered then.
#[track_caller]
fn check_greeting(scene: &mut Scene, questions: &[(&str, &str)]) {
    let client = scene.client();
    assert_eq!(scene.ask(client, "GET k"), "");
    let link = newest(scene);
    for (request, reply) in questions {
        assert_eq!(scene.world.stat(scene.proxy, Stat::UpstreamErrors), 0, "before {request}");
        answer(scene, link, request, reply);
    }
    answer(scene, link, "GET k", "$1\r\nv\r\n");
    assert_eq!(scene.heard(client), "v\r\n");
}

#[test]
fn the_greeting_is_over_before_anything_of_a_client_goes_out() {
    check_greeting(&mut scene(|_| {}), &[("HELLO 3", THREE), TOLD, COMMANDS]);
    check_greeting(&mut scene(|_| {}), &[("HELLO 3", UNKNOWN), ("COMMAND", "-ERR unknown\r\n")]);
    let all = |options: &mut UpstreamOptions| {
        (options.credentials, options.database) = (login(Some("me"), "secret"), 7);
    };
    let hello = "HELLO 3 AUTH me secret";
    let rest = [("SELECT 7", "+OK\r\n"), ("COMMAND", "-NOPERM no\r\n")];
    check_greeting(&mut scene(all), &[(hello, THREE), rest[0], TOLD, rest[1]]);
    for refused in [UNKNOWN, "-NOPROTO unsupported protocol version\r\n", "-NOPERM no\r\n"] {
        let login = [(hello, refused), ("AUTH me secret", "+OK\r\n")];
        check_greeting(&mut scene(all), &[&login[..], &rest].concat());
    }
}

#[test]
fn without_a_name_the_user_is_the_default_one_or_none_where_there_are_no_users() {
    let password = |options: &mut UpstreamOptions| options.credentials = login(None, "secret");
    let hello = "HELLO 3 AUTH default secret";
    check_greeting(&mut scene(password), &[(hello, THREE), TOLD, COMMANDS]);
    let before_users = [(hello, UNKNOWN), ("AUTH secret", "+OK\r\n"), ("COMMAND", "*0\r\n")];
    check_greeting(&mut scene(password), &before_users);
}

/// After these answers the last of which is an error, or nonsense, clients are told at once, and
/// nothing of theirs has gone out; the next attempt comes after a backoff, and may succeed.
#[track_caller]
fn check_refused(questions: &[(&str, &str)]) {
    let mut scene = scene(|options| {
        (options.credentials, options.database) = (login(None, "secret"), 7);
    });
    let client = scene.client();
    assert_eq!(scene.ask(client, "SET k v"), "");
    for failures in 0..5 {
        let link = newest(&scene);
        assert_eq!(scene.world.hands(scene.upstream), [link], "the one before is gone");
        for (request, reply) in questions {
            answer(&mut scene, link, request, reply);
        }
        // The first failure has the next attempt follow at once.
        let waits = if failures == 0 { "" } else { UNAVAILABLE };
        let told = scene.heard(client);
        assert_eq!(told, UNAVAILABLE, "{questions:?}");
        assert_eq!(scene.ask(client, "SET k v"), waits);
        assert!(scene.world.is_closed(link));
        assert_eq!(scene.requests(link), [""; 0], "nothing of the client's");
        if failures > 0 {
            scene.world.advance(Duration::from_secs(1));
            assert_eq!(scene.ask(client, "SET k v"), "", "an attempt is under way");
        }
    }
    let link = newest(&scene);
    answer(&mut scene, link, "HELLO 3 AUTH default secret", THREE);
    for (request, reply) in [("SELECT 7", "+OK\r\n"), TOLD, COMMANDS] {
        answer(&mut scene, link, request, reply);
    }
    answer(&mut scene, link, "SET k v", "+OK\r\n");
    assert_eq!(scene.heard(client), "OK\r\n");
}

#[test]
fn an_upstream_that_refuses_is_unavailable_and_tried_again() {
    let hello = "HELLO 3 AUTH default secret";
    let in_three = (hello, THREE);
    for error in
        ["NOAUTH", "WRONGPASS", "LOADING", "DENIED", "BUSY"].map(|it| format!("-{it} x\r\n"))
    {
        check_refused(&[(hello, &error)]);
        check_refused(&[in_three, ("SELECT 7", &error)]);
        check_refused(&[in_three, ("SELECT 7", "+OK\r\n"), (TOLD.0, &error)]);
        check_refused(&[in_three, ("SELECT 7", "+OK\r\n"), TOLD, ("COMMAND", &error)]);
        check_refused(&[(hello, UNKNOWN), ("AUTH secret", &error)]);
    }
    check_refused(&[(hello, UNKNOWN), ("AUTH secret", "-ERR invalid password\r\n")]);
    check_refused(&[in_three, ("SELECT 7", "-ERR DB index is out of range\r\n")]);
    for nonsense in ["+PONG\r\n", "$-1\r\n", ":1\r\n", "?\r\n"] {
        check_refused(&[(hello, nonsense)]);
        check_refused(&[(hello, UNKNOWN), ("AUTH secret", nonsense)]);
        check_refused(&[in_three, ("SELECT 7", nonsense)]);
        check_refused(&[in_three, ("SELECT 7", "+OK\r\n"), (TOLD.0, nonsense)]);
        check_refused(&[in_three, ("SELECT 7", "+OK\r\n"), TOLD, ("COMMAND", nonsense)]);
    }
    let unasked = format!("{THREE}+OK\r\n+OK\r\n");
    check_refused(&[(hello, &unasked)]);
}

/// Its answers would be one behind, and the last of them be taken for those to clients.
#[test]
fn an_answer_to_a_question_that_was_not_sent_costs_the_connection() {
    for unasked in ["-ERR max number of clients reached\r\n", THREE, "+OK\r\n"] {
        let mut world = World::new(1);
        let upstream = world.add_by_hand();
        world.set_weather(upstream, Weather { together: 100, ..Weather::CALM });
        let options = upstream_options(&mut world, upstream);
        let mut scene = with_options(world, upstream, options);
        while scene.world.hands(upstream).is_empty() {
            scene.world.step();
        }
        // It comes with the news that the connection stands.
        let link = newest(&scene);
        scene.reply(link, unasked);
        assert!(scene.world.is_closed(link), "{unasked}");
        assert_eq!(scene.requests(link), [""; 0], "{unasked}");
    }
}

#[test]
fn who_waits_for_a_greeting_waits_no_longer_than_the_timeout_in_all() {
    let mut scene = scene(|options| options.database = 7);
    let client = scene.client();
    assert_eq!(scene.ask(client, "DEL k"), "");
    let link = newest(&scene);
    let almost = TIMEOUT - Duration::from_nanos(1);
    scene.world.advance(almost / 2);
    answer(&mut scene, link, "HELLO 3", THREE);
    scene.world.advance(almost / 2);
    assert_eq!(scene.heard(client), "");
    scene.world.advance(Duration::from_nanos(2));
    assert_eq!(scene.heard(client), UNAVAILABLE);
    assert!(scene.world.is_closed(link));
}

#[test]
fn credentials_are_asked_for_again_for_each_connection() {
    let said = Arc::new(Mutex::new(Err("the file is gone".to_string())));
    let source = Arc::clone(&said);
    let mut scene = scene(|options| {
        options.credentials = Source::new(move || {
            let password: String = source.lock().expect("nobody panicked with it").clone()?;
            Ok(Credentials { user: None, password: password.into_bytes() })
        });
    });
    let client = scene.client();
    scene.world.advance(Duration::from_secs(3));
    assert_eq!(scene.ask(client, "GET k"), UNAVAILABLE);
    assert_eq!(scene.world.hands(scene.upstream), [], "nobody is asked without a password");
    for password in ["wrong", "right"] {
        *said.lock().expect("nobody panicked with it") = Ok(password.to_string());
        scene.world.advance(Duration::from_secs(2));
        let link = newest(&scene);
        let refused = password == "wrong";
        let reply = if refused { "-WRONGPASS no\r\n" } else { THREE };
        answer(&mut scene, link, &format!("HELLO 3 AUTH default {password}"), reply);
        assert_eq!(scene.world.is_closed(link), refused);
    }
}

/// A proxy in front of a name, and so many servers that nobody listens on.
fn named(nodes: usize) -> (Scene, Vec<NodeId>) {
    let mut world = World::new(1);
    let nodes: Vec<_> = (0..nodes).map(|_| world.add_by_hand()).collect();
    for &node in &nodes {
        world.set_reach(node, Reach::Refuse);
    }
    let options = upstream_options(&mut world, nodes[0]);
    let options = UpstreamOptions { address: NAME.to_string(), ..options };
    (with_options(world, nodes[0], options), nodes)
}

#[test]
fn all_addresses_of_a_name_are_tried_and_the_one_that_answers_is_kept_to() {
    for listening in 0..3 {
        let (mut scene, nodes) = named(3);
        scene.world.set_name(NAME, &nodes, Duration::ZERO);
        scene.world.set_reach(nodes[listening], Reach::Accept);
        scene.world.advance(Duration::from_millis(200));
        scene.upstream = nodes[listening];
        let client = scene.client();
        for round in 0..3 {
            let link = scene.link();
            scene.ask(client, &format!("GET {round}"));
            assert_eq!(scene.asked(link), [format!("GET {round}")]);
            scene.reply(link, "$1\r\nv\r\n");
            assert_eq!(scene.heard(client), "v\r\n");
            // It is lost, and there again without any pause.
            scene.world.cut(link);
            scene.world.run();
        }
    }
}

#[test]
fn a_name_that_moves_is_followed() {
    let (mut scene, nodes) = named(3);
    let client = scene.client();
    for &node in &nodes {
        scene.world.set_name(NAME, &[node], Duration::from_millis(3));
        scene.world.set_reach(node, Reach::Accept);
        scene.upstream = node;
        scene.world.advance(Duration::from_secs(2));
        let link = scene.link();
        scene.ask(client, "GET k");
        assert_eq!(scene.asked(link), ["GET k"]);
        scene.reply(link, "$-1\r\n");
        assert_eq!(scene.heard(client), "Key not found\r\n");
        scene.world.set_reach(node, Reach::Refuse);
        scene.world.cut(link);
        scene.world.run();
    }
}

#[test]
fn a_name_without_an_address_is_unavailable_until_it_has_one() {
    let (mut scene, nodes) = named(1);
    scene.world.set_reach(nodes[0], Reach::Accept);
    let client = scene.client();
    for _ in 0..5 {
        assert_eq!(scene.ask(client, "GET k"), UNAVAILABLE);
        assert_eq!(scene.ask(client, "PING"), "PONG\r\n");
        scene.world.advance(Duration::from_millis(600));
    }
    assert!(scene.world.stat(scene.proxy, Stat::UpstreamErrors) < 12, "it backs off");
    scene.world.set_name(NAME, &nodes, Duration::ZERO);
    scene.world.advance(Duration::from_secs(1));
    scene.link();
    assert_eq!(scene.world.stat(scene.proxy, Stat::UpstreamConnects), 1);
}

#[test]
fn a_lookup_that_takes_long_holds_nobody_up_and_counts_as_part_of_the_connect() {
    let (mut scene, nodes) = named(1);
    scene.world.set_reach(nodes[0], Reach::Accept);
    scene.world.set_name(NAME, &nodes, TIMEOUT * 2);
    let client = scene.client();
    assert_eq!(scene.ask(client, "GET k"), "", "an attempt is under way");
    let other = scene.client();
    assert_eq!(scene.ask(other, "PING"), "PONG\r\n");
    scene.world.advance(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(scene.heard(client), "");
    scene.world.advance(Duration::from_nanos(1));
    assert_eq!(scene.heard(client), UNAVAILABLE);
    scene.world.set_name(NAME, &nodes, TIMEOUT / 2);
    scene.world.advance(TIMEOUT * 2);
    scene.ask(client, "GET k");
    let link = scene.link();
    assert_eq!(scene.asked(link), ["GET k"]);
}
