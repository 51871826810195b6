//! The common part of the programs `server` and `proxy` around their reactors: start and end,
//! messages on stdout and stderr, exit codes.

pub mod flags;
pub mod logging;

use crate::base::arena;
use crate::handler::Handler;
use crate::program::flags::{Common, Parsed};
use crate::reactor::{Exit, Poll, Reactor, Stopper};
use crate::server::Server;
use crate::settings::Settings;
use crate::settings::limits::Limits;
use log::{info, warn};
use nix::unistd::Uid;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Descriptors kept back from clients: listeners, the upstream, signals, the log, and clients past
/// the limit while they read the refusal.
pub const RESERVED_DESCRIPTORS: usize = 64;

/// Returns the memory of this process, in bytes; 0 where the system does not report it.
pub fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(0, |number: usize| number << 10)
}

/// Returns a number that differs from process to process.
pub fn random_seed() -> u64 {
    RandomState::new().hash_one(())
}

/// Runs a program on the arguments of this process: `parse` reads them, and `run` returns the exit
/// code, or one line on why the program cannot go on. The exit code is then 1, and 2 where the
/// arguments are wrong.
pub fn start<T>(
    program: &str,
    parse: impl FnOnce(&[String]) -> Result<Parsed<T>, String>,
    run: impl FnOnce(T) -> Result<ExitCode, String>,
) -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<_> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    match parse(&arguments) {
        Ok(Parsed::Run(config)) => {
            let _last_lines = logging::start();
            run(config).unwrap_or_else(|message| {
                print_error(program, &message);
                ExitCode::FAILURE
            })
        }
        Ok(Parsed::Print(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => {
            print_error(program, &format!("{message}; try {program} --help"));
            ExitCode::from(2)
        }
    }
}

/// Returns a reactor that catches the process's signals and listens, and its addresses with the
/// real ports. Signals come first: once the program can be reached, a SIGHUP does not end it.
///
/// # Errors
/// One line with the reason.
pub fn listening<H: Handler>(
    handler: H,
    limits: Limits,
    listen: &[SocketAddr],
) -> Result<(Reactor<H>, Vec<SocketAddr>), String> {
    let mut reactor = new_reactor(handler, limits)?;
    reactor.network().take_signals().map_err(|error| format!("cannot catch signals: {error}"))?;
    let real = listen
        .iter()
        .map(|&address| reactor.listen(address).map_err(|error| cannot_listen(address, &error)));
    let real = real.collect::<Result<_, _>>()?;
    Ok((reactor, real))
}

/// A server on a thread of its own.
pub struct OwnServer {
    /// The address that it listens on.
    pub address: SocketAddr,
    stopper: Stopper,
    thread: JoinHandle<Result<Exit, String>>,
}

impl OwnServer {
    /// Stops the server, and waits until it has drained; a signal meanwhile ends the process.
    pub fn stop(self) {
        for signal in [SIGTERM, SIGINT] {
            let armed = Arc::new(AtomicBool::new(true));
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 1, armed);
        }
        self.stopper.stop();
        let _ = self.thread.join();
    }
}

/// Runs a server at `address`, unless a program listens there already. The descriptors of the
/// process are then divided between that server and a proxy.
///
/// # Errors
/// One line with the reason why there is no server.
pub fn find_or_start_server(
    address: SocketAddr,
    settings: &mut Settings,
) -> Result<Option<OwnServer>, String> {
    // The proxy is its client, and may send no requests for long.
    let limits = Limits { idle_timeout: Duration::ZERO, ..settings.limits };
    let server = Server::new(Settings { limits, ..*settings }, Instant::now());
    let mut reactor = new_reactor(server, limits)?;
    match reactor.listen(address) {
        Ok(real) => {
            fit_descriptors("proxy and server each", &mut settings.limits, 2);
            reactor.set_limits(settings.limits);
            let stopper = reactor.network().stopper();
            let thread = thread::Builder::new().name("server".to_string());
            let thread = thread.spawn(move || run(reactor));
            let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
            Ok(Some(OwnServer { address: real, stopper, thread }))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            info!("using the server that listens on {address}");
            Ok(None)
        }
        Err(error) => Err(cannot_listen(address, &error)),
    }
}

fn new_reactor<H: Handler>(handler: H, limits: Limits) -> Result<Reactor<H>, String> {
    let poll = Poll::new().map_err(|error| format!("cannot start the event loop: {error}"))?;
    Ok(Reactor::new(poll, handler, limits))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": the port is in use, by another server perhaps",
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!("cannot listen on {address}{hint}")
}

/// Warns of a program that runs as root.
pub fn warn_of_root() {
    if Uid::effective().is_root() {
        warn!("running as root: nothing here needs it, any other user will do");
    }
}

/// Prints each address that a program listens on, and warns of those that others can reach.
pub fn announce(program: &str, addresses: &[SocketAddr]) {
    for address in addresses {
        let (host, port) = (address.ip(), address.port());
        print(&format!("{program} listening on {address}, try: telnet {host} {port}\n"));
        if !host.is_loopback() {
            warn!("{address} can be reached from other machines, and there is no password");
        }
    }
}

/// Runs a reactor until an order to stop comes.
///
/// # Errors
/// One line with the reason why it cannot go on.
pub fn run<H: Handler>(reactor: Reactor<H>) -> Result<Exit, String> {
    keep_memory_ready();
    reactor.run().map_err(|error| format!("the event loop failed: {error}"))
}

/// Starts the thread that touches memory before it is needed, once.
fn keep_memory_ready() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let thread = thread::Builder::new().name("memory".to_string());
        if let Err(error) = thread.spawn(|| arena::keep_ready()) {
            warn!("memory will be touched when it is needed: cannot start a thread: {error}");
        }
    });
}

/// Returns 0 after a stop in which all replies were sent.
pub fn exit_code(ended: Exit) -> ExitCode {
    match ended {
        Exit::Drained => ExitCode::SUCCESS,
        Exit::Forced => ExitCode::FAILURE,
    }
}

fn print_error(program: &str, message: &str) {
    let _ = writeln!(io::stderr(), "{program}: {message}");
}

/// Returns the settings of a program, with no more clients than the system has descriptors for.
pub fn fitted_settings(program: &str, common: &Common) -> Settings {
    let mut settings = common.settings;
    fit_descriptors(program, &mut settings.limits, 1);
    settings
}

/// Writes to stdout. A stdout that is closed does not end the program.
fn print(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Raises the process's soft limit of descriptors to what so many reactors need, or lowers
/// `max_connections` of each, with a warning.
fn fit_descriptors(whose: &str, limits: &mut Limits, reactors: usize) {
    let needed = (limits.max_connections + RESERVED_DESCRIPTORS) * reactors;
    let granted = match rlimit::increase_nofile_limit(needed as u64) {
        Ok(granted) => granted as usize,
        Err(error) => {
            warn!("cannot read the descriptor limit: {error}");
            return;
        }
    };
    if granted < needed {
        let most = (granted / reactors).saturating_sub(RESERVED_DESCRIPTORS).max(1);
        limits.max_connections = most;
        warn!("{whose}: at most {most} clients, for want of descriptors: {granted} of {needed}");
    }
}
