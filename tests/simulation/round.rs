//! One random round: clients ask proxies and the server, links and nodes break and mend; afterwards
//! the history of every key is judged.

mod checks;

use crate::plan::{Broken, Plan, Trouble};
use crate::scene;
use crate::support::world::{ClientId, NodeId, Random, Reach, Side, Stamp, Weather, World};
use crate::traffic::{self, Command, Misplaced, Operation, Reply};
use crate::witness::Truth;
use larder::settings::PutMode;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a narrow link takes at a time, in bytes: about one request.
const NARROW: usize = 25;

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
    proxy: Option<usize>,
    state: State,
    /// Its operations that are not answered begin here.
    owed: Vec<usize>,
    input: Vec<u8>,
    /// Its connection broke, so that the last bytes may be missing.
    is_cut: bool,
    /// It did not read for a while.
    was_blind: bool,
}

impl Client {
    fn break_off(&mut self) {
        self.state = State::Gone;
        self.is_cut = true;
    }
}

/// A node, and what its coherence level was from which step on.
struct ProxyNode {
    node: NodeId,
    ticks: u64,
    levels: Vec<(u64, u64)>,
}

pub struct Round {
    plan: Plan,
    world: World,
    server: NodeId,
    proxies: Vec<ProxyNode>,
    clients: Vec<Client>,
    pub operations: Vec<Operation>,
    truth: Truth,
    server_is_up: bool,
    last_value: u32,
    /// The troubles and the outcomes that there were.
    pub seen: BTreeSet<String>,
    /// What went wrong first while it was played.
    wrong: Option<String>,
}

impl Round {
    pub fn new(seed: u64, plan: Plan) -> Round {
        let mut world = World::new(seed);
        let mut truth = Truth::new(plan.keys, plan.staying, world.stamp());
        let age = world.random().pick(&plan.ages);
        let witness = truth.server(age, plan.lateness, world.now());
        let server = world.add_node(witness);
        world.set_weather(server, plan.upstream_weather);
        world.set_scratch(server, plan.scratch);
        world.probe(server, truth.restore().as_bytes());
        let proxies = (0..plan.proxies).map(|_| add_proxy(&mut world, server, &plan)).collect();
        let mut round = Round {
            plan,
            world,
            server,
            proxies,
            clients: Vec::new(),
            operations: Vec::new(),
            truth,
            server_is_up: true,
            last_value: 0,
            seen: BTreeSet::new(),
            wrong: None,
        };
        (0..round.plan.clients).for_each(|_| round.add_client());
        round
    }

    pub fn play(&mut self) {
        for _ in 0..10 + self.random().below(50) {
            if self.random().chance(70) {
                self.ask();
            }
            if self.world.random().chance(self.plan.trouble) {
                self.make_trouble();
            }
            let pause = self.world.random().between(Duration::ZERO, self.plan.longest_pause);
            self.pass(pause);
        }
        self.heal();
    }

    fn random(&mut self) -> &mut Random {
        self.world.random()
    }

    fn pass(&mut self, time: Duration) {
        let Round { world, truth, proxies, plan, .. } = self;
        world.advance_with(time, &mut |world| {
            truth.observe(world.stamp());
            if !plan.is_always_told() {
                proxies.iter_mut().for_each(|proxy| proxy.observe(world));
            }
        });
        truth.observe(world.stamp());
        for index in 0..self.clients.len() {
            self.listen(index);
        }
    }

    fn add_client(&mut self) {
        let is_direct = self.server_is_up && self.world.random().chance(self.plan.direct);
        let proxy = self.world.random().below(self.proxies.len());
        self.connect((!is_direct).then_some(proxy));
    }

    fn connect(&mut self, proxy: Option<usize>) {
        let node = proxy.map_or(self.server, |proxy| self.proxies[proxy].node);
        let link = self.world.connect(node);
        if proxy.is_none() {
            *self.world.weather(link) = self.plan.direct_weather;
        }
        self.clients.push(Client {
            link,
            proxy,
            state: State::Open,
            owed: Vec::new(),
            input: Vec::new(),
            is_cut: false,
            was_blind: false,
        });
    }

    fn any_client(&mut self) -> Option<usize> {
        let is_open = |&at: &usize| self.clients[at].state == State::Open;
        let open: Vec<_> = (0..self.clients.len()).filter(is_open).collect();
        (!open.is_empty()).then(|| self.random().pick(&open))
    }

    /// A client sends some requests at once.
    fn ask(&mut self) {
        let Some(client) = self.any_client() else { return self.add_client() };
        let count = 1 + self.world.random().below(self.plan.most_pipelined);
        for _ in 0..count {
            let command = self.new_command(client);
            self.request(client, command);
        }
    }

