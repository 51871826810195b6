//! Standard streams that are closed, full, or that nobody reads.

use crate::support::process::{Client, server};
use crate::support::tools::{Reserved, signal, wait_until};
use nix::pty::openpty;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A child whose words go nowhere; killed when dropped.
struct Mute(Child);

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs both programs after this in the shell, with these redirections, and both pipes closed at
/// our end.
fn check_lives_on(prelude: &str, redirections: &str) {
    let upstream = server(&[]);
    let upstream = upstream.address().to_string();
    for (program, own) in [(SERVER, &[][..]), (PROXY, &["--upstream", &upstream])] {
        // It cannot say where it listens.
        let reserved = Reserved::new();
        let place = reserved.address;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{prelude} exec \"$0\" \"$@\" {redirections}"), program]);
        command.args(["--listen", &place.to_string()]).args(own);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Mute(command.spawn().expect("sh is there"));
        drop((process.0.stdout.take(), process.0.stderr.take()));
        wait_until("it listens", || TcpStream::connect(place).is_ok());
        let id = process.0.id();
        for number in 0..3 {
            // Else a line of the log would be a reply to somebody.
            let file = fs::read_link(format!("/proc/{id}/fd/{number}")).expect("it is open");
            assert!(!file.to_string_lossy().starts_with("socket:"), "{redirections}: {file:?}");
        }
        for name in ["HUP", "PIPE"].repeat(10) {
            signal(id, name);
            assert_eq!(Client::connect(place).ask("SET k v"), "OK", "{redirections}");
        }
        signal(id, "TERM");
        let mut status = None;
        wait_until("it ends", || {
            status = process.0.try_wait().expect("it is a child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{redirections}: {status:?}");
    }
}

#[test]
fn closed_or_full_outputs_do_not_end_the_programs() {
    for redirections in ["", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"] {
        check_lives_on("", redirections);
    }
}

#[test]
fn a_log_that_may_grow_no_more_does_not_end_the_programs() {
    check_lives_on("file=$(mktemp); exec 2>$file; rm $file; ulimit -f 1;", "");
}

/// What nobody reads yet: both its ends.
type Unread = (File, OwnedFd);

fn pipe() -> Unread {
    let (reader, writer) = io::pipe().expect("a descriptor");
    (File::from(OwnedFd::from(reader)), writer.into())
}

fn terminal() -> Unread {
    let pair = openpty(None, None).expect("a terminal");
    (File::from(pair.master), pair.slave)
}

/// Fills it; whoever reads it can make room.
fn fill(writer: &OwnedFd) {
    let mut filler = File::from(writer.try_clone().expect("a descriptor"));
    // What ends this is that nobody can read it any more.
    thread::spawn(move || filler.write_all(&[b'.'; 1 << 20]));
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let programs = [(SERVER, &[][..]), (PROXY, &["--server-listen", "127.0.0.1:0"])];
    for ((program, own), kind) in
        programs.into_iter().flat_map(|it| [(it, pipe as fn() -> Unread), (it, terminal)])
    {
        let (reader, writer) = kind();
        fill(&writer);
        let mut command = Command::new(program);
        let reserved = Reserved::new();
        let place = reserved.address;
        command.args(["--listen", &place.to_string()]).args(own).env("RUST_LOG", "debug");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let process = Mute(command.spawn().expect("it is there"));
        // The parent's own end of the pipe goes with it.
        drop(command);
        wait_until("it listens", || TcpStream::connect(place).is_ok());
        let id = process.0.id();
        for _ in 0..50 {
            // A signal may come while a line is being written, too.
            (0..5).for_each(|_| signal(id, "HUP"));
            assert_eq!(Client::connect(place).ask("SET k v"), "OK");
        }
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(reader).lines().map_while(Result::ok);
            lines.for_each(|line| sender.send(line).unwrap_or_default());
        });
        wait_until("it is read again", || {
            signal(id, "HUP");
            log.try_iter().any(|line| line.contains("SIGHUP"))
        });
        assert_eq!(Client::connect(place).ask("GET k"), "v");
    }
}
