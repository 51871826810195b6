//! Writers and readers: threads with plain sockets, which note what they sent and saw, and when.

use crate::history::{Write, stamp};
use crate::link::Link;
use crate::support::history::{Act, Event, Promise};
use crate::support::random::Random;
use crate::support::resp::Reply;
use crate::support::world::Stamp;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long short-lived keys live.
const LIFE: Duration = Duration::from_millis(200);

/// So many keys at a time.
pub const SLOTS: usize = 12;

/// The one that is written directly, never short-lived or deleted, and read without a pause.
pub const HOT: usize = 0;

/// The key of a slot, which changes where its history cannot be told further.
pub type Key = (usize, u32);

fn name((slot, generation): Key) -> String {
    format!("key{slot}.{generation}")
}

/// Whoever reads a value can tell whose it is.
fn value(key: Key, number: u32) -> String {
    format!("{}:{number}", name(key))
}

/// What all threads share.
pub struct Shared {
    pub start: Instant,
    /// What the proxies promise.
    pub promise: Promise,
    pub upstream: SocketAddr,
    pub proxies: [SocketAddr; 2],
    /// Odd while all keys are being removed.
    pub removals: AtomicUsize,
    pub end: End,
    generations: [AtomicU32; SLOTS],
}

/// The end of the run.
#[derive(Default)]
pub struct End {
    has_come: Mutex<bool>,
    came: Condvar,
}

impl End {
    /// Lets time pass; whether the end has come meanwhile.
    pub fn comes_within(&self, time: Duration) -> bool {
        let has_come = self.has_come.lock().expect("nobody panicked with it");
        let waited = self.came.wait_timeout_while(has_come, time, |has_come| !*has_come);
        *waited.expect("nobody panicked with it").0
    }

    pub fn has_come(&self) -> bool {
        *self.has_come.lock().expect("nobody panicked with it")
    }

    pub fn come(&self) {
        *self.has_come.lock().expect("nobody panicked with it") = true;
        self.came.notify_all();
    }
}

/// The history of one key as its writer knows it.
pub struct Written {
    pub key: Key,
    pub writes: Vec<Write>,
}

/// What became of a write.
enum Outcome {
    Done,
    NotDone,
    Unknown,
}

impl Shared {
    pub fn new(trust: Duration, upstream: SocketAddr, proxies: [SocketAddr; 2]) -> Shared {
        // No value is refused for its age alone.
        let (ttl, is_linearizable) = (Duration::MAX, trust.is_zero());
        Shared {
            start: Instant::now(),
            promise: Promise { ttl, trust: Some(trust), is_linearizable },
            upstream,
            proxies,
            removals: AtomicUsize::default(),
            end: End::default(),
            generations: Default::default(),
        }
    }

    fn stamp(&self) -> Stamp {
        stamp(self.start, Instant::now())
    }

    fn key(&self, slot: usize) -> Key {
        (slot, self.generations[slot].load(Ordering::SeqCst))
    }

    /// Writes the keys of a slot until the end.
    pub fn write(&self, slot: usize, mut random: Random) -> Vec<Written> {
        // Half of the slots are written beside the proxies, a third of the keys live for a while.
        let proxy = [None, Some(0), None, Some(1)][slot % 4];
        let life = (slot % 3 == 1).then_some(LIFE);
        let mut link = None;
        let mut histories: Vec<Written> = Vec::new();
        let mut number = 0;
        while !self.end.comes_within(Duration::from_micros(random.below(6_000) as u64)) {
            let key = self.key(slot);
            if histories.last().is_none_or(|it| it.key != key) {
                histories.push(Written { key, writes: Vec::new() });
            }
            number += 1;
            let is_delete = slot != HOT && random.below(8) == 0;
            let life = life.filter(|_| !is_delete);
            let removals = self.removals.load(Ordering::SeqCst);
            let sent = Instant::now();
            let outcome = self.write_once(&mut link, proxy, key, number, is_delete, life);
            let acknowledged = matches!(outcome, Outcome::Done).then(Instant::now);
            let is_removing = removals % 2 == 1 || self.removals.load(Ordering::SeqCst) != removals;
            if matches!(outcome, Outcome::NotDone) {
                continue;
            }
            let write = Write { number, is_delete, life, proxy, sent, acknowledged };
            histories.last_mut().expect("there is one").writes.push(write);
            if acknowledged.is_none() || is_removing {
                self.generations[slot].fetch_add(1, Ordering::SeqCst);
            }
        }
        histories
    }