    fn request(&mut self, client: usize, command: Command) {
        let sent = self.world.stamp();
        let can_be_line = self.plan.is_rough && command.can_be_line();
        let is_line = can_be_line && self.world.random().chance(60);
        let Client { link, proxy, owed, was_blind, .. } = &mut self.clients[client];
        self.world.send(*link, command.encode(is_line).as_bytes());
        let after_dump = owed.iter().any(|&it| self.operations[it].command.is_dump());
        owed.push(self.operations.len());
        self.operations.push(Operation {
            is_excused: *was_blind || after_dump || command.is_dump(),
            command,
            is_line,
            client,
            proxy: *proxy,
            sent,
            answer: None,
        });
    }

    fn new_command(&mut self, client: usize) -> Command {
        let Plan { keys, reads, direct_reads, blocks, expiries, settings, .. } = self.plan;
        let is_direct = self.clients[client].proxy.is_none();
        let reads = if is_direct { direct_reads } else { reads };
        let put = match settings.put_mode {
            PutMode::Replace if !is_direct => Command::Replace,
            _ => Command::Put,
        };
        let last = &mut self.last_value;
        let random = self.world.random();
        let mut value = || {
            *last += 1;
            if traffic::is_long(*last) && !self.plan.is_rough {
                *last += 1;
            }
            *last
        };
        let first = random.below(keys);
        let second = (first + 1 + random.below(keys.max(2) - 1)) % keys;
        let most = random.pick(&[10, 100, 1000, 5000]);
        let life = 1 + random.below(most) as u64;
        let has_two = first != second;
        if self.plan.is_rough && random.chance(20) {
            return [Command::Dump, Command::DumpPairs, Command::Ping][random.below(3)].clone();
        }
        if random.chance(reads) {
            if random.chance(blocks) {
                return Command::Block(vec![Command::Get(first)]);
            }
            let many = has_two && random.chance(15);
            return if many { Command::Mget(vec![first, second]) } else { Command::Get(first) };
        }
        if random.chance(expiries) {
            let is_new = random.chance(65);
            return match is_new {
                true => Command::SetFor(first, value(), life),
                false => Command::ExpireIn(first, life),
            };
        }
        match random.below(100) {
            0..15 => put(first, value()),
            15..34 => Command::Del(first),
            34..39 if self.plan.staying == 0 => Command::Flush,
            44..49 if has_two => Command::Mset(vec![(first, value()), (second, value())]),
            49..54 if has_two => Command::Rename(first, second),
            54..65 => {
                let places = if has_two { vec![first, second] } else { vec![first] };
                let commands = places.into_iter().map(|at| match random.chance(50) {
                    true => Command::Get(at),
                    false => Command::Set(at, value()),
                });
                Command::Block(commands.collect())
            }
            _ => Command::Set(first, value()),
        }
    }

    fn make_trouble(&mut self) {
        let trouble = self.world.random().pick(&self.plan.troubles);
        let Round { world, server, .. } = self;
        let server = *server;
        let links = world.links_to(server);
        let side = world.random().pick(&[Side::Initiator, Side::Acceptor]);
        let spared = world.random().pick(&[None, Some(side)]);
        let link = (!links.is_empty()).then(|| world.random().pick(&links));
        match (trouble, link) {
            (Trouble::Cut, Some(link)) => world.cut_link(link, spared),
            (Trouble::Silence, Some(link)) => world.silence(link, side, true),
            (Trouble::Partition, Some(link)) => {
                world.silence(link, side, true);
                world.silence(link, side.other(), true);
            }
            (Trouble::Narrow, Some(link)) => world.weather(link).window = NARROW,
            (Trouble::Sound, _) => self.make_sound(),
            (Trouble::Refuse, _) => {
                let ways = [Reach::Refuse, Reach::RefuseAtOnce, Reach::Ignore];
                let reach = world.random().pick(&ways);
                world.set_reach(server, reach);
            }
            (Trouble::Accept, _) => world.set_reach(server, Reach::Accept),
            (Trouble::Kill, _) if self.server_is_up => {
                self.server_is_up = false;
                world.stop(server);
                let direct = self.clients.iter_mut().filter(|client| client.proxy.is_none());
                direct.for_each(Client::break_off);
            }
            (Trouble::Restart | Trouble::RestartEmpty, _) if !self.server_is_up => {
                self.start_server(trouble == Trouble::RestartEmpty);
            }
            (Trouble::FreezeServer, _) => world.freeze(server),
            (Trouble::FreezeProxy, _) => {
                let proxy = world.random().below(self.proxies.len());
                world.freeze(self.proxies[proxy].node);
            }
            (Trouble::Wake, _) => self.wake(),
            (Trouble::CutClient | Trouble::StopReading | Trouble::Leave, _) => {
                let Some(client) = self.any_client() else { return };
                self.trouble_client(client, trouble, spared);
            }
            // There is nobody to whom it could happen.
            _ => return,
        }
        self.seen.insert(format!("{trouble:?}"));
    }

