//! The socket, and whole replies from it.

use super::failure::Failure;
use super::request::Kind;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long one address may take to answer a connect before the next is tried: three attempts of
/// the system, which come 1, 2 and 4 seconds apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One read. As much as the server writes at a time in a streamed reply.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server or proxy.
#[derive(Debug)]
pub struct ServerConnection {
    stream: TcpStream,
    replies: ReplyReader<BufReader<TcpStream>>,
    peer: String,
}

impl ServerConnection {
    /// Connects to the first address of `host` that takes us. `host` is a name, an IPv4 or an IPv6
    /// address.
    ///
    /// # Errors
    ///
    /// [`Failure::Connect`] with the reason of the last address if there is none, or with the
    /// resolver's.
    pub fn open(host: &str, port: u16) -> Result<ServerConnection, Failure> {
        let peer = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        match Self::connect(host, port) {
            Ok((stream, reader)) => {
                let replies = ReplyReader::new(BufReader::with_capacity(READ_BYTES, reader));
                Ok(ServerConnection { stream, replies, peer })
            }
            Err(error) => Err(Failure::Connect(peer, error)),
        }
    }

    fn connect(host: &str, port: u16) -> io::Result<(TcpStream, TcpStream)> {
        let stream = connect_to_any((host, port).to_socket_addrs()?)?;
        stream.set_nodelay(true)?;
        let reader = stream.try_clone()?;
        Ok((stream, reader))
    }

    /// Sends a request. That it cannot be sent shows when the reply is read, and only then: the
    /// server may have said why before it went; and if it has not gone, a FIN makes it.
    pub fn send(&mut self, request: &[u8]) {
        if self.stream.write_all(request).is_err() {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// The reply to the oldest request that has none yet, which is of this kind.
    pub fn reply(&mut self, kind: Kind) -> ReceivedReply<'_> {
        let ServerConnection { replies, peer, .. } = self;
        ReceivedReply { replies, peer, kind, ended: false, verdict: Verdict::Done }
    }

    /// The sending half, for another thread.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for it.
    pub fn sender(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Whom this is connected to, as the user named it.
    pub fn peer(&self) -> &str {
        &self.peer
    }
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

/// What a reply comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What was asked for.
    Done,
    /// `Key not found` or `Key already exists`.
    Refused,
    /// A line that begins with `ERR `.
    Error,
}

/// Who gave a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOrigin {
    /// The server, also when nobody asked.
    Server,
    /// The proxy, from its cache.
    Proxy,
}

/// A line of a reply, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// As it came.
    pub whole: &'a [u8],
    /// Without the prefix that names its origin.
    pub text: &'a [u8],
    /// What the prefix says.
    pub origin: ReplyOrigin,
}

/// One reply, line by line, so that a dump of any length passes through. It must be read to its end
/// before the next one.
#[derive(Debug)]
pub struct ReceivedReply<'a> {
    replies: &'a mut ReplyReader<BufReader<TcpStream>>,
    peer: &'a str,
    kind: Kind,
    ended: bool,
    verdict: Verdict,
}

impl ReceivedReply<'_> {
    /// The next line, `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Failure::Lost`] when the connection ends first.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        match self.replies.next_line(self.kind) {
            Ok((line, place)) => {
                if let Place::Last(verdict) = place {
                    self.ended = true;
                    self.verdict = verdict;
                }
                Ok(Some(line))
            }
            Err(_) => Err(Failure::Lost(self.peer.to_string())),
        }
    }

    /// Returns what the reply came to, once it was read to its end.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

/// Whether more lines of the same reply follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Within,
    Last(Verdict),
}

/// A stream of replies.
#[derive(Debug)]
struct ReplyReader<R> {
    source: R,
    line: Vec<u8>,
    /// Whether lines have a prefix that names their origin.
    prefixed: bool,
}

impl<R: BufRead> ReplyReader<R> {
    fn new(source: R) -> ReplyReader<R> {
        ReplyReader { source, line: Vec::new(), prefixed: false }
    }

    /// The next line, in the reply to a request of this kind. An end of the stream is an error:
    /// there is a reply owed.
    fn next_line(&mut self, kind: Kind) -> io::Result<(Line<'_>, Place)> {
        self.line.clear();
        self.source.read_until(b'\n', &mut self.line)?;
        let Some(whole) = self.line.strip_suffix(b"\n") else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
        let (origin, text) = match self.prefixed {
            true => split_origin(whole),
            false => (ReplyOrigin::Server, whole),
        };
        let place = place(kind, text);
        if let (Kind::Origin(on), Place::Last(Verdict::Done)) = (kind, place) {
            self.prefixed = on;
        }
        Ok((Line { whole, text, origin }, place))
    }
}

fn split_origin(line: &[u8]) -> (ReplyOrigin, &[u8]) {
    if let Some(text) = line.strip_prefix(b"proxy: ") {
        (ReplyOrigin::Proxy, text)
    } else {
        (ReplyOrigin::Server, line.strip_prefix(b"server: ").unwrap_or(line))
    }
}

fn place(kind: Kind, text: &[u8]) -> Place {
    let error = text.starts_with(b"ERR ");
    match kind {
        Kind::UntilEnd if text == b"END" => Place::Last(Verdict::Done),
        // A key may be called ERR, and then this is its pair.
        Kind::UntilEnd if !error || text.starts_with(b"ERR = ") => Place::Within,
        _ if error => Place::Last(Verdict::Error),
        _ if matches!(text, b"Key not found" | b"Key already exists") => {
            Place::Last(Verdict::Refused)
        }
        _ => Place::Last(Verdict::Done),
    }
}

#[cfg(test)]
mod tests;
