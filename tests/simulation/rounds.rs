//! Random rounds: clients ask at random, links delay, split and break, the server goes and comes
//! back; afterwards everything that was said is checked.

use crate::checks::{self, Truth};
use crate::plan::Plan;
use crate::scene::{Scene, new_server};
use crate::support;
use crate::support::world::{ClientId, Random, Reach, Side, Weather};
use crate::traffic::{self, Answer, Command, Operation};
use larder::stats::Stat;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Values that the keys have before a round begins have names from here on.
const FIRST_INITIAL: u32 = 4_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// It has half-closed, and waits for what it is owed.
    Finished,
    /// It vanished, or its link was cut, or the other side closed.
    Gone,
}

#[derive(Debug)]
struct Client {
    link: ClientId,
    via_proxy: bool,
    state: State,
    /// Its operations that are not answered begin here.
    owed: Vec<usize>,
    last_answered: [Option<usize>; 2],
    input: Vec<u8>,
    /// Its connection broke, so that the last bytes may be missing.
    is_cut: bool,
    /// It did not read for a while.
    excused: bool,
}

impl Client {
    fn break_off(&mut self) {
        self.state = State::Gone;
        self.is_cut = true;
    }
}

struct Round {
    plan: Plan,
    scene: Scene,
    clients: Vec<Client>,
    operations: Vec<Operation>,
    truth: Truth,
    initial: Vec<Option<u32>>,
    staying: Vec<String>,
    began: Instant,
    server_is_up: bool,
}

/// Names the round that fails.
struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the round that failed is the first with LARDER_SEED={}", self.0);
        }
    }
}

#[test]
fn whatever_happens_the_promises_hold() {
    let (seed, rounds) = (support::seed(), support::rounds(40_000));
    let (mut asked, mut unknown, mut seen) = (0, 0, BTreeSet::new());
    for seed in (0..rounds as u64).map(|round| seed.wrapping_add(round)) {
        let announce = Announce(seed);
        let mut round = Round::new(seed);
        round.play();
        unknown += round.check();
        asked += round.operations.len();
        seen.extend(round.what_happened());
        drop(announce);
    }
    println!("{rounds} rounds, {asked} requests, {unknown} histories too long to judge");
    println!("seen: {seen:?}");
    assert!(seen.len() == 8 || rounds < 1000, "something never happens: {seen:?}");
    assert!(unknown <= rounds / 50, "{unknown} of {rounds} rounds were not judged");
}

impl Round {
    fn new(seed: u64) -> Round {
        let plan = Plan::choose(&mut Random(seed));
        let mut scene = Scene::with_server(seed, plan.setup);
        let Scene { world, proxy, upstream, .. } = &mut scene;
        world.set_weather(*proxy, plan.client_weather);
        world.set_weather(*upstream, plan.upstream_weather);
        for node in [*proxy, *upstream] {
            let bytes = world.random().pick(&[1, 30, 4096, 65536]);
            world.set_scratch(node, bytes);
        }
        let initial: Vec<_> = (0..plan.keys as u32)
            .map(|key| world.random().chance(50).then_some(FIRST_INITIAL + key))
            .collect();
        let began = world.now();
        let mut round = Round {
            truth: Truth::new(&initial, began),
            staying: (0..plan.staying).map(|number| format!("s{number}")).collect(),
            plan,
            clients: Vec::new(),
            operations: Vec::new(),
            initial,
            began,
            server_is_up: true,
            scene,
        };
        round.fill_server();
        (0..plan.clients).for_each(|_| round.add_client());
        round
    }

    /// Gives the server what it is to hold, behind everybody's back.
    fn fill_server(&mut self) {
        let held = self.truth.now().into_iter().enumerate();
        let held = held.filter_map(|(key, id)| Some((traffic::key(key), traffic::value(key, id?))));
        let staying = self.staying.iter().map(|key| (key.clone(), "same".to_string()));
        let lines = held.chain(staying).map(|(key, value)| format!("SET {key} {value}\r\n"));
        let lines: String = lines.collect();
        self.scene.world.probe(self.scene.upstream, lines.as_bytes());
    }

