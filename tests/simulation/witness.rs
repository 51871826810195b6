//! Our server, with a witness beside it who looks at the keys after every request that may have
//! changed one: so it is known which versions a key had, in which order, and since when.
//!
//! The server may be an old one that cannot tell of changes, and it may be late with keys that
//! expire and that nobody asks for, as Redis is.

use crate::support::history::{Known, Version};
use crate::support::resp::take_request;
use crate::support::world::{Random, Stamp, probe};
use crate::traffic::{self, Command, Reply};
use larder::base::buffer::Buffer;
use larder::handler::{CloseReason, ConnId, Handler, Next, Outbox, Via};
use larder::server::Server;
use larder::settings::Settings;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Returns the absence of a key that no client has removed: it expired, or the server forgot it.
fn by_nobody(since: Stamp) -> Version {
    Version { value: None, since, known: Some(Known { from: since, proxy: None }) }
}

/// What the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It tells of changes.
    New,
    /// It has RESP3 and no tracking.
    Middling,
    /// It has neither.
    Old,
}

/// What a key is now, and until when it is that.
type Held = (Option<u32>, Option<Instant>);

/// What the witness tells.
enum Change {
    /// This is what the keys are now.
    Looked(Vec<Held>),
    /// A SET of this value came.
    Asked(u32),
}

/// The server and its witness.
pub struct Witness {
    server: Server,
    age: Age,
    began: Instant,
    /// By how much it may be late.
    lateness: Duration,
    /// How many keys it looks at.
    keys: usize,
    changes: Sender<Change>,
}

/// What the keys were, version by version.
pub struct Truth {
    pub versions: Vec<Vec<Version>>,
    held: Vec<Held>,
    /// Keys that nobody writes.
    staying: usize,
    /// The values for which a SET came, and those for which one came twice.
    pub asked: HashSet<u32>,
    pub asked_twice: HashSet<u32>,
    receiver: Receiver<Change>,
    sender: Sender<Change>,
}

impl Truth {
    /// Of so many keys, all absent, beside those that stay.
    pub fn new(keys: usize, staying: usize, now: Stamp) -> Truth {
        let (sender, receiver) = channel();
        let first = by_nobody(now);
        Truth {
            versions: vec![vec![first]; keys],
            held: vec![(None, None); keys],
            staying,
            asked: HashSet::new(),
            asked_twice: HashSet::new(),
            receiver,
            sender,
        }
    }

    /// A new server that holds nothing.
    pub fn server(&self, age: Age, lateness: Duration, now: Instant) -> Witness {
        Witness {
            server: Server::new(Settings::default(), now),
            age,
            began: now,
            lateness,
            keys: self.held.len(),
            changes: self.sender.clone(),
        }
    }

    /// Returns the requests that give a server what another held before it.
    pub fn restore(&mut self) -> String {
        let staying = (0..self.staying)
            .map(|number| traffic::encode(&["SET", &format!("s{number}"), traffic::STAYING]));
        let mut requests: String = staying.collect();
        for (key, id) in self.held.iter().enumerate().filter_map(|(key, it)| Some((key, it.0?))) {
            requests += &Command::Set(key, id).encode(false);
            // For this one.
            self.asked.remove(&id);
        }
        requests
    }

    /// Everything is forgotten.
    pub fn lost(&mut self, now: Stamp) {
        for (versions, held) in self.versions.iter_mut().zip(&mut self.held) {
            *held = (None, None);
            versions.push(by_nobody(now));
        }
    }

    /// Takes what the witness has seen up to now.
    pub fn observe(&mut self, now: Stamp) {
        for (versions, held) in self.versions.iter_mut().zip(&mut self.held) {
            if let Some(at) = held.1.filter(|&at| at <= now.at) {
                *held = (None, None);
                let since = Stamp { at, step: now.step };
                versions.push(by_nobody(since));
            }
        }
        for change in self.receiver.try_iter() {
            match change {
                Change::Asked(id) if self.asked.insert(id) => {}
                Change::Asked(id) => _ = self.asked_twice.insert(id),
                Change::Looked(looked) => {
                    for (key, held) in looked.into_iter().enumerate() {
                        if held.0 != self.held[key].0 {
                            let version = Version { value: held.0, since: now, known: None };
                            self.versions[key].push(version);
                        }
                        self.held[key] = held;
                    }
                }
            }
        }
    }
}

