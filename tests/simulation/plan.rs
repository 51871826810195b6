//! What a random round is like: who asks what of whom, what the links are like, what breaks.

use crate::support::world::{Order, Random, Weather};
use crate::witness::Age;
use larder::base::buffer::SCRATCH_BYTES;
use larder::proxy::Rule;
use larder::settings::{PutMode, Settings};
use std::time::Duration;

/// What a round is like, chosen by its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub keys: usize,
    pub proxies: usize,
    pub clients: usize,
    /// How many of the clients, in percent, ask the server itself.
    pub direct: usize,
    /// How often, in percent, something breaks.
    pub trouble: usize,
    pub troubles: Vec<Trouble>,
    /// The upstream's links are calm and nothing happens to them: what was acknowledged to anybody
    /// is then seen at once.
    pub is_calm: bool,
    /// What the server is at first, and when it comes back.
    pub ages: Vec<Age>,
    pub most_pipelined: usize,
    /// How many of the requests are reads, in percent: at the proxies, and at the server itself.
    pub reads: usize,
    pub direct_reads: usize,
    /// How many of the reads, in percent, are transactions.
    pub blocks: usize,
    /// How many of the writes, in percent, have a key expire.
    pub expiries: usize,
    /// By how much the server may be late with keys that expire.
    pub lateness: Duration,
    pub settings: Settings,
    /// All is asked in every form that there is, and some values are long.
    pub is_rough: bool,
    /// Keys that nobody writes, of which each DUMP has to tell.
    pub staying: usize,
    /// How many bytes one read of a node brings at most.
    pub scratch: usize,
    pub client_weather: Weather,
    pub upstream_weather: Weather,
    /// Of the links of those who ask the server itself.
    pub direct_weather: Weather,
    pub longest_pause: Duration,
    /// The rule that the proxies break.
    pub broken: Option<Broken>,
}

/// A rule that is switched off, to see that it would be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The cache's.
    Rule(Rule),
    /// The loop's.
    Order(Order),
}

impl Broken {
    /// Returns every rule.
    pub fn all() -> Vec<Broken> {
        let orders = [Order::ClientsFirst, Order::UpstreamsIfReported].map(Broken::Order);
        Rule::ALL.into_iter().map(Broken::Rule).chain(orders).collect()
    }
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A proxy's link to the server breaks.
    Cut,
    /// It falls silent in one direction, or in both.
    Silence,
    Partition,
    /// All links are heard again.
    Sound,
    /// It takes only a few bytes at a time from now on.
    Narrow,
    /// Nobody can connect to the server, until all can again.
    Refuse,
    Accept,
    /// The server is killed. It comes back, with its data or without.
    Kill,
    Restart,
    RestartEmpty,
    FreezeProxy,
    FreezeServer,
    Wake,
    /// A client's link breaks.
    CutClient,
    /// A client reads nothing for a while, or reads again.
    StopReading,
    /// A client vanishes, or says that it will ask no more.
    Leave,
}

impl Trouble {
    pub const ALL: [Trouble; 16] = [
        Trouble::Cut,
        Trouble::Silence,
        Trouble::Partition,
        Trouble::Sound,
        Trouble::Narrow,
        Trouble::Refuse,
        Trouble::Accept,
        Trouble::Kill,
        Trouble::Restart,
        Trouble::RestartEmpty,
        Trouble::FreezeProxy,
        Trouble::FreezeServer,
        Trouble::Wake,
        Trouble::CutClient,
        Trouble::StopReading,
        Trouble::Leave,
    ];
    /// Those that leave the upstream's links alone.
    const CALM: [Trouble; 5] =
        [Trouble::FreezeProxy, Trouble::Wake, Trouble::FreezeServer, Trouble::Wake, Trouble::Leave];
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn roughen(weather: &mut Weather, random: &mut Random) {
    weather.piece = random.pick(&[0, 0, 1, 5, 40, 2000]);
    weather.window = random.pick(&[Weather::CALM.window, Weather::CALM.window, 20, 500, 100_000]);
    weather.urgent = random.chance(30);
}

impl Plan {
    /// A plan for the round of this seed, in which every rule is kept.
    pub fn choose(random: &mut Random) -> Plan {
        if random.chance(70) {
            let plan = Plan::any(random);
            return if random.chance(50) { plan.rough(random) } else { plan };
        }
        let broken = random.pick(&Broken::all());
        Plan { broken: None, ..Plan::that_needs(broken, random) }
    }

