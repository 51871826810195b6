//! What must hold of a round, looked at when it is over.

use super::{ProxyNode, Round, State};
use crate::support::history::{self, Event, Promise};
use crate::support::world::World;
use crate::traffic::{BROKE_OFF, Command, Operation, Reply};
use larder::stats::Stat;
use std::collections::BTreeSet;
use std::time::Duration;

impl Round {
    /// Judges everything that was said.
    ///
    /// # Errors
    /// It breaks a promise.
    pub fn check(&mut self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            if client.state != State::Gone {
                return Err(format!("not answered or not closed: {client:?}"));
            }
            if client.is_cut {
                self.forget_broken_dump(index);
            }
        }
        if let Some(id) = self.truth.asked_twice.iter().next() {
            return Err(format!("a write was repeated: that of {id}"));
        }
        for operation in &self.operations {
            self.check_error(operation)?;
            self.check_time(operation)?;
            self.check_dump(operation)?;
        }
        self.check_histories().map_err(|message| format!("{message}\n{:?}", self.plan))
    }

    /// Errors are those that fit the command, and what is said not to have happened did not.
    fn check_error(&self, operation: &Operation) -> Result<(), String> {
        let Operation { command, proxy, answer, .. } = operation;
        let Some((_, Reply::Error(message))) = answer else { return Ok(()) };
        let fits = match message.strip_prefix("ERR ").unwrap_or(message) {
            "no such key" => matches!(command, Command::Rename(..)),
            "Key already exists" => matches!(command, Command::Put(..)),
            _ if proxy.is_none() || *command == Command::Ping => false,
            "upstream unavailable" => match command {
                Command::Set(_, id)
                | Command::SetFor(_, id, _)
                | Command::Put(_, id)
                | Command::Replace(_, id) => !self.truth.asked.contains(id),
                _ => true,
            },
            "upstream lost" | "upstream timed out" => !command.is_write(),
            "upstream lost, the write may or may not have happened" => command.is_write(),
            _ => message == BROKE_OFF,
        };
        if fits { Ok(()) } else { Err(format!("this error does not fit: {operation:?}")) }
    }

    /// Every reply of a proxy came in time.
    fn check_time(&self, operation: &Operation) -> Result<(), String> {
        let Some((stamp, _)) = &operation.answer else { return Ok(()) };
        let took = stamp.at - operation.sent.at;
        // To connect, to be let in, and to be answered.
        let (timeout, delay) =
            (self.plan.settings.upstream_timeout, self.plan.client_weather.delay);
        let most = 3 * (timeout + delay.1) + Duration::from_secs(1);
        if operation.proxy.is_some() && !operation.is_excused && took > most {
            return Err(format!("it took {took:?}, not at most {most:?}: {operation:?}"));
        }
        Ok(())
    }

    /// A whole DUMP has each key that stays exactly once.
    fn check_dump(&self, operation: &Operation) -> Result<(), String> {
        let Operation { command, answer, .. } = operation;
        let Some((_, reply)) = answer else { return Ok(()) };
        if command.is_dump()
            && let Ok(dumped) = command.dumped(reply)
        {
            for key in (0..self.plan.staying).map(|number| format!("s{number}")) {
                if dumped.iter().filter(|(name, _)| *name == key).count() != 1 {
                    return Err(format!("{key} is not once in {operation:?}"));
                }
            }
        }
        Ok(())
    }

    /// What clients saw of each key keeps what the proxies promise.
    fn check_histories(&self) -> Result<(), String> {
        let mut events: Vec<Vec<Event>> = vec![Vec::new(); self.plan.keys];
        for (place, operation) in self.operations.iter().enumerate() {
            let Some((ended, reply)) = &operation.answer else { continue };
            let facts = operation.command.facts(reply, self.plan.keys);
            let facts = facts.map_err(|_| format!("this is no reply to it: {operation:?}"))?;
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
            if let Some(why) = history::judge(&self.truth.versions[key], events).first() {
                let places: BTreeSet<usize> = events.iter().map(|event| event.place).collect();
                let asked = places.iter().map(|&place| {
                    format!("\n  request {place}: {:?}", self.operations[place].command)
                });
                return Err(format!("key {key}: {why}\nrequests:{}", asked.collect::<String>()));
            }
        }
        Ok(())
    }

    /// Returns what was promised to a request: of level 1 only what held all the time, and without
    /// a cache that the server itself is asked.
    fn promise(&self, operation: &Operation, ended: u64) -> Promise {
        let began = operation.sent.step;
        let level = match operation.proxy {
            Some(proxy) if !self.plan.is_always_told() => self.proxies[proxy].lowest(began, ended),
            _ => 1,
        };
        let settings = &self.plan.settings;
        let is_linearizable =
            level == 1 && settings.trust == Duration::ZERO || settings.cache_bytes == 0;
        let trust = if self.plan.is_calm { Duration::ZERO } else { settings.trust };
        Promise { ttl: settings.ttl, trust: (level == 1).then_some(trust), is_linearizable }
    }

    /// Notes which counters of the proxies are above 0, and the errors that clients were told.
    pub fn note_outcomes(&mut self, counters: &[Stat]) {
        for proxy in &self.proxies {
            self.world.probe(proxy.node, b"STATS\r\n");
            let counted = counters.iter().filter(|&&it| self.world.stat(proxy.node, it) > 0);
            self.seen.extend(counted.map(|stat| format!("{stat:?}")));
        }
        for operation in &self.operations {
            if let Some((_, Reply::Error(message))) = &operation.answer {
                self.seen.insert(message.clone());
            }
        }
    }
}

impl ProxyNode {
    /// Looks at the level, if the proxy has done anything.
    pub fn observe(&mut self, world: &mut World) {
        let ticks = world.ticks(self.node);
        if ticks != self.ticks {
            self.ticks = ticks;
            world.probe(self.node, b"STATS\r\n");
            let level = world.stat(self.node, Stat::CoherenceLevel);
            if self.levels.last().is_none_or(|&(_, last)| last != level) {
                self.levels.push((world.stamp().step, level));
            }
        }
    }

    /// The lowest level that it had from one step to another.
    fn lowest(&self, from: u64, to: u64) -> u64 {
        let known = self.levels.partition_point(|&(step, _)| step <= from);
        let levels = self.levels.iter().skip(known.saturating_sub(1));
        let meanwhile = levels.take_while(|&&(step, _)| step <= to).map(|&(_, level)| level);
        if known == 0 { 0 } else { meanwhile.min().unwrap_or(0) }
    }
}
