//! Clients that ask as fast as they are answered: each has one batch of requests under way, and
//! sends the next when it has all replies to the last. Every byte of every reply is compared.

use super::Numbers;
use super::exchange::{Exchange, Form, Verb};
use super::histogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// No reply takes that long: a program that hangs ends the bench.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What one read takes at most: more than the system keeps for a socket of the loopback interface.
pub const READ_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy)]
pub struct Load {
    pub form: Form,
    pub verb: Verb,
    pub value_bytes: usize,
    /// The keys with numbers below this.
    pub keys: usize,
    /// One after the other, to fill a program; else at random.
    pub in_order: bool,
    /// Requests in a batch.
    pub pipeline: usize,
    pub connections: usize,
}

/// What came of a run.
pub struct Run {
    pub requests: usize,
    pub took: Duration,
    /// Of each batch: from when it was sent until its last reply was read.
    pub latencies: Histogram,
}

/// Clients of one program.
pub struct Clients {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    keys: Keys,
    pipeline: usize,
    scratch: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    exchange: Exchange,
    sent: usize,
    received: usize,
    begun: Instant,
}

struct Keys {
    below: usize,
    in_order: bool,
    next: usize,
    numbers: Numbers,
}

impl Keys {
    fn next(&mut self) -> usize {
        if !self.in_order {
            return self.numbers.below(self.below);
        }
        let number = self.next;
        self.next = (number + 1) % self.below;
        number
    }
}

/// A connection that never waits, with a program that listens there.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = std::net::TcpStream::connect(address).expect("the program listens");
    stream.set_nodelay(true).expect("TCP has this option");
    stream.set_nonblocking(true).expect("a socket can be told not to wait");
    TcpStream::from_std(stream)
}

impl Clients {
    pub fn connect(address: SocketAddr, load: &Load) -> Clients {
        let poll = Poll::new().expect("the system has a poll");
        let exchange = Exchange::new(load.form, load.verb, load.value_bytes, load.pipeline);
        let clients = (0..load.connections).map(|number| {
            let mut stream = connect(address);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = poll.registry().register(&mut stream, Token(number), interest);
            registered.expect("the system has room for it");
            let exchange = exchange.clone();
            Client { stream, exchange, sent: 0, received: 0, begun: Instant::now() }
        });
        Clients {
            clients: clients.collect(),
            poll,
            events: Events::with_capacity(1024),
            keys: Keys {
                below: load.keys,
                in_order: load.in_order,
                next: 0,
                numbers: Numbers(load.keys as u64),
            },
            pipeline: load.pipeline,
            scratch: vec![0; READ_BYTES],
        }
    }

    /// Sends so many requests, whole batches at least, and reads all replies.
    pub fn run(&mut self, requests: usize) -> Run {
        let batches = requests.div_ceil(self.pipeline);
        let mut latencies = Histogram::default();
        let (mut begun, mut done) = (0, 0);
        let start = Instant::now();
        for client in self.clients.iter_mut().take(batches) {
            client.begin(&mut self.keys);
            begun += 1;
        }
        while done < batches {
            self.poll.poll(&mut self.events, Some(PATIENCE)).expect("the poll stands");
            assert!(!self.events.is_empty(), "no answer; {done} of {batches} batches are done");
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                if event.is_writable() {
                    client.send();
                }
                if event.is_readable() && client.receive(&mut self.scratch) {
                    latencies.record(client.begun.elapsed(), 1);
                    done += 1;
                    if begun < batches {
                        client.begin(&mut self.keys);
                        begun += 1;
                    }
                }
            }
        }
        Run { requests: batches * self.pipeline, took: start.elapsed(), latencies }
    }
}

impl Client {
    fn begin(&mut self, keys: &mut Keys) {
        self.exchange.set_keys(|| keys.next());
        (self.sent, self.received) = (0, 0);
        self.begun = Instant::now();
        self.send();
    }

    fn send(&mut self) {
        while self.sent < self.exchange.request.len() {
            match self.stream.write(&self.exchange.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the program does not read: {error}"),
            }
        }
    }

    /// Reads what has come; whether it was the last of the batch.
    fn receive(&mut self, scratch: &mut [u8]) -> bool {
        while self.received < self.exchange.reply.len() {
            let count = match self.stream.read(scratch) {
                Ok(0) => panic!("the program closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("the program does not answer: {error}"),
            };
            let expected = &self.exchange.reply[self.received..];
            let expected = &expected[..count.min(expected.len())];
            assert!(scratch[..count] == *expected, "got {}", scratch[..count].escape_ascii());
            self.received += count;
            if self.received == self.exchange.reply.len() {
                return true;
            }
        }
        false
    }
}
