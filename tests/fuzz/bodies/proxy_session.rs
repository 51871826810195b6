//! Whole sessions with the proxy, in front of a server or of an upstream that says anything: as in
//! `session.rs`, whatever happens behind it.

use super::decoding::Event;
use super::script::{self, Act, Setting};
use super::session::{depends_on_pace, server};
use super::stage::{Checked, Stage, fix_hashes, limits};
use super::world::{Reach, Weather, World};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::settings::{PutMode, Settings};

pub fn run(input: &[u8]) {
    fix_hashes();
    let (setting, acts) = script::read(input);
    let calm = play(&setting, &acts, Weather::CALM, 100_000);
    calm.check_lives();
    let rough = play(&setting, &acts, setting.weather(&acts), setting.scratch(&acts));
    // Who answered depends on it too; telnet's own answers do not wait for replies from upstream;
    // and what an upstream by hand says, it says to any request.
    let is_told = |event: Event| matches!(event, Event::Request(_, "ORIGIN", _) | Event::Telnet(_));
    let depends = setting.upstream_by_hand()
        || depends_on_pace(&setting, &acts, &calm)
        || calm.lives.iter().flat_map(|life| life.events()).any(is_told);
    if !depends {
        for (calm, rough) in calm.lives.iter().zip(&rough.lives) {
            assert!(calm.heard == rough.heard, "on calm links: {calm:?}\non bad ones: {rough:?}");
        }
    }
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
        put_mode: if setting.put_replaces() { PutMode::Replace } else { PutMode::Create },
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
    let node = world.add_node(Checked(proxy));
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
