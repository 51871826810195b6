//! How long a request waits while a table grows to 20 million keys.
//!
//! *From outside*: requests are due at times fixed beforehand, so many a second, and each is
//! charged from the time it was due until its reply was read. A program that stalls is so charged
//! for all that it delayed, also for what could not even be sent; and the load, if it is late
//! itself, shows that in a column of its own. Of each burst of eight requests, seven set new keys
//! and one gets a key that is there. Redis and memcached stand beside it, where they are installed.
//!
//! *From inside*: the server as the reactor calls it, over plain memory, with the processor time of
//! each call. Other programs make those longer only by what they leave in the caches.
//!
//! Both print tables of `docs/performance/tables.md`; `-- --csv=FILE` writes the figures there.
//! Words choose rows: `-- ticks`, `-- Larder`, `-- redis`.

mod support;

use larder::base::arena;
use larder::base::buffer::Buffer;
use larder::base::clock::WallClock;
use larder::handler::{ConnId, Handler, Next, Outbox, Via};
use larder::protocol::resp;
use larder::server::Server;
use larder::settings::Settings;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::time::ClockId;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use support::exchange::{Exchange, Verb};
use support::histogram::Histogram;
use support::load::{PATIENCE, READ_BYTES, connect};
use support::programs::{self, Program, VALUE_BYTES};
use support::report::{Report, micros};
use support::{Numbers, Selection, grouped, key};

const KEYS: usize = 20_000_000;
const PHASES: usize = 4;
/// Requests a second, in bursts that come one by one on the connections in turn: far below what the
/// slowest of the programs can do.
const RATE: usize = 200_000;
const BURST: usize = 8;
const CONNECTIONS: usize = 50;
/// Keys that are there from the beginning.
const FIRST_KEYS: usize = 1000;
/// What a tick of the loop brings at this rate, if the one before took a little.
const TICK: usize = 2 * BURST;

fn main() {
    // As the programs do; on any processor, since the bench leaves it no time on its own.
    thread::spawn(|| arena::keep_ready());
    programs::pin_bench();
    let selection = Selection::from_arguments();
    let keys = if selection.once() { 20_000 } else { KEYS };
    let mut report = Report::from_arguments();
    growth(&selection, &mut report, keys);
    ticks(&selection, &mut report, keys);
}

fn growth(selection: &Selection, report: &mut Report, keys: usize) {
    type Start = fn() -> Option<Program>;
    let programs: [(&str, Start); 3] = [
        ("Larder", || Some(Program::server())),
        ("redis-server", Program::redis),
        ("memcached", Program::memcached),
    ];
    let wanted: Vec<_> = programs.iter().filter(|(name, _)| selection.wants(name)).collect();
    if wanted.is_empty() {
        return;
    }
    let columns =
        ["program", "keys", "p50 µs", "p99 µs", "p99.9 µs", "longest µs", "load late, p99.9 µs"];
    report.table(2, &columns);
    for (_, start) in wanted {
        let Some(program) = start() else { continue };
        let mut clock = OpenLoop::new(&program);
        for phase in 0..PHASES {
            let until = keys / PHASES * (phase + 1);
            let Phase { latencies, lateness } = clock.grow_to(until);
            let of = |share| micros(latencies.quantile(share));
            let longest = micros(latencies.longest());
            let late = micros(lateness.quantile(0.999));
            let figures = [of(0.5), of(0.99), of(0.999), longest, late];
            let size = format!("up to {}", grouped(until as u64));
            let named: Vec<_> = columns[2..].iter().copied().zip(figures).collect();
            report.raw("growth", &format!("{}, {size}", program.name), 1, &named);
            let mut cells = vec![program.name.clone(), size];
            cells.extend(figures.map(|figure| grouped(figure as u64)));
            report.row(&cells);
        }
    }
}

/// Clients whose requests are due by the clock, whatever the program does.
struct OpenLoop {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    set: Exchange,
    get: Exchange,
    numbers: Numbers,
    bursts: usize,
    /// The keys that were set so far, and how many of them are certainly there.
    keys: usize,
    present: usize,
    scratch: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    output: Vec<u8>,
    /// When each request was due whose reply has not come yet, and what is still to come of it.
    waiting: VecDeque<(Instant, usize)>,
}

/// What came of some of the growth.
#[derive(Default)]
struct Phase {
    latencies: Histogram,
    /// How much later than due the load itself came to send a request.
    lateness: Histogram,
}

