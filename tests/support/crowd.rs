//! Very many clients on one thread, none of which ever blocks.

use super::process::PATIENCE;
use crate::support::process::read_once;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A client: what it has still to send, and what it has received.
pub struct Guest {
    stream: TcpStream,
    requests: Vec<u8>,
    pub sent: usize,
    pub received: Vec<u8>,
}

impl Guest {
    /// Has it send this next, and forget what it has received.
    pub fn request(&mut self, requests: String) {
        self.requests = requests.into_bytes();
        self.sent = 0;
        self.received.clear();
        self.go_on();
    }

    /// Sends and receives what can be.
    fn go_on(&mut self) {
        match self.stream.write(&self.requests[self.sent..]) {
            Ok(count) => self.sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let mut bytes = [0; 4096];
        loop {
            match read_once(&mut self.stream, &mut bytes) {
                Ok(0) => panic!("closed after: {}", self.received.escape_ascii()),
                Ok(count) => self.received.extend(&bytes[..count]),
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
}

/// All of them.
pub struct Crowd {
    poll: Poll,
    pub guests: Vec<Guest>,
}

impl Crowd {
    /// Connects so many.
    pub fn new(address: SocketAddr, count: usize) -> Crowd {
        rlimit::increase_nofile_limit(2 * count as u64 + 2_000).expect("the limit can be read");
        let poll = Poll::new().expect("a descriptor");
        let connect = |number: usize| {
            let stream = std::net::TcpStream::connect_timeout(&address, PATIENCE);
            let stream = stream.expect("there is room");
            stream.set_nonblocking(true).expect("it is a socket");
            stream.set_nodelay(true).expect("it is a socket");
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = poll.registry().register(&mut stream, Token(number), interest);
            registered.expect("it is registered once");
            Guest { stream, requests: Vec::new(), sent: 0, received: Vec::new() }
        };
        let guests = (0..count).map(connect).collect();
        Crowd { poll, guests }
    }

    /// Goes on until it is so.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, mut is_so: impl FnMut(&[Guest]) -> bool) {
        let deadline = Instant::now() + 2 * PATIENCE;
        let mut events = Events::with_capacity(1024);
        while !is_so(&self.guests) {
            assert!(Instant::now() < deadline, "waited too long until {what}");
            let pause = Some(Duration::from_millis(1));
            self.poll.poll(&mut events, pause).expect("no signal comes");
            events.iter().for_each(|event| self.guests[event.token().0].go_on());
        }
    }
}
