//! What a random round is like: how many ask how much, what the links are like, what breaks.

use crate::scene::Setup;
use crate::support::world::{Random, Weather};
use larder::settings::PutMode;
use std::time::Duration;

/// What a round is like, chosen by its seed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub setup: Setup,
    pub keys: usize,
    pub clients: usize,
    /// So many of the keys, the last ones, are also written by clients of the server.
    pub shared_keys: usize,
    /// A server that was killed comes back empty.
    pub forgets: bool,
    /// How often, in percent, something breaks.
    pub trouble: usize,
    /// Nothing breaks but that replies of the server are withheld for a while.
    pub only_withholds: bool,
    pub most_pipelined: usize,
    /// How many of the requests are GETs, in percent.
    pub gets: usize,
    /// Keys that nobody writes.
    pub staying: usize,
    pub client_weather: Weather,
    pub upstream_weather: Weather,
    pub longest_pause: Duration,
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Plan {
    /// A plan for the rounds of this seed.
    pub fn choose(random: &mut Random) -> Plan {
        let keys = 1 + random.below(5);
        let window = random.pick(&[20, 500, 100_000, usize::MAX / 2]);
        let mut weather = |delays: &[u64]| Weather {
            delay: (Duration::ZERO, Duration::from_micros(random.pick(delays))),
            piece: random.pick(&[0, 0, 1, 5, 40, 2000]),
            window: random.pick(&[usize::MAX / 2, window]),
            together: random.pick(&[0, 50, 90]),
            urgent: random.chance(30),
            spurious: random.pick(&[0, 0, 20]),
        };
        let mut client_weather = weather(&[0, 300, 50_000]);
        if client_weather.delay.1 > milliseconds(1) {
            // Else a long value would take longer than the upstream may.
            client_weather.window = usize::MAX / 2;
        }
        let upstream_weather = weather(&[0, 300, 50_000, 400_000, 1_500_000]);
        let plan = Plan {
            setup: Setup {
                ttl: milliseconds(random.pick(&[50, 500, 2000, 60_000])),
                trust: milliseconds(1000),
                upstream_timeout: milliseconds(random.pick(&[500, 5000])),
                cache_bytes: random.pick(&[0, 4000, 1 << 20, 1 << 20]),
                put_mode: random.pick(&[PutMode::Create, PutMode::Create, PutMode::Replace]),
                broken: None,
            },
            keys,
            clients: 2 + random.below(7),
            shared_keys: if random.chance(50) { random.below(keys + 1) } else { 0 },
            forgets: random.chance(25),
            trouble: random.pick(&[0, 3, 10, 30]),
            only_withholds: false,
            most_pipelined: random.pick(&[1, 3, 8]),
            gets: random.pick(&[40, 60, 85]),
            staying: random.pick(&[0, 3, 40]),
            client_weather,
            upstream_weather,
            longest_pause: random.pick(&[
                Duration::from_micros(100),
                milliseconds(50),
                milliseconds(900),
            ]),
        };
        if random.chance(20) { plan.with_old_values(random) } else { plan }
    }

    /// Many reads of few keys that others change at the server, when replies take long compared
    /// with the time to live: what is too old is then seen most often.
    fn with_old_values(mut self, random: &mut Random) -> Plan {
        self.setup.ttl = milliseconds(random.pick(&[50, 500]));
        self.setup.upstream_timeout = milliseconds(5000);
        self.setup.cache_bytes = 1 << 20;
        self.keys = 1 + random.below(2);
        self.shared_keys = self.keys;
        self.gets = 85;
        self.most_pipelined = 3;
        self.trouble = 15;
        self.only_withholds = true;
        self.client_weather.delay = (Duration::ZERO, milliseconds(1));
        self.upstream_weather.delay = (Duration::ZERO, self.setup.ttl / 10);
        self.longest_pause = self.setup.ttl / 5;
        self
    }
}
