//! The socket, and whole replies from it.

use super::failure::{Failure, Verdict};
use super::request::Kind;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The timeout of a connect to one address before the next is tried: three attempts of the system,
/// which come 1, 2 and 4 seconds apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of one read: as many as the server writes at a time in a streamed reply.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server or proxy.
#[derive(Debug)]
pub struct ServerConnection {
    stream: TcpStream,
    replies: ReplyReader<BufReader<TcpStream>>,
    peer: String,
}

impl ServerConnection {
    /// Connects to the first address of `host`, a name or an IP address, that accepts.
    ///
    /// # Errors
    /// [`Failure::Connect`] with the error of the last address, or of the resolver.
    pub fn open(host: &str, port: u16) -> Result<ServerConnection, Failure> {
        let peer = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let open = || {
            let stream = connect_to_any((host, port).to_socket_addrs()?)?;
            stream.set_nodelay(true)?;
            let reader = BufReader::with_capacity(READ_BYTES, stream.try_clone()?);
            Ok((stream, ReplyReader::new(reader)))
        };
        match open() {
            Ok((stream, replies)) => Ok(ServerConnection { stream, replies, peer }),
            Err(error) => Err(Failure::Connect(peer, error)),
        }
    }

    /// Sends a request. An error shows when the reply is read, and only then: the server may have
    /// sent its reason before it closed; and if it has not closed, a FIN makes it.
    pub fn send(&mut self, request: &[u8]) {
        if self.stream.write_all(request).is_err() {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// Returns the reply to the oldest request that has none yet, which is of this kind.
    pub fn reply(&mut self, kind: Kind) -> ReceivedReply<'_> {
        let ServerConnection { replies, peer, .. } = self;
        ReceivedReply { replies, peer, kind, verdict: None }
    }

    /// Returns the sending half, for another thread.
    ///
    /// # Errors
    /// [`Failure::Connect`] when the system has no descriptor for it.
    pub fn sender(&self) -> Result<TcpStream, Failure> {
        self.stream.try_clone().map_err(|error| Failure::Connect(self.peer.clone(), error))
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

/// The origin of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOrigin {
    /// The server, also where lines have no prefix.
    Server,
    /// The proxy, from its cache.
    Proxy,
}

/// A line of a reply, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The line as it came.
    pub whole: &'a [u8],
    /// The line without the prefix that names its origin.
    pub text: &'a [u8],
    /// The origin in the prefix.
    pub origin: ReplyOrigin,
}

/// One reply, line by line, so that a dump of any length passes through. It must be read to its end
/// before the next one.
#[derive(Debug)]
pub struct ReceivedReply<'a> {
    replies: &'a mut ReplyReader<BufReader<TcpStream>>,
    peer: &'a str,
    kind: Kind,
    /// The outcome, once the last line was read.
    verdict: Option<Verdict>,
}

impl ReceivedReply<'_> {
    /// Returns the next line, `None` after the last.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the connection ends first.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, Failure> {
        if self.verdict.is_some() {
            return Ok(None);
        }
        let next = self.replies.next_line(self.kind);
        let (line, verdict) = next.map_err(|_| Failure::Lost(self.peer.to_string()))?;
        self.verdict = verdict;
        Ok(Some(line))
    }

    /// Returns the outcome of the reply, which was read to its end.
    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::Done)
    }
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

    /// Returns the next line of the reply to a request of this kind, with the outcome of the reply
    /// if it is the last. EOF is an error.
    fn next_line(&mut self, kind: Kind) -> io::Result<(Line<'_>, Option<Verdict>)> {
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
        let verdict = verdict(kind, text);
        if let (Kind::Origin(on), Some(Verdict::Done)) = (kind, verdict) {
            self.prefixed = on;
        }
        Ok((Line { whole, text, origin }, verdict))
    }
}

fn split_origin(line: &[u8]) -> (ReplyOrigin, &[u8]) {
    if let Some(text) = line.strip_prefix(b"proxy: ") {
        (ReplyOrigin::Proxy, text)
    } else {
        (ReplyOrigin::Server, line.strip_prefix(b"server: ").unwrap_or(line))
    }
}

/// Returns the outcome of a reply, if this is its last line.
fn verdict(kind: Kind, text: &[u8]) -> Option<Verdict> {
    let error = text.starts_with(b"ERR ");
    match kind {
        Kind::UntilEnd if text == b"END" => Some(Verdict::Done),
        // A key may be called ERR, and then this is its pair.
        Kind::UntilEnd if !error || text.starts_with(b"ERR = ") => None,
        _ if error => Some(Verdict::Error),
        _ if matches!(text, b"Key not found" | b"Key already exists") => Some(Verdict::Refused),
        _ => Some(Verdict::Done),
    }
}

#[cfg(test)]
mod tests;