    fn add_client(&mut self) {
        let needs_proxy = self.plan.shared_keys == 0 || !self.server_is_up;
        let via_proxy = needs_proxy || self.scene.world.random().chance(70);
        let node = if via_proxy { self.scene.proxy } else { self.scene.upstream };
        let link = self.scene.world.connect(node);
        self.clients.push(Client {
            link,
            via_proxy,
            state: State::Open,
            owed: Vec::new(),
            last_answered: [None; 2],
            input: Vec::new(),
            is_cut: false,
            excused: false,
        });
    }

    fn play(&mut self) {
        let steps = 10 + self.scene.world.random().below(60);
        for _ in 0..steps {
            match self.scene.world.random().below(100) {
                0..55 => self.ask(),
                55..60 => self.end_a_client(),
                _ => {}
            }
            if self.scene.world.random().below(100) < self.plan.trouble {
                self.make_trouble();
            }
            let pause = self.scene.world.random().between(Duration::ZERO, self.plan.longest_pause);
            self.pass(pause);
        }
        self.heal();
    }

    fn pass(&mut self, time: Duration) {
        let Round { scene: Scene { world, upstream, .. }, truth, .. } = self;
        let upstream = *upstream;
        world.advance_with(time, &mut |world| truth.observe(world, upstream));
        for index in 0..self.clients.len() {
            self.listen(index);
        }
    }

    /// An open client, if there is one.
    fn any_client(&mut self) -> Option<usize> {
        let open = |client: &Client| client.state == State::Open;
        let open: Vec<_> = (0..self.clients.len()).filter(|&it| open(&self.clients[it])).collect();
        if open.is_empty() { None } else { Some(self.scene.world.random().pick(&open)) }
    }

    /// A client sends some requests at once.
    fn ask(&mut self) {
        let Some(index) = self.any_client() else { return self.add_client() };
        let count = 1 + self.scene.world.random().below(self.plan.most_pipelined);
        let bytes: Vec<u8> = (0..count).flat_map(|_| self.new_request(index)).collect();
        self.scene.world.send(self.clients[index].link, &bytes);
    }

    fn new_request(&mut self, index: usize) -> Vec<u8> {
        let (client, stamp) = (&self.clients[index], self.scene.world.stamp());
        let random = self.scene.world.random();
        let keys = if client.via_proxy { 0 } else { self.plan.keys - self.plan.shared_keys };
        let key = keys + random.below(self.plan.keys - keys);
        let gets = if client.via_proxy { self.plan.gets } else { 50 };
        let command = match random.below(50) {
            _ if random.chance(gets) => Command::Get,
            0..15 => Command::Set,
            15..28 => Command::Put,
            28..42 => Command::Del,
            42..45 => Command::Dump,
            45..48 => Command::DumpPairs,
            _ => Command::Ping,
        };
        let after_dump = client.owed.iter().any(|&it| self.operations[it].command.is_dump());
        let operation = Operation {
            command,
            resp: random.chance(40),
            key,
            id: self.operations.len() as u32,
            client: index,
            via_proxy: client.via_proxy,
            sent: stamp,
            answer: None,
            excused: client.excused || after_dump || command.is_dump(),
        };
        let bytes = operation.encode();
        self.clients[index].owed.push(self.operations.len());
        self.operations.push(operation);
        bytes
    }

    fn end_a_client(&mut self) {
        let Some(index) = self.any_client() else { return };
        let Client { link, state, .. } = &mut self.clients[index];
        let link = *link;
        if self.scene.world.random().chance(60) {
            self.scene.world.finish(link);
            *state = State::Finished;
        } else {
            self.scene.world.cut(link);
            self.clients[index].break_off();
        }
        self.add_client();
    }

