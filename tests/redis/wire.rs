//! A connection that sees exactly which bytes answer which request.

use super::script::Request;
use crate::support::process::{PATIENCE, read_once};
use crate::support::resp::Value;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply is awaited before it is asked whether there will be one at all.
const GRACE: Duration = Duration::from_millis(500);

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What came before it without having been asked for.
    pub pushes: Vec<u8>,
    pub bytes: Vec<u8>,
    /// Whether the server closed the connection after it.
    pub closed: bool,
}

impl Answer {
    /// The one reply that it is, if it is one whole reply.
    pub fn value(&self) -> Option<Value<'_>> {
        let (value, length) = Value::read(&self.bytes)?;
        (length == self.bytes.len()).then_some(value)
    }
}

pub struct Wire {
    /// None when the connection is over.
    stream: Option<TcpStream>,
    received: Vec<u8>,
    /// Pushes that came before the next reply.
    pushes: Vec<u8>,
    /// From where it connected.
    pub local: Option<SocketAddr>,
}

impl Wire {
    /// A server that has gone shows in the answers.
    pub fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok();
        if let Some(stream) = &stream {
            stream.set_nodelay(true).expect("it is a TCP socket");
            stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
            stream.set_read_timeout(Some(GRACE)).expect("the timeout is not zero");
            // Thousands of connections would otherwise use up the ports of this machine.
            let linger = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            linger.expect("it is a socket");
        }
        let local = stream.as_ref().and_then(|stream| stream.local_addr().ok());
        Wire { stream, received: Vec::new(), pushes: Vec::new(), local }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream
            && let Err(error) = stream.write_all(bytes)
        {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server takes no more");
            // Closed by the peer, and what it said last may be there to be read.
        }
    }

    /// Sends a request, and returns the reply.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> Answer {
        self.send(&Request::of(request).encode());
        self.sure_reply()
    }

    /// Returns the next reply, which must come.
    #[track_caller]
    pub fn sure_reply(&mut self) -> Answer {
        (0..60).find_map(|_| self.reply()).expect("each request is answered")
    }

    /// The next reply, or what came before the connection was closed; nothing if neither comes
    /// soon.
    pub fn reply(&mut self) -> Option<Answer> {
        loop {
            if let Some((value, length)) = Value::read(&self.received) {
                let is_push = matches!(value, Value::Array(b'>', _));
                let bytes: Vec<u8> = self.received.drain(..length).collect();
                if is_push {
                    self.pushes.extend(bytes);
                    continue;
                }
                let pushes = std::mem::take(&mut self.pushes);
                return Some(Answer { pushes, bytes, closed: false });
            }
            if self.stream.is_none() {
                return Some(self.everything());
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// All that is there now.
    pub fn what_came(&mut self) -> Answer {
        self.set_nonblocking(true);
        while self.read() {}
        self.set_nonblocking(false);
        self.everything()
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        if let Some(stream) = &self.stream {
            stream.set_nonblocking(nonblocking).expect("it is a socket");
        }
    }

    fn everything(&mut self) -> Answer {
        let (pushes, bytes) = (&mut self.pushes, &mut self.received);
        let (pushes, bytes) = (std::mem::take(pushes), std::mem::take(bytes));
        Answer { pushes, bytes, closed: self.stream.is_none() }
    }

    /// Reads once; says whether there was something, be it the end.
    fn read(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        let Some(stream) = &mut self.stream else { return false };
        match read_once(stream, &mut piece) {
            Ok(0) => self.stream = None,
            Ok(count) => self.received.extend(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.stream = None,
        }
        true
    }
}
