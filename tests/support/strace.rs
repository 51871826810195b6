//! `strace` (Debian's package of that name) on a running program: it counts its system calls, or
//! makes some of them fail.

use super::guards::OwnFile;
use super::process::Process;
use super::tools::signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A `strace` that is attached to all threads of a process.
pub struct Strace {
    strace: Child,
    report: OwnFile,
}

/// Returns a file for a report.
fn new_report() -> OwnFile {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    OwnFile::new(&format!("strace-{}", COUNT.fetch_add(1, Ordering::Relaxed)), "")
}

/// Returns the arguments that make calls of this name fail with this error; `when` tells which of
/// them, in strace's words.
fn failing(call: &str, error: &str, when: &str) -> [String; 4] {
    let inject = format!("inject={call}:error={error}:when={when}");
    ["-e".to_string(), format!("trace={call}"), "-e".to_string(), inject]
}

impl Strace {
    /// Attaches, with these arguments besides.
    pub fn attach(process: &Process, arguments: &[&str]) -> Strace {
        let report = new_report();
        let mut command = Command::new("strace");
        let id = process.id().to_string();
        command.args(arguments).args(["-f", "-p", &id, "-o", report.path()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = command.spawn().expect("strace is there: apt-get install strace");
        let mut line = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().expect("it is piped"));
        stderr.read_line(&mut line).expect("it is a pipe");
        assert!(line.contains("attached"), "strace cannot trace a child of ours: {line}");
        thread::spawn(move || stderr.lines().for_each(drop));
        Strace { strace, report }
    }

    /// Attaches, and has calls of this name fail: see [`failing`].
    pub fn fail(process: &Process, call: &str, error: &str, when: &str) -> Strace {
        Strace::attach(process, &failing(call, error, when).each_ref().map(String::as_str))
    }

    /// What was reported so far.
    pub fn report(&self) -> String {
        fs::read_to_string(self.report.path()).expect("strace wrote it")
    }

    /// Lets go of the process; what was reported. A call that is being made to fail in that moment
    /// fails as one that the system does not know.
    pub fn detach(mut self) -> String {
        signal(self.strace.id(), "INT");
        self.strace.wait().expect("it is a child");
        self.report()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Starts a program whose calls are traced from the first on, with these arguments for strace. The
/// program is our child, and not the child of strace.
pub fn start_traced(arguments: &[&str], program: &str, flags: &[&str]) -> Process {
    let own = ["-D", "-f", "-qq", "-o", "/dev/null"];
    Process::start("strace", &[&own[..], arguments, &[program], flags].concat(), 1)
}

/// Calls of a program that fail from its start on, if it is started by strace with these arguments.
pub struct Failing {
    report: OwnFile,
    arguments: [String; 4],
}

impl Failing {
    /// Returns what has calls of this name fail: see [`failing`].
    pub fn new(call: &str, error: &str, when: &str) -> Failing {
        Failing { report: new_report(), arguments: failing(call, error, when) }
    }

    /// Returns what stands before the program.
    pub fn arguments(&self) -> Vec<&str> {
        let own = ["-f", "-qq", "-o", self.report.path()].into_iter();
        own.chain(self.arguments.iter().map(String::as_str)).collect()
    }

    /// Returns how many calls have failed.
    pub fn count(&self) -> usize {
        failures(&fs::read_to_string(self.report.path()).expect("strace wrote it"))
    }
}

/// How many calls in a report were made to fail.
pub fn failures(report: &str) -> usize {
    report.matches("(INJECTED)").count()
}
