//! A relay between clients and a server that keeps what both say, to see what a library does not
//! tell: which of its commands were refused.

use crate::support::process::{PATIENCE, read_once};
use crate::support::resp::Value;
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

/// Returns each request that was answered with an error, and the error.
fn errors(requests: &[u8], replies: &[u8]) -> Vec<String> {
    // An empty line is no request: redis-cli sends one, in case that a file ends within a line.
    let requests = Value::read_all(requests).filter(|request| *request != Value::Line(b' ', b""));
    let replies = Value::read_all(replies).filter(|reply| !matches!(reply, Value::Array(b'>', _)));
    let refused = requests.zip(replies).filter(|(_, reply)| matches!(reply, Value::Line(b'-', _)));
    let words =
        |request: &Value<'_>| request.parts().iter().map(Value::text).collect::<Vec<_>>().join(" ");
    refused.map(|(request, reply)| format!("{}: -{}", words(&request), reply.text())).collect()
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
    assert_eq!(Value::read_all(replies.as_bytes()).count(), 4);
}
