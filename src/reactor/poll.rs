//! The network of sockets: the only file that names `mio`.
//!
//! Sockets are registered once, edge-triggered, and never again. Other threads and signals reach
//! the loop as events of the same poll.

use super::network::{Network, NetworkEvent};
use super::resolver;
use crate::handler::ConnId;
use crate::reactor::connection::{Readiness, Stream};
use crate::stats::ProcessUsage;
use log::warn;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Token, Waker};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_mio::v1_0::Signals;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Idle time after which the system probes whether the peer is still there, as in Redis.
const KEEPALIVE: Duration = Duration::from_secs(300);
/// Clients that wait to be accepted while the loop is busy.
const BACKLOG: i32 = 4096;
/// Events of one poll: memcached and Redis take about as many.
const EVENTS: usize = 1024;
/// Tokens of connections have lower halves other than 0, so those of listeners are free: the upper
/// half is the listener's index, and the highest indices stand for these two.
const WAKER: Token = Token((u32::MAX as usize) << 32);
const SIGNALS: Token = Token((u32::MAX as usize - 1) << 32);

impl Stream for TcpStream {
    fn shutdown_write(&mut self) {
        // The peer may have gone already, which the next read reports.
        let _ = self.shutdown(Shutdown::Write);
    }

    fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match self.peer_addr() {
            Ok(_) => Ok(true),
            // An event that came too early.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The sending end for events of other threads, which also wakes the reactor.
#[derive(Clone, Debug)]
struct Mailbox {
    sender: Sender<NetworkEvent>,
    waker: Arc<Waker>,
}

impl Mailbox {
    fn send(&self, event: NetworkEvent) {
        // A reactor that has ended receives no events.
        if self.sender.send(event).is_ok()
            && let Err(error) = self.waker.wake()
        {
            warn!("cannot wake the reactor: {error}");
        }
    }
}

/// Stops a reactor on another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Mailbox);

impl Stopper {
    /// Orders the reactor to stop, as SIGTERM does: the first call drains, the second ends at once.
    pub fn stop(&self) {
        self.0.send(NetworkEvent::Stop);
    }
}

/// Sockets, signals and events of other threads, through epoll or the system's equivalent.
pub struct Poll {
    poll: mio::Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    signals: Option<Signals>,
    mailbox: Mailbox,
    mail: Receiver<NetworkEvent>,
}

impl Poll {
    /// Returns a network without listeners.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new() -> io::Result<Poll> {
        let poll = mio::Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, mail) = mpsc::channel();
        Ok(Poll {
            poll,
            events: Events::with_capacity(EVENTS),
            listeners: Vec::new(),
            signals: None,
            mailbox: Mailbox { sender, waker },
            mail,
        })
    }

    /// Takes the process's SIGTERM and SIGINT as [`NetworkEvent::Stop`], SIGHUP as
    /// [`NetworkEvent::Reload`], and SIGXFSZ as nothing.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn take_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ])?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Returns a handle by which another thread stops the reactor.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.mailbox.clone())
    }
}

impl Network for Poll {
    type Stream = TcpStream;

    fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<NetworkEvent>,
    ) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            result => result?,
        }
        let mut count = 0;
        for event in self.events.iter() {
            count += 1;
            match event.token() {
                SIGNALS => {
                    let pending = self.signals.iter_mut().flat_map(Signals::pending);
                    events.extend(pending.filter_map(signal_event));
                }
                WAKER => events.extend(self.mail.try_iter()),
                Token(packed) if packed as u32 == 0 => {
                    events.push(NetworkEvent::Listener(packed >> 32));
                }
                Token(packed) => {
                    let read_on = event.is_priority() || event.is_read_closed();
                    let readiness = Readiness {
                        readable: event.is_readable() || read_on,
                        writable: event.is_writable(),
                        read_on,
                        broken: event.is_error() || event.is_write_closed(),
                    };
                    events.push(NetworkEvent::Connection(ConnId::unpack(packed), readiness));
                }
            }
        }
        Ok(count == EVENTS)
    }

    fn now(&mut self) -> Instant {
        Instant::now()
    }

    fn time_of_day(&self) -> Duration {
        // A clock that is set to before 1970 stands for 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn process_usage(&self) -> ProcessUsage {
        let times = |whom| {
            let usage = getrusage(whom).ok();
            usage.map(|usage| (duration(usage.user_time()), duration(usage.system_time())))
        };
        let (user, system) = times(UsageWho::RUSAGE_SELF).unwrap_or_default();
        let (thread_user, thread_system) = times(UsageWho::RUSAGE_THREAD).unwrap_or_default();
        ProcessUsage { id: std::process::id(), user, system, thread_user, thread_system }
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // So that both families can be listened on by name, on one port.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let mut socket = TcpListener::from_std(socket.into());
        let real = socket.local_addr()?;
        let token = Token(self.listeners.len() << 32);
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(socket);
        Ok(real)
    }

    fn accept(&mut self, listener: usize) -> io::Result<(TcpStream, SocketAddr)> {
        self.listeners[listener].accept()
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    fn register(&mut self, stream: &mut TcpStream, id: ConnId) -> io::Result<()> {
        let socket = SockRef::from(&*stream);
        // Options fail where the peer has reset the connection already, which a read reports.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll.registry().register(stream, Token(id.pack()), interest)
    }

    fn connect(&mut self, to: SocketAddr, id: ConnId) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(to)?;
        self.register(&mut stream, id)?;
        Ok(stream)
    }

    fn look_up(&mut self, name: &str) -> io::Result<()> {
        let mailbox = self.mailbox.clone();
        let send = move |answer| mailbox.send(NetworkEvent::Resolved(Box::new(answer)));
        resolver::look_up(name, send)
    }

    fn close(&mut self, stream: TcpStream) {
        drop(stream);
    }
}

/// Returns a time that the system has measured.
fn duration(time: TimeVal) -> Duration {
    Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0))
}

fn signal_event(signal: i32) -> Option<NetworkEvent> {
    match signal {
        SIGHUP => Some(NetworkEvent::Reload),
        // The log is as long as a file may be; a line about it would bring the next.
        SIGXFSZ => None,
        _ => Some(NetworkEvent::Stop),
    }
}
