//! What links do at their worst: they take a few bytes at a time, report what has gone, and tell
//! late that a connection did not come about.

use crate::scene::{Scene, Setup};
use crate::support::is_full;
use crate::support::world::{ClientId, Reach, Weather};
use larder::base::output::SHARED_FROM;
use larder::stats::Stat;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const UNAVAILABLE: &str = "ERR upstream unavailable\r\n";

/// Sends this to a node, which writes no more than `window` bytes before they are taken.
fn ask_in_pieces(scene: &mut Scene, client: ClientId, window: usize, asked: &[u8]) -> String {
    scene.world.weather(client).window = window;
    for link in scene.world.links_to(scene.upstream) {
        scene.world.weather(link).window = window;
    }
    scene.world.send(client, asked);
    scene.world.run();
    scene.heard(client)
}

/// Replies with a value of so many bytes come whole however little is taken at a time: from the
/// server, from the cache, and through a proxy that has none.
fn check_every_size(bytes: usize, step: usize) {
    let value: String = (0..bytes).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${bytes}\r\n{value}\r\n");
    let asked = "GET none\r\n*3\r\n$4\r\nMGET\r\n$1\r\nk\r\n$1\r\nk\r\nGET k\r\nPING\r\n";
    let bulk = format!("${bytes}\r\n{value}\r\n");
    let expected = format!("Key not found\r\n*2\r\n{bulk}{bulk}{value}\r\nPONG\r\n");
    let mut scene = Scene::with_server(1, Setup::default());
    let mut uncached = Scene::with_server(1, Setup { cache_bytes: 0, ..Setup::default() });
    scene.world.run();
    uncached.world.run();
    let direct = scene.world.connect(scene.upstream);
    let clients = [direct, scene.client()];
    let other = uncached.client();
    // What is sent to the server may come in pieces too.
    assert_eq!(ask_in_pieces(&mut scene, direct, 7, set.as_bytes()), "+OK\r\n");
    assert_eq!(ask_in_pieces(&mut uncached, other, 7, set.as_bytes()), "+OK\r\n");
    for window in (1..=expected.len()).step_by(step).chain([expected.len()]) {
        for client in clients {
            let heard = ask_in_pieces(&mut scene, client, window, asked.as_bytes());
            assert!(heard == expected, "{window} at a time: {heard}");
        }
        let heard = ask_in_pieces(&mut uncached, other, window, asked.as_bytes());
        assert!(heard == expected, "{window} at a time, without a cache: {heard}");
    }
}

#[test]
fn replies_come_whole_however_little_is_taken_at_a_time() {
    check_every_size(20, 1);
    check_every_size(SHARED_FROM, if is_full() { 10 } else { 1000 });
}

#[test]
fn events_for_those_who_left_reach_nobody() {
    let mut scene = Scene::with_server(1, Setup::default());
    let rough = Weather { spurious: 100, ..Weather::CALM };
    scene.world.set_weather(scene.proxy, rough);
    scene.world.set_weather(scene.upstream, rough);
    let mut staying = scene.client();
    for number in 0..200 {
        // The next takes the place of who has left.
        let leaving = scene.client();
        assert_eq!(scene.ask(leaving, &format!("SET k{number} {number}")), "OK\r\n");
        scene.world.cut(staying);
        scene.world.run();
        staying = scene.client();
        let expected = format!("{number}\r\n");
        assert_eq!(scene.ask(staying, &format!("GET k{number}")), expected);
        assert_eq!(scene.ask(leaving, &format!("GET k{number}")), expected);
        scene.world.finish(leaving);
        scene.world.run();
        assert!(scene.world.is_closed(leaving) && !scene.world.is_closed(staying));
    }
    assert_eq!(scene.world.stat(scene.proxy, Stat::UpstreamConnects), 1);
}

/// Whoever reaches for the upstream is told what became of it after `delay`.
fn check_late_answer(reach: Reach, delay: Duration) {
    let mut scene = Scene::by_hand(Setup::default());
    let (client, link) = (scene.client(), scene.link());
    let slow = Weather { delay: (delay / 2, delay / 2), ..Weather::CALM };
    scene.world.set_weather(scene.upstream, slow);
    scene.world.set_reach(scene.upstream, reach);
    scene.world.cut_link(link, None);
    scene.world.run();
    assert_eq!(scene.ask(client, "PUT k 1"), "");
    assert_eq!(scene.ask(client, "GET k"), "");
    assert_eq!(scene.ask(client, "PING"), "", "it waits behind the others");
    let told = delay.min(TIMEOUT);
    scene.world.advance(told - Duration::from_nanos(1));
    assert_eq!(scene.heard(client), "", "{reach:?} after {delay:?}");
    scene.world.advance(Duration::from_nanos(1));
    let expected = format!("{UNAVAILABLE}{UNAVAILABLE}PONG\r\n");
    assert_eq!(scene.heard(client), expected, "{reach:?} after {delay:?}");
    scene.world.set_weather(scene.upstream, Weather::CALM);
    scene.world.set_reach(scene.upstream, Reach::Accept);
    while scene.world.stat(scene.proxy, Stat::UpstreamConnects) == 1 {
        scene.world.advance(Duration::from_millis(10));
    }
    // What is still told of the attempts that were given up is for nobody.
    let link = scene.link();
    scene.world.advance(2 * delay);
    assert_eq!(scene.heard(client), "");
    assert_eq!(scene.world.stat(scene.proxy, Stat::UpstreamConnects), 2, "the first, and the last");
    scene.ask(client, "GET k");
    assert_eq!(scene.asked(link), ["GET k"], "what was refused was not kept to be sent");
    scene.reply(link, "$1\r\nv\r\n");
    assert_eq!(scene.heard(client), "v\r\n");
}

#[test]
fn a_connection_that_fails_late_is_unavailable_once_and_forgotten() {
    let second = Duration::from_secs(1);
    check_late_answer(Reach::Refuse, second);
    check_late_answer(Reach::Refuse, TIMEOUT - 2 * Duration::from_nanos(1));
    for reach in [Reach::Refuse, Reach::Accept] {
        check_late_answer(reach, TIMEOUT + 2 * Duration::from_nanos(1));
        check_late_answer(reach, 3 * TIMEOUT);
    }
}
