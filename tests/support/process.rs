//! The real programs as child processes, and a raw socket to talk to them. Nothing here waits
//! without a limit: a test that gets no answer fails after [`PATIENCE`].

use super::tools::signal;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How long to wait for anything: far more than a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port of this machine.
const ANY_PORT: &str = "127.0.0.1:0";

/// A `server` or `proxy` that runs as a child; killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens, in the order of its announcements: the program's name and the address.
    announced: Vec<(String, SocketAddr)>,
    stdout: Receiver<String>,
    log: Arc<Log>,
}

/// What a child has written to stderr so far.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    text: String,
    ended: bool,
}

/// A server with these flags on a free port.
pub fn server(flags: &[&str]) -> Process {
    let flags = [&["--listen", ANY_PORT], flags].concat();
    Process::start(env!("CARGO_BIN_EXE_server"), &flags, 1)
}

/// A proxy with these flags on a free port, in front of `upstream`.
pub fn proxy(upstream: SocketAddr, flags: &[&str]) -> Process {
    let upstream = upstream.to_string();
    let flags = patient([&["--listen", ANY_PORT, "--upstream", &upstream], flags].concat());
    Process::start(env!("CARGO_BIN_EXE_proxy"), &flags, 1)
}

/// A proxy that runs a server of its own; both are announced, the server first.
pub fn proxy_alone(flags: &[&str]) -> Process {
    let flags = patient([&["--listen", ANY_PORT, "--server-listen", ANY_PORT], flags].concat());
    Process::start(env!("CARGO_BIN_EXE_proxy"), &flags, 2)
}

/// Unless a test says how long the upstream may take: longer than a busy machine does.
fn patient(mut flags: Vec<&str>) -> Vec<&str> {
    if !flags.contains(&"--upstream-timeout") {
        flags.extend(["--upstream-timeout", "25"]);
    }
    flags
}

impl Process {
    /// Runs `program` with exactly these flags and waits for `announcements` lines on its stdout.
    pub fn start(program: &str, flags: &[&str], announcements: usize) -> Process {
        let mut command = Command::new(program);
        command.args(flags).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = follow_stdout(child.stdout.take().expect("it is piped"));
        let log = follow_stderr(child.stderr.take().expect("it is piped"));
        let mut process = Process { child, announced: Vec::new(), stdout, log };
        for _ in 0..announcements {
            let line = process.stdout_line();
            process.announced.push(announcement(&line));
        }
        process
    }

    /// Where the program itself listens.
    pub fn address(&self) -> SocketAddr {
        self.announced.last().expect("it was announced").1
    }

    /// Every listener: the name of the program behind it, and its address.
    pub fn announced(&self) -> &[(String, SocketAddr)] {
        &self.announced
    }

    /// A new client of it.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its stdout, without the line end.
    pub fn stdout_line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line on stdout ({error}); its log:\n{}", self.log()),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.state.lock().expect("nobody panicked with it").text.clone()
    }

    /// Waits until its log holds `part`.
    pub fn wait_for_log(&self, part: &str) {
        let found = |state: &LogState| state.text.contains(part) || state.ended;
        let state = self.log.wait_until(found);
        assert!(state.contains(part), "'{part}' is not in its log:\n{state}");
    }

    /// Sends it a signal by name, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Asks it to stop, and waits until it has; how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills it and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.wait();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        // The log ends with the process, and can be waited for with a limit.
        self.log.wait_until(|state| state.ended);
        self.child.wait().expect("it is a child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("log of process {}:\n{}", self.child.id(), self.log());
        }
    }
}

impl Log {
    /// Waits until `found`; the text then.
    fn wait_until(&self, found: impl Fn(&LogState) -> bool) -> String {
        let state = self.state.lock().expect("nobody panicked with it");
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| !found(state));
        let (state, timeout) = waited.expect("nobody panicked with it");
        assert!(!timeout.timed_out(), "waited too long for a process; its log:\n{}", state.text);
        state.text.clone()
    }
}