    fn trouble_client(&mut self, index: usize, trouble: Trouble, spared: Option<Side>) {
        let client = &mut self.clients[index];
        match trouble {
            Trouble::CutClient => {
                client.break_off();
                self.world.cut_link(client.link, spared);
            }
            Trouble::StopReading => {
                client.was_blind = true;
                let is_silent = self.world.random().chance(60);
                self.world.silence(client.link, Side::Initiator, is_silent);
                self.excuse(index);
            }
            _ => {
                if self.world.random().chance(60) {
                    client.state = State::Finished;
                    self.world.finish(client.link);
                } else {
                    client.break_off();
                    self.world.cut(client.link);
                }
                self.add_client();
            }
        }
    }

    /// What a client waits for may take longer than the upstream's timeout.
    fn excuse(&mut self, client: usize) {
        self.clients[client].owed.iter().for_each(|&it| self.operations[it].is_excused = true);
    }

    fn make_sound(&mut self) {
        for link in self.world.links_to(self.server) {
            self.world.silence(link, Side::Initiator, false);
            self.world.silence(link, Side::Acceptor, false);
        }
    }

    fn wake(&mut self) {
        self.world.wake(self.server);
        for client in 0..self.clients.len() {
            let proxy = self.clients[client].proxy.map(|at| self.proxies[at].node);
            if proxy.is_some_and(|node| self.world.is_frozen(node)) {
                self.excuse(client);
            }
        }
        // In the middle of a tick a proxy sees what clients have sent meanwhile, and not what the
        // upstream has: then it may serve what is as old as `trust`, which no calm round expects.
        for proxy in &self.proxies {
            if self.plan.is_calm || self.world.random().chance(50) {
                self.world.wake(proxy.node);
            } else {
                self.world.wake_in_tick(proxy.node);
            }
        }
    }

    fn start_server(&mut self, is_empty: bool) {
        let age = self.world.random().pick(&self.plan.ages);
        let now = self.world.stamp();
        self.truth.observe(now);
        let witness = self.truth.server(age, self.plan.lateness, now.at);
        self.world.start(self.server, witness);
        if is_empty {
            self.truth.lost(now);
        } else {
            let requests = self.truth.restore();
            self.world.probe(self.server, requests.as_bytes());
            self.truth.observe(now);
        }
        self.server_is_up = true;
    }

    /// Ends all trouble, waits until every request is answered, and asks everybody once more.
    fn heal(&mut self) {
        if !self.server_is_up {
            self.start_server(false);
        }
        self.world.set_reach(self.server, Reach::Accept);
        self.world.set_weather(self.server, Weather::CALM);
        self.wake();
        self.make_sound();
        for link in self.world.links_to(self.server) {
            *self.world.weather(link) = Weather::CALM;
        }
        for client in &self.clients {
            self.world.silence(client.link, Side::Initiator, false);
            *self.world.weather(client.link) = Weather::CALM;
        }
        let long_enough = self.plan.settings.upstream_timeout + Duration::from_secs(1);
        self.pass(long_enough * 2);
        (0..self.proxies.len()).for_each(|proxy| self.connect(Some(proxy)));
        let first = self.operations.len();
        for client in 0..self.clients.len() {
            for key in 0..self.plan.keys {
                if self.clients[client].state == State::Open {
                    self.request(client, Command::Get(key));
                }
            }
        }
        self.pass(long_enough);
        let is_bad = |it: &Operation| matches!(it.answer, None | Some((_, Reply::Error(_))));
        if let Some(operation) = self.operations[first..].iter().find(|it| is_bad(it)) {
            self.wrong.get_or_insert(format!("it does not go on when all is well: {operation:?}"));
        }
        for client in self.clients.iter_mut().filter(|client| client.state == State::Open) {
            client.state = State::Finished;
            self.world.finish(client.link);
        }
        self.pass(long_enough);
    }