    fn any(random: &mut Random) -> Plan {
        let (fast, slow) = (Duration::from_micros(100), milliseconds(900));
        let weather = |random: &mut Random, delays: &[u64]| Weather {
            delay: (Duration::ZERO, Duration::from_micros(random.pick(delays))),
            piece: random.pick(&[0, 0, 0, 40]),
            together: random.pick(&[0, 50, 90]),
            spurious: random.pick(&[0, 0, 20]),
            ..Weather::CALM
        };
        let plan = Plan {
            keys: random.pick(&[1, 1, 2, 3]),
            proxies: 1 + random.below(3),
            clients: 3 + random.below(5),
            direct: random.pick(&[0, 30, 50]),
            trouble: random.pick(&[0, 5, 15, 40]),
            troubles: Trouble::ALL.to_vec(),
            is_calm: false,
            ages: vec![Age::New],
            most_pipelined: random.pick(&[1, 3, 6]),
            reads: random.pick(&[40, 60, 85, 97]),
            direct_reads: random.pick(&[10, 50]),
            blocks: random.pick(&[0, 0, 20]),
            expiries: random.pick(&[0, 15, 50]),
            lateness: milliseconds(random.pick(&[0, 0, 100, 2000])),
            settings: Settings {
                ttl: milliseconds(random.pick(&[500, 60_000, 60_000])),
                trust: milliseconds(random.pick(&[0, 0, 50, 1000])),
                upstream_timeout: milliseconds(random.pick(&[500, 5000])),
                ..Settings::default()
            },
            is_rough: false,
            staying: 0,
            scratch: SCRATCH_BYTES,
            client_weather: weather(random, &[0, 300, 50_000]),
            upstream_weather: weather(random, &[0, 300, 20_000, 400_000]),
            direct_weather: weather(random, &[0, 0, 20_000]),
            longest_pause: random.pick(&[fast, milliseconds(50), slow]),
            broken: None,
        };
        match random.below(10) {
            0..3 => plan.calm(),
            3..5 => plan.with_servers_that_change(random),
            5 => plan.with_an_old_server(random),
            _ => plan,
        }
    }

    /// The links take little at a time, and the cache is small.
    fn rough(mut self, random: &mut Random) -> Plan {
        self.settings.cache_bytes = random.pick(&[0, 4000, 1 << 20, 1 << 20]);
        self.settings.put_mode = random.pick(&[PutMode::Create, PutMode::Replace]);
        self.is_rough = true;
        self.keys = 1 + random.below(5);
        self.staying = random.pick(&[0, 3, 100, 100]);
        self.proxies = 1 + random.below(2);
        self.scratch = random.pick(&[1, 30, 4096, SCRATCH_BYTES]);
        self.most_pipelined = random.pick(&[1, 3, 8]);
        roughen(&mut self.client_weather, random);
        if self.client_weather.delay.1 > milliseconds(1) {
            // Else a long value would take longer than the upstream may.
            self.client_weather.window = Weather::CALM.window;
        }
        if !self.is_calm {
            roughen(&mut self.upstream_weather, random);
            // So that a DUMP is cut now and then while it is told.
            self.troubles.extend([Trouble::Cut; 6]);
            self.upstream_weather.delay.1 =
                Duration::from_micros(random.pick(&[0, 300, 50_000, 400_000, 1_500_000]));
        }
        if self.staying > 0 {
            self.troubles.retain(|&trouble| trouble != Trouble::RestartEmpty);
        }
        self
    }

    fn calm(mut self) -> Plan {
        self.is_calm = true;
        self.upstream_weather = Weather::CALM;
        self.troubles = Trouble::CALM.to_vec();
        self
    }

