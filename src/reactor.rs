//! The event loop: it waits, accepts, connects, and gives each connection its turn.
//!
//! One *tick*:
//!
//! ```text
//!   poll                     the only call that blocks
//!   read the clock           once; where a proxy caches, again after each read
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
//! from under another.
//!
//! - `network.rs`: the interface to the system · `poll.rs`: the system's sockets, by mio
//! - `connection.rs`: one stream from its opening to its end · `connection_table.rs`: all of them
//! - `accepting.rs`: clients that come · `connecting.rs`: connections that the handler ordered ·
//!   `resolver.rs`: names to addresses
//! - `sampling.rs`: the turns whose time is measured

mod accepting;
mod connecting;
pub mod connection;
pub mod connection_table;
pub mod network;
mod poll;
mod resolver;
mod sampling;

pub use accepting::ACCEPT_REST;
pub use poll::{Poll, Stopper};
pub use resolver::addresses;

use crate::base::buffer::{Buffer, SCRATCH_BYTES};
use crate::base::clock::WallClock;
use crate::base::timer_wheel::TimerWheel;
use crate::handler::{CloseMode, CloseReason, ConnId, Handler, Outbox};
use crate::settings::limits::{self, Limits};
use crate::stats::{Stat, Stats};
use accepting::Listener;
use connection::{Readiness, Role, StepResult, TurnClock};
use connection_table::ConnectionTable;
use log::info;
use network::{Network, NetworkEvent};
use resolver::Resolver;
use sampling::Sampling;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The bytes that one tick writes, shared among the clients that have a turn in it: about a
/// millisecond. One client alone, or a few, are sent all of their output.
const TICK_WRITES: usize = 4 * 1024 * 1024;
/// The bytes that a tick writes to each client at the least, however many they are. As in Redis.
const MIN_WRITE: usize = 64 * 1024;
/// Turns of an upstream connection after which the replies are sent to clients, without waiting for
/// the end of the tick: a high-water mark of bytes, or some of them of long replies.
const FLUSH_TURNS: usize = limits::HIGH_WATER / SCRATCH_BYTES;
/// Connections with new output after which it is sent, without waiting for the end of the tick: a
/// megabyte of memory that was written to just now, and will be used again.
const OUTPUTS_AT_ONCE: usize = 64;
/// The time between checks of invariants in debug builds, in multiples of the time that the last
/// check took. On a clock that stands still, there is one in every tick.
const CHECK_PAUSE: u32 = 100;

#[derive(Clone, Copy)]
enum Timer {
    Connection(ConnId),
    Listener(usize),
}

/// How a reactor came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// After one order to stop: every client has left, or the drain timeout has passed.
    Drained,
    /// After a second order to stop.
    Forced,
}

/// An event loop around one handler.
pub struct Reactor<H, N: Network = Poll> {
    network: N,
    events: Vec<NetworkEvent>,
    handler: H,
    out: Outbox,
    limits: Limits,
    /// In the order of [`Network::listen`].
    listeners: Vec<Listener>,
    /// A client that came when the connections were at their limit. It may have seen others leave
    /// before it came, which the next poll reports, too: so it is accepted or refused in the next
    /// tick.
    overflow: Option<(N::Stream, SocketAddr)>,
    connections: ConnectionTable<N::Stream>,
    timers: TimerWheel<Timer>,
    scratch: Buffer,
    resolver: Resolver,
    sampling: Sampling,
    /// The bytes that are written to each client in this tick.
    share: usize,
    ticks: u64,
    /// The time of the next check of invariants.
    check_at: Option<Instant>,
    stop_at: Option<Instant>,
    is_forced: bool,
    /// Wrongly serves clients before upstreams are read, to see that tests notice.
    #[cfg(feature = "mutants")]
    serves_clients_first: bool,
}

impl<H: Handler, N: Network> Reactor<H, N> {
    /// Returns a reactor without listeners.
    pub fn new(mut network: N, handler: H, limits: Limits) -> Reactor<H, N> {
        let now = network.now();
        let mut out = Outbox::new(WallClock::new(now, network.time_of_day()));
        out.stats.process = network.process_usage();
        Reactor {
            events: Vec::new(),
            handler,
            out,
            limits,
            listeners: Vec::new(),
            overflow: None,
            connections: ConnectionTable::default(),
            timers: TimerWheel::new(now),
            scratch: Buffer::with_capacity(SCRATCH_BYTES),
            resolver: Resolver::default(),
            sampling: Sampling::new(),
            share: 0,
            ticks: 0,
            check_at: None,
            stop_at: None,
            is_forced: false,
            #[cfg(feature = "mutants")]
            serves_clients_first: false,
            network,
        }
    }

