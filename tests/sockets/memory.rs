//! `--max-memory`: what the server counts is what the process takes, and beyond the limit nothing
//! more is stored, while all else goes on.

use crate::support::process::{Client, Process, proxy, server};
use crate::support::random::Random;
use crate::support::resp::resp_request;
use crate::support::seed;
use crate::support::tools::{resident_memory, stat, stats, wait_until};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: u64 = 128 << 20;
const REFUSED: &str = "ERR out of memory: nothing is stored until some is free";

fn limited() -> Process {
    server(&["--max-memory", "128MiB"])
}

/// Sets keys of these numbers to values of the lengths that `length` gives, and says how many it
/// was let.
fn fill(
    client: &mut Client,
    numbers: std::ops::Range<usize>,
    length: &mut dyn FnMut() -> usize,
) -> usize {
    let mut stored = 0;
    for numbers in numbers.collect::<Vec<_>>().chunks(64) {
        let set = |number: &usize| format!("SET key{number} {}\r\n", "v".repeat(length()));
        client.send(numbers.iter().map(set).collect::<String>());
        for reply in client.lines(numbers.len()) {
            assert!(reply == "OK" || reply == REFUSED, "{reply}");
            stored += usize::from(reply == "OK");
        }
    }
    stored
}

/// Fills it until nothing more is taken; the number of keys that were tried.
fn fill_up(client: &mut Client, length: &mut dyn FnMut() -> usize) -> usize {
    let mut tried = 0;
    while fill(client, tried..tried + 64, length) > 0 {
        tried += 64;
    }
    tried + 64
}

/// Lowers the limit to a little less than is in use.
fn run_out(client: &mut Client) {
    assert_eq!(resp(client, "CONFIG SET max-memory 0"), "+OK");
    fill(client, 1_000_000..1_000_256, &mut || 100_000);
    let limit = stat(client, "memory_bytes") / 20 * 19;
    assert_eq!(resp(client, &format!("CONFIG SET max-memory {limit}")), "+OK");
}

/// What the server counts, which must be what the system says, and no more than it may be.
#[track_caller]
fn check_memory(process: &Process, client: &mut Client, when: &str) {
    let stats = stats(client);
    let (counted, real) = (stats["memory_bytes"] as f64, resident_memory(process.id()) as f64);
    let (mebibytes, share) = (counted / 1048576., counted / real);
    println!("{when}: counted {mebibytes:.1} MiB, of the system's {share:.3}");
    assert!((0.9..=1.1).contains(&share), "{when}: {counted} counted, {real} taken");
    assert!(real <= 1.1 * LIMIT as f64, "{when}: {real} taken");
}

#[test]
fn memory_is_counted_as_it_is_taken_and_limited() {
    let mut random = Random(seed());
    let mut mixed = move || [20, 500, 5_000, 20_000, 100_000][random.below(5)];
    let lengths: [(&str, &mut dyn FnMut() -> usize); 4] = [
        ("small values", &mut || 400),
        ("values beyond a page", &mut || 20_000),
        ("large values", &mut || 1_000_000),
        ("values of all lengths", &mut mixed),
    ];
    for (what, length) in lengths {
        let process = limited();
        let mut client = process.client();
        let tried = fill_up(&mut client, length);
        check_memory(&process, &mut client, what);
        assert!(stat(&mut client, "memory_bytes") > LIMIT / 100 * 90, "{what}: refused too early");
        assert!(stat(&mut client, "out_of_memory") >= 64);

        assert!(client.ask("GET key0").starts_with("vv"), "{what}: reads go on");
        client
            .send((0..tried).step_by(2).map(|key| format!("DEL key{key}\r\n")).collect::<String>());
        client.lines(tried.div_ceil(2));
        let some = tried / 8;
        let stored = fill(&mut client, tried..tried + some, length);
        assert_eq!(stored, some, "{what}: what was deleted makes room");
        client.send("*1\r\n$8\r\nFLUSHALL\r\n");
        assert_eq!(client.line(), "+OK");
        assert_eq!(client.ask("SET at once"), "OK", "{what}: what was cleared makes room");
    }
}

