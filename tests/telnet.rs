//! A real `telnet`, typed into on a terminal, against a server and through a proxy.

mod support;

use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use support::process::{self, PATIENCE};

/// A `telnet` on a pseudo-terminal, which the program `script` brings.
struct Telnet {
    script: Child,
    keyboard: ChildStdin,
    /// The bytes of its screen, one by one, until it ends.
    screen: Receiver<u8>,
}

impl Telnet {
    /// Connects, and reads what telnet itself says about that.
    fn connect(address: SocketAddr) -> Telnet {
        let (host, port) = (address.ip(), address.port());
        let installed = Command::new("telnet").arg("--version").stdin(Stdio::null()).output();
        assert!(installed.is_ok(), "there is no telnet here: tests/all installs it");
        let mut command = Command::new("script");
        command.args(["-qec", &format!("telnet {host} {port}"), "/dev/null"]);
        command.env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = command.spawn().expect("script, of bsdutils, starts");
        let keyboard = script.stdin.take().expect("it is piped");
        let screen = follow(script.stdout.take().expect("it is piped"));
        let mut telnet = Telnet { script, keyboard, screen };
        telnet.shows(&format!("Trying {host}...\r\nConnected to {host}.\r\n"));
        telnet.shows("Escape character is '^]'.\r\n");
        telnet
    }

    /// Types keys; the terminal echoes them.
    #[track_caller]
    fn types(&mut self, keys: &str, echo: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it reads its keyboard");
        self.keyboard.flush().expect("it reads its keyboard");
        self.shows(echo);
    }

    /// Types a line, and sees it.
    #[track_caller]
    fn enters(&mut self, line: &str) {
        self.types(&format!("{line}\n"), &format!("{line}\r\n"));
    }

    /// Types a line, and sees the line that answers it.
    #[track_caller]
    fn asks(&mut self, line: &str, reply: &str) {
        self.enters(line);
        self.shows(&format!("{reply}\r\n"));
    }

    /// Reads exactly this from the screen.
    #[track_caller]
    fn shows(&mut self, expected: &str) {
        let mut got = String::new();
        for byte in expected.bytes() {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(next) => got.push(char::from(next)),
                Err(error) => panic!("expected {expected:?}, got {got:?}; then {error}"),
            }
            assert!(got.ends_with(char::from(byte)), "expected {expected:?}, got {got:?}");
        }
    }

    /// The next line of the screen, without its end.
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(next) => line.push(char::from(next)),
                Err(error) => panic!("no line, only {line:?}; then {error}"),
            }
        }
        line.trim_end().to_string()
    }

    /// Says goodbye, and sees telnet end.
    #[track_caller]
    fn leaves(mut self, farewell: &str) {
        self.asks(farewell, "Goodbye");
        self.shows("Connection closed by foreign host.\r\n");
        let rest = rest(&self.screen);
        assert!(rest.is_empty(), "after its end it says {}", rest.escape_ascii());
    }
}

impl Drop for Telnet {
    fn drop(&mut self) {
        // The terminal goes with `script`, and telnet with the terminal.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn follow(output: impl Read + Send + 'static) -> Receiver<u8> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for byte in BufReader::new(output).bytes().map_while(Result::ok) {
            let _ = sender.send(byte);
        }
    });
    receiver
}

/// All that still comes until the program ends.
#[track_caller]
fn rest(output: &Receiver<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match output.recv_timeout(PATIENCE) {
            Ok(byte) => bytes.push(byte),
            Err(RecvTimeoutError::Disconnected) => return bytes,
            Err(RecvTimeoutError::Timeout) => panic!("no end after {}", bytes.escape_ascii()),
        }
    }
}

/// The session that the project was begun for.
fn session(address: SocketAddr) {
    let mut telnet = Telnet::connect(address);
    telnet.asks("PUT name Derek Moss", "OK");
    telnet.asks("PUT age 18", "OK");
    telnet.asks("GET name", "Derek Moss");
    telnet.asks("put gender M", "OK");
    telnet.enters("DUMP");
    let line = telnet.line();
    let mut keys: Vec<_> = line.split(' ').collect();
    keys.sort_unstable();
    assert_eq!(keys, ["age", "gender", "name"]);
    telnet.enters("DUMP PAIRS");
    let mut pairs = [telnet.line(), telnet.line(), telnet.line()];
    pairs.sort_unstable();
    assert_eq!(pairs, ["age = 18", "gender = M", "name = Derek Moss"]);
    telnet.shows("END\r\n");
    telnet.asks("PUT name somebody", "Key already exists");
    telnet.asks("DEL age", "OK");
    telnet.asks("GET age", "Key not found");
    telnet.leaves("bye");
}

/// Ctrl-C: telnet sends IP and DO TIMING-MARK, and shows nothing more until that is answered.
fn interrupted(address: SocketAddr) {
    let mut telnet = Telnet::connect(address);
    telnet.asks("PUT k v", "OK");
    for _ in 0..3 {
        telnet.types("DEL k and more", "DEL k and more");
        telnet.types("\x03", "^C");
        telnet.asks("GET k", "v");
    }
    telnet.leaves("QUIT");
}

#[test]
fn somebody_at_a_terminal_talks_to_a_server() {
    session(process::server(&[]).address());
}

#[test]
fn somebody_at_a_terminal_talks_through_a_proxy() {
    let server = process::server(&[]);
    session(process::proxy(server.address(), &[]).address());
}

#[test]
fn somebody_at_a_terminal_talks_to_a_proxy_with_its_own_server() {
    session(process::proxy_alone(&[]).address());
}

#[test]
fn an_interrupt_drops_the_line_and_the_session_goes_on() {
    let server = process::server(&[]);
    interrupted(server.address());
    interrupted(process::proxy(server.address(), &["--put", "replace"]).address());
}

#[test]
fn what_one_types_another_sees() {
    let server = process::server(&[]);
    let proxy = process::proxy(server.address(), &[]);
    let mut direct = Telnet::connect(server.address());
    let mut through = Telnet::connect(proxy.address());
    direct.asks("PUT color = red", "OK");
    through.asks("GET color", "red");
    through.asks("PUT color blue", "Key already exists");
    through.asks("DEL color", "OK");
    direct.asks("GET color", "Key not found");
    through.asks("ORIGIN ON", "OK");
    through.asks("PUT color blue", "server: OK");
    through.asks("GET color", "server: blue");
    through.asks("GET color", "proxy: blue");
    direct.leaves("EXIT");
    through.asks("ORIGIN OFF", "OK");
    through.leaves("BYE");
}

/// Its input is a pipe: what scripts do.
#[test]
fn a_script_pipes_into_telnet() {
    let server = process::server(&[]);
    let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let mut command = Command::new("telnet");
    command.args([host, port]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut telnet = command.spawn().expect("there is a telnet: tests/all installs it");
    let mut keyboard = telnet.stdin.take().expect("it is piped");
    keyboard.write_all(b"PUT a 1\nGET a\nDUMP PAIRS\nBYE\n").expect("it reads");
    let output = rest(&follow(telnet.stdout.take().expect("it is piped")));
    telnet.wait().expect("it is a child");
    let output = String::from_utf8(output).expect("text").replace('\r', "");
    let (_, replies) = output.split_once("'^]'.\n").expect("telnet tells its escape character");
    assert_eq!(replies, "OK\n1\na = 1\nEND\nGoodbye\n");
    drop(keyboard);
}
