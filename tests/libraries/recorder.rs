//! A relay between clients and a server that keeps what both say, to see what a library does not
//! tell: which of its commands were refused.

use crate::support::process::{PATIENCE, read_once};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A relay on a port of its own.
pub struct Recorder {
    pub address: SocketAddr,
    stopping: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<Relayed>>,
}

/// A connection on its way: what the client said, and what the server said.
type Relayed = [JoinHandle<Vec<u8>>; 2];

impl Recorder {
    /// Starts to take connections and to relay each to `server`.
    pub fn start(server: SocketAddr) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let accepting = thread::spawn(move || {
            let incoming = listener.incoming().take_while(|_| !stop.load(Ordering::Relaxed));
            incoming.map(|client| relay(client.expect("a descriptor is free"), server)).collect()
        });
        Recorder { address, stopping, accepting }
    }

    /// Once all clients have left: the requests that were answered with an error, and it.
    pub fn refused(self) -> BTreeSet<String> {
        self.stopping.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).expect("it listens");
        let relayed = self.accepting.join().expect("it accepted all");
        let said = relayed.into_iter().map(|both| both.map(|it| it.join().expect("it ended")));
        said.flat_map(|[requests, replies]| errors(&requests, &replies)).collect()
    }
}

fn relay(client: TcpStream, server: SocketAddr) -> Relayed {
    let server = TcpStream::connect_timeout(&server, PATIENCE).expect("it listens");
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
    }
    let again = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
    let (from_client, to_server) = (again(&client), again(&server));
    [
        thread::spawn(move || copy(from_client, to_server)),
        thread::spawn(move || copy(server, client)),
    ]
}

/// Copies until the end, and passes it on; all that was copied.
fn copy(mut from: TcpStream, mut to: TcpStream) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 1 << 16]);
    // A reset is an end too, and who has left needs no more replies.
    while let Ok(read @ 1..) = read_once(&mut from, &mut bytes) {
        all.extend_from_slice(&bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    all
}

/// Each request that was answered with an error, and the error.
fn errors(requests: &[u8], replies: &[u8]) -> Vec<String> {
    // An empty line is no request: redis-cli sends one, in case that a file ends within a line.
    let requests = values(requests).filter(|request| request != b"\r\n");
    let replies = values(replies).filter(|reply| !reply.starts_with(b">"));
    let refused = requests.zip(replies).filter(|(_, reply)| reply.starts_with(b"-"));
    refused.map(|(request, reply)| format!("{}: {}", words(request), words(reply))).collect()
}

/// The values of RESP, each as it stands there.
fn values(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (value, rest) = bytes.split_at(end(bytes)?);
        bytes = rest;
        Some(value)
    })
}

/// Where the first value ends, if it has an end.
fn end(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<isize>().ok();
    let parts = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let end = usize::try_from(count()?).map_or(line, |length| line + length + 2);
            return (end <= bytes.len()).then_some(end);
        }
        b'*' | b'~' | b'>' => count()?,
        b'%' => 2 * count()?,
        _ => 0,
    };
    (0..parts).try_fold(line, |at, _| Some(at + end(&bytes[at..])?))
}

/// For people: an array of words as one line, and a line as it is.
fn words(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let lines = text.trim_end().split("\r\n");
    let is_word = |at: usize| !text.starts_with('*') || at > 0 && at.is_multiple_of(2);
    let words = lines.enumerate().filter_map(|(at, line)| is_word(at).then_some(line));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn it_tells_what_was_refused() {
    let requests = [
        "*1\r\n$4\r\nPING\r\n",
        "\r\n",
        "*2\r\n$3\r\nFOO\r\n$3\r\nbar\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
    ];
    let replies = [
        "%1\r\n$3\r\n\r\n\r\r\n_\r\n",
        ">1\r\n+note\r\n",
        "-ERR unknown\r\n",
        "*2\r\n$-1\r\n-ERR within\r\n",
        "-ERR cut",
    ];
    let (requests, replies) = (requests.concat(), replies.concat());
    assert_eq!(errors(requests.as_bytes(), replies.as_bytes()), ["FOO bar: -ERR unknown"]);
    assert_eq!(values(replies.as_bytes()).count(), 4);
}
