//! The programs that are measured: Larder's, other people's where they are installed, and the
//! floor. Each runs as a child on processor 0, while the bench itself is on processor 1.

use super::exchange::{Exchange, Form, Verb};
use super::load::{Clients, Load};
use super::resident_bytes;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// Keys are filled in, and values set, with this many bytes, where nothing else is said.
pub const VALUE_BYTES: usize = 32;

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// Programs of others that the benches know; on Debian, the packages have the same names.
pub const PEERS: [&str; 3] = ["redis-server", "memcached", "nutcracker"];

/// How long a program may take to listen.
const STARTING: Duration = Duration::from_secs(10);

/// A program that listens until it is dropped.
pub struct Program {
    pub name: String,
    pub address: SocketAddr,
    /// How to speak to it.
    pub form: Form,
    process: Child,
    /// Its files, if it has any.
    folder: Option<PathBuf>,
}

/// Processor time of a program, until now or in between.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    /// Exact.
    pub all: Duration,
    /// Of the system's ticks, those that met the program itself, and those that met the system at
    /// work for it.
    user_ticks: f64,
    system_ticks: f64,
}

impl Cpu {
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            all: self.all.saturating_sub(earlier.all),
            user_ticks: self.user_ticks - earlier.user_ticks,
            system_ticks: self.system_ticks - earlier.system_ticks,
        }
    }

    /// What of it the program itself took, as far as the ticks tell.
    pub fn user(self) -> Duration {
        let ticks = self.user_ticks + self.system_ticks;
        if ticks == 0.0 { Duration::ZERO } else { self.all.mul_f64(self.user_ticks / ticks) }
    }
}

impl Program {
    /// One of Larder's programs, or another that says as they do where it listens.
    pub fn start(name: &str, path: &str, arguments: &[&str]) -> Program {
        let mut command = pinned(path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env("RUST_LOG", "error");
        let mut process = command.spawn().expect("the program starts");
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
        let word = line.split([' ', ',', '\n']).find(|word| word.starts_with("127.0.0.1:"));
        let address = word.and_then(|word| word.parse().ok()).expect("the line names the address");
        Program { name: name.to_string(), address, form: Form::Resp, process, folder: None }
    }

    /// Larder's server as it is without flags.
    pub fn server() -> Program {
        Program::start("Larder", SERVER, &["--listen", "127.0.0.1:0"])
    }

    /// Larder's proxy.
    pub fn proxy(name: &str, upstream: SocketAddr, flags: &[&str]) -> Program {
        let upstream = upstream.to_string();
        let own = ["--listen", "127.0.0.1:0", "--upstream", &upstream];
        Program::start(name, PROXY, &[&own, flags].concat())
    }

    /// A redis-server that writes nothing to disk.
    pub fn redis() -> Option<Program> {
        let name = "redis-server";
        Program::of_others(name, name, Form::Resp, |_, port| {
            let text = format!("--port {port} --bind 127.0.0.1 --appendonly no");
            text.split(' ').map(str::to_string).chain(["--save".into(), String::new()]).collect()
        })
    }

    /// A memcached with one thread for its clients, and room for all that is put in.
    pub fn memcached() -> Option<Program> {
        Program::of_others("memcached -t 1", "memcached", Form::Memcached, |_, port| {
            // The user counts only for root, as whom it does not run unless told to.
            let text = format!("-u root -t 1 -l 127.0.0.1 -p {port} -U 0 -m 8192 -c 10000");
            text.split(' ').map(str::to_string).collect()
        })
    }

    /// A nutcracker (twemproxy) before one Redis.
    pub fn nutcracker(upstream: SocketAddr) -> Option<Program> {
        let name = "nutcracker";
        Program::of_others(name, name, Form::Resp, |folder, port| {
            let pool = format!(
                "pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  \
                 redis: true\n  servers:\n   - {upstream}:1\n"
            );
            let file = folder.join("nutcracker.yml").display().to_string();
            fs::write(&file, pool).expect("there is room");
            let stats = free_port().to_string();
            ["-c", &file, "-a", "127.0.0.1", "-s", &stats].map(str::to_string).into()
        })
    }

    /// A program of others at a free port; `None` if it is not installed. It is given a folder of
    /// its own, where it also runs.
    fn of_others(
        name: &str,
        program: &str,
        form: Form,
        arguments: impl FnOnce(&Path, u16) -> Vec<String>,
    ) -> Option<Program> {
        if !is_installed(program) {
            return None;
        }
        let port = free_port();
        let folder = env::temp_dir().join(format!("larder-bench-{}-{port}", process::id()));
        fs::create_dir_all(&folder).expect("there is room");
        let mut command = pinned(program);
        command.args(arguments(&folder, port)).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it is installed");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.try_wait().expect("it is a child");
            let late = start.elapsed() > STARTING;
            assert!(ended.is_none() && !late, "{program} does not listen: {ended:?}");
            thread::sleep(Duration::from_millis(10));
        }
        Some(Program { name: name.to_string(), address, form, process, folder: Some(folder) })
    }

