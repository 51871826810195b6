//! What links do at their worst: they report what has gone, and tell late that a connection did not
//! come about. That they take a few bytes at a time is in `large.rs`.

use crate::scene::Scene;
use crate::support::world::{Reach, Weather};
use larder::settings::Settings;
use larder::stats::Stat;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const UNAVAILABLE: &str = "ERR upstream unavailable\r\n";

#[test]
fn events_for_those_who_left_reach_nobody() {
    let mut scene = Scene::with_server(1, Settings::default());
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
    let mut scene = Scene::by_hand(Settings::default());
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
fn while_it_connects_requests_wait_and_what_was_never_sent_did_not_happen() {
    let second = Duration::from_secs(1);
    check_late_answer(Reach::Refuse, second);
    check_late_answer(Reach::Refuse, TIMEOUT - 2 * Duration::from_nanos(1));
    check_late_answer(Reach::Ignore, TIMEOUT);
    for reach in [Reach::Refuse, Reach::Accept] {
        check_late_answer(reach, TIMEOUT + 2 * Duration::from_nanos(1));
        check_late_answer(reach, 3 * TIMEOUT);
    }
}