#[test]
fn each_way_to_store_is_refused_and_each_way_out_stays_open() {
    let upstream = server(&[]);
    let front = proxy(upstream.address(), &[]);
    let mut client = upstream.client();
    assert_eq!(client.ask("SET number 7"), "OK");
    run_out(&mut client);
    for process in [&upstream, &front] {
        let mut client = process.client();
        for line in ["SET new value", "PUT new value", "SET number 8"] {
            assert_eq!(client.ask(line), REFUSED);
        }
        // All others stand in `tests/max_memory.rs`.
        assert_eq!(resp(&mut client, "APPEND number 8"), REFUSED.replace("ERR", "-OOM"));
        for (request, reply) in [
            ("EXPIRE number 1000", ":1"),
            ("PERSIST number", ":1"),
            ("RENAME number digit", "+OK"),
            ("RENAME digit number", "+OK"),
            ("STRLEN number", ":1"),
            ("EXISTS number new", ":1"),
            (&format!("EXISTS{}", " number".repeat(20_000)), ":20000"),
            (&format!("DEL{}", " nothing".repeat(20_000)), ":0"),
        ] {
            assert_eq!(resp(&mut client, request), reply, "{request}");
        }
        assert_eq!(client.ask("GET number"), "7");
    }
    assert_eq!(resp(&mut client, "CONFIG SET maxmemory 0"), "+OK");
    assert_eq!(client.ask("SET new value"), "OK");
    run_out(&mut client);
    assert_eq!(client.ask("SET new value"), REFUSED);
    assert_eq!(client.ask("DEL number"), "OK");
}

#[test]
fn a_transaction_that_stores_is_refused_as_a_whole() {
    let process = limited();
    let mut client = process.client();
    assert_eq!(client.ask("SET number 7"), "OK");
    for (request, reply) in
        [("MULTI", "+OK"), ("DEL number", "+QUEUED"), ("SET new value", "+QUEUED")]
    {
        assert_eq!(resp(&mut client, request), reply);
    }
    let mut other = process.client();
    run_out(&mut other);
    let aborted = REFUSED.replace("ERR", "-EXECABORT Transaction discarded because of: OOM");
    assert_eq!(resp(&mut client, "EXEC"), aborted);
    assert_eq!(client.ask("GET number"), "7");

    assert_eq!(resp(&mut client, "MULTI"), "+OK");
    assert_eq!(resp(&mut client, "SET new value"), REFUSED.replace("ERR", "-OOM"));
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(resp(&mut client, "EXEC"), aborted);
    for (request, reply) in [("MULTI", "+OK"), ("DEL number", "+QUEUED"), ("EXEC", "*1")] {
        assert_eq!(resp(&mut client, request), reply);
    }
    assert_eq!(client.line(), ":1");
}

/// A transaction is checked before, when there is memory enough, and again at each of its requests.
#[test]
fn a_transaction_stops_to_store_where_its_memory_ends() {
    let process = server(&["--max-memory", "64MiB"]);
    let mut client = process.client();
    // What is queued is memory, too: it and the values are more than there is.
    let tail = "v".repeat(500_000);
    assert_eq!(resp(&mut client, "MULTI"), "+OK");
    for number in 0..60 {
        assert_eq!(resp(&mut client, &format!("APPEND key{} {tail}", number % 4)), "+QUEUED");
    }
    assert_eq!(resp(&mut client, "EXEC"), "*60");
    let refused = REFUSED.replace("ERR", "-OOM");
    let (stored, others): (Vec<_>, Vec<_>) =
        client.lines(60).into_iter().partition(|reply| reply.starts_with(':'));
    assert!((10..60).contains(&stored.len()), "{} of 60 are stored", stored.len());
    assert!(others.iter().all(|reply| *reply == refused), "{others:?}");
    let bytes = resident_memory(process.id());
    assert!(bytes < 80 << 20, "{bytes} bytes taken");
    assert_eq!(client.ask("DEL key0"), "OK");
    let length = resp(&mut client, "STRLEN key1");
    assert_eq!(resp(&mut client, "SETRANGE key1 0 w"), length, "what was deleted makes room");
}

