//! The event loop, and the only module that names `mio`: it polls, accepts, connects, and gives
//! each connection its turn.
//!
//! One *tick*:
//!
//! ```text
//!   poll                     the only call that blocks
//!   read the clock           once
//!   upstream connections     each read dry
//!   deadlines                timers that are due, then the handler's own
//!   clients                  each on the ready list has one turn: one read at the most
//!   listeners                accept until there is none
//!   settle                   connect, write, close, until the outbox is quiet; in between, too,
//!                            when there is much to write
//! ```
//!
//! Example: a client's 100 KiB of requests arrive. The event puts it on the ready list; its turn
//! reads 68 KiB, hands them over and finds the read full, so it stays on the list; `settle` writes
//! the replies; the next poll waits zero time, and the next turn reads the other 32 KiB, which is a
//! short read: the list is empty, and poll sleeps.
//!
//! Nothing is written or closed inside a callback of the handler, so that none can pull the ground
//! from under another. Connections are registered once, edge-triggered, and never again.

use crate::base::buffer::Buffer;
use crate::base::buffer::SCRATCH_BYTES;
use crate::base::clock::WallClock;
use crate::base::timer_wheel::TimerWheel;
use crate::handler::{CloseMode, CloseReason, ConnId, Handler, Outbox};
use crate::reactor::connection::{Kind, Readiness, Step, Stream};
use crate::reactor::connection_table::ConnectionTable;
use crate::settings::limits::{self, Limits};
use crate::stats::Stat;
use accepting::Listeners;
use log::{info, warn};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use resolver::{Answer, Resolver};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_mio::v1_0::Signals;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Idle time after which the system probes whether the peer is still there, as in Redis.
pub const KEEPALIVE: Duration = Duration::from_secs(300);

/// What each of them is written at the least, however many they are. As in Redis.
pub const MIN_WRITE: usize = 64 * 1024;

/// What one tick writes to clients, shared among those who have a turn in it: about a millisecond.
/// One alone, or a few, are written all that they are kept ready.
pub const TICK_WRITES: usize = 4 * 1024 * 1024;

mod accepting;
pub mod connection;
pub mod connection_table;
pub use accepting::ACCEPT_REST;
mod connecting;
mod resolver;

/// Events of one poll: memcached and Redis take about as many.
const EVENTS: usize = 1024;
/// Tokens of connections have lower halves other than 0, so those of listeners are free: the upper
/// half is the listener's place, and the highest places stand for these two.
const WAKER: Token = Token((u32::MAX as usize) << 32);
const SIGNALS: Token = Token((u32::MAX as usize - 1) << 32);
/// Turns of an upstream connection after which what came of them is sent to clients, without
/// waiting for the end of the tick: a high-water mark of bytes, or some of them of long replies.
const FLUSH_TURNS: usize = limits::HIGH_WATER / SCRATCH_BYTES;
/// Connections with new output after which it is sent, without waiting for the end of the tick: a
/// megabyte of memory that was written to just now, and will be used again.
const OUTPUTS_AT_ONCE: usize = 64;

impl Stream for TcpStream {
    fn shutdown_write(&mut self) {
        // The peer may have gone already, which the next read tells.
        let _ = self.shutdown(Shutdown::Write);
    }
}

#[derive(Clone, Copy)]
enum Timer {
    Connection(ConnId),
    Listener(usize),
}

/// How a reactor came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop, and every client has left or the drain timeout has passed.
    Drained,
    /// It was told to stop twice.
    Forced,
}

/// What other threads send to a reactor.
enum Message {
    Stop,
    Resolved(Answer),
}

/// The sending end, which also wakes the reactor.
#[derive(Clone, Debug)]
struct Mailbox {
    sender: Sender<Message>,
    waker: Arc<Waker>,
}

impl Mailbox {
    fn send(&self, message: Message) {
        // A reactor that has ended has nobody to receive messages.
        if self.sender.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            warn!("cannot wake the reactor: {error}");
        }
    }
}

/// Tells a reactor on another thread to stop.
#[derive(Clone, Debug)]
pub struct Stopper(Mailbox);

impl Stopper {
    /// The same as the signal SIGTERM: the first call drains, the second stops at once.
    pub fn stop(&self) {
        self.0.send(Message::Stop);
    }
}

/// An event loop around one handler.
pub struct Reactor<H> {
    poll: Poll,
    handler: H,
    out: Outbox,
    limits: Limits,
    listeners: Listeners,
    connections: ConnectionTable<TcpStream>,
    timers: TimerWheel<Timer>,
    scratch: Buffer,
    signals: Option<Signals>,
    mailbox: Mailbox,
    messages: Receiver<Message>,
    resolver: Resolver,
    /// What a client is written in this tick.
    share: usize,
    stop_at: Option<Instant>,
    forced: bool,
}

