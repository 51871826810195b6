//! The socket, the greeting, and the elements of replies.

use super::failure::Failure;
use crate::base::buffer::Buffer;
use crate::base::escape::printable;
use crate::protocol::resp::{Element, ProtocolError, next_element, push_request};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The timeout of a connect to one address before the next is tried: three attempts of the system,
/// which come 1, 2 and 4 seconds apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of the greeting: what is silent for so long is no such server.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// The longest element of a reply that is kept: the longest value that Redis has.
const MAX_ELEMENT: usize = (512 << 20) + READ_BYTES;

/// The bytes of a peer's first line that an error shows.
const SHOWN: usize = 60;

/// A connection to a server or proxy.
#[derive(Debug)]
pub struct ServerConnection {
    stream: TcpStream,
    replies: ReplyReader<TcpStream>,
    peer: String,
    is_larder: bool,
}

impl ServerConnection {
    /// Connects to the first address of `host`, a name or an IP address, that accepts, and greets.
    ///
    /// # Errors
    /// [`Failure::Connect`] with the error of the last address, or of the resolver;
    /// [`Failure::NoServer`] when what answers there speaks no RESP, or does not answer;
    /// [`Failure::Refused`] when it refuses the connection.
    pub fn open(host: &str, port: u16) -> Result<ServerConnection, Failure> {
        let peer = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let open = || {
            let stream = connect_to_any((host, port).to_socket_addrs()?)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(GREETING_TIMEOUT))?;
            let replies = ReplyReader::new(stream.try_clone()?);
            Ok((stream, replies))
        };
        let (stream, replies) = match open() {
            Ok(opened) => opened,
            Err(error) => return Err(Failure::Connect(peer, error)),
        };
        let mut connection = ServerConnection { stream, replies, peer, is_larder: false };
        connection.greet()?;
        let endless = connection.stream.set_read_timeout(None);
        endless.map_err(|error| Failure::Connect(connection.peer.clone(), error))?;
        Ok(connection)
    }

    /// Says `HELLO 3`, and notes who answers. A server that does not know it, or wants a password
    /// first, is spoken to in RESP2.
    ///
    /// # Errors
    /// [`Failure::NoServer`] and [`Failure::Refused`].
    pub fn greet(&mut self) -> Result<(), Failure> {
        let mut hello = Buffer::new();
        push_request(&mut hello, &[b"HELLO", b"3"]);
        self.send(hello.bytes());
        match self.replies.greeting() {
            Ok(HelloAnswer::Accepted { is_larder }) => self.is_larder = is_larder,
            Ok(HelloAnswer::NotKnown) => {}
            Ok(HelloAnswer::Refused(error)) => return Err(Failure::Refused(error)),
            Err(error) => return Err(Failure::NoServer(self.peer.clone(), self.describe(&error))),
        }
        Ok(())
    }

    /// Returns what a peer did that is no server of RESP.
    fn describe(&self, error: &ReadError) -> String {
        match error {
            ReadError::Malformed => {
                let bytes = self.replies.unread();
                let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
                format!("it replied '{}'", printable(line.unwrap_or_default(), SHOWN))
            }
            ReadError::Lost(error) if is_timeout(error) => {
                format!("it did not answer within {} seconds", GREETING_TIMEOUT.as_secs())
            }
            ReadError::Lost(_) => "it closed the connection".to_string(),
        }
    }

    /// Returns whether the server is Larder's.
    pub fn is_larder(&self) -> bool {
        self.is_larder
    }

    /// Sends a request. An error shows when the reply is read, and only then: the server may have
    /// sent its reason before it closed; and if it has not closed, a FIN makes it.
    pub fn send(&mut self, request: &[u8]) {
        if self.stream.write_all(request).is_err() {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// Sends a request of these words.
    pub fn send_words(&mut self, words: &[&[u8]]) {
        let mut request = Buffer::new();
        push_request(&mut request, words);
        self.send(request.bytes());
    }

    /// Goes on to the next reply, past pushes, and returns its origin.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the connection ends first, [`Failure::Garbled`] when what comes is no
    /// RESP; also of the functions below.
    pub fn next_reply(&mut self) -> Result<ReplyOrigin, Failure> {
        self.replies.next_reply().map_err(|error| failure(&self.peer, &error))
    }

    /// Returns the next element of the reply.
    pub fn element(&mut self) -> Result<Element<'_>, Failure> {
        let ServerConnection { replies, peer, .. } = self;
        replies.element().map_err(|error| failure(peer, &error))
    }

    /// Passes over `count` elements, and all that belongs to them.
    pub fn skip(&mut self, count: usize) -> Result<(), Failure> {
        self.replies.skip(count).map_err(|error| failure(&self.peer, &error))
    }

    /// Returns the sending half, for another thread.
    ///
    /// # Errors
    /// [`Failure::Connect`] when the system has no descriptor for it.
    pub fn sender(&self) -> Result<TcpStream, Failure> {
        self.stream.try_clone().map_err(|error| Failure::Connect(self.peer.clone(), error))
    }

    /// Returns the address, as it was given.
    pub fn peer(&self) -> &str {
        &self.peer
    }
}

