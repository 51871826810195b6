//! Whole sessions with the proxy, in front of a server or of an upstream that says anything: as in
//! `session.rs`, whatever happens behind it.

use super::decoding::Event;
use super::script::{Act, Setting};
use super::session::{depends_on_pace, play_twice, put_mode, server};
use super::stage::{Stage, checked, limits};
use super::world::{Reach, Weather, World};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::settings::Settings;

pub fn run(input: &[u8]) {
    play_twice(input, play, depends_on_pace_or_upstream);
}

/// Who answered depends on the pace too; telnet's own answers do not wait for replies from
/// upstream; and what an upstream by hand says, it says to any request.
fn depends_on_pace_or_upstream(setting: &Setting, acts: &[Act], stage: &Stage) -> bool {
    let is_told = |event: Event| matches!(event, Event::Request(_, "ORIGIN", _) | Event::Telnet(_));
    setting.upstream_by_hand()
        || depends_on_pace(setting, acts, stage)
        || stage.lives.iter().flat_map(|life| life.events()).any(is_told)
}

fn play(setting: &Setting, acts: &[Act], weather: Weather, scratch: usize) -> Stage {
    let mut world = World::new(1);
    let upstream = if setting.upstream_by_hand() {
        world.add_by_hand()
    } else {
        let server = server(setting, &world);
        world.add_server(server)
    };
    let settings = Settings {
        limits: limits(),
        put_mode: put_mode(setting),
        cache_bytes: if setting.has_cache() { 20_000 } else { 0 },
        ..Settings::default()
    };
    let options = UpstreamOptions {
        address: world.address(upstream).to_string(),
        credentials: Source::default(),
        database: 0,
        seed: 1,
    };
    let proxy = Proxy::new(settings, options, world.now());
    let node = world.add_node(checked(proxy));
    world.set_weather(node, weather);
    // The greeting is long: it comes whole, and what follows does not.
    world.set_weather(upstream, Weather { piece: 0, window: usize::MAX / 2, ..weather });
    world.run();
    for link in world.links_to(upstream) {
        *world.weather(link) = weather;
    }
    world.set_scratch(node, scratch);
    world.set_scratch(upstream, scratch);
    let mut stage = Stage::new(world, node, Some(upstream), setting);
    stage.play(acts);
    stage.world.set_reach(upstream, Reach::Accept);
    stage
}
