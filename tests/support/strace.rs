//! `strace` (Debian's package of that name) on a running program: it counts its system calls, or
//! makes some of them fail.

use super::process::Process;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A `strace` that is attached to all threads of a process.
pub struct Strace {
    strace: Child,
    report: PathBuf,
}

impl Strace {
    /// Attaches, with these arguments besides.
    pub fn attach(process: &Process, arguments: &[&str]) -> Strace {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-strace-{}-{count}", std::process::id());
        let report = std::env::temp_dir().join(name);
        let mut command = Command::new("strace");
        command.args(arguments).args(["-f", "-p", &process.id().to_string(), "-o"]).arg(&report);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = command.spawn().expect("strace is there: apt-get install strace");
        let mut line = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().expect("it is piped"));
        stderr.read_line(&mut line).expect("it is a pipe");
        assert!(line.contains("attached"), "strace cannot trace a child of ours: {line}");
        thread::spawn(move || stderr.lines().for_each(drop));
        Strace { strace, report }
    }

    /// Has calls of this name fail with this error; `when` tells which of them, in strace's words.
    pub fn fail(process: &Process, call: &str, error: &str, when: &str) -> Strace {
        let inject = format!("inject={call}:error={error}:when={when}");
        Strace::attach(process, &["-e", &format!("trace={call}"), "-e", &inject])
    }

    /// What was reported so far.
    pub fn report(&self) -> String {
        fs::read_to_string(&self.report).expect("strace wrote it")
    }

    /// Lets go of the process; what was reported. A call that is being made to fail in that moment
    /// fails as one that the system does not know.
    pub fn detach(mut self) -> String {
        let status = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
        self.strace.wait().expect("it is a child");
        self.report()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
        let _ = fs::remove_file(&self.report);
    }
}

/// Starts a program whose calls are traced from the first on, with these arguments for strace. The
/// program is our child, and not the child of strace.
pub fn start_traced(arguments: &[&str], program: &str, flags: &[&str]) -> Process {
    let own = ["-D", "-f", "-qq", "-o", "/dev/null"];
    Process::start("strace", &[&own[..], arguments, &[program], flags].concat(), 1)
}

/// How many calls in a report were made to fail.
pub fn failures(report: &str) -> usize {
    report.matches("(INJECTED)").count()
}