impl OpenLoop {
    fn new(program: &Program) -> OpenLoop {
        program.fill(FIRST_KEYS, VALUE_BYTES);
        let poll = Poll::new().expect("the system has a poll");
        let clients = (0..CONNECTIONS).map(|number| {
            let mut stream = connect(program.address);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = poll.registry().register(&mut stream, Token(number), interest);
            registered.expect("the system has room for it");
            Client { stream, output: Vec::new(), waiting: VecDeque::new() }
        });
        OpenLoop {
            clients: clients.collect(),
            poll,
            events: Events::with_capacity(1024),
            set: Exchange::new(program.form, Verb::Set, VALUE_BYTES, 1),
            get: Exchange::new(program.form, Verb::Get, VALUE_BYTES, 1),
            numbers: Numbers(1),
            bursts: 0,
            keys: FIRST_KEYS,
            present: FIRST_KEYS,
            scratch: vec![0; READ_BYTES],
        }
    }

    /// Goes on until there are so many keys, and all is answered.
    fn grow_to(&mut self, keys: usize) -> Phase {
        let mut phase = Phase::default();
        let (start, first) = (Instant::now(), self.bursts);
        let mut answered = start;
        loop {
            let now = Instant::now();
            let nanoseconds = (self.bursts - first) * BURST * 1_000_000_000 / RATE;
            let due = start + Duration::from_nanos(nanoseconds as u64);
            if self.keys < keys && due <= now {
                phase.lateness.record(now - due, 1);
                self.send_burst(due);
            }
            let before = phase.latencies.total();
            self.take_replies(&mut phase.latencies);
            if phase.latencies.total() > before {
                answered = now;
            }
            if self.keys >= keys && self.clients.iter().all(|client| client.waiting.is_empty()) {
                self.present = self.keys;
                return phase;
            }
            assert!(now - answered < PATIENCE, "no answer any more");
        }
    }

    fn send_burst(&mut self, due: Instant) {
        let turn = self.bursts % self.clients.len();
        let client = &mut self.clients[turn];
        self.bursts += 1;
        for _ in 1..BURST {
            self.set.set_keys(|| self.keys);
            self.keys += 1;
            client.ask(&self.set, due);
        }
        self.get.set_keys(|| self.numbers.below(self.present));
        client.ask(&self.get, due);
        client.send();
    }

    /// Reads what has come, without waiting for it.
    fn take_replies(&mut self, latencies: &mut Histogram) {
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).expect("the poll stands");
        for event in &self.events {
            let client = &mut self.clients[event.token().0];
            if event.is_writable() {
                client.send();
            }
            if event.is_readable() {
                client.receive(&mut self.scratch, latencies);
            }
        }
    }
}

impl Client {
    fn ask(&mut self, exchange: &Exchange, due: Instant) {
        self.output.extend_from_slice(&exchange.request);
        self.waiting.push_back((due, exchange.reply.len()));
    }

    fn send(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => _ = self.output.drain(..count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the program does not read: {error}"),
            }
        }
    }

    /// Replies are told apart by their lengths: all requests succeed.
    fn receive(&mut self, scratch: &mut [u8], latencies: &mut Histogram) {
        loop {
            let mut count = match self.stream.read(scratch) {
                Ok(0) => panic!("the program closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the program does not answer: {error}"),
            };
            let (now, whole) = (Instant::now(), count == scratch.len());
            while count > 0 {
                let (due, missing) = self.waiting.front_mut().expect("no reply comes unasked");
                let taken = count.min(*missing);
                count -= taken;
                *missing -= taken;
                if *missing == 0 {
                    latencies.record(now - *due, 1);
                    self.waiting.pop_front();
                }
            }
            if !whole {
                return;
            }
        }
    }
}

fn ticks(selection: &Selection, report: &mut Report, keys: usize) {
    let columns = ["ticks", "calls", "p50 µs", "p99.9 µs", "the five longest, µs", "in all, s"];
    let wants = |what: &str| selection.wants(&format!("ticks, {what}"));
    let [grow, delete] = ["growth by SET", "DEL of all"];
    let [lease, expire] = ["growth with deadlines", "all expire in a second"];
    let [flush, after] = ["FLUSHALL", "after FLUSHALL"];
    if ![grow, delete, lease, expire, flush, after].into_iter().any(wants) {
        return;
    }
    report.table(1, &columns);
    let mut print = |name: &str, ticks: &Ticks| {
        if wants(name) {
            ticks.print(report, &format!("{name}, {} keys", grouped(keys as u64)));
        }
    };
    let set = |number: usize| request(&[b"SET", &key(number), VALUE]);
    if wants(grow) || wants(delete) {
        let mut inside = Inside::new();
        print(grow, &inside.requests(keys, set));
        // In no order: a step that has no divisor in common with the number of keys meets them all.
        let other = |number: usize| key((number * 7_368_787) % keys);
        print(delete, &inside.requests(keys, |number| request(&[b"DEL", &other(number)])));
    }
    if wants(lease) || wants(expire) {
        let mut inside = Inside::new();
        let until = inside.unix_millis() + 3_600_000;
        let set = |number: usize| {
            let at = (until + number as u64 % 1000).to_string();
            request(&[b"SET", &key(number), VALUE, b"PXAT", at.as_bytes()])
        };
        print(lease, &inside.requests(keys, set));
        print(expire, &inside.deadlines());
    }
    if wants(flush) || wants(after) {
        let mut inside = Inside::new();
        inside.requests(keys, set);
        print(flush, &inside.requests(1, |_| request(&[b"FLUSHALL"])));
        print(after, &inside.deadlines());
    }
}