impl Witness {
    /// Looks at all keys.
    fn look(&mut self, out: &mut Outbox, now: Instant) {
        let ask = |key: usize| {
            let key = traffic::key(key);
            traffic::encode(&["GET", &key]) + &traffic::encode(&["PEXPIRETIME", &key])
        };
        let questions: String = (0..self.keys).map(ask).collect();
        let answers = probe(&mut self.server, out, questions.as_bytes(), now);
        let answers = String::from_utf8(answers).expect("all here is ASCII");
        let mut rest = answers.as_str();
        let mut next = || Reply::read(&mut rest).ok().flatten().expect("the server answers");
        let look = |_| {
            let value = next().value().expect("a value of ours");
            let expires = match next() {
                Reply::Number(unix @ 0..) => Some(out.clock.at(now).instant_of(unix as u64)),
                _ => None,
            };
            // To the millisecond, which need not be whole where `now` is not.
            let part = out.clock.unix(now).subsec_nanos() % 1_000_000;
            let expires = expires.map(|at| at - Duration::from_nanos(part.into()));
            (value, expires)
        };
        let looked = (0..self.keys).map(look).collect();
        self.changes.send(Change::Looked(looked)).expect("the truth is there");
    }

    /// What an old server answers to what it does not know.
    fn refusal(&self, words: &[&str]) -> Option<&'static str> {
        let asks_for = |name: &str, at: usize| {
            words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name))
        };
        if self.age == Age::Old && asks_for("HELLO", 0) {
            return Some("-ERR unknown command 'HELLO', with args beginning with: '3' \r\n");
        }
        let is_tracking = asks_for("CLIENT", 0) && asks_for("TRACKING", 1);
        (self.age != Age::New && is_tracking)
            .then_some("-ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.\r\n")
    }
}

fn only_reads(verb: &str) -> bool {
    let reads =
        ["GET", "MGET", "PTTL", "PING", "HELLO", "COMMAND", "CLIENT", "MULTI", "SCAN", "DUMP"];
    reads.iter().any(|name| verb.eq_ignore_ascii_case(name))
}

impl Handler for Witness {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        self.server.opened(out, conn, via, now);
    }

    /// Hands over one request after the other, each in two pieces.
    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        let mut next = self.server.received(out, conn, &mut Buffer::new(), now);
        while matches!(next, Next::Read(_)) {
            let text = std::str::from_utf8(input.bytes()).expect("all here is ASCII");
            let mut rest = text;
            let Some(words) = take_request(&mut rest) else { break };
            let length = text.len() - rest.len();
            if let Some(refusal) = self.refusal(&words)
                && let Some(output) = out.output(conn)
            {
                output.push(refusal.as_bytes());
                input.consume(length);
                continue;
            }
            if words[0] == "SET"
                && let Ok(id) = traffic::id_of(words[2])
            {
                self.changes.send(Change::Asked(id)).expect("the truth is there");
            }
            let only_reads = only_reads(words[0]);
            let mut piece = Buffer::new();
            piece.push(&input.bytes()[..length / 2]);
            self.server.received(out, conn, &mut piece, now);
            piece.push(&input.bytes()[length / 2..length]);
            next = self.server.received(out, conn, &mut piece, now);
            if !piece.is_empty() {
                return next;
            }
            input.consume(length);
            if !only_reads {
                self.look(out, now);
            }
        }
        next
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        self.server.input_ended(out, conn, now);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        self.server.timed_out(out, conn, now)
    }

    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) {
        self.server.closed(out, conn, why, now);
    }

    /// Late, each time by another while.
    fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.server.next_deadline()?;
        let passed = deadline.saturating_duration_since(self.began).as_nanos() as u64;
        Some(deadline + Random(passed).between(Duration::ZERO, self.lateness))
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.server.deadline_reached(out, now);
    }

    fn idle_timeout(&self) -> Duration {
        Duration::ZERO
    }

    fn expected_len(&self, _: ConnId) -> usize {
        0
    }

    fn wants_fresh_time(&self) -> bool {
        false
    }

    fn check_invariants(&self) {}
}
