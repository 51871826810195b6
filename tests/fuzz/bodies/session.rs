//! Whole sessions with the server: nothing panics, its parts agree with each other after every
//! call, every client is answered and nobody is left behind; and on bad links all is the same.

use super::decoding::Event;
use super::script::{self, Act, Setting};
use super::stage::{Stage, checked, fix_hashes, limits};
use super::world::{Weather, World};
use larder::server::Server;
use larder::settings::{PutMode, Settings};

pub fn run(input: &[u8]) {
    play_twice(input, play, depends_on_pace);
}

/// Plays what an input says, links being what they are given as, and with reads of that size.
pub type Play = fn(&Setting, &[Act], Weather, usize) -> Stage;

/// Plays an input on calm links and on bad ones: what clients receive is the same, unless it
/// depends on those.
pub fn play_twice(input: &[u8], play: Play, depends: fn(&Setting, &[Act], &Stage) -> bool) {
    fix_hashes();
    let (setting, acts) = script::read(input);
    let calm = play(&setting, &acts, Weather::CALM, 100_000);
    calm.check_lives();
    let rough = play(&setting, &acts, setting.weather(&acts), setting.scratch(&acts));
    if !depends(&setting, &acts, &calm) {
        for (calm, rough) in calm.lives.iter().zip(&rough.lives) {
            assert!(calm.heard == rough.heard, "on calm links: {calm:?}\non bad ones: {rough:?}");
        }
    }
}

/// Returns what PUT does to a key that exists, as set.
pub fn put_mode(setting: &Setting) -> PutMode {
    if setting.put_replaces() { PutMode::Replace } else { PutMode::Create }
}

/// Returns a server with these settings.
pub fn server(setting: &Setting, world: &World) -> Server {
    let put_mode = put_mode(setting);
    Server::new(Settings { limits: limits(), put_mode, ..Settings::default() }, world.now())
}

fn play(setting: &Setting, acts: &[Act], weather: Weather, scratch: usize) -> Stage {
    let mut world = World::new(1);
    let server = server(setting, &world);
    let node = world.add_node(checked(server));
    world.set_weather(node, weather);
    world.set_scratch(node, scratch);
    let mut stage = Stage::new(world, node, None, setting);
    stage.play(acts);
    stage
}

/// Whether replies may differ with how bytes come: what is counted, and who is given up or goes.
pub fn depends_on_pace(setting: &Setting, acts: &[Act], stage: &Stage) -> bool {
    let named = ["STATS", "INFO", "CLIENT|LIST", "CLIENT|INFO", "CLIENT|KILL", "CONFIG|SET"];
    let mut events = stage.lives.iter().flat_map(|life| life.events());
    setting.is_tight()
        || acts.iter().any(|act| matches!(act, Act::StopReading(_) | Act::Reset(_)))
        || events.any(|event| matches!(event, Event::Request(_, name, _) if named.contains(&name)))
}