const VALUE: &[u8] = &[b'v'; VALUE_BYTES];

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Buffer::new();
    resp::push_request(&mut out, words);
    out.bytes().to_vec()
}

/// A server in plain memory, with one client. Its clock goes only when it is told.
struct Inside {
    server: Server,
    out: Outbox,
    conn: ConnId,
    input: Buffer,
    now: Instant,
}

/// The processor time of each tick.
#[derive(Default)]
struct Ticks {
    all: Histogram,
    in_all: Duration,
    /// The five longest, longest first.
    longest: Vec<Duration>,
}

impl Inside {
    fn new() -> Inside {
        let now = Instant::now();
        let mut out = Outbox::new(WallClock::new(now, Duration::from_secs(1_800_000_000)));
        let mut server = Server::new(Settings::default(), now);
        let conn = out.admit();
        server.opened(&mut out, conn, Via::Listener(([127, 0, 0, 1], 1).into()), now);
        Inside { server, out, conn, input: Buffer::with_capacity(64 * 1024), now }
    }

    fn unix_millis(&self) -> u64 {
        self.out.clock.at(self.now).unix_millis
    }

    /// Carries out so many requests, [`TICK`] at a time.
    fn requests(&mut self, count: usize, request: impl Fn(usize) -> Vec<u8>) -> Ticks {
        let mut ticks = Ticks::default();
        for first in (0..count).step_by(TICK) {
            for number in first..(first + TICK).min(count) {
                self.input.push(&request(number));
            }
            self.now += Duration::from_nanos(1_000_000_000 / RATE as u64 * TICK as u64);
            ticks.time(|| {
                if self.server.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.server.deadline_reached(&mut self.out, self.now);
                }
                let (out, input) = (&mut self.out, &mut self.input);
                let next = self.server.received(out, self.conn, input, self.now);
                assert!(matches!(next, Next::Read(_)), "it waits for nobody: {next:?}");
            });
            self.check_replies();
        }
        ticks
    }

    /// What is left to do while no requests come: from one deadline to the next, until there is
    /// none.
    fn deadlines(&mut self) -> Ticks {
        let mut ticks = Ticks::default();
        while let Some(deadline) = self.server.next_deadline() {
            self.now = self.now.max(deadline);
            let work = || self.server.deadline_reached(&mut self.out, self.now);
            let took = ticks.time(work);
            self.now += took;
        }
        ticks
    }

    /// Every request was carried out: `+OK` or `:1`, and no error.
    fn check_replies(&mut self) {
        while let Some(conn) = self.out.pop_touched() {
            let output = self.out.pending(conn).expect("it is open");
            let lines = output.plain().bytes().split(|&byte| byte == b'\n');
            let fine = |line: &[u8]| matches!(line, b"+OK\r" | b":1\r" | b"");
            assert!(lines.into_iter().all(fine), "{}", output.plain().bytes().escape_ascii());
            output.clear();
            self.out.drained(conn);
        }
    }
}

impl Ticks {
    fn time(&mut self, work: impl FnOnce()) -> Duration {
        let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
        let time = || Duration::from(clock.now().expect("every system of today has this clock"));
        let start = time();
        work();
        let took = time() - start;
        self.all.record(took, 1);
        self.in_all += took;
        if self.longest.len() < 5 || took > self.longest[4] {
            let at = self.longest.partition_point(|&longer| longer > took);
            self.longest.insert(at, took);
            self.longest.truncate(5);
        }
        took
    }

    fn print(&self, report: &mut Report, name: &str) {
        let of = |share| micros(self.all.quantile(share));
        let longest: Vec<String> =
            self.longest.iter().map(|&time| grouped(micros(time) as u64)).collect();
        report.row(&[
            name.to_string(),
            grouped(self.all.total()),
            format!("{:.1}", of(0.5)),
            format!("{:.1}", of(0.999)),
            longest.join(", "),
            format!("{:.1}", self.in_all.as_secs_f64()),
        ]);
        let figures = [("p50 µs", of(0.5)), ("p99.9 µs", of(0.999))];
        report.raw("ticks", name, 1, &figures);
        for (rank, time) in self.longest.iter().enumerate() {
            report.raw("ticks", name, 1, &[(&format!("longest {}, µs", rank + 1), micros(*time))]);
        }
    }
}
