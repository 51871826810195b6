//! What the tests over real sockets share: a process seen from outside, and small helpers.

use crate::support::process::{Client, PATIENCE, Process, proxy, proxy_alone, server};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A server, and a proxy with a server of its own: the loop is the same for both.
pub fn server_and_proxy(flags: &[&str]) -> [Process; 2] {
    [server(flags), proxy_alone(flags)]
}

/// A server at an address of one's choice.
pub fn server_at(address: SocketAddr) -> Process {
    Process::start(env!("CARGO_BIN_EXE_server"), &["--listen", &address.to_string()], 1)
}

/// A proxy that its upstream has let in before anybody asks it for anything.
#[track_caller]
pub fn connected_proxy(upstream: SocketAddr, flags: &[&str]) -> Process {
    let proxy = proxy(upstream, flags);
    let mut watcher = proxy.client();
    wait_until("the upstream is connected", || stat(&mut watcher, "upstream_up") == 1);
    drop(watcher);
    wait_until("the watcher is gone", || stat(&mut proxy.client(), "connections_now") == 1);
    proxy
}

/// A program run by `sh`, after what `prelude` does to the process.
pub fn start_in_shell(prelude: &str, program: &str, flags: &[&str], lines: usize) -> Process {
    let script = format!("{prelude} exec \"$0\" \"$@\"");
    let arguments = [&["-c", script.as_str(), program], flags].concat();
    Process::start("sh", &arguments, lines)
}

/// The counters that `STATS` prints.
#[track_caller]
pub fn stats(client: &mut Client) -> HashMap<String, u64> {
    client.send("STATS\r\n");
    let lines = client.until_end();
    let pairs = lines.iter().map(|line| {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        (name.to_string(), value.parse().expect("a number"))
    });
    pairs.collect()
}

/// One counter; that of a command is not printed before somebody asks for it.
#[track_caller]
pub fn stat(client: &mut Client, name: &str) -> u64 {
    match stats(client).get(name) {
        Some(count) => *count,
        None if name.starts_with("requests_") => 0,
        None => panic!("no counter {name}"),
    }
}

/// Asks again and again until it is so; fails after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        // What is asked for from outside can only be asked for again.
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until nobody's requests are carried out any more but the watcher's own: until `GET`s have
/// been counted, and no more of them in several looks, for whoever stalls may miss one.
#[track_caller]
pub fn wait_until_paused(watcher: &mut Client) {
    let (mut last, mut quiet_looks) = (0, 0);
    wait_until("they are paused", || {
        let now = stat(watcher, "requests_get");
        quiet_looks = if now == last && now > 0 { quiet_looks + 1 } else { 0 };
        last = now;
        // Whether nothing happens takes time to see.
        thread::sleep(Duration::from_millis(200));
        quiet_looks == 3
    });
}

/// Processor time that a process has used, to a hundredth of a second.
pub fn processor_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let (_, after_name) = stat.rsplit_once(')').expect("the name stands in brackets");
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks: u64 = [11, 12].map(|at| fields[at].parse::<u64>().expect("a number")).iter().sum();
    Duration::from_millis(ticks * 10)
}

/// Fails if a process uses more processor time than `most` in each of ten seconds. One in which it
/// rests is enough: what it began before, or was kept from, may be done in those before that one.
#[track_caller]
pub fn check_rests(id: u32, most: Duration) {
    let mut used = Vec::new();
    for _ in 0..10 {
        let before = processor_time(id);
        // The time itself: how much of it is used.
        thread::sleep(Duration::from_secs(1));
        used.push(processor_time(id) - before);
        if used.last().is_some_and(|it| *it <= most) {
            println!("processor time, second by second: {used:?}");
            return;
        }
    }
    panic!("processor time, second by second: {used:?}");
}

/// Waits until a process has nothing to do: until its first thread, which has what was sent to it
/// already, waits for more. That takes microseconds.
pub fn wait_until_asleep(id: u32) {
    let deadline = Instant::now() + PATIENCE;
    let is_asleep = || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
        stat.rsplit_once(") ").is_some_and(|(_, after_name)| after_name.starts_with('S'))
    };
    while !is_asleep() {
        assert!(Instant::now() < deadline, "it is never done");
        thread::yield_now();
    }
}

/// How many descriptors a process has open.
pub fn descriptors(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").count()
}

/// The most memory that a process has had, in bytes.
pub fn peak_memory(id: u32) -> usize {
    memory(id, "VmHWM:")
}

/// The memory that a process has now, in bytes.
pub fn resident_memory(id: u32) -> usize {
    memory(id, "VmRSS:")
}

fn memory(id: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
    let kibibytes = line.trim().strip_suffix(" kB").expect("in kB");
    kibibytes.parse::<usize>().expect("a number") << 10
}

/// A loopback address that no other test uses: a port of it stays free between two listeners.
pub fn own_loopback() -> IpAddr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    IpAddr::V4(Ipv4Addr::new(127, 10 + high % 200, low, count))
}

/// A place where nobody listens, for a program that is told of it. It is bound, so that nobody else
/// is given it, and no more than that: a child that is being started beside it has all descriptors
/// of this process for a moment, and would keep a listener alive that is closed here.
pub struct Reserved {
    pub address: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    pub fn new() -> Reserved {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
        // As the listeners have it: only then may there be both.
        socket.set_reuse_address(true).expect("it is a socket");
        socket.bind(&SocketAddr::new(own_loopback(), 0).into()).expect("there is a port");
        let address = socket.local_addr().expect("it is bound").as_socket().expect("an address");
        Reserved { address, _socket: socket }
    }
}

/// Sends a process a signal by name, such as `TERM`.
#[track_caller]
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(status.expect("kill runs").success(), "kill -{name} {id}");
}

/// Closes with a reset: to a FIN, the programs would go on answering what is under way.
pub fn reset(client: Client) {
    let socket = SockRef::from(client.stream());
    socket.set_linger(Some(Duration::ZERO)).expect("it is a socket");
}