fn failure(peer: &str, error: &ReadError) -> Failure {
    match error {
        ReadError::Lost(_) => Failure::Lost(peer.to_string()),
        ReadError::Malformed => Failure::Garbled(peer.to_string()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn connect_to_any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The origin of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOrigin {
    /// The server, also where nothing names it.
    Server,
    /// The proxy, from its cache.
    Proxy,
}

/// The answer to `HELLO 3`.
enum HelloAnswer {
    Accepted { is_larder: bool },
    NotKnown,
    Refused(String),
}

/// Why no element can be read.
#[derive(Debug)]
enum ReadError {
    Lost(io::Error),
    Malformed,
}

impl From<ProtocolError> for ReadError {
    fn from(_: ProtocolError) -> ReadError {
        ReadError::Malformed
    }
}

/// A stream of replies, an element at a time: no more than one is in memory.
#[derive(Debug)]
struct ReplyReader<R> {
    source: R,
    bytes: Buffer,
    /// The length of the element that was returned last, and is still at the front.
    taken: usize,
}

impl<R: Read> ReplyReader<R> {
    fn new(source: R) -> ReplyReader<R> {
        ReplyReader { source, bytes: Buffer::new(), taken: 0 }
    }

    fn unread(&self) -> &[u8] {
        self.bytes.bytes()
    }

    /// Returns the element after the last one, of any kind.
    fn any_element(&mut self) -> Result<Element<'_>, ReadError> {
        self.bytes.consume(std::mem::take(&mut self.taken));
        while next_element(self.bytes.bytes())?.is_none() {
            if self.bytes.len() > MAX_ELEMENT {
                return Err(ReadError::Malformed);
            }
            self.bytes.make_room_towards(2 * self.bytes.len(), READ_BYTES);
            match self.bytes.fill(&mut self.source, READ_BYTES) {
                Ok(0) => return Err(ReadError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Lost(error)),
            }
        }
        let (element, length) = next_element(self.bytes.bytes())?.ok_or(ReadError::Malformed)?;
        self.taken = length;
        Ok(element)
    }

    /// Returns the next element of a reply, past attributes.
    fn element(&mut self) -> Result<Element<'_>, ReadError> {
        while let Element::Attribute(pairs) = self.any_element()? {
            self.skip(pairs.saturating_mul(2))?;
        }
        let (element, _) = next_element(self.bytes.bytes())?.ok_or(ReadError::Malformed)?;
        Ok(element)
    }

    fn skip(&mut self, count: usize) -> Result<(), ReadError> {
        let mut left = count;
        while left > 0 {
            let own = self.any_element()?.elements().ok_or(ReadError::Malformed)?;
            left = (left - 1).checked_add(own).ok_or(ReadError::Malformed)?;
        }
        Ok(())
    }

    /// Goes on to the first element of the next reply, which [`element`](Self::element) then
    /// returns; past pushes. Returns the origin that an attribute names.
    fn next_reply(&mut self) -> Result<ReplyOrigin, ReadError> {
        let mut origin = ReplyOrigin::Server;
        loop {
            match self.any_element()? {
                Element::Push(count) => self.skip(count)?,
                Element::Attribute(pairs) => {
                    for _ in 0..pairs {
                        let is_origin = matches!(self.any_element()?, Element::Bulk(b"origin"));
                        let value = self.any_element()?;
                        if is_origin && value == Element::Bulk(b"proxy") {
                            origin = ReplyOrigin::Proxy;
                        }
                        let own = value.elements().ok_or(ReadError::Malformed)?;
                        self.skip(own)?;
                    }
                }
                _ => break,
            }
        }
        // It is returned once more.
        self.taken = 0;
        Ok(origin)
    }

    fn greeting(&mut self) -> Result<HelloAnswer, ReadError> {
        self.next_reply()?;
        let pairs = match self.element()? {
            Element::Map(pairs) => pairs,
            Element::Error(error) => {
                let codes = [&b"ERR unknown command"[..], b"NOPROTO", b"NOAUTH", b"NOPERM"];
                if codes.iter().any(|code| error.starts_with(code)) {
                    return Ok(HelloAnswer::NotKnown);
                }
                return Ok(HelloAnswer::Refused(String::from_utf8_lossy(error).into_owned()));
            }
            _ => {
                self.taken = 0;
                return Err(ReadError::Malformed);
            }
        };
        let mut is_larder = false;
        for _ in 0..pairs {
            let name = self.any_element()?;
            let is_server = matches!(name, Element::Bulk(b"server"));
            is_larder |= matches!(name, Element::Bulk(b"larder_version"));
            let value = self.any_element()?;
            is_larder |= is_server && matches!(value, Element::Bulk(b"larder"));
            let own = value.elements().ok_or(ReadError::Malformed)?;
            self.skip(own)?;
        }
        Ok(HelloAnswer::Accepted { is_larder })
    }
}

#[cfg(test)]
mod tests;