    /// Level 0: values may be old by the time to live.
    fn with_an_old_server(mut self, random: &mut Random) -> Plan {
        self.ages = vec![random.pick(&[Age::Middling, Age::Old])];
        self.settings.ttl = milliseconds(random.pick(&[50, 500]));
        self
    }

    /// Old servers are replaced by new ones, and these by old ones.
    fn with_servers_that_change(mut self, random: &mut Random) -> Plan {
        self.ages = vec![random.pick(&[Age::Middling, Age::Old]), Age::New];
        self.trouble = self.trouble.max(40);
        for _ in 0..4 {
            self.troubles.extend([Trouble::Kill, Trouble::Restart, Trouble::Restart]);
        }
        self
    }

    /// A plan for proxies that break a rule, of those in which that matters most.
    pub fn that_needs(broken: Broken, random: &mut Random) -> Plan {
        use Trouble::*;
        let mut plan = Plan { broken: Some(broken), ..Plan::any(random) };
        plan.direct = 50;
        let (short, long) = (milliseconds(500), milliseconds(5000));
        match broken {
            Broken::Order(_) => {
                plan = plan.calm();
                plan.troubles = vec![FreezeProxy, Wake];
                plan.client_weather.spurious = 50;
            }
            Broken::Rule(Rule::PoisonAtInvalidations) => {
                plan.settings.upstream_timeout = long;
                plan.upstream_weather.delay.1 = milliseconds(20);
                plan.longest_pause = milliseconds(50);
                plan.troubles = vec![Narrow];
                plan.settings.trust = Duration::ZERO;
                plan.proxies = 2;
                plan.clients = 7;
                plan.most_pipelined = 1;
                plan.client_weather = Weather::CALM;
            }
            Broken::Rule(Rule::DropWithConnection) => {
                plan.troubles = vec![Cut, Refuse, Refuse, Accept, Sound];
            }
            Broken::Rule(Rule::BeginEmpty) => {
                plan = plan.with_servers_that_change(random);
                plan.troubles = vec![Kill, Restart, Restart];
            }
            Broken::Rule(Rule::AbandonLateConnection) => {
                plan.settings.upstream_timeout = short;
                plan.troubles = vec![Silence, Sound, FreezeServer, Wake];
            }
            Broken::Rule(Rule::ConfirmHits) => {
                plan.settings.upstream_timeout = long;
                plan.troubles = vec![Silence, Partition, Sound];
            }
            Broken::Rule(Rule::ConfirmJoins) => {
                plan.settings.upstream_timeout = long;
                plan.upstream_weather.delay.1 = milliseconds(50);
                plan.longest_pause = milliseconds(50);
                plan.settings.trust = Duration::ZERO;
                plan.troubles = vec![Silence, Sound];
            }
            Broken::Rule(Rule::ReadBehindOwnReads) => {
                plan.settings.upstream_timeout = long;
                plan.upstream_weather.delay.1 = milliseconds(20);
                plan.client_weather = Weather::CALM;
                plan.blocks = 20;
                plan.longest_pause = milliseconds(5);
                plan.settings.trust = milliseconds(1000);
                plan.most_pipelined = 6;
                plan.proxies = 1;
                plan.troubles = vec![Sound];
            }
            Broken::Rule(Rule::ServeAtReadTime) => {
                plan = plan.calm();
                plan.settings.upstream_timeout = long;
                plan.settings.trust = milliseconds(200);
                plan.proxies = 1;
                plan.troubles = vec![FreezeProxy, Wake];
            }
            Broken::Rule(Rule::LiveNoLongerThanKey) => {}
            Broken::Rule(_) => return plan,
        }
        if plan.is_always_told() {
            plan.settings.ttl = milliseconds(60_000);
        }
        Plan {
            keys: 1,
            reads: 90,
            direct_reads: 10,
            expiries: 50,
            lateness: milliseconds(2000),
            trouble: 40,
            is_calm: matches!(broken, Broken::Order(_)),
            direct_weather: Weather::CALM,
            ..plan
        }
    }

    /// Returns whether the server always tells of changes, so that level 1 always holds.
    pub fn is_always_told(&self) -> bool {
        self.ages.iter().all(|&age| age == Age::New)
    }
}