fn follow_stdout(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody may be left to take the lines, but the pipe is still to be kept empty.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn follow_stderr(stderr: impl Read + Send + 'static) -> Arc<Log> {
    let log = Arc::new(Log::default());
    let writer = Arc::clone(&log);
    thread::spawn(move || {
        let append = |line: Option<&str>| {
            let mut state = writer.state.lock().expect("nobody panicked with it");
            match line {
                Some(line) => state.text.extend([line, "\n"]),
                None => state.ended = true,
            }
            writer.changed.notify_all();
        };
        let lines = BufReader::new(stderr).split(b'\n').map_while(Result::ok);
        lines.for_each(|line| append(Some(&String::from_utf8_lossy(&line))));
        append(None);
    });
    log
}

/// Reads `server listening on 127.0.0.1:5000, try: telnet 127.0.0.1 5000`.
fn announcement(line: &str) -> (String, SocketAddr) {
    let read = || {
        let (program, rest) = line.split_once(" listening on ")?;
        let (address, hint) = rest.split_once(", try: ")?;
        let address: SocketAddr = address.parse().ok()?;
        let expected = format!("telnet {} {}", address.ip(), address.port());
        (hint == expected).then(|| (program.to_string(), address))
    };
    read().unwrap_or_else(|| panic!("not an announcement: {line}"))
}

/// Reads once, whatever signals come meanwhile: a socket with a timeout may be interrupted by them.
///
/// # Errors
/// As the stream's, save for that.
pub fn read_once(stream: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A raw socket to a program. Every call that reads fails the test after [`PATIENCE`].
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE).expect("it listens"))
    }

    /// A client on a socket that is connected.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the timeout is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Client { stream: BufReader::new(stream) }
    }

    /// The socket itself, for what is done to it only here and there.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the peer takes them");
    }

    /// Sends a FIN: nothing follows.
    pub fn finish_sending(&mut self) {
        self.stream().shutdown(Shutdown::Write).expect("it is connected");
    }

    /// Sends a line; the line that comes back, without its end.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    /// The next line, without its CRLF.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.bytes_through(b'\n');
        let line = line.strip_suffix(b"\r\n");
        let line = line.expect("a reply ends in CRLF");
        String::from_utf8(line.to_vec()).expect("a line of text")
    }

    /// So many lines, without their ends.
    #[track_caller]
    pub fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// The lines before `END`, which is taken too.
    #[track_caller]
    pub fn until_end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line == "END" => return lines,
                line => lines.push(line),
            }
        }
    }

    /// The bytes up to and with the next `last`.
    #[track_caller]
    pub fn bytes_through(&mut self, last: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let result = self.stream.read_until(last, &mut bytes);
        if let Err(error) = result {
            panic!("no reply: {error}; received of it: {}", bytes.escape_ascii());
        }
        assert!(bytes.ends_with(&[last]), "the peer closed after: {}", bytes.escape_ascii());
        bytes
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        if let Err(error) = self.stream.read_exact(&mut bytes) {
            panic!("{count} bytes did not come: {error}");
        }
        bytes
    }

    /// What comes next, however much it is; nothing if the peer has closed.
    ///
    /// # Errors
    /// Nothing came in time, or the connection broke.
    pub fn some_bytes(&mut self) -> io::Result<Vec<u8>> {
        let bytes = loop {
            match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?.to_vec(),
            }
        };
        self.stream.consume(bytes.len());
        Ok(bytes)
    }

    /// Everything until the peer closes in order.
    #[track_caller]
    pub fn until_eof(&mut self) -> Vec<u8> {
        let (bytes, error) = self.until_closed();
        assert!(error.is_none(), "not closed in order: {error:?} after: {}", bytes.escape_ascii());
        bytes
    }

    /// How the peer closed: the bytes that still came, and the error if it was not in order.
    #[track_caller]
    pub fn until_closed(&mut self) -> (Vec<u8>, Option<io::Error>) {
        let mut bytes = Vec::new();
        let error = self.stream.read_to_end(&mut bytes).err();
        if error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            panic!("the peer does not close; received: {}", bytes.escape_ascii());
        }
        (bytes, error)
    }
}
