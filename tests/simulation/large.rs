//! Values on their way in and out, large ones and through links that take little at a time: those
//! of the server, and of the proxy with and without its cache.

use crate::scene::Scene;
use crate::support::is_full;
use crate::support::resp::bulk;
use crate::support::world::Weather;
use crate::traffic::encode;
use larder::base::buffer::SCRATCH_BYTES;
use larder::base::output::SHARED_FROM;
use larder::settings::Settings;
use larder::stats::Stat;
use std::time::Duration;

/// Around the sizes from which on something is done otherwise.
const SIZES: [usize; 8] =
    [100, SHARED_FROM - 1, SHARED_FROM, 40_000, SCRATCH_BYTES, SCRATCH_BYTES + 1, 300_000, 1 << 20];

/// Not the same everywhere, so that a piece in the wrong place shows.
fn value(size: usize, seed: usize) -> String {
    (0..size).map(|at| char::from(b'a' + ((at / 7 + at / 1000 + seed) % 26) as u8)).collect()
}

fn check(sizes: &[usize], cache_bytes: usize, scratch: usize, weather: Weather) {
    let mut scene = Scene::with_server(1, Settings { cache_bytes, ..Settings::default() });
    scene.world.set_weather(scene.proxy, weather);
    scene.world.set_weather(scene.upstream, weather);
    for node in [scene.proxy, scene.upstream] {
        scene.world.set_scratch(node, scratch);
    }
    let mut hits = 0;
    for &size in sizes {
        let (old, new) = (value(size, 0), value(size, 1));
        let direct = scene.world.connect(scene.upstream);
        let clients = [scene.client(), scene.client(), direct];
        let set = |value: &str| encode(&["SET", "k", value]);
        let [get, append] = [encode(&["GET", "k"]), encode(&["APPEND", "k", "!"])];
        // Two at a time share a flight; what follows in the pipeline waits parked behind it.
        let asked =
            format!("GET none\r\n{get}{get}PING\r\n{}{get}", encode(&["MGET", "k", "x", "k"]));
        let of = |value: &str| {
            let one = bulk(value);
            format!("Key not found\r\n{one}{one}PONG\r\n*3\r\n{one}$-1\r\n{one}{one}")
        };
        scene.world.send(clients[0], set(&old).as_bytes());
        scene.world.advance(Duration::from_secs(2));
        assert_eq!(scene.heard(clients[0]), "+OK\r\n", "{size}");
        for _ in 0..2 {
            for client in clients {
                scene.world.send(client, asked.as_bytes());
            }
            scene.world.advance(Duration::from_secs(2));
            for client in clients {
                assert!(scene.heard(client) == of(&old), "{size} bytes are others, {weather:?}");
            }
        }
        // What is queued is not what is stored any more.
        let all = format!("{get}{}{get}{append}{get}GET k\r\n", set(&new));
        scene.world.send(clients[1], all.as_bytes());
        scene.world.advance(Duration::from_secs(2));
        let added = format!("{new}!");
        let replies = [&bulk(&old), "+OK\r\n", &bulk(&new), &format!(":{}\r\n", size + 1)];
        let expected = format!("{}{}{added}\r\n", replies.concat(), bulk(&added));
        assert!(scene.heard(clients[1]) == expected, "{size} bytes are others");
        let stat = scene.world.stat(scene.proxy, Stat::Hits);
        assert!((stat > hits) == (cache_bytes > 0), "{stat} hits");
        hits = stat;
    }
}

#[test]
fn values_come_as_they_are_with_and_without_a_cache() {
    for cache_bytes in [64 << 20, 0] {
        check(&SIZES, cache_bytes, SCRATCH_BYTES, Weather::CALM);
        let delay = (Duration::ZERO, Duration::from_millis(1));
        let rough =
            Weather { delay, piece: 50_000, window: 100_000, together: 50, ..Weather::CALM };
        check(&SIZES, cache_bytes, 30_000, rough);
        check(&SIZES, cache_bytes, SCRATCH_BYTES, Weather { urgent: true, ..rough });
    }
}

#[test]
fn replies_come_whole_however_little_is_taken_at_a_time() {
    let step = if is_full() { 10 } else { 1000 };
    for cache_bytes in [64 << 20, 0] {
        for window in 1..200 {
            check(&[20], cache_bytes, SCRATCH_BYTES, Weather { window, ..Weather::CALM });
        }
        for window in (1..6 * SHARED_FROM).step_by(step) {
            check(&[SHARED_FROM], cache_bytes, SCRATCH_BYTES, Weather { window, ..Weather::CALM });
        }
    }
}