    /// Accepts clients at `address`. Returns the real address, where the port was 0.
    ///
    /// # Errors
    /// The port is in use, or the address is not ours.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let real = self.network.listen(address)?;
        self.listeners.push(Listener { is_pending: true, ..Listener::default() });
        Ok(real)
    }

    /// Applies other limits from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Returns the network that the reactor runs on.
    pub fn network(&mut self) -> &mut N {
        &mut self.network
    }

    /// Runs until an order to stop comes.
    ///
    /// # Errors
    /// The system's poll fails.
    pub fn run(mut self) -> io::Result<Exit> {
        loop {
            let Some(exit) = self.tick()? else { continue };
            match self.connections.clients() {
                0 => {}
                left => info!("stopped with {left} clients still connected"),
            }
            return Ok(exit);
        }
    }

    /// Runs one turn of the loop. Returns how the reactor has ended, once it has.
    ///
    /// # Errors
    /// The system's poll fails.
    pub fn tick(&mut self) -> io::Result<Option<Exit>> {
        let mut events = std::mem::take(&mut self.events);
        let timeout = self.sleep_time();
        let events_full = self.network.poll(timeout, &mut events)?;
        let now = self.network.now();
        if self.out.clock.is_stale(now) {
            self.out.clock = WallClock::new(now, self.network.time_of_day());
            self.out.pool.age();
            self.out.stats.process = self.network.process_usage();
            self.sampling.refill();
        }
        for event in events.drain(..) {
            self.note(event, now);
        }
        self.events = events;
        #[cfg(feature = "mutants")]
        if self.serves_clients_first {
            self.serve_clients(now);
        }
        self.read_upstreams(events_full, now);
        self.share = share_of_writes(self.connections.turns() + self.out.touched());
        self.reach_deadlines(now);
        self.serve_clients(now);
        self.accept_all(now);
        self.settle(self.share, now);
        self.ticks += 1;
        if cfg!(debug_assertions) && self.check_at.is_none_or(|at| now >= at) {
            self.check_invariants();
            let end = self.network.now();
            self.check_at = Some(end + CHECK_PAUSE * end.saturating_duration_since(now));
        }
        let is_over =
            self.is_forced || self.stop_at.is_some_and(|at| self.is_deserted() || now >= at);
        Ok(is_over.then_some(if self.is_forced { Exit::Forced } else { Exit::Drained }))
    }

    fn is_deserted(&self) -> bool {
        self.connections.clients() + self.connections.refused() == 0
    }

    /// Returns whether a tick has something to do that no event reports.
    pub fn has_work(&self) -> bool {
        self.connections.turns() > 0 || self.overflow.is_some()
    }

    /// Returns the time at which a tick is due though nothing happens; `None` if it never is.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.timers.next_deadline(), self.handler.next_deadline(), self.stop_at];
        deadlines.into_iter().flatten().min()
    }

    fn sleep_time(&mut self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        let next = self.next_deadline()?;
        Some(next.saturating_duration_since(self.network.now()))
    }

    #[inline]
    fn note(&mut self, event: NetworkEvent, now: Instant) {
        match event {
            NetworkEvent::Connection(id, readiness) => self.note_connection(id, readiness, now),
            NetworkEvent::Listener(index) => {
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.is_pending = true;
                }
            }
            NetworkEvent::Resolved(answer) => self.resolved(&answer, now),
            NetworkEvent::Stop => self.stop(now),
            NetworkEvent::Reload => info!("SIGHUP: nothing to reload"),
        }
    }

    #[inline]
    fn note_connection(&mut self, id: ConnId, readiness: Readiness, now: Instant) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.is_connecting() {
            return self.finish_connect(id, now);
        }
        let writable = readiness.writable;
        match connection.note(readiness) {
            Ok(()) => {
                let role = connection.role;
                if writable && self.out.unsent(id) > 0 {
                    self.out.touch(id);
                }
                if role != Role::Upstream {
                    self.connections.list_if_ready(id);
                }
            }
            step => self.conclude(id, step, now),
        }
    }

    /// Reads from upstreams all that has come, before any client is served: rule 9 of the cache.
    fn read_upstreams(&mut self, events_full: bool, now: Instant) {
        // From the last, since one that goes leaves its place to those after it.
        for index in (0..self.connections.upstreams.len()).rev() {
            let Some(&id) = self.connections.upstreams.get(index) else { continue };
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
                    // Much comes: it is sent on before it takes more memory.
                    self.settle(usize::MAX, now);
                }
            }
        }
    }

    fn reach_deadlines(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Connection(id) => self.reach_connection_deadline(id, now),
                Timer::Listener(index) => {
                    if let Some(listener) = self.listeners.get_mut(index) {
                        listener.is_resting = false;
                    }
                }
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

    /// Sets a timer for a connection's deadline, unless an earlier one is set, which sets the next.
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
        debug_assert!(!connection.is_connecting() || connection.role == Role::Upstream);
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
        let network = &mut self.network;
        let clock = TurnClock {
            is_fresh: handler.wants_fresh_time(),
            measured: if connection.role == Role::Client { self.sampling.next_turn() } else { 0 },
            read: || network.now(),
        };
        let step = connection.take_turn(handler, out, scratch, now, clock);
        self.conclude(id, step, now);
    }

    /// Carries out what the outbox holds, until it holds nothing: an end may cause replies to
    /// others, a failed connect another connect. Of a long output about `share` bytes are sent, so
    /// that it does not delay the others; it goes on in the next tick.
    fn settle(&mut self, share: usize, now: Instant) {
        loop {
            if let Some(connect) = self.out.pop_connect() {
                self.connect(connect, now);
            } else if let Some(id) = self.out.pop_touched() {
                if let Some(connection) = self.connections.get(id) {
                    let (limit, idle) = (self.limits.output_limit, self.handler.idle_timeout());
                    let step = connection.settle(&mut self.out, limit, idle, share, now);
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
    fn conclude(&mut self, id: ConnId, step: StepResult, now: Instant) {
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
        let role = connection.role;
        self.network.close(connection.stream);
        if role != Role::Refused {
            self.handler.closed(&mut self.out, id, why, now);
        }
    }

    /// Takes no more clients and no more input; requests that have come are still answered.
    fn stop(&mut self, now: Instant) {
        if self.stop_at.is_some() {
            self.is_forced = true;
            return;
        }
        info!("stopping, with {} clients connected", self.connections.clients());
        self.stop_at = Some(now + self.limits.drain_timeout);
        if let Some((stream, _)) = self.overflow.take() {
            self.network.close(stream);
        }
        self.listeners.clear();
        self.network.close_listeners();
        for id in self.connections.client_ids() {
            if let Some(connection) = self.connections.get(id) {
                connection.end_input();
                self.connections.list_if_ready(id);
            }
        }
    }
}

/// For tests, which run single ticks.
impl<H: Handler, N: Network> Reactor<H, N> {
    /// Returns the handler, with its outbox.
    pub fn handler_and_outbox(&mut self) -> (&mut H, &mut Outbox) {
        (&mut self.handler, &mut self.out)
    }

    /// Returns the counters of the handler and the loop.
    pub fn stats(&self) -> &Stats {
        &self.out.stats
    }

    /// Returns the stream of a connection that is still there.
    pub fn stream(&mut self, id: ConnId) -> Option<&mut N::Stream> {
        self.connections.get(id).map(|connection| &mut connection.stream)
    }

    /// Sets the most bytes of one read.
    pub fn set_read_size(&mut self, bytes: usize) {
        self.scratch = Buffer::with_capacity(bytes);
    }

    /// Returns the number of ticks so far.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Wrongly serves clients before upstreams are read, to see that tests notice.
    #[cfg(feature = "mutants")]
    pub fn serve_clients_first(&mut self) {
        self.serves_clients_first = true;
    }

    /// Panics unless the invariants that hold between two ticks do.
    fn check_invariants(&self) {
        assert_eq!(self.out.touched(), 0, "all output was settled");
        assert!(self.scratch.is_empty(), "the scratch buffer is lent for one turn");
        self.connections.check_invariants();
        self.timers.check_invariants();
        self.out.check_invariants();
        self.handler.check_invariants();
    }
}

/// Returns the bytes that are written to each client in a tick with this number of turns.
fn share_of_writes(turns: usize) -> usize {
    (TICK_WRITES / turns.max(1)).max(MIN_WRITE)
}