impl<H: Handler> Reactor<H> {
    /// A reactor without listeners.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(handler: H, limits: Limits, now: Instant) -> io::Result<Reactor<H>> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, messages) = mpsc::channel();
        Ok(Reactor {
            poll,
            handler,
            out: Outbox::new(wall_clock(now)),
            limits,
            listeners: Listeners::default(),
            connections: ConnectionTable::default(),
            timers: TimerWheel::new(now),
            scratch: Buffer::with_capacity(SCRATCH_BYTES),
            signals: None,
            mailbox: Mailbox { sender, waker },
            messages,
            resolver: Resolver::default(),
            share: 0,
            stop_at: None,
            forced: false,
        })
    }

    /// Accepts no more than `most` clients at a time from now on.
    pub fn limit_clients(&mut self, most: usize) {
        self.limits.max_connections = most;
    }

    /// Takes the process's SIGTERM and SIGINT as words to stop, and SIGHUP and SIGXFSZ as
    /// none.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn take_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ])?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// A handle by which another thread stops this reactor.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.mailbox.clone())
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// The system's poll fails.
    pub fn run(mut self) -> io::Result<Exit> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if !self.tick(&mut events)? {
                continue;
            }
            let ended = if self.forced { Exit::Forced } else { Exit::Drained };
            match self.connections.clients() {
                0 => {}
                left => info!("stopped with {left} clients still connected"),
            }
            return Ok(ended);
        }
    }

    /// One turn of the loop; whether it was the last.
    fn tick(&mut self, events: &mut Events) -> io::Result<bool> {
        match self.poll.poll(events, self.sleep_time()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        let now = Instant::now();
        if self.out.clock.is_stale(now) {
            self.out.clock = wall_clock(now);
            self.out.pool.age();
        }
        let mut count = 0;
        for event in events.iter() {
            count += 1;
            self.note(event, now);
        }
        self.read_upstreams(count == EVENTS, now);
        self.share = share_of_writes(self.connections.turns() + self.out.touched());
        self.reach_deadlines(now);
        self.serve_clients(now);
        self.accept_all(now);
        self.settle(self.share, now);
        Ok(self.forced || self.stop_at.is_some_and(|at| self.is_deserted() || now >= at))
    }

    fn is_deserted(&self) -> bool {
        self.connections.clients() + self.connections.refused() == 0
    }

    fn sleep_time(&self) -> Option<Duration> {
        if self.connections.has_ready() || self.listeners.has_overflow() {
            return Some(Duration::ZERO);
        }
        let deadlines = [self.timers.next_deadline(), self.handler.next_deadline(), self.stop_at];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    #[inline]
    fn note(&mut self, event: &Event, now: Instant) {
        let token = event.token();
        match token {
            SIGNALS => self.take_pending_signals(now),
            WAKER => self.drain_messages(now),
            Token(packed) if packed as u32 == 0 => self.listeners.note(packed >> 32),
            Token(packed) => self.note_connection(ConnId::unpack(packed), event, now),
        }
    }

    /// Takes the messages of other threads.
    fn drain_messages(&mut self, now: Instant) {
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Stop => self.stop(now),
                Message::Resolved(answer) => self.resolved(&answer, now),
            }
        }
    }

    #[inline]
    fn note_connection(&mut self, id: ConnId, event: &Event, now: Instant) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.is_connecting() {
            return self.finish_connect(id, now);
        }
        let read_on = event.is_priority() || event.is_read_closed();
        let writable = event.is_writable();
        let readiness = Readiness {
            readable: event.is_readable() || read_on,
            writable,
            read_on,
            broken: event.is_error() || event.is_write_closed(),
        };
        match connection.note(readiness) {
            Ok(()) => {
                let kind = connection.kind;
                if writable && self.out.unsent(id) > 0 {
                    self.out.touch(id);
                }
                if kind != Kind::Upstream {
                    self.connections.list_if_ready(id);
                }
            }
            step => self.conclude(id, step, now),
        }
    }

    /// Rule 9 of the cache: what the upstream has to say is heard before any client is served.
    fn read_upstreams(&mut self, events_full: bool, now: Instant) {
        // From the last, since one that goes leaves its place to those after it.
        for index in (0..self.connections.upstreams()).rev() {
            let Some(id) = self.connections.upstream(index) else { continue };
            if events_full && let Some(connection) = self.connections.get(id) {
                connection.suspect_readable();
            }
            let mut turns = 0;
            while let Some(connection) = self.connections.get(id)
                && connection.is_ready()
                && self.out.ending(id) == CloseMode::None
            {
                self.take_turn(id, now);
                turns += 1;
                if turns % FLUSH_TURNS == 0 {
                    // Much comes: pass it on, lest it gather for clients that would take it.
                    self.settle(usize::MAX, now);
                }
            }
        }
    }

    fn reach_deadlines(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Connection(id) => self.reach_connection_deadline(id, now),
                Timer::Listener(place) => self.listeners.end_rest(place),
            }
        }
        if self.handler.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.handler.deadline_reached(&mut self.out, now);
        }
    }

    fn reach_connection_deadline(&mut self, id: ConnId, now: Instant) {
        let Some(connection) = self.connections.get(id) else {
            // It waits for its address.
            return self.give_up_lookup(id, CloseReason::ConnectFailed(ErrorKind::TimedOut), now);
        };
        connection.timer = None;
        match connection.deadline {
            Some(deadline) if deadline <= now => {
                let step = connection.overdue(&mut self.handler, &mut self.out, now);
                self.conclude(id, step, now);
            }
            _ => self.set_timer(id),
        }
    }

    /// Sets a timer for a connection's deadline, unless one is set that comes no later: then that
    /// one will set the next.
    #[inline]
    fn set_timer(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(deadline) = connection.deadline else { return };
        if let Some((timer, at)) = connection.timer {
            if at <= deadline {
                return;
            }
            self.timers.cancel(timer);
        }
        let timer = self.timers.insert(deadline, Timer::Connection(id));
        connection.timer = Some((timer, deadline));
    }

    fn register(&self, stream: &mut TcpStream, id: ConnId) -> io::Result<()> {
        let socket = SockRef::from(&*stream);
        // Options fail where the peer has reset the connection already, which a read will tell.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll.registry().register(stream, Token(id.pack()), interest)
    }

    fn serve_clients(&mut self, now: Instant) {
        let turns = self.connections.turns();
        for index in 0..turns {
            if let Some(id) = self.connections.turn(index) {
                self.take_turn(id, now);
                self.connections.list_if_ready(id);
            }
            if self.out.touched() >= OUTPUTS_AT_ONCE {
                self.settle(self.share, now);
            }
        }
        self.connections.end_turns(turns);
    }

    #[inline]
    fn take_turn(&mut self, id: ConnId, now: Instant) {
        let Some(connection) = self.connections.get(id) else { return };
        let (handler, out, scratch) = (&mut self.handler, &mut self.out, &mut self.scratch);
        let clock = handler.wants_fresh_time().then_some(Instant::now as fn() -> Instant);
        let step = connection.take_turn(handler, out, scratch, now, clock);
        self.conclude(id, step, now);
    }

    /// Carries out what the outbox holds, until it holds nothing: an end may cause replies to
    /// others, a failed connect another connect. Of long outputs about `share` bytes are sent: who
    /// asks for much is not to hold up the others, and goes on in the next tick.
    fn settle(&mut self, share: usize, now: Instant) {
        loop {
            if let Some(connect) = self.out.pop_connect() {
                self.connect(connect, now);
            } else if let Some(id) = self.out.pop_touched() {
                if let Some(connection) = self.connections.get(id) {
                    let step = connection.settle(&mut self.out, &self.limits, share, now);
                    self.conclude(id, step, now);
                    self.connections.list_if_ready(id);
                } else if self.out.ending(id) != CloseMode::None {
                    self.give_up_lookup(id, CloseReason::Closed, now);
                }
            } else if let Some(id) = self.out.pop_resumed() {
                if let Some(connection) = self.connections.get(id) {
                    connection.resume();
                    self.connections.list_if_ready(id);
                }
            } else {
                return;
            }
        }
    }

    #[inline]
    fn conclude(&mut self, id: ConnId, step: Step, now: Instant) {
        match step {
            Ok(()) => self.set_timer(id),
            Err(why) => self.remove(id, why, now),
        }
    }

    fn remove(&mut self, id: ConnId, why: CloseReason, now: Instant) {
        let Some(connection) = self.connections.remove(id) else { return };
        if let Some((timer, _)) = connection.timer {
            self.timers.cancel(timer);
        }
        self.out.release(id);
        self.out.stats.set(Stat::ConnectionsNow, self.connections.clients() as u64);
        if connection.kind != Kind::Refused {
            self.handler.closed(&mut self.out, id, why, now);
        }
    }

    fn take_pending_signals(&mut self, now: Instant) {
        let Some(signals) = &mut self.signals else { return };
        let pending: Vec<_> = signals.pending().collect();
        for signal in pending {
            match signal {
                SIGHUP => info!("SIGHUP: nothing to reload"),
                // The log is as long as a file may be; to say so would bring the next.
                SIGXFSZ => {}
                _ => self.stop(now),
            }
        }
    }

    /// Takes no more clients and no more input; what is owed is still answered.
    fn stop(&mut self, now: Instant) {
        if self.stop_at.is_some() {
            self.forced = true;
            return;
        }
        info!("stopping, with {} clients connected", self.connections.clients());
        self.stop_at = Some(now + self.limits.drain_timeout);
        self.listeners.close();
        for id in self.connections.client_ids() {
            if let Some(connection) = self.connections.get(id) {
                connection.end_input();
                self.connections.list_if_ready(id);
            }
        }
    }
}

/// What a client may be written in a tick in which so many have a turn.
fn share_of_writes(turns: usize) -> usize {
    (TICK_WRITES / turns.max(1)).max(MIN_WRITE)
}

fn wall_clock(now: Instant) -> WallClock {
    // A clock that is set to before 1970 stands for 1970.
    WallClock::new(now, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