    /// Sets the keys with numbers below this.
    pub fn fill(&self, keys: usize, value_bytes: usize) {
        // Large values are large enough by themselves.
        let (pipeline, connections) = if value_bytes > 1024 { (1, 1) } else { (50, 20) };
        let (form, verb, in_order) = (self.form, Verb::Set, true);
        let load = Load { form, verb, value_bytes, keys, in_order, pipeline, connections };
        Clients::connect(self.address, &load).run(keys);
    }

    /// The processor time that all its threads have taken so far; none where the system does not
    /// tell.
    pub fn cpu(&self) -> Cpu {
        self.known_cpu().unwrap_or_default()
    }

    fn known_cpu(&self) -> Option<Cpu> {
        let process = PathBuf::from(format!("/proc/{}", self.process.id()));
        let mut all = 0;
        for task in fs::read_dir(process.join("task")).ok()? {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            all += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // The name may hold blanks: count from its end.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse().ok();
        let (user_ticks, system_ticks) = (ticks()?, ticks()?);
        Some(Cpu { all: Duration::from_nanos(all), user_ticks, system_ticks })
    }

    /// Its memory now, in bytes; 0 where the system does not tell.
    pub fn memory(&self) -> usize {
        resident_bytes(self.process.id()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Whether a program can be called by its name.
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Says which of the others are not there, and what would bring them.
pub fn tell_what_is_missing() {
    for peer in PEERS.into_iter().filter(|peer| !is_installed(peer)) {
        println!("(left out: {peer} is not installed; on Debian: apt-get install {peer})");
    }
}

/// Whether this process, and each that it starts, may have so many connections at a time.
pub fn can_open(connections: usize) -> bool {
    // And what else is open: files, pipes, the poll.
    let wanted = connections as u64 + 100;
    rlimit::increase_nofile_limit(wanted).is_ok_and(|limit| limit >= wanted)
}

/// Keeps this thread, and those that it starts, on processor 1, where there are two.
pub fn pin_bench() {
    if can_pin() {
        let mut command = Command::new("taskset");
        command.args(["-pc", "1", &process::id().to_string()]).stdout(Stdio::null());
        let status = command.status().expect("it ran just now");
        assert!(status.success(), "taskset: {status}");
    } else {
        println!("(not pinned: there is no taskset, of util-linux, or no second processor)");
    }
}

/// To run a program on processor 0.
fn pinned(program: impl AsRef<OsStr>) -> Command {
    if !can_pin() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn can_pin() -> bool {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("it is bound").port()
}

/// The floor: this bench itself, as a server that reads and answers and does nothing else.
pub mod floor {
    use super::*;
    use mio::net::TcpListener as Listener;
    use mio::{Events, Interest, Poll, Token};
    use slab::Slab;
    use std::io::{ErrorKind, Read, Write};

    /// On the command line of the bench: to be the floor of this verb.
    const FLAG: &str = "--floor=";
    const LISTENER: Token = Token(usize::MAX);

    /// Starts one. It answers each request with what would be the right reply.
    pub fn start(verb: Verb) -> Program {
        let own = env::current_exe().expect("the system knows what it runs");
        let own = own.to_str().expect("cargo's names are text");
        Program::start("floor", own, &[&format!("{FLAG}{}", verb.name())])
    }

    /// Where `main` begins: does not return if this process is to be the floor.
    pub fn serve_if_asked() {
        for verb in Verb::BOTH {
            if env::args().any(|argument| argument == format!("{FLAG}{}", verb.name())) {
                serve(&Exchange::new(Form::Resp, verb, VALUE_BYTES, 1).reply);
            }
        }
    }

    /// One thread, one poll; for each connection that is ready one read, and one write. A request
    /// is known by its `*`, which stands nowhere else in it: nothing is decoded, looked up or kept.
    fn serve(reply: &[u8]) -> ! {
        let mut poll = Poll::new().expect("the system has a poll");
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("there is a port");
        println!("floor listening on {}", listener.local_addr().expect("it is bound"));
        let registry = poll.registry().try_clone().expect("it can be had twice");
        registry.register(&mut listener, LISTENER, Interest::READABLE).expect("there is room");
        let (mut events, mut streams) = (Events::with_capacity(1024), Slab::new());
        let mut input = vec![0; 64 * 1024];
        let replies = reply.repeat(input.len() / 16);
        loop {
            poll.poll(&mut events, None).expect("the poll stands");
            for event in &events {
                if event.token() == LISTENER {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nodelay(true).expect("TCP has this option");
                        let token = Token(streams.vacant_key());
                        registry.register(&mut stream, token, Interest::READABLE).expect("room");
                        streams.insert(stream);
                    }
                    continue;
                }
                let stream = &mut streams[event.token().0];
                let count = match stream.read(&mut input) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    count => count.unwrap_or(0),
                };
                let requests = memchr::memchr_iter(b'*', &input[..count]).count();
                let output = &replies[..requests * reply.len()];
                if count == 0 || stream.write(output).ok() != Some(output.len()) {
                    streams.remove(event.token().0);
                }
            }
        }
    }
}