    fn make_trouble(&mut self) {
        let Scene { world, upstream, .. } = &mut self.scene;
        let (upstream, links) = (*upstream, world.links_to(*upstream));
        let side = world.random().pick(&[Side::Initiator, Side::Acceptor]);
        let spared = world.random().pick(&[None, Some(side)]);
        let what = if self.plan.only_withholds { 12 } else { world.random().below(12) };
        match (what, links.last()) {
            (12, Some(&link)) => {
                let silent = world.random().chance(50);
                world.silence(link, Side::Initiator, silent);
            }
            (0 | 1, Some(&link)) => world.cut_link(link, spared),
            (2 | 3, Some(&link)) => world.silence(link, side, true),
            (4, _) => links.iter().for_each(|&link| world.silence(link, side, false)),
            (5, _) => {
                let ways = [Reach::Refuse, Reach::RefuseAtOnce, Reach::Ignore];
                let reach = world.random().pick(&ways);
                world.set_reach(upstream, reach);
            }
            (6 | 11, _) => world.set_reach(upstream, Reach::Accept),
            (7, _) if self.server_is_up => {
                self.server_is_up = false;
                world.stop(upstream);
                self.clients
                    .iter_mut()
                    .filter(|client| !client.via_proxy)
                    .for_each(Client::break_off);
            }
            (7 | 8, _) => self.start_server(),
            (9, _) => {
                let Some(index) = self.any_client() else { return };
                self.clients[index].break_off();
                self.scene.world.cut_link(self.clients[index].link, spared);
            }
            _ => {
                let Some(index) = self.any_client() else { return };
                // It reads nothing for a while.
                let client = &mut self.clients[index];
                client.excused = true;
                client.owed.iter().for_each(|&it| self.operations[it].excused = true);
                let silent = self.scene.world.random().chance(60);
                self.scene.world.silence(client.link, Side::Initiator, silent);
            }
        }
    }

    fn start_server(&mut self) {
        if !self.server_is_up {
            self.server_is_up = true;
            let server = new_server(&self.scene.world);
            self.scene.world.start(self.scene.upstream, server);
            if self.plan.forgets {
                self.truth.lost(self.scene.world.now());
            } else {
                self.fill_server();
            }
        }
    }

    /// Ends all trouble, and sees to it that everything goes on.
    fn heal(&mut self) {
        self.start_server();
        let Scene { world, upstream, .. } = &mut self.scene;
        world.set_reach(*upstream, Reach::Accept);
        world.set_weather(*upstream, Weather::CALM);
        for link in world.links_to(*upstream) {
            world.silence(link, Side::Initiator, false);
            world.silence(link, Side::Acceptor, false);
            world.cut_link(link, Some(Side::Acceptor));
        }
        for client in &self.clients {
            world.silence(client.link, Side::Initiator, false);
            *world.weather(client.link) = Weather::CALM;
        }
        self.pass(self.plan.setup.upstream_timeout * 2 + Duration::from_secs(30));
        self.add_client();
        let last = self.clients.len() - 1;
        self.clients[last].via_proxy = true;
        self.clients[last].link = self.scene.world.connect(self.scene.proxy);
        let first = self.operations.len();
        for _ in 0..20 {
            let bytes = self.new_request(last);
            self.scene.world.send(self.clients[last].link, &bytes);
        }
        for client in &mut self.clients {
            if client.state == State::Open {
                client.state = State::Finished;
                self.scene.world.finish(client.link);
            }
        }
        self.pass(Duration::from_secs(10));
        for operation in &self.operations[first..] {
            let answer = operation.answer.as_ref().map(|(_, answer)| answer);
            let is_good = !matches!(answer, None | Some(Answer::Error(_) | Answer::Broken));
            assert!(is_good, "all goes on when the server is back: {operation:?}");
        }
    }

