//! One random round: clients ask proxies and the server, links and nodes break and mend; afterwards
//! the history of every key is judged.

use super::plan::{Broken, Plan, Trouble};
use super::traffic::{Command, Operation};
use super::witness::Truth;
use crate::scene::{Setup, upstream_options};
use crate::support::history::{self, Event, Promise, Version, Violation};
use crate::support::world::{ClientId, NodeId, Random, Reach, Side, Weather, World};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a narrow link takes at a time, in bytes: about one request.
const NARROW: usize = 25;

#[derive(Debug)]
struct Client {
    link: ClientId,
    proxy: Option<usize>,
    /// Its operations that are not answered begin here.
    owed: Vec<usize>,
    input: Vec<u8>,
    is_open: bool,
}

/// A node, and what its coherence level was from which step on.
struct ProxyNode {
    node: NodeId,
    ticks: u64,
    levels: Vec<(u64, u8)>,
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
    misplaced: Option<Violation>,
}

impl Round {
    pub fn new(seed: u64, plan: Plan) -> Round {
        let mut world = World::new(seed);
        let truth = Truth::new(plan.keys, world.stamp());
        let age = world.random().pick(&plan.ages);
        let witness = truth.server(age, plan.lateness, world.now());
        let server = world.add_node(witness);
        world.set_weather(server, plan.upstream_weather);
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
            misplaced: None,
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
        let proxy = (!is_direct).then_some(proxy);
        let node = proxy.map_or(self.server, |proxy| self.proxies[proxy].node);
        let link = self.world.connect(node);
        if is_direct {
            *self.world.weather(link) = self.plan.direct_weather;
        }
        let client = Client { link, proxy, owed: Vec::new(), input: Vec::new(), is_open: true };
        self.clients.push(client);
    }

    fn any_client(&mut self) -> Option<usize> {
        let open: Vec<_> = (0..self.clients.len()).filter(|&at| self.clients[at].is_open).collect();
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
        let Client { link, proxy, owed, .. } = &mut self.clients[client];
        self.world.send(*link, command.encode().as_bytes());
        owed.push(self.operations.len());
        self.operations.push(Operation { command, client, proxy: *proxy, sent, answer: None });
    }

