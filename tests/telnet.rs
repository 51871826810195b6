//! A real `telnet`, typed into on a terminal, against a server and through a proxy.

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use support::child::{Running, Terminal};
use support::process;

/// A `telnet` on a terminal.
struct Telnet {
    terminal: Terminal,
    /// All that the screen is to show.
    shown: String,
}

impl Telnet {
    /// Connects, and reads what telnet itself says about that.
    fn connect(address: SocketAddr) -> Telnet {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        // In a session of its own, whose terminal this is: else Ctrl-C would be no signal.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "telnet", &host, &port]).env("TERM", "dumb");
        let terminal = Terminal::start(&mut command, "");
        let mut telnet = Telnet { terminal, shown: String::new() };
        telnet
            .shows(&format!("Trying {host}...\nConnected to {host}.\nEscape character is '^]'.\n"));
        telnet
    }

    /// Sees this below what was there before; a line with its end, which may come after it.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        self.shown += text;
        let (shown, is_line) = (self.shown.trim_end(), self.shown.ends_with('\n'));
        self.terminal.wait_for(|screen| {
            screen.text() == shown && (!is_line || screen.is_at_the_start_of_a_line())
        });
    }

    /// Types keys, and sees how the terminal echoes them.
    #[track_caller]
    fn types(&mut self, keys: &str, echo: &str) {
        self.terminal.press(keys);
        self.shows(echo);
    }

    /// Types a line, and sees what answers it.
    #[track_caller]
    fn asks(&mut self, line: &str, reply: &str) {
        self.types(&format!("{line}\n"), &format!("{line}\n{reply}\n"));
    }

    /// Says goodbye, and sees telnet end.
    #[track_caller]
    fn leaves(mut self, farewell: &str) {
        self.asks(farewell, "Goodbye\nConnection closed by foreign host.");
        assert!(self.terminal.exit_code().is_some(), "no signal ends it");
    }
}

/// The session that the project was begun for. What it shows of several keys, in any order, is in
/// `transcripts/session-telnet.txt`.
fn session(address: SocketAddr) {
    let mut telnet = Telnet::connect(address);
    telnet.asks("PUT name Derek Moss", "OK");
    telnet.asks("GET name", "Derek Moss");
    telnet.asks("put age 18", "OK");
    telnet.asks("DEL age", "OK");
    telnet.asks("GET age", "Key not found");
    telnet.asks("DUMP", "name");
    telnet.asks("DUMP PAIRS", "name = Derek Moss\nEND");
    telnet.asks("PUT name somebody", "Key already exists");
    telnet.leaves("bye");
}

#[test]
fn somebody_at_a_terminal_talks_to_server_and_proxy() {
    let server = process::server(&[]);
    session(server.address());
    assert_eq!(server.client().ask("DEL name"), "OK");
    session(process::proxy(server.address(), &[]).address());
    session(process::proxy_alone(&[]).address());
}

/// Ctrl-C: telnet sends IP and DO TIMING-MARK, and shows nothing more until that is answered.
#[test]
fn an_interrupt_drops_the_line_and_the_session_goes_on() {
    let server = process::server(&[]);
    let proxy = process::proxy(server.address(), &["--put", "replace"]);
    for address in [server.address(), proxy.address()] {
        let mut telnet = Telnet::connect(address);
        telnet.asks("PUT k v", "OK");
        for _ in 0..3 {
            telnet.types("DEL k and more", "DEL k and more");
            telnet.types("\x03", "^C");
            telnet.asks("GET k", "v");
        }
        telnet.leaves("QUIT");
    }
}

/// Its input is a pipe, which stays open: what scripts do.
#[test]
fn a_script_pipes_into_telnet() {
    let server = process::server(&[]);
    let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let mut telnet =
        Running::start(Command::new("telnet").args([host, port]).stdin(Stdio::piped()));
    let mut keyboard = telnet.stdin.take().expect("it is piped");
    keyboard.write_all(b"PUT a 1\nGET a\nDUMP PAIRS\nBYE\n").expect("it reads");
    let output = telnet.ended().stdout.replace('\r', "");
    let (_, replies) = output.split_once("'^]'.\n").expect("telnet tells its escape character");
    assert_eq!(replies, "OK\n1\na = 1\nEND\nGoodbye\n");
}