    /// Takes what has come to a client, reply by reply.
    fn listen(&mut self, index: usize) {
        let client = &mut self.clients[index];
        for (stamp, bytes) in self.scene.world.arrivals(client.link) {
            client.input.extend(bytes);
            while let Some(&next) = client.owed.first() {
                let operation = &mut self.operations[next];
                let Some((length, answer)) = operation.decode(&client.input) else { break };
                client.input.drain(..length);
                operation.answer = Some((stamp, answer));
                client.owed.remove(0);
                client.last_answered = [client.last_answered[1], Some(next)];
            }
        }
        if client.state != State::Gone && self.scene.world.is_closed(client.link) {
            self.closed(index);
        }
    }

    /// The other side has closed a client's connection: it had leave to, once it was asked to and
    /// everything was answered, or when a DUMP broke off, or when nobody read what it said.
    fn closed(&mut self, index: usize) {
        let broke_off = self.forget_broken_dump(index);
        let client = &mut self.clients[index];
        let may_be_stuck = client.excused && client.state == State::Finished;
        if !broke_off && !may_be_stuck {
            let is_done = client.state == State::Finished && client.owed.is_empty();
            assert!(is_done && client.input.is_empty(), "closed for no reason: {client:?}");
        }
        client.state = State::Gone;
    }

    /// A DUMP of keys that breaks off looks like a whole one, with an error after it that may look
    /// like the reply to the next request. Whatever may be such, among the last replies before the
    /// end of a connection, counts as not answered. Whether there may be a DUMP that broke off.
    fn forget_broken_dump(&mut self, index: usize) -> bool {
        let client = &self.clients[index];
        let [before, last] = client.last_answered;
        let answer = |it: usize| self.operations[it].answer.as_ref().map(|(_, answer)| answer);
        let is_line =
            |it: Option<usize>| it.filter(|&it| self.operations[it].command == Command::Dump);
        let is_error = last.is_some_and(|last| matches!(answer(last), Some(Answer::Error(_))));
        let forgotten = match (is_line(before), is_line(last)) {
            (Some(before), _) if is_error => vec![Some(before), last],
            (_, Some(_)) if client.is_cut || client.input.starts_with(b"ERR upstream") => {
                vec![last]
            }
            _ => return last.is_some_and(|last| answer(last) == Some(&Answer::Broken)),
        };
        for it in forgotten.into_iter().flatten() {
            self.operations[it].answer = None;
        }
        true
    }

    /// Names for what a test that sees nothing amiss should at least have seen.
    fn what_happened(&self) -> BTreeSet<String> {
        let answers = self.operations.iter().filter_map(|it| Some(&it.answer.as_ref()?.1));
        let mut seen: BTreeSet<String> = answers
            .filter_map(|answer| match answer {
                Answer::Error(message) => Some(message.clone()),
                Answer::Broken => Some("a dump broke off".to_string()),
                _ => None,
            })
            .collect();
        for stat in [Stat::Hits, Stat::MissesCoalesced, Stat::EntriesInvalidated] {
            if self.scene.world.stat(self.scene.proxy, stat) > 0 {
                seen.insert(format!("{stat:?}"));
            }
        }
        seen
    }

    /// Checks all that was said; how many histories were too long.
    fn check(&mut self) -> usize {
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            assert!(client.state == State::Gone, "not answered or not closed: {client:?}");
            if client.is_cut {
                self.forget_broken_dump(index);
            }
        }
        let Plan { setup, client_weather, .. } = self.plan;
        let caches = setup.cache_bytes > 0;
        let ttl = if caches { setup.ttl } else { Duration::ZERO };
        checks::check_time_to_live(&self.operations, &self.truth, ttl, self.began);
        let slack = Duration::from_secs(1);
        // To connect, to be let in, and to be answered.
        let most = 3 * (setup.upstream_timeout + client_weather.delay.1) + slack;
        checks::check_errors(&self.operations, most);
        if self.plan.forgets {
            return 0;
        }
        checks::check_dumps(&self.operations, &self.staying);
        let own_keys = 0..self.plan.keys - self.plan.shared_keys;
        checks::check_linearizable(&self.operations, &self.initial, own_keys, setup.put_mode)
    }
}