/// Many who send at one time what there is no room for: they are told before it is whole, and the
/// rest is not kept. The next request is found where it begins.
#[test]
fn long_requests_are_dropped_as_they_come_while_there_is_no_memory() {
    const CLAIMED: usize = 8 << 20;
    let process = limited();
    let mut watcher = process.client();
    fill_up(&mut watcher, &mut || 100_000);
    assert_eq!(resp(&mut watcher, "CONFIG SET max-memory 120MiB"), "+OK");
    let mut senders: Vec<_> = (0..16).map(|_| process.client()).collect();
    let before = stat(&mut watcher, "out_of_memory");
    for sender in &mut senders {
        sender.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${CLAIMED}\r\n"));
        sender.send(vec![b'v'; CLAIMED - 1]);
    }
    wait_until("all are refused", || stat(&mut watcher, "out_of_memory") == before + 16);
    // What is left: some 400 KiB of each had come before it was seen to be long, and up to 16 MiB
    // of memory for long requests is kept for the next.
    let over = resident_memory(process.id()).saturating_sub(LIMIT as usize);
    println!("16 values of 8 MiB half-sent: {} KiB over the limit", over >> 10);
    assert!(over < 64 << 20, "{over} bytes over the limit");
    for sender in &mut senders {
        assert_eq!(sender.line(), REFUSED.replace("ERR", "-OOM"));
        sender.send(b"v\r\nGET k\r\n");
        assert_eq!(sender.line(), "Key not found");
        sender.send(format!("SET k {}", "v".repeat(500_000)));
        assert_eq!(sender.line(), REFUSED);
        sender.send("vvv\r\nGET k\r\n");
        assert_eq!(sender.line(), "Key not found");
    }
}

/// What is refused needs no time of its own: a client that sends one after the other, without a
/// pause, has not been sending one for all that time.
#[test]
fn long_requests_one_after_the_other_are_each_refused_and_none_takes_too_long() {
    // Long enough that a sender which a busy machine holds up is not late with half a request.
    let process = server(&["--request-timeout", "4"]);
    let mut client = process.client();
    run_out(&mut client);
    let mut sender = client.stream().try_clone().expect("a descriptor");
    let until = Instant::now() + Duration::from_secs(5);
    let sending = thread::spawn(move || {
        let value = "v".repeat(300_000);
        let request = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n{value}\r\n");
        let (mut sent, twice) = (0, request.repeat(2));
        while Instant::now() < until {
            // Seldom a whole request at a time.
            let piece = &twice.as_bytes()[sent % request.len()..][..200_000];
            sender.write_all(piece).expect("it is taken");
            sent += piece.len();
        }
        let rest = &request.as_bytes()[sent % request.len()..];
        sender.write_all(rest).and_then(|()| sender.write_all(b"PING\r\n")).expect("it is taken");
        sent.div_ceil(request.len()) + usize::from(sent % request.len() == 0)
    });
    let mut refused = 0;
    let last = loop {
        match client.line() {
            line if line == REFUSED.replace("ERR", "-OOM") => refused += 1,
            line => break line,
        }
    };
    assert_eq!((last.as_str(), refused), ("PONG", sending.join().expect("it sent all")));
    assert_eq!(client.ask("GET k"), "Key not found");
}

/// The allocator keeps what was freed of long values, and short ones cannot have it; and deadlines
/// take memory, too, though they are not refused at the limit itself.
#[test]
fn no_order_of_requests_takes_a_process_far_beyond_its_limit() {
    let process = limited();
    let mut client = process.client();
    let tried = fill_up(&mut client, &mut || 20_000);
    client.send((0..tried).map(|key| format!("DEL key{key}\r\n")).collect::<String>());
    client.lines(tried);
    let tried = fill_up(&mut client, &mut || 10);
    let expire = |key: &usize| resp_request(&["EXPIRE", &format!("key{key}"), "1000"]);
    for keys in (0..tried).collect::<Vec<_>>().chunks(1000) {
        client.send(keys.iter().map(expire).collect::<Vec<_>>().concat());
        client.lines(keys.len());
    }
    let (taken, counted) = (resident_memory(process.id()), stat(&mut client, "memory_bytes"));
    println!(
        "long values, then {tried} short ones with deadlines: {} MiB of {} MiB, {} MiB counted",
        taken >> 20,
        LIMIT >> 20,
        counted >> 20
    );
    // Not always refused still: the allocator may have given memory back since.
    assert!(taken < LIMIT as usize / 100 * 135, "{taken} bytes taken");
    client.send("*1\r\n$8\r\nFLUSHALL\r\n");
    assert_eq!(client.line(), "+OK");
    wait_until("there is room", || client.ask("SET new value") == "OK");
}

/// Sends words as a RESP request; the first line of the reply.
fn resp(client: &mut Client, request: &str) -> String {
    client.send(resp_request(&request.split(' ').collect::<Vec<_>>()));
    client.line()
}
