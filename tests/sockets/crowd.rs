//! Thousands of clients at once, on one thread of ours.

use crate::support::process::{Client, PATIENCE, Process};
use crate::support::tools::{server_and_proxy, stat};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CLIENTS: usize = 2_000;
const SLOW_CLIENTS: usize = 100;

/// One client: what it has still to send, and what it has still to receive.
struct Member {
    stream: TcpStream,
    name: String,
    requests: Vec<u8>,
    expected: Vec<u8>,
    sent: usize,
    received: usize,
    /// Bytes that it sends in one turn.
    pace: usize,
}

/// Many clients on one poll.
struct Crowd {
    poll: Poll,
    members: Vec<Member>,
    slow: Vec<usize>,
}

impl Crowd {
    fn new(address: SocketAddr) -> Crowd {
        let mut crowd = Crowd {
            poll: Poll::new().expect("a descriptor"),
            members: Vec::new(),
            slow: Vec::new(),
        };
        for number in 0..CLIENTS + SLOW_CLIENTS {
            let stream = std::net::TcpStream::connect_timeout(&address, PATIENCE);
            let stream = stream.expect("there is room");
            stream.set_nonblocking(true).expect("it is a socket");
            stream.set_nodelay(true).expect("it is a socket");
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = crowd.poll.registry().register(&mut stream, Token(number), interest);
            registered.expect("it is registered once");
            let is_slow = number >= CLIENTS;
            if is_slow {
                crowd.slow.push(number);
            }
            crowd.members.push(Member {
                stream,
                name: number.to_string(),
                requests: Vec::new(),
                expected: Vec::new(),
                sent: 0,
                received: 0,
                pace: if is_slow { 1 } else { usize::MAX },
            });
        }
        crowd
    }

    /// Every client of the fast ones sends its requests; waits until all have their replies.
    fn ask(&mut self, script: impl Fn(usize) -> (String, String)) {
        for number in 0..CLIENTS {
            self.members[number].ask(script(number));
            self.members[number].go_on();
        }
        self.run_until(|crowd| crowd.members[..CLIENTS].iter().all(Member::is_done));
    }

    fn run_until(&mut self, done: impl Fn(&Crowd) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(1024);
        while !done(self) {
            assert!(Instant::now() < deadline, "{}", self.complaint());
            let pause = Some(Duration::from_millis(1));
            self.poll.poll(&mut events, pause).expect("no signal comes");
            for event in events.iter() {
                self.members[event.token().0].go_on();
            }
            for &number in &self.slow {
                self.members[number].go_on();
            }
        }
    }

    fn complaint(&self) -> String {
        let open = self.members.iter().filter(|member| !member.is_done());
        let names: Vec<_> = open.map(|member| member.name.as_str()).take(10).collect();
        format!("these clients have no reply: {names:?} ...")
    }
}

impl Member {
    fn ask(&mut self, (requests, replies): (String, String)) {
        assert!(self.is_done());
        (self.requests, self.expected) = (requests.into_bytes(), replies.into_bytes());
        (self.sent, self.received) = (0, 0);
    }

    fn is_done(&self) -> bool {
        self.received == self.expected.len() && self.sent == self.requests.len()
    }

    /// Sends and receives what can be.
    fn go_on(&mut self) {
        let rest = &self.requests[self.sent..];
        let turn = &rest[..rest.len().min(self.pace)];
        match self.stream.write(turn) {
            Ok(count) => self.sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("client {} was closed", self.name),
                Ok(count) => {
                    let due = &self.expected[self.received..];
                    let same = due.starts_with(&bytes[..count]);
                    assert!(same, "client {}: {}", self.name, bytes[..count].escape_ascii());
                    self.received += count;
                }
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
}

fn neighbour(number: usize) -> usize {
    (number + 1) % CLIENTS
}

#[test]
fn two_thousand_clients_read_each_others_keys_beside_a_hundred_slow_ones() {
    rlimit::increase_nofile_limit(2 * CLIENTS as u64 + 1_000).expect("the limit can be read");
    for process in server_and_proxy(&[]) {
        let mut crowd = Crowd::new(process.address());
        for number in crowd.slow.clone() {
            let requests = format!("PUT slow{number} v{number}\r\nGET slow{number}\r\n");
            crowd.members[number].ask((requests, format!("OK\r\nv{number}\r\n")));
        }
        crowd.ask(|n| (format!("PUT k{n} mine{n}\r\nGET k{n}\r\n"), format!("OK\r\nmine{n}\r\n")));
        for round in 0..5 {
            crowd.ask(|n| {
                let near = neighbour(n);
                let owner = if round == 0 { format!("mine{near}") } else { format!("{n} {round}") };
                (format!("GET k{near}\r\nGET k{near}\r\n"), format!("{owner}\r\n").repeat(2))
            });
            let next = round + 1;
            crowd.ask(|n| (format!("SET k{} {n} {next}\r\n", neighbour(n)), "OK\r\n".into()));
            crowd.ask(|n| {
                let writer = (n + CLIENTS - 1) % CLIENTS;
                (format!("GET k{n}\r\nPING\r\n"), format!("{writer} {next}\r\nPONG\r\n"))
            });
        }
        crowd.run_until(|crowd| crowd.members.iter().all(Member::is_done));
        let mut watcher = process.client();
        assert_eq!(stat(&mut watcher, "connections_now"), (CLIENTS + SLOW_CLIENTS + 1) as u64);
        drop(crowd);
    }
}

#[test]
fn a_key_put_by_one_client_is_read_refused_and_deleted_by_others() {
    for process in server_and_proxy(&[]) {
        share_keys(&process);
    }
}

fn share_keys(process: &Process) {
    let mut clients: Vec<Client> = (0..10).map(|_| process.client()).collect();
    for round in 0..200 {
        let [writer, reader, other] = [round % 10, (round + 3) % 10, (round + 7) % 10];
        let put = format!("PUT shared value {round}");
        assert_eq!(clients[writer].ask(&put), "OK");
        assert_eq!(clients[reader].ask("GET shared"), format!("value {round}"));
        assert_eq!(clients[other].ask("PUT shared mine"), "Key already exists");
        assert_eq!(clients[other].ask("GET shared"), format!("value {round}"));
        assert_eq!(clients[writer].ask("SET shared = other words"), "OK");
        assert_eq!(clients[reader].ask("GET shared"), "other words");
        assert_eq!(clients[reader].ask("DEL shared"), "OK");
        assert_eq!(clients[other].ask("GET shared"), "Key not found");
        assert_eq!(clients[writer].ask("DEL shared"), "Key not found");
    }
}
