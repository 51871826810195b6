//! A `DUMP` of very many keys, beside others who read and write.

use crate::support::process::{Client, PATIENCE};
use crate::support::tools::{peak_memory, server_and_proxy};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::thread;
use std::time::Instant;

const KEYS: usize = 200_000;
const CHURNING: usize = 20_000;

/// Long enough that no buffer of the system holds all of them.
fn key(number: usize) -> String {
    format!("stays:{number:0>60}")
}

/// Stores keys in one pipeline.
fn load(client: &mut Client, keys: impl Iterator<Item = String> + Send) {
    let mut sender = client.stream().try_clone().expect("a descriptor");
    let (mut requests, mut count) = (String::new(), 0);
    for key in keys {
        write!(requests, "SET {key} v\r\n").expect("memory");
        count += 1;
    }
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(requests.as_bytes()).expect("it is taken"));
        for _ in 0..count {
            assert_eq!(client.line(), "OK");
        }
    });
}

/// Gets, sets and deletes keys; every reply must come soon.
fn work(client: &mut Client, rounds: usize) {
    for round in 0..rounds {
        let started = Instant::now();
        let number = round * 7_919 % CHURNING;
        assert_eq!(client.ask(&format!("DEL goes:{number}")), "OK");
        assert_eq!(client.ask(&format!("PUT comes:{round} v")), "OK");
        assert_eq!(client.ask(&format!("PUT goes:{number} again")), "OK");
        assert_eq!(client.ask(&format!("GET {}", key(round))), "v");
        assert!(started.elapsed() < PATIENCE / 15, "a DUMP holds others up");
    }
}

#[test]
fn a_dump_of_200000_keys_holds_nobody_up_and_shows_what_stays_exactly_once() {
    for process in server_and_proxy(&[]) {
        let mut worker = process.client();
        load(&mut worker, (0..KEYS).map(key));
        load(&mut worker, (0..CHURNING).map(|number| format!("goes:{number}")));
        let base = peak_memory(process.id());
        let mut reader = process.client();
        reader.send("DUMP\r\nPING\r\n");
        let start = reader.exactly(1);
        // The reader takes no more before the worker has done its work: the DUMP is under way.
        work(&mut worker, 2_000);
        let working = thread::spawn(move || work_on(worker));
        let line = [start, reader.bytes_through(b'\n')].concat();
        let line = String::from_utf8(line).expect("keys of text");
        working.join().expect("it did not fail");
        assert_eq!(reader.line(), "PONG");
        let mut seen = HashMap::new();
        for key in line.trim_end().split(' ') {
            *seen.entry(key).or_insert(0) += 1;
        }
        for number in 0..KEYS {
            assert_eq!(seen.get(key(number).as_str()), Some(&1), "key {number}");
        }
        let grown = peak_memory(process.id()) - base;
        assert!(grown < 16 << 20, "{grown} bytes of memory for one DUMP");
    }
}

fn work_on(mut worker: Client) {
    for round in 0..1_000 {
        assert_eq!(worker.ask(&format!("SET late:{round} v")), "OK");
    }
}
