//! The real programs over the loopback interface: 50 connections, each with one batch of requests
//! under way.
//!
//! One thread sends the load. It takes the connections in turn: reads the replies to the last batch
//! and writes the next one, so that 49 others are always under way. Every byte of every reply is
//! compared. The first columns are wall time: they hold also what the load's own thread costs, and
//! need a second processor. The last column is the processor time of the program alone, as the
//! scheduler of Linux counts it.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Numbers, Table, key};

const CONNECTIONS: usize = 50;
const KEYS: usize = 100_000;
const VALUE: &[u8] = &[b'v'; 32];
const ROUNDS: usize = 7;
/// About a quarter of a second each at pipeline 1 and 16.
const REQUESTS: [(usize, usize); 2] = [(1, 25_000), (16, 160_000)];
/// The proxy's own server has the same keys, and these are in the cache after the first round.
const CACHED_KEYS: usize = 1_000;
/// No reply takes that long: a program that hangs ends the bench.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Verb {
    Get,
    Set,
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Resp,
}

fn main() {
    let mut table = Table::new("loopback, 50 connections");
    let server = Program::start(env!("CARGO_BIN_EXE_server"), &[]);
    fill(&server);
    let upstream = server.address.clone();
    let proxy = Program::start(env!("CARGO_BIN_EXE_proxy"), &["--upstream", &upstream]);
    for (pipeline, requests) in REQUESTS {
        for (form_name, form) in [("text", Form::Text), ("RESP", Form::Resp)] {
            for (verb_name, verb) in [("GET", Verb::Get), ("SET", Verb::Set)] {
                let name = format!("server, {form_name} {verb_name}, pipeline {pipeline}");
                let load = Load { form, verb, keys: KEYS, pipeline, requests };
                measure(&mut table, &name, &server, &load);
            }
            let name = format!("proxy, {form_name} GET, cached, pipeline {pipeline}");
            let load = Load { form, verb: Verb::Get, keys: CACHED_KEYS, pipeline, requests };
            measure(&mut table, &name, &proxy, &load);
        }
    }
}

/// A program that listens on a port of its own until it is dropped.
struct Program {
    process: Child,
    address: String,
}

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(path);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).env("RUST_LOG", "warn");
        let mut process = command.spawn().expect("the program starts");
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
        let word = line.split([' ', ',']).find(|word| word.starts_with("127.0.0.1:"));
        let address = word.expect("the line names the address").to_string();
        Program { process, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("the program listens");
        stream.set_nodelay(true).expect("TCP has this option");
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream
    }

    /// The processor time it has taken so far; `None` where the system does not tell.
    fn processor_time(&self) -> Option<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.process.id())).ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn fill(server: &Program) {
    let mut stream = server.connect();
    for first in (0..KEYS).step_by(1000) {
        let numbers = first..first + 1000;
        let batch: Vec<u8> = numbers.flat_map(|it| request(Form::Text, Verb::Set, it)).collect();
        stream.write_all(&batch).expect("the server reads");
        let mut replies = vec![0; 1000 * b"OK\r\n".len()];
        stream.read_exact(&mut replies).expect("the server answers");
    }
}

fn request(form: Form, verb: Verb, number: usize) -> Vec<u8> {
    let key = key(number);
    match (form, verb) {
        (Form::Text, Verb::Get) => [b"GET ", &key[..], b"\r\n"].concat(),
        (Form::Text, Verb::Set) => [b"SET ", &key[..], b" ", VALUE, b"\r\n"].concat(),
        (Form::Resp, Verb::Get) => [b"*2\r\n$3\r\nGET\r\n$16\r\n", &key[..], b"\r\n"].concat(),
        (Form::Resp, Verb::Set) => {
            [b"*3\r\n$3\r\nSET\r\n$16\r\n", &key[..], b"\r\n$32\r\n", VALUE, b"\r\n"].concat()
        }
    }
}

fn reply(form: Form, verb: Verb) -> Vec<u8> {
    match (form, verb) {
        (Form::Text, Verb::Get) => [VALUE, b"\r\n"].concat(),
        (Form::Text, Verb::Set) => b"OK\r\n".to_vec(),
        (Form::Resp, Verb::Get) => [b"$32\r\n", VALUE, b"\r\n"].concat(),
        (Form::Resp, Verb::Set) => b"+OK\r\n".to_vec(),
    }
}

struct Load {
    form: Form,
    verb: Verb,
    keys: usize,
    pipeline: usize,
    requests: usize,
}

fn measure(table: &mut Table, name: &str, program: &Program, load: &Load) {
    if !table.wants(name) {
        return;
    }
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| program.connect()).collect();
    let batches = if table.once() { 2 } else { load.requests / load.pipeline / CONNECTIONS };
    let rounds = if table.once() { 1 } else { ROUNDS };
    let requests = batches * load.pipeline * CONNECTIONS;
    // What is sent is made beforehand, and sent again in every round: also in the first, which only
    // warms up.
    let mut numbers = Numbers(1);
    let mut random_request = |_| request(load.form, load.verb, numbers.below(load.keys));
    let sent: Vec<Vec<u8>> = (0..batches * CONNECTIONS)
        .map(|_| (0..load.pipeline).flat_map(&mut random_request).collect())
        .collect();
    let expected = reply(load.form, load.verb).repeat(load.pipeline);
    round(&mut streams, &sent, &expected);

    let before = program.processor_time();
    let mut nanoseconds: Vec<f64> = (0..rounds)
        .map(|_| round(&mut streams, &sent, &expected).as_secs_f64() * 1e9 / requests as f64)
        .collect();
    let after = program.processor_time();
    let remark = before.zip(after).map_or(String::new(), |(before, after)| {
        let each = (after - before).as_secs_f64() * 1e9 / (rounds * requests) as f64;
        format!("   {each:.0} ns of CPU")
    });
    table.print(name, &mut nanoseconds, &remark);
}

/// Sends every batch once, and says how long it took until the last reply was read.
fn round(streams: &mut [TcpStream], batches: &[Vec<u8>], expected: &[u8]) -> Duration {
    let mut replies = vec![0; expected.len()];
    let mut read = |stream: &mut TcpStream| {
        stream.read_exact(&mut replies).expect("the program answers");
        assert!(replies == expected, "got {}", replies.escape_ascii());
    };
    let start = Instant::now();
    for (turn, batches) in batches.chunks(streams.len()).enumerate() {
        for (stream, batch) in streams.iter_mut().zip(batches) {
            if turn > 0 {
                read(stream);
            }
            stream.write_all(batch).expect("the program reads");
        }
    }
    streams.iter_mut().for_each(read);
    start.elapsed()
}
