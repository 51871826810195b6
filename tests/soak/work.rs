//! Clients that verify every reply.

use crate::ground::{Ground, SLOTS, count};
use crate::support::process::Client;
use crate::support::random::Random;
use crate::support::resp::resp_request;
use crate::truth::{Outcome, Slot};
use std::thread;
use std::time::Duration;

const UNAVAILABLE: &str = "ERR upstream unavailable";
const MAYBE: &str = "ERR upstream lost, the write may or may not have happened";
/// What a read may be answered besides.
const ERRORS: [&str; 3] = [UNAVAILABLE, "ERR upstream lost", "ERR upstream timed out"];

pub struct Worker<'a> {
    ground: &'a Ground,
    number: usize,
    random: Random,
    proxy: Client,
    server: Client,
    /// The generation and the version that it saw last of each key.
    seen: Vec<(u32, u32)>,
}

impl<'a> Worker<'a> {
    pub fn new(ground: &'a Ground, number: usize, random: Random) -> Worker<'a> {
        let (proxy, server) = (ground.visit(), Client::connect(ground.server));
        let seen = vec![(0, 0); ground.slots.len()];
        Worker { ground, number, random, proxy, server, seen }
    }

    /// Works until it is over.
    pub fn run(mut self) {
        while !self.ground.is_over() {
            let at_work = self.ground.at_work();
            match self.random.below(20) {
                number @ 0..12 => self.read(number >= 10),
                12 if self.random.below(10) == 0 => self.delete_all(),
                12..18 => self.write(),
                _ => self.transact(),
            }
            drop(at_work);
            // So that two processors are enough for all.
            thread::sleep(Duration::from_micros(self.random.below(6_000) as u64));
        }
    }

    fn is_error(&self, reply: &str) -> bool {
        let is_error = ERRORS.contains(&reply.trim_start_matches('-'));
        count(&self.ground.asked.errors, usize::from(is_error));
        is_error
    }

    /// A pipeline of `GET`s, or an `MGET`.
    fn read(&mut self, is_together: bool) {
        let slots = 0..=self.random.below(8);
        let slots = slots.map(|_| self.random.below(self.ground.slots.len()));
        let begin = |at: usize| (at, self.ground.slots[at].begin_read());
        let readings: Vec<_> = slots.map(begin).collect();
        let keys = readings.iter().map(|(_, reading)| reading.key.as_str());
        let asked = &self.ground.asked;
        if is_together {
            count(&asked.gathered, readings.len());
            self.proxy.send(resp_request(&["MGET"].into_iter().chain(keys).collect::<Vec<_>>()));
            let reply = self.proxy.line();
            if self.is_error(&reply) {
                return;
            }
            assert_eq!(reply, format!("*{}", readings.len()));
        } else {
            count(&asked.gets, readings.len());
            self.proxy.send(keys.map(|key| format!("GET {key}\r\n")).collect::<String>());
        }
        for (at, reading) in &readings {
            let saw = if is_together {
                bulk(&mut self.proxy)
            } else {
                let reply = self.proxy.line();
                if self.is_error(&reply) {
                    continue;
                }
                Some(reply).filter(|reply| reply != "Key not found")
            };
            self.ground.slots[*at].end_read(reading, saw.as_deref(), &mut self.seen[*at]);
        }
    }

    /// One of its own keys, through the proxy or beside it.
    fn write(&mut self) {
        let slot = &self.ground.slots[self.number * SLOTS + self.random.below(SLOTS)];
        let is_through_proxy = slot.is_through_proxy();
        let (key, value) = slot.begin_write();
        let millis = (100 + self.random.below(400)).to_string();
        let request = match self.random.below(6) {
            0 if slot.is_volatile() => format!("DEL {key}\r\n").into_bytes(),
            1 | 2 if slot.is_volatile() => resp_request(&["SET", &key, &value, "PX", &millis]),
            _ => format!("SET {key} {value}\r\n").into_bytes(),
        };
        let client = if is_through_proxy { &mut self.proxy } else { &mut self.server };
        client.send(request);
        let outcome = self.outcome(is_through_proxy);
        slot.end_write(outcome);
    }

    /// All volatile keys at once that it writes through the proxy.
    fn delete_all(&mut self) {
        let slots = &self.ground.slots[self.number * SLOTS..][..SLOTS];
        let is_deleted = |slot: &&Slot| slot.is_through_proxy() && slot.is_volatile();
        let slots: Vec<_> = slots.iter().filter(is_deleted).collect();
        let keys: Vec<_> = slots.iter().map(|slot| slot.begin_write().0).collect();
        let keys = keys.iter().map(String::as_str);
        self.proxy.send(resp_request(&["DEL"].into_iter().chain(keys).collect::<Vec<_>>()));
        let outcome = self.outcome(true);
        slots.iter().for_each(|slot| slot.end_write(outcome));
    }

    /// What came of a write.
    fn outcome(&mut self, is_through_proxy: bool) -> Outcome {
        let client = if is_through_proxy { &mut self.proxy } else { &mut self.server };
        let outcome = match client.line().trim_start_matches(['+', '-']) {
            "OK" | "Key not found" => Outcome::Done,
            number if number.starts_with(':') => Outcome::Done,
            MAYBE if is_through_proxy => Outcome::Unknown,
            UNAVAILABLE if is_through_proxy => Outcome::NotDone,
            reply => panic!("what came of a write: {reply}"),
        };
        count(&self.ground.asked.errors, usize::from(outcome != Outcome::Done));
        outcome
    }

    /// Two keys are written together, and two are read together: they are always the same.
    fn transact(&mut self) {
        let number = self.number;
        let [left, right] = ["left", "right"].map(|side| format!("{side}{number}"));
        let value = format!("pair{number}:{}", self.random.below(1_000_000));
        let (multi, exec) = (resp_request(&["MULTI"]), resp_request(&["EXEC"]));
        let [set_left, set_right] = [&left, &right].map(|key| resp_request(&["SET", key, &value]));
        self.proxy.send([&multi[..], &set_left, &set_right, &exec].concat());
        assert_eq!(self.proxy.lines(3), ["+OK", "+QUEUED", "+QUEUED"]);
        match self.proxy.line().as_str() {
            "*2" => assert_eq!(self.proxy.lines(2), ["+OK", "+OK"]),
            error if error[1..] == *MAYBE => count(&self.ground.asked.errors, 1),
            error => assert!(self.is_error(error), "{error}"),
        }
        let [get_left, get_right] = [&left, &right].map(|key| resp_request(&["GET", key]));
        self.proxy.send([multi, get_left, get_right, exec].concat());
        count(&self.ground.asked.gets_in_blocks, 2);
        assert_eq!(self.proxy.lines(3), ["+OK", "+QUEUED", "+QUEUED"]);
        match self.proxy.line().as_str() {
            "*2" => {
                let [left, right] = [(); 2].map(|()| bulk(&mut self.proxy));
                assert_eq!(left, right, "a transaction was torn");
                let whose = format!("pair{number}:");
                assert!(left.is_none_or(|value| value.starts_with(&whose)), "not {whose}");
            }
            error => assert!(self.is_error(error), "{error}"),
        }
    }
}

/// The next value of a RESP2 reply.
fn bulk(client: &mut Client) -> Option<String> {
    let header = client.line();
    (header != "$-1").then(|| {
        let value = client.line();
        assert_eq!(header, format!("${}", value.len()));
        value
    })
}