    fn write_once(
        &self,
        link: &mut Option<Link>,
        proxy: Option<usize>,
        key: Key,
        number: u32,
        is_delete: bool,
        life: Option<Duration>,
    ) -> Outcome {
        let place = proxy.map_or(self.upstream, |at| self.proxies[at]);
        if link.is_none() {
            *link = Link::connect(place).ok();
        }
        let Some(connected) = link else { return Outcome::NotDone };
        let (name, value) = (name(key), value(key, number));
        let life = life.map(|life| life.as_millis().to_string());
        let mut words = vec!["SET", &name, &value];
        words.extend(life.iter().flat_map(|life| ["PX", life]));
        if is_delete {
            words = vec!["DEL", &name];
        }
        match connected.request(&words) {
            Ok(Reply::Word(word)) if word == "OK" && !is_delete => Outcome::Done,
            Ok(Reply::Number(0 | 1)) if is_delete => Outcome::Done,
            Ok(Reply::Error(error)) if proxy.is_some() => match error.as_str() {
                "ERR upstream unavailable" => Outcome::NotDone,
                "ERR upstream lost, the write may or may not have happened" => Outcome::Unknown,
                error => panic!("{words:?}: {error}"),
            },
            Err(_) if proxy.is_none() => {
                *link = None;
                Outcome::Unknown
            }
            reply => panic!("{words:?} at {proxy:?}: {reply:?}"),
        }
    }

    /// Reads through the proxy of a client until the end: one slot without a pause, or now one, now
    /// another, some in a pipeline.
    pub fn read(&self, client: usize, slot: Option<usize>, mut random: Random) -> Reads {
        let proxy = client % 2;
        let mut link = Link::connect(self.proxies[proxy]).expect("the proxy listens");
        let (mut reads, mut place) = (Reads::default(), 0);
        while !self.end.has_come() {
            let count = if slot.is_some() { 1 } else { 1 + random.below(4) };
            let keys = (0..count).map(|_| self.key(slot.unwrap_or_else(|| random.below(SLOTS))));
            let keys: Vec<Key> = keys.collect();
            let began = self.stamp();
            for &key in &keys {
                link.send(&["GET", &name(key)]).expect("the proxy stays");
            }
            for key in keys {
                let reply = link.reply().expect("the proxy answers");
                let ended = self.stamp();
                let saw = match reply {
                    Reply::Null => None,
                    Reply::Text(text) => Some(number_of(key, &text)),
                    Reply::Error(error) if error.starts_with("ERR upstream ") => {
                        reads.errors += 1;
                        continue;
                    }
                    other => panic!("GET: {other:?}"),
                };
                place += 1;
                reads.seen.entry(key).or_default().push(Event {
                    act: Act::Saw(saw),
                    began,
                    ended,
                    client,
                    place,
                    proxy: Some(proxy),
                    from_server: false,
                    promise: self.promise,
                });
            }
            if slot.is_none() {
                self.end.comes_within(Duration::from_micros(random.below(2_000) as u64));
            }
        }
        reads
    }
}

fn number_of(key: Key, text: &str) -> u32 {
    let number = text.split_once(':').and_then(|(_, number)| number.parse().ok());
    let number = number.unwrap_or_else(|| panic!("no value: {text}"));
    assert_eq!(text, value(key, number), "the value of another key");
    number
}

/// What readers saw.
#[derive(Default)]
pub struct Reads {
    pub seen: HashMap<Key, Vec<Event>>,
    pub errors: usize,
}

impl Reads {
    pub fn extend(&mut self, other: Reads) {
        for (key, reads) in other.seen {
            self.seen.entry(key).or_default().extend(reads);
        }
        self.errors += other.errors;
    }
}
