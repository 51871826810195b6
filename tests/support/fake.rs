//! A scripted upstream: a listener whose connections the test itself speaks on.

use crate::support::lives::Lives;
use crate::support::process::{Client, PATIENCE, Process, proxy, read_once};
use socket2::SockRef;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How an upstream is greeted that tells of changes and has transactions.
pub const TELLING: [(&str, &str); 3] = [
    ("HELLO 3", "%1\r\n+proto\r\n:3\r\n"),
    ("CLIENT TRACKING ON", "+OK\r\n"),
    ("COMMAND", "*2\r\n*2\r\n$5\r\nmulti\r\n:1\r\n*2\r\n$4\r\nexec\r\n:1\r\n"),
];

/// A listener that takes connections, for the test to fetch.
pub struct Fake {
    address: SocketAddr,
    links: Receiver<TcpStream>,
}

impl Fake {
    /// On a port that the system chooses.
    pub fn start() -> Fake {
        Fake::serve_on(TcpListener::bind("127.0.0.1:0").expect("there is a port"))
    }

    /// On a listener that is there already. Its thread lives until the test program ends.
    pub fn serve_on(listener: TcpListener) -> Fake {
        let address = listener.local_addr().expect("it is bound");
        let (sender, links) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Fake { address, links }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection of the proxy, which is told that there is neither RESP3 nor any command
    /// but the proxy's own.
    #[track_caller]
    pub fn accept(&self) -> Link {
        let mut link = self.accept_in_silence();
        link.expect("HELLO 3");
        link.say("-ERR unknown command 'HELLO'\r\n");
        link.expect("COMMAND");
        link.say("*0\r\n");
        link
    }

    /// The next connection of the proxy, which is told that it will hear of changes.
    #[track_caller]
    pub fn accept_telling(&self) -> Link {
        let mut link = self.accept_in_silence();
        for (question, answer) in TELLING {
            link.expect(question);
            link.say(answer);
        }
        link
    }

    /// The next connection of the proxy, which is told nothing.
    #[track_caller]
    pub fn accept_in_silence(&self) -> Link {
        let stream = self.links.recv_timeout(PATIENCE).expect("the proxy connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_nodelay(true).expect("it is a socket");
        Link { stream: BufReader::new(stream), lives: Lives::default() }
    }
}

/// Returns an upstream that can no more than it must, a proxy in front of it, the connection
/// between them, and a client of the proxy.
#[track_caller]
pub fn play(flags: &[&str]) -> (Fake, Process, Link, Client) {
    play_greeted(Fake::accept, flags)
}

/// Returns the same with an upstream that tells of changes.
#[track_caller]
pub fn play_telling(flags: &[&str]) -> (Fake, Process, Link, Client) {
    play_greeted(Fake::accept_telling, flags)
}

#[track_caller]
fn play_greeted(greet: fn(&Fake) -> Link, flags: &[&str]) -> (Fake, Process, Link, Client) {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), flags);
    let (link, client) = (greet(&fake), proxy.client());
    (fake, proxy, link, client)
}

/// One connection of the proxy, seen from the upstream.
pub struct Link {
    stream: BufReader<TcpStream>,
    lives: Lives,
}

impl Link {
    /// The next request, its words joined by spaces; `None` when the proxy has closed. None after
    /// the life of a key: see [`Lives`].
    pub fn next(&mut self) -> Option<String> {
        loop {
            let count = self.header(b'*')?;
            let words: Option<Vec<_>> = (0..count).map(|_| self.word()).collect();
            let request = words?.join(" ");
            if self.lives.note(&request) {
                return Some(request);
            }
        }
    }

    /// The next request must be this one.
    #[track_caller]
    pub fn expect(&mut self, request: &str) {
        assert_eq!(self.next().as_deref(), Some(request));
    }

    /// Hears what a client asks for in these words.
    #[track_caller]
    pub fn hear(&mut self, client: &mut Client, request: &str) {
        client.send(format!("{request}\r\n"));
        self.expect(request);
    }

    /// Hears a client ask for a key, and gives it the value.
    #[track_caller]
    pub fn serve(&mut self, client: &mut Client, key: &str, value: &str) {
        self.hear(client, &format!("GET {key}"));
        self.say_value(value);
        assert_eq!(client.line(), value);
    }

    /// Sends bytes as they are. The proxy may have left.
    pub fn say(&mut self, reply: &str) {
        let reply = self.lives.reply(reply.as_bytes());
        let _ = self.stream.get_mut().write_all(&reply);
    }

    /// Sends what nobody asked for, between replies. The proxy may have left.
    pub fn push(&mut self, push: impl AsRef<[u8]>) {
        let _ = self.stream.get_mut().write_all(push.as_ref());
    }

    /// Says that keys have changed.
    pub fn push_invalidation(&mut self, keys: &[&str]) {
        let keys_said = keys.iter().map(|key| format!("${}\r\n{key}\r\n", key.len()));
        let keys_said = keys_said.collect::<String>();
        self.push(format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n{keys_said}", keys.len()));
    }

    /// Sends a value.
    pub fn say_value(&mut self, value: &str) {
        self.say(&format!("${}\r\n{value}\r\n", value.len()));
    }

    /// Closes with RST.
    pub fn reset(self) {
        let socket = SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(Duration::ZERO)).expect("it is a socket");
    }

    /// Sends FIN and goes on reading.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// The proxy leaves, whatever it still says before.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let started = Instant::now();
        loop {
            let read = read_once(&mut self.stream, &mut [0; 4096]);
            // Later than that it leaves all who do not answer it.
            assert!(started.elapsed() < PATIENCE / 2, "the proxy does not leave");
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            }
        }
    }

    fn header(&mut self, kind: u8) -> Option<usize> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no request: {error}"),
        }
        assert_eq!(line.as_bytes()[0], kind, "{line}");
        Some(line[1..].trim_end().parse().expect("a length"))
    }

    fn word(&mut self) -> Option<String> {
        let length = self.header(b'$')?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).expect("the proxy sends whole words");
        bytes.truncate(length);
        Some(String::from_utf8(bytes).expect("a word of text"))
    }
}
