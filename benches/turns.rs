//! The longest turn of each command that takes long, in the processor's time of the thread: beside
//! one million keys, and beside twenty.
//!
//! ```sh
//! cargo bench --bench turns                 # both
//! cargo bench --bench turns -- "KEYS"       # some rows
//! ```

mod support;

use larder::base::buffer::{Buffer, SCRATCH_BYTES};
use larder::base::clock::WallClock;
use larder::handler::{ConnId, Handler, Next, Outbox, Via};
use larder::protocol::resp;
use larder::server::Server;
use larder::settings::Settings;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{Selection, grouped, processor_time};

const SIZES: [usize; 2] = [1_000_000, 20_000_000];

/// Words of the requests with many keys.
const NAMED: usize = 100_000;

struct Stage {
    server: Server,
    out: Outbox,
    now: Instant,
    conn: ConnId,
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Buffer::new();
    resp::push_request(&mut bytes, words);
    bytes.bytes().to_vec()
}

fn key(number: usize) -> String {
    format!("key:{:010}", number * 7919 % 100_000_000)
}

impl Stage {
    fn new() -> Stage {
        let now = Instant::now();
        let mut server = Server::new(Settings::default(), now);
        let mut out = Outbox::new(WallClock::new(now, Duration::from_secs(1_000_000)));
        let conn = out.admit();
        server.opened(&mut out, conn, Via::Listener(SocketAddr::from(([127, 0, 0, 1], 1))), now);
        Stage { server, out, now, conn }
    }

    fn fill(&mut self, from: usize, to: usize) -> Duration {
        let mut longest = Duration::ZERO;
        for at in (from..to).step_by(2000) {
            let sets = |number| request(&[b"SET", key(number).as_bytes(), b"0123456789abcdef"]);
            let sets: Vec<u8> = (at..(at + 2000).min(to)).flat_map(sets).collect();
            longest = longest.max(self.longest_turn(&sets).0);
        }
        longest
    }

    /// Serves a pipeline. Returns the longest turn, and their number.
    fn longest_turn(&mut self, pipeline: &[u8]) -> (Duration, usize) {
        let mut reads = pipeline.chunks(SCRATCH_BYTES);
        let mut input = Buffer::new();
        input.push(reads.next().unwrap_or_default());
        let (mut longest, mut turns) = (Duration::ZERO, 0);
        loop {
            let begin = processor_time();
            let next = self.server.received(&mut self.out, self.conn, &mut input, self.now);
            longest = longest.max(processor_time() - begin);
            turns += 1;
            if let Some(output) = self.out.pending(self.conn) {
                output.clear();
            }
            if next != Next::Drain {
                let Some(bytes) = reads.next() else { return (longest, turns) };
                input.push(bytes);
            }
        }
    }

    /// Removes what has expired. Returns the longest turn, and their number.
    fn longest_sweep(&mut self) -> (Duration, usize) {
        let (mut longest, mut turns) = (Duration::ZERO, 0);
        while self.server.next_deadline().is_some_and(|at| at <= self.now) {
            let begin = processor_time();
            self.server.deadline_reached(&mut self.out, self.now);
            longest = longest.max(processor_time() - begin);
            turns += 1;
        }
        (longest, turns)
    }
}

/// The rows: what is served, in their order.
fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let heavy = [b"*".to_vec(), b"?".repeat(1000), b"b*".to_vec()].concat();
    let many = |verb: &'static str, with_values: bool| {
        let keys = (0..NAMED).map(key);
        let words = keys
            .flat_map(|key| [key, "v".to_string()].into_iter().take(1 + usize::from(with_values)));
        let words: Vec<String> = std::iter::once(verb.to_string()).chain(words).collect();
        request(&words.iter().map(String::as_bytes).collect::<Vec<_>>())
    };
    vec![
        (
            "GETs in lines",
            (0..5000).flat_map(|n| format!("GET {}\r\n", key(n * 17)).into_bytes()).collect(),
        ),
        (
            "SETs in lines",
            (0..5000).flat_map(|n| format!("SET {} v\r\n", key(n * 13)).into_bytes()).collect(),
        ),
        ("KEYS *:9999*", request(&[b"KEYS", b"*:9999*"])),
        ("KEYS *", request(&[b"KEYS", b"key:00*"])),
        ("KEYS, the longest pattern", request(&[b"KEYS", &heavy])),
        ("SCAN COUNT 1000000", request(&[b"SCAN", b"0", b"COUNT", b"1000000"])),
        ("SCAN, 60 in a pipeline", request(&[b"SCAN", b"0", b"COUNT", b"1000"]).repeat(60)),
        ("DUMP PAIRS in text", b"DUMP PAIRS\r\n".to_vec()),
        ("RANDOMKEY, 1000 in a pipeline", request(&[b"RANDOMKEY"]).repeat(1000)),
        ("MGET", many("MGET", false)),
        ("MSET", many("MSET", true)),
        ("EXISTS", many("EXISTS", false)),
        ("DEL", many("DEL", false)),
        ("COMMAND DOCS", request(&[b"COMMAND", b"DOCS"])),
        ("COMMAND, 60 in a pipeline", request(&[b"COMMAND"]).repeat(60)),
        ("INFO, 60 in a pipeline", request(&[b"INFO"]).repeat(60)),
    ]
}

fn print(name: &str, (longest, turns): (Duration, usize)) {
    println!(
        "{name:<42}{:>10} µs{:>12} turns",
        grouped(longest.as_micros() as u64),
        grouped(turns as u64)
    );
}

fn main() {
    let selection = Selection::from_arguments();
    let sizes = if selection.once() { &[20_000][..] } else { &SIZES[..] };
    let mut stage = Stage::new();
    let mut filled = 0;
    for &size in sizes {
        println!("longest turn, {} keys", grouped(size as u64));
        let longest = stage.fill(filled, size);
        print("SETs of new keys", (longest, (size - filled).div_ceil(2000)));
        filled = size;
        for (name, pipeline) in rows() {
            if selection.wants(name) {
                let turns = stage.longest_turn(&pipeline);
                print(name, turns);
            }
        }
        let expiring: Vec<u8> = (0..NAMED)
            .flat_map(|n| request(&[b"SET", key(n).as_bytes(), b"v", b"PX", b"5"]))
            .collect();
        stage.longest_turn(&expiring);
        stage.now += Duration::from_secs(1);
        print("expiry", stage.longest_sweep());
        // The heavy pattern on long keys.
        for number in 0..20 {
            let long = [&[b'a'; 65_000][..], number.to_string().as_bytes()].concat();
            stage.longest_turn(&request(&[b"SET", &long, b"v"]));
        }
        let heavy = [b"*".to_vec(), b"?".repeat(1000), b"b*".to_vec()].concat();
        print(
            "KEYS, the longest pattern and keys",
            stage.longest_turn(&request(&[b"KEYS", &heavy])),
        );
        stage.fill(0, NAMED);
    }
    print("FLUSHALL", stage.longest_turn(&request(&[b"FLUSHALL"])));
    print("what FLUSHALL has left", stage.longest_sweep());
}
