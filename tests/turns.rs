//! No client holds the loop: each command of the table at its worst, and pipelines of middling
//! ones, beside a client that sends `PING`. Each turn of the handler is held to its work, which the
//! server counts, and far more loosely to the processor's time, in case something is not counted.

use larder::base::buffer::{Buffer, SCRATCH_BYTES};
use larder::base::clock::WallClock;
use larder::handler::{ConnId, Handler, Next, Outbox, Via};
use larder::protocol::command::{Access, Command, TABLE, Verb};
use larder::server::Server;
use larder::settings::Settings;
use larder::settings::limits::{LOW_WATER, Limits};
use nix::time::ClockId;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The work of a turn, and of the request that passes it.
const MOST_WORK: usize = 1_000_000;

/// More than a turn takes without optimisation on a slow machine; without slices, most of these
/// commands take longer.
const MOST_TIME: Duration = Duration::from_millis(100);

/// A server in memory, with clients.
struct Stage {
    server: Server,
    out: Outbox,
    now: Instant,
    pinger: ConnId,
}

/// What became of a request, or of a pipeline.
struct Served {
    reply: Vec<u8>,
    turns: usize,
}

fn processor_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("a clock of the system").into()
}

fn resp(words: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

impl Stage {
    fn new() -> Stage {
        let now = Instant::now();
        let limits = Limits { max_connections: 20_000, ..Limits::default() };
        let server = Server::new(Settings { limits, ..Settings::default() }, now);
        let mut out = Outbox::new(WallClock::new(now, Duration::from_secs(1_000_000)));
        let pinger = out.admit();
        let mut stage = Stage { server, out, now, pinger };
        stage.server.opened(&mut stage.out, pinger, VIA, now);
        stage
    }

    fn connect(&mut self) -> ConnId {
        let conn = self.out.admit();
        self.server.opened(&mut self.out, conn, VIA, self.now);
        conn
    }

    /// Takes what was written for a client.
    fn take(&mut self, conn: ConnId) -> Vec<u8> {
        let Some(output) = self.out.pending(conn) else { return Vec::new() };
        let bytes = output.to_vec();
        output.clear();
        bytes
    }

    /// Sends a pipeline, and has the other client served between its turns.
    #[track_caller]
    fn serve(&mut self, conn: ConnId, name: &str, pipeline: &[u8]) -> Served {
        let mut input = Buffer::new();
        let mut reads = pipeline.chunks(SCRATCH_BYTES);
        input.push(reads.next().unwrap_or_default());
        let mut served = Served { reply: Vec::new(), turns: 0 };
        loop {
            let begin = processor_time();
            let next = self.server.received(&mut self.out, conn, &mut input, self.now);
            let took = processor_time() - begin;
            served.turns += 1;
            let work = self.server.work_of_turn();
            assert!(work <= MOST_WORK, "{name}: turn {} did {work}", served.turns);
            assert!(took <= MOST_TIME, "{name}: turn {} took {took:?}", served.turns);
            served.reply.extend(self.take(conn));
            let mut ping = Buffer::new();
            ping.push(b"PING\r\n");
            self.server.received(&mut self.out, self.pinger, &mut ping, self.now);
            let answers = self.take(self.pinger);
            assert!(answers.ends_with(b"PONG\r\n"), "{name}: no answer to PING");
            self.server.deadline_reached(&mut self.out, self.now);
            match next {
                Next::Drain => assert!(served.turns < 100_000, "{name} does not end"),
                Next::Read(_) => match reads.next() {
                    Some(bytes) => input.push(bytes),
                    None => break,
                },
                Next::Wait => break,
            }
        }
        assert!(self.out.unsent(conn) < LOW_WATER);
        served
    }

    fn fill(&mut self, keys: usize) {
        let conn = self.connect();
        for at in (0..keys).step_by(1000) {
            let lines: String =
                (at..at + 1000).map(|n| format!("SET key:{n:08} value{n}\r\n")).collect();
            self.serve(conn, "filling", lines.as_bytes());
        }
    }
}

const VIA: Via = Via::Listener(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

const KEYS: usize = 100_000;
const NAMED: usize = 60_000;

/// A pattern of the greatest length, at which every byte of a key takes the most steps.
fn heavy_pattern() -> Vec<u8> {
    [b"*".to_vec(), b"?".repeat(1000), b"b*".to_vec()].concat()
}

/// The request for a command that takes longest, and the least number of turns for it.
fn worst(command: &Command) -> (Vec<u8>, usize) {
    let (container, name) = command.split_name();
    let mut words: Vec<Vec<u8>> = vec![container.into()];
    words.extend(Some(name.into()).filter(|name: &Vec<u8>| !name.is_empty()));
    let mut turns = 1;
    let keys = (0..NAMED).map(|n| format!("key:{n:08}").into_bytes());
    match command.verb {
        Verb::Keys => (words, turns) = ([words, vec![heavy_pattern()]].concat(), 20),
        Verb::Scan => {
            let options: [&[u8]; 5] = [b"0", b"COUNT", b"1000000", b"MATCH", &heavy_pattern()];
            words.extend(options.map(<[u8]>::to_vec));
        }
        Verb::Dump => (words, turns) = ([words, vec![b"PAIRS".to_vec()]].concat(), 20),
        Verb::Mset => {
            words.extend(keys.flat_map(|key| [key, b"v".to_vec()]));
            turns = 20;
        }
        Verb::Mget | Verb::Del | Verb::Unlink | Verb::Exists | Verb::Touch => {
            words.extend(keys);
            turns = 20;
        }
        Verb::ClientList => turns = 10,
        _ => {
            let least = usize::from(command.arity.unsigned_abs());
            let number = |n| format!("{}", 1 + n % 2).into_bytes();
            words.extend((words.len()..least).map(number));
        }
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    (resp(&words), turns)
}

#[test]
fn every_command_at_its_worst_leaves_others_their_turns() {
    let mut stage = Stage::new();
    for _ in 0..10_000 {
        stage.connect();
    }
    stage.fill(KEYS);
    let conn = stage.connect();
    for number in 0..10 {
        let key = [&b"a".repeat(65_000)[..], number.to_string().as_bytes()].concat();
        stage.serve(conn, "a long key", &resp(&[b"SET", &key, b"v"]));
    }
    let last = [Verb::Del, Verb::Unlink, Verb::Flushdb, Verb::Flushall];
    let is_left_out = |row: &&Command| {
        row.is_container() || row.access == Access::Transaction || row.verb == Verb::ClientKill
    };
    let (late, early): (Vec<_>, Vec<_>) =
        TABLE.iter().filter(|row| !is_left_out(row)).partition(|row| last.contains(&row.verb));
    for row in early.into_iter().chain(late) {
        let conn = stage.connect();
        let (request, least) = worst(row);
        let served = stage.serve(conn, row.name, &request);
        assert!(served.turns >= least, "{}: {} turns", row.name, served.turns);
        assert!(!served.reply.is_empty() || row.verb == Verb::ClientReply, "{}", row.name);
        stage.server.closed(&mut stage.out, conn, larder::handler::CloseReason::Closed, stage.now);
        stage.out.release(conn);
    }
    stage.server.check_invariants();
}

#[test]
fn a_reply_in_slices_is_whole() {
    let mut stage = Stage::new();
    stage.fill(20_000);
    let conn = stage.connect();
    let names: Vec<String> = (0..20_000).map(|n| format!("key:{n:08}")).collect();
    let words = |verb: &str| {
        let words = std::iter::once(verb).chain(names.iter().map(String::as_str));
        resp(&words.map(str::as_bytes).collect::<Vec<_>>())
    };
    let text = |served: &Served| String::from_utf8_lossy(&served.reply).into_owned();
    for request in ["KEYS *", "KEYS key:*", "KEYS *0?0*", "DUMP"] {
        let request = request.split(' ').map(str::as_bytes).collect::<Vec<_>>();
        let reply = text(&stage.serve(conn, "a walk", &resp(&request)));
        let mut lines = reply.lines();
        let count: usize = lines.next().and_then(|it| it[1..].parse().ok()).expect("a head");
        let mut keys: Vec<&str> = lines.skip(1).step_by(2).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
        let expected = names.iter().filter(|name| {
            let bytes = name.as_bytes();
            request[1..] != [&b"*0?0*"[..]]
                || bytes.windows(3).any(|it| it[0] == b'0' && it[2] == b'0')
        });
        assert_eq!(keys.len(), expected.count());
    }
    let before = [resp(&[b"GET", b"key:00000007"]), words("EXISTS"), b"PING\r\n".to_vec()].concat();
    assert_eq!(text(&stage.serve(conn, "EXISTS", &before)), "$6\r\nvalue7\r\n:20000\r\nPONG\r\n");
    let reply = text(&stage.serve(conn, "MGET", &words("MGET")));
    let values: String = (0..20_000)
        .map(|n| format!("value{n}"))
        .map(|value| format!("${}\r\n{value}\r\n", value.len()))
        .collect();
    assert_eq!(reply, format!("*20000\r\n{values}"));
    assert_eq!(text(&stage.serve(conn, "MSET", &words("MSET"))), "+OK\r\n");
    assert_eq!(text(&stage.serve(conn, "GET", b"GET key:00000000\r\n")), "key:00000001\r\n");
    let quiet = [resp(&[b"CLIENT", b"REPLY", b"SKIP"]), words("DEL"), b"PING\r\n".to_vec()];
    assert_eq!(text(&stage.serve(conn, "DEL", &quiet.concat())), "PONG\r\n");
    assert_eq!(text(&stage.serve(conn, "DBSIZE", &resp(&[b"DBSIZE"]))), ":0\r\n");
}

#[test]
fn a_pipeline_of_middling_requests_yields() {
    let mut stage = Stage::new();
    stage.fill(KEYS);
    let conn = stage.connect();
    let keys = resp(&[b"KEYS", b"*:9999*"]).repeat(60);
    let served = stage.serve(conn, "60 KEYS", &keys);
    assert!(served.turns >= 60, "{}", served.turns);
    let scans = resp(&[b"SCAN", b"0", b"COUNT", b"1000"]).repeat(60);
    let served = stage.serve(conn, "60 SCANs", &scans);
    assert!(served.turns >= 10, "{}", served.turns);
    let lines = b"GET key:00000001\r\n".repeat(3000);
    let served = stage.serve(conn, "3000 GETs", &lines);
    assert_eq!((served.turns, served.reply.len()), (2, 3000 * 8));
}

#[test]
fn a_transaction_is_whole_and_bounded() {
    let mut stage = Stage::new();
    stage.fill(20_000);
    let conn = stage.connect();
    let names: Vec<String> = (0..2000).map(|n| format!("key:{n:08}")).collect();
    let del: Vec<&[u8]> =
        [&b"DEL"[..]].into_iter().chain(names.iter().map(|it| it.as_bytes())).collect();
    let block = [
        resp(&[b"MULTI"]),
        resp(&del),
        resp(&[b"KEYS", b"key:00001*"]),
        resp(&[b"DBSIZE"]),
        resp(&[b"EXEC"]),
    ];
    let mut input = Buffer::new();
    input.push(&block.concat());
    stage.server.received(&mut stage.out, conn, &mut input, stage.now);
    let reply = String::from_utf8_lossy(&stage.take(conn)).into_owned();
    assert!(reply.ends_with("*3\r\n:2000\r\n*0\r\n:18000\r\n"), "{reply}");

    // Words of all requests together have the bound of one request.
    let request = resp(&vec![&b"DEL"[..]; 1000]);
    stage.serve(conn, "MULTI", &resp(&[b"MULTI"]));
    for _ in 0..1048 {
        let reply = stage.serve(conn, "DEL in MULTI", &request).reply;
        assert_eq!(reply, b"+QUEUED\r\n");
    }
    let reply = stage.serve(conn, "DEL in MULTI", &request).reply;
    assert_eq!(reply, b"-ERR transaction too large\r\n");
    stage.serve(conn, "DISCARD", &resp(&[b"DISCARD"]));

    // Walks share a bound.
    stage.serve(conn, "MULTI", &resp(&[b"MULTI"]));
    for _ in 0..100 {
        stage.serve(conn, "KEYS in MULTI", &resp(&[b"KEYS", b"none"]));
    }
    let mut input = Buffer::new();
    input.push(&resp(&[b"EXEC"]));
    stage.server.received(&mut stage.out, conn, &mut input, stage.now);
    let reply = String::from_utf8_lossy(&stage.take(conn)).into_owned();
    let refused = "-ERR too many keys for a transaction, use SCAN\r\n";
    assert!(reply.starts_with("*100\r\n*0\r\n") && reply.ends_with(refused), "{reply}");
}