    /// Takes what has come to a client.
    fn listen(&mut self, index: usize) {
        let link = self.clients[index].link;
        for (stamp, bytes) in self.world.arrivals(link) {
            self.clients[index].input.extend(bytes);
            if self.take_replies(index, stamp).is_err() {
                return self.misplaced(index);
            }
        }
        if self.clients[index].state != State::Gone && self.world.is_closed(link) {
            self.closed(index);
        }
    }

    fn take_replies(&mut self, index: usize, stamp: Stamp) -> Result<(), Misplaced> {
        let client = &mut self.clients[index];
        while let Some(&next) = client.owed.first() {
            let operation = &mut self.operations[next];
            let text = std::str::from_utf8(&client.input).map_err(|_| Misplaced)?;
            let mut rest = text;
            let reply = operation.command.read_reply(operation.is_line, &mut rest)?;
            let Some(reply) = reply else { return Ok(()) };
            let length = text.len() - rest.len();
            client.input.drain(..length);
            operation.answer = Some((stamp, reply));
            client.owed.remove(0);
        }
        // Only a DUMP that breaks off says what nobody asked for.
        let is_unasked = !client.input.is_empty();
        let last = self.answered(index).next();
        let may_break_off = last.is_some_and(|last| self.is_dump_of_keys(last));
        if is_unasked && !may_break_off { Err(Misplaced) } else { Ok(()) }
    }

    /// Returns the operations of a client that are answered, the last first.
    fn answered(&self, client: usize) -> impl Iterator<Item = usize> {
        let is_answered = move |&at: &usize| {
            self.operations[at].client == client && self.operations[at].answer.is_some()
        };
        (0..self.operations.len()).rev().filter(is_answered)
    }

    /// Returns whether nothing but the end of the connection tells that an operation broke off.
    fn is_dump_of_keys(&self, operation: usize) -> bool {
        let Operation { command, is_line, .. } = &self.operations[operation];
        *is_line && *command == Command::Dump
    }

    /// A client got a reply that cannot be its own.
    fn misplaced(&mut self, index: usize) {
        let Client { owed, input, state, .. } = &mut self.clients[index];
        *state = State::Gone;
        let asked = owed.first().map(|&at| &self.operations[at]);
        let got = String::from_utf8_lossy(input);
        self.wrong.get_or_insert(format!("{got:?} came in reply to {asked:?}"));
        owed.clear();
    }

    /// The other side has closed a client's connection: it had leave to, once it was asked to and
    /// everything was answered, or when a DUMP broke off, or when nobody read what it said.
    fn closed(&mut self, index: usize) {
        let broke_off = self.forget_broken_dump(index);
        let client = &mut self.clients[index];
        let has_all = client.owed.is_empty() && client.input.is_empty() || client.was_blind;
        let is_done = has_all && client.state == State::Finished;
        if !broke_off && !is_done {
            self.wrong.get_or_insert(format!("closed for no reason: {client:?}"));
        }
        client.state = State::Gone;
    }

    /// A DUMP of keys that breaks off looks like a whole one, with an error after it that may look
    /// like the reply to the next request. Whatever may be such, among the last replies before the
    /// end of a connection, counts as not answered. Returns whether a DUMP may have broken off.
    fn forget_broken_dump(&mut self, index: usize) -> bool {
        let Client { is_cut, input, .. } = &self.clients[index];
        let mut answered = self.answered(index);
        let (Some(last), before) = (answered.next(), answered.next()) else { return false };
        let reply = self.operations[last].answer.as_ref().map(|(_, reply)| reply);
        let forgotten = match (before, reply) {
            (Some(before), Some(Reply::Error(_))) if self.is_dump_of_keys(before) => {
                vec![before, last]
            }
            _ if self.is_dump_of_keys(last) && (*is_cut || input.starts_with(b"ERR upstream")) => {
                vec![last]
            }
            (_, reply) => return reply == Some(&Reply::Error(traffic::BROKE_OFF.to_string())),
        };
        drop(answered);
        forgotten.into_iter().for_each(|at| self.operations[at].answer = None);
        true
    }
}

fn add_proxy(world: &mut World, server: NodeId, plan: &Plan) -> ProxyNode {
    let mut proxy = scene::proxy(world, server, plan.settings);
    if let Some(Broken::Rule(rule)) = plan.broken {
        proxy = proxy.without(rule);
    }
    let node = world.add_proxy(proxy);
    world.set_weather(node, plan.client_weather);
    world.set_scratch(node, plan.scratch);
    if let Some(Broken::Order(order)) = plan.broken {
        world.set_order(node, order);
    }
    ProxyNode { node, ticks: 0, levels: Vec::new() }
}