    fn new_command(&mut self, client: usize) -> Command {
        let Plan { keys, reads, direct_reads, blocks, expiries, .. } = self.plan;
        let reads = if self.clients[client].proxy.is_some() { reads } else { direct_reads };
        let last = &mut self.last_value;
        let random = self.world.random();
        let mut value = || {
            *last += 1;
            *last
        };
        let first = random.below(keys);
        let second = (first + 1 + random.below(keys.max(2) - 1)) % keys;
        let most = random.pick(&[10, 100, 1000, 5000]);
        let life = 1 + random.below(most) as u64;
        let has_two = first != second;
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
            0..15 => Command::Put(first, value()),
            15..34 => Command::Del(first),
            34..39 => Command::Flush,
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
            (Trouble::Leave, _) => {
                let Some(client) = self.any_client() else { return };
                self.world.cut(self.clients[client].link);
                self.clients[client].is_open = false;
                self.add_client();
            }
            // There is nobody to whom it could happen.
            _ => return,
        }
        self.seen.insert(format!("{trouble:?}"));
    }

    fn make_sound(&mut self) {
        for link in self.world.links_to(self.server) {
            self.world.silence(link, Side::Initiator, false);
            self.world.silence(link, Side::Acceptor, false);
        }
    }

    fn wake(&mut self) {
        self.world.wake(self.server);
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
            *self.world.weather(client.link) = Weather::CALM;
        }
        self.pass(self.plan.upstream_timeout + Duration::from_secs(1));
        for client in 0..self.clients.len() {
            for key in 0..self.plan.keys {
                if self.clients[client].is_open {
                    self.request(client, Command::Get(key));
                }
            }
        }
        self.pass(self.plan.upstream_timeout + Duration::from_secs(1));
    }

    /// Takes what has come to a client, reply by reply.
    fn listen(&mut self, index: usize) {
        let client = &mut self.clients[index];
        for (stamp, bytes) in self.world.arrivals(client.link) {
            client.input.extend(bytes);
            while let Some(&next) = client.owed.first() {
                let operation = &mut self.operations[next];
                match operation.command.read_reply(&client.input) {
                    Ok(None) => break,
                    Ok(Some((length, reply))) => {
                        client.input.drain(..length);
                        operation.answer = Some((stamp, reply));
                        client.owed.remove(0);
                    }
                    Err(_) => return self.misplaced(index),
                }
            }
            if client.owed.is_empty() && !client.input.is_empty() {
                return self.misplaced(index);
            }
        }
        client.is_open &= !self.world.is_closed(client.link);
    }

    /// A client got a reply that cannot be its own.
    fn misplaced(&mut self, index: usize) {
        let Client { owed, input, is_open, .. } = &mut self.clients[index];
        *is_open = false;
        let asked = owed.first().map(|&at| &self.operations[at]);
        let got = String::from_utf8_lossy(input);
        let message = format!("{got:?} came in reply to {asked:?}");
        owed.clear();
        self.misplaced.get_or_insert(Violation { message });
    }

    /// Judges everything that was said.
    pub fn check(&mut self) -> Result<(), Violation> {
        if let Some(violation) = self.misplaced.take() {
            return Err(violation);
        }
        for client in &self.clients {
            if client.is_open && !client.owed.is_empty() {
                let message = format!("not answered: {:?}", self.operations[client.owed[0]]);
                return Err(Violation { message });
            }
        }
        let mut events: Vec<Vec<Event>> = vec![Vec::new(); self.plan.keys];
        for (place, operation) in self.operations.iter().enumerate() {
            let Some((ended, reply)) = &operation.answer else { continue };
            let facts = operation.command.facts(reply, self.plan.keys).map_err(|_| {
                let message = format!("this is no reply to it: {operation:?}");
                Violation { message }
            })?;
            for fact in facts {
                events[fact.key].push(Event {
                    act: fact.act,
                    began: operation.sent,
                    ended: *ended,
                    client: operation.client,
                    place,
                    proxy: operation.proxy,
                    from_server: fact.from_server,
                    promise: self.promise(operation, ended.step),
                });
            }
        }
        for (key, events) in events.iter().enumerate() {
            let versions: &[Version] = &self.truth.versions[key];
            history::judge(versions, events).verdict().map_err(|violation| {
                let places: BTreeSet<usize> = events.iter().map(|event| event.place).collect();
                let asked = places.iter().map(|&place| {
                    format!("\n  request {place}: {:?}", self.operations[place].command)
                });
                let (why, asked) = (violation.message, asked.collect::<String>());
                Violation {
                    message: format!("key {key}: {why}\nrequests:{asked}\n{:?}", self.plan),
                }
            })?;
        }
        Ok(())
    }

    /// What was promised to a request: of level 1 only what held all the time.
    fn promise(&self, operation: &Operation, ended: u64) -> Promise {
        let began = operation.sent.step;
        let level = match operation.proxy {
            Some(proxy) if !self.plan.is_always_told() => self.proxies[proxy].lowest(began, ended),
            _ => 1,
        };
        let Plan { ttl, trust, is_calm, .. } = self.plan;
        let is_linearizable = level == 1 && trust == Duration::ZERO;
        let trust = if is_calm { Duration::ZERO } else { trust };
        Promise { ttl, trust: (level == 1).then_some(trust), is_linearizable }
    }

    /// Adds the counters of the proxies that are above 0, and the errors that clients were told.
    pub fn note_outcomes(&mut self) {
        for proxy in &self.proxies {
            let stats = String::from_utf8(self.world.probe(proxy.node, b"STATS\r\n"));
            for line in stats.expect("UTF-8").lines() {
                if let Some((name, count)) = line.split_once(' ')
                    && count != "0"
                {
                    self.seen.insert(name.to_string());
                }
            }
        }
        for operation in &self.operations {
            if let Some((_, super::traffic::Reply::Error(message))) = &operation.answer {
                self.seen.insert(message.clone());
            }
        }
    }
}

impl ProxyNode {
    /// Looks at the level, if the proxy has done anything.
    fn observe(&mut self, world: &mut World) {
        let ticks = world.ticks(self.node);
        if ticks != self.ticks {
            self.ticks = ticks;
            let stats = String::from_utf8(world.probe(self.node, b"STATS\r\n")).expect("UTF-8");
            let row = |line: &str| line.strip_prefix("coherence_level ")?.parse().ok();
            let level = stats.lines().find_map(row).unwrap_or(0);
            if self.levels.last().is_none_or(|&(_, last)| last != level) {
                self.levels.push((world.stamp().step, level));
            }
        }
    }

    /// The lowest level that it had from one step to another.
    fn lowest(&self, from: u64, to: u64) -> u8 {
        let known = self.levels.partition_point(|&(step, _)| step <= from);
        let levels = self.levels.iter().skip(known.saturating_sub(1));
        let meanwhile = levels.take_while(|&&(step, _)| step <= to).map(|&(_, level)| level);
        if known == 0 { 0 } else { meanwhile.min().unwrap_or(0) }
    }
}

fn add_proxy(world: &mut World, server: NodeId, plan: &Plan) -> ProxyNode {
    let setup = Setup {
        ttl: plan.ttl,
        trust: plan.trust,
        upstream_timeout: plan.upstream_timeout,
        broken: match plan.broken {
            Some(Broken::Rule(rule)) => Some(rule),
            _ => None,
        },
        ..Setup::default()
    };
    let options = upstream_options(world, server);
    let proxy = setup.proxy(world, options);
    let node = world.add_proxy(proxy);
    world.set_weather(node, plan.client_weather);
    if let Some(Broken::Order(order)) = plan.broken {
        world.set_order(node, order);
    }
    ProxyNode { node, ticks: 0, levels: Vec::new() }
}
