//! The boundary between policy (server, proxy) and mechanism (reactor): they meet here and nowhere
//! else.
//!
//! A [`Handler`] is pure. It is given bytes and the time, and writes into an [`Outbox`], which is
//! plain memory; it sees no socket and no system clock, and never blocks, with one exception: a
//! proxy reads its credentials from a small file (`Source::new`). The *driver* of a handler (the
//! reactor with sockets, a test with plain memory and a made-up clock) carries out what the outbox
//! holds after each call.
//!
//! ```text
//!            opened, received, input_ended, closed, ...
//!   driver ────────────────────────────────────────────▶ handler
//!      ▲                                                    │ output, connect, close,
//!      └── touched, to_connect, resumed ── Outbox ◀─────────┘ abort, resume
//! ```

mod map;

pub use map::ConnMap;

use crate::base::buffer::{Buffer, BufferPool};
use crate::base::clock::WallClock;
use crate::base::output::Output;
use crate::stats::Stats;
use slab::Slab;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Names a connection, not a slot of a table: a slot that is used again has a new generation, so
/// that a late reply to a client that left is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

impl ConnId {
    /// Returns the connection's place in tables; unique among those of one moment.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// Returns the number of the connection in this program, never 0; it repeats after 2³² others.
    pub fn number(self) -> u32 {
        self.generation
    }

    /// Returns the name as one number. Its lower 32 bits are never 0, which is free for other uses.
    #[inline]
    pub fn pack(self) -> usize {
        (self.slot as usize) << 32 | self.generation as usize
    }

    /// Returns the name that [`pack`](Self::pack) made a number of.
    #[inline]
    pub fn unpack(packed: usize) -> ConnId {
        debug_assert_ne!(packed as u32, 0, "0 is not a connection");
        ConnId { slot: (packed >> 32) as u32, generation: packed as u32 }
    }
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A client came in by a listener, from this address.
    Listener(SocketAddr),
    /// The handler ordered it with [`Outbox::connect`].
    Connect,
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The handler closed or aborted it.
    Closed,
    /// The peer left or reset it, or the network failed.
    Lost(io::ErrorKind),
    /// A connection that was ordered with [`Outbox::connect`] failed.
    ConnectFailed(io::ErrorKind),
    /// The name of an ordered connection has no address, or no name server answers.
    NoAddress,
    /// The process, or the system, has no descriptor for an ordered connection.
    NoDescriptor,
    /// The peer left more output unread than the output limit.
    OutputLimit,
    /// The peer took none of its output for too long.
    Stuck,
}

/// The next step of a client's connection, as its handler decides after it was given input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It used all that it could: read more. If nothing has come at the time given,
    /// [`Handler::timed_out`] is called.
    Read(Option<Instant>),
    /// It has more to write or to decode: call again when the output has drained, without reading.
    Drain,
    /// It can do nothing before [`Outbox::resume`].
    Wait,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Closed => write!(f, "closed"),
            CloseReason::Lost(kind) | CloseReason::ConnectFailed(kind) => write!(f, "{kind}"),
            CloseReason::NoAddress => write!(f, "its name has no address"),
            CloseReason::NoDescriptor => write!(f, "no descriptor is free"),
            CloseReason::OutputLimit => write!(f, "too much output left unread"),
            CloseReason::Stuck => write!(f, "output left unread for too long"),
        }
    }
}

/// The policy behind connections.
pub trait Handler {
    /// Takes note of a client that came, or of an ordered connection that is open.
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant);

    /// Consumes whole requests until none is left or this connection's output passes
    /// [`HIGH_WATER`](crate::settings::limits::HIGH_WATER), and leaves the rest in `input`. Called
    /// with new bytes and, after [`Next::Drain`] and [`Next::Wait`], without.
    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next;

    /// Returns how long a client that was accepted may send nothing before `timed_out` is called;
    /// zero: for ever. After that [`Next::Read`] has the time.
    fn idle_timeout(&self) -> Duration;

    /// Returns the length of the partly received request; 0 if it is unknown. So there is room for
    /// the rest when it comes.
    fn expected_len(&self, conn: ConnId) -> usize;

    /// Ends the input: the peer sent FIN, or the program is stopping. Comes once, after
    /// `received` has used all whole requests. Calls [`Outbox::close`] once every owed reply is in
    /// the output. An unterminated request is dropped.
    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant);

    /// Decides about a connection whose time, given with [`Next::Read`], has come. Returns when to
    /// call again, if it is not to be closed.
    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant>;

    /// Forgets a connection that is gone. Comes once for each `ConnId`, also if its connect failed.
    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant);

    /// Returns the time at which `deadline_reached` is to be called, if it is.
    fn next_deadline(&self) -> Option<Instant>;

    /// Acts on the time of `next_deadline`, which has come.
    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant);

    /// Returns whether the time given to `received` must not be earlier than that at which the
    /// bytes were read. Else it is that at which the tick began, and the process may have been
    /// stopped since.
    fn wants_fresh_time(&self) -> bool;

    /// Panics unless the handler's invariants hold. Called between ticks in debug builds.
    fn check_invariants(&self);
}

/// An order for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Its name from now on.
    pub conn: ConnId,
    /// Its destination, `HOST:PORT`, the host a name or an address. A name is looked up each time.
    pub to: String,
    /// The number of the attempt, for [`Connect::choose`].
    pub turn: usize,
    /// How long it may take, the lookup included.
    pub timeout: Duration,
}

impl Connect {
    /// Returns the address to connect to, of those that the name has now. They are put in the order
    /// of their numbers (IPv4 first), since name servers turn theirs round with each lookup: so one
    /// attempt after the other tries them all.
    pub fn choose(&self, mut addresses: Vec<SocketAddr>) -> Option<SocketAddr> {
        addresses.sort_unstable();
        addresses.dedup();
        let place = self.turn.checked_rem(addresses.len())?;
        Some(addresses[place])
    }
}

/// The way in which a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseMode {
    /// It is not to be closed.
    None,
    /// After its output has gone.
    AfterFlush,
    /// At once.
    Now,
}

#[derive(Debug)]
struct Outlet {
    output: Output,
    generation: u32,
    ending: CloseMode,
    touched: bool,
}

/// The effects of a handler: output for each connection, and orders to the driver. The methods for
/// handlers come first, those for drivers after.
#[derive(Debug)]
pub struct Outbox {
    outlets: Slab<Outlet>,
    /// Memory for outputs, and for the long inputs of the driver's connections.
    pub pool: BufferPool,
    last_generation: u32,
    touched: Vec<ConnId>,
    to_connect: Vec<Connect>,
    resumed: Vec<ConnId>,
    /// The counters of everything that happens behind this outbox.
    pub stats: Stats,
    /// The wall clock, which the driver keeps up to date.
    pub clock: WallClock,
}

/// For handlers.
impl Outbox {
    /// Returns an outbox without connections.
    pub fn new(clock: WallClock) -> Outbox {
        Outbox {
            outlets: Slab::new(),
            pool: BufferPool::default(),
            last_generation: 0,
            touched: Vec::new(),
            to_connect: Vec::new(),
            resumed: Vec::new(),
            stats: Stats::default(),
            clock,
        }
    }

    /// Returns the output to which replies to `conn` are appended; `None` if it is gone or closing.
    #[inline]
    pub fn output(&mut self, conn: ConnId) -> Option<&mut Output> {
        self.output_and_stats(conn).map(|(output, _)| output)
    }

    /// Returns the output together with the counters, for a handler that needs both at a time.
    #[inline]
    pub fn output_and_stats(&mut self, conn: ConnId) -> Option<(&mut Output, &mut Stats)> {
        let outlet = self.outlets.get_mut(conn.slot())?;
        if outlet.generation != conn.generation || outlet.ending != CloseMode::None {
            return None;
        }
        if !outlet.touched {
            outlet.touched = true;
            self.touched.push(conn);
        }
        self.pool.lend(outlet.output.plain());
        Some((&mut outlet.output, &mut self.stats))
    }

    /// Returns how many bytes of output the peer has not taken yet; 0 if the connection is gone.
    #[inline]
    pub fn unsent(&self, conn: ConnId) -> usize {
        self.outlet(conn).map_or(0, |outlet| outlet.output.len())
    }

    /// Orders a connection, with the fields of [`Connect`], and returns its name.
    /// [`Handler::opened`] or [`Handler::closed`] follows, never inside this call; output may be
    /// appended at once.
    pub fn connect(&mut self, to: &str, turn: usize, timeout: Duration) -> ConnId {
        let conn = self.admit();
        self.to_connect.push(Connect { conn, to: to.to_string(), turn, timeout });
        conn
    }

    /// Closes the connection after its output has gone; nothing can be appended any more.
    pub fn close(&mut self, conn: ConnId) {
        self.end(conn, CloseMode::AfterFlush);
    }

    /// Closes the connection at once; output that has not gone is dropped.
    pub fn abort(&mut self, conn: ConnId) {
        self.end(conn, CloseMode::Now);
    }

    /// Goes on with a connection after [`Next::Wait`].
    pub fn resume(&mut self, conn: ConnId) {
        if self.outlet(conn).is_some() {
            self.resumed.push(conn);
        }
    }
}

/// For drivers.
impl Outbox {
    /// Adds a connection, and returns its name.
    pub fn admit(&mut self) -> ConnId {
        // 0 is the number of no connection, so the count wraps to 1.
        self.last_generation = self.last_generation.checked_add(1).unwrap_or(1);
        let generation = self.last_generation;
        let outlet =
            Outlet { output: Output::new(), generation, ending: CloseMode::None, touched: false };
        debug_assert_ne!(generation, 0, "0 is not a connection");
        let slot = self.outlets.insert(outlet) as u32;
        ConnId { slot, generation }
    }

    /// Forgets a connection, and drops its output.
    pub fn release(&mut self, conn: ConnId) {
        if self.outlet(conn).is_some() {
            let mut outlet = self.outlets.remove(conn.slot());
            outlet.output.clear();
            self.pool.take_back(outlet.output.plain());
        }
    }

    /// Takes out a connection with new output or a new close mode, and returns it.
    #[inline]
    pub fn pop_touched(&mut self) -> Option<ConnId> {
        while let Some(conn) = self.touched.pop() {
            if let Some(outlet) = self.outlet_mut(conn) {
                outlet.touched = false;
                return Some(conn);
            }
        }
        None
    }

    /// Returns how many connections [`pop_touched`](Self::pop_touched) would take, or more.
    pub fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Takes out an order for a connection, and returns it.
    pub fn pop_connect(&mut self) -> Option<Connect> {
        self.to_connect.pop()
    }

    /// Takes out a connection to go on with, and returns it.
    pub fn pop_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// Marks a connection, so that `pop_touched` returns it.
    #[inline]
    pub fn touch(&mut self, conn: ConnId) {
        if let Some(outlet) = self.outlet_mut(conn)
            && !outlet.touched
        {
            outlet.touched = true;
            self.touched.push(conn);
        }
    }

    /// Returns the output to be sent, also after the handler closed the connection.
    #[inline]
    pub fn pending(&mut self, conn: ConnId) -> Option<&mut Output> {
        self.outlet_mut(conn).map(|outlet| &mut outlet.output)
    }

    /// Returns the memory of an output that has been sent whole to the pool.
    #[inline]
    pub fn drained(&mut self, conn: ConnId) {
        if let Some(outlet) = self.outlets.get_mut(conn.slot()) {
            debug_assert!(outlet.output.is_empty(), "it has been sent whole");
            self.pool.take_back(outlet.output.plain());
        }
    }

    /// Returns how the connection is to be closed, if at all.
    #[inline]
    pub fn ending(&self, conn: ConnId) -> CloseMode {
        self.outlet(conn).map_or(CloseMode::Now, |outlet| outlet.ending)
    }

    #[inline]
    fn outlet(&self, conn: ConnId) -> Option<&Outlet> {
        self.outlets.get(conn.slot()).filter(|outlet| outlet.generation == conn.generation)
    }

    #[inline]
    fn outlet_mut(&mut self, conn: ConnId) -> Option<&mut Outlet> {
        self.outlets.get_mut(conn.slot()).filter(|outlet| outlet.generation == conn.generation)
    }

    /// Panics unless: each outlet that is marked as touched is listed once; the connections to be
    /// made and those to go on with have been taken; and each outlet has a name.
    pub fn check_invariants(&self) {
        let mut listed: Vec<ConnId> = self.touched.clone();
        listed.retain(|&conn| self.outlet(conn).is_some_and(|outlet| outlet.touched));
        listed.sort_unstable();
        let marked = self.outlets.iter().filter(|(_, outlet)| outlet.touched).count();
        assert_eq!(listed.len(), marked, "an outlet is listed once if it is touched");
        listed.dedup();
        assert_eq!(listed.len(), marked, "an outlet is listed once");
        assert!(self.to_connect.is_empty() && self.resumed.is_empty(), "the outbox is quiet");
        for (_, outlet) in &self.outlets {
            assert!(outlet.generation != 0, "0 is not a connection");
            outlet.output.check_invariants();
        }
        self.pool.check_invariants();
    }

    fn end(&mut self, conn: ConnId, ending: CloseMode) {
        if let Some(outlet) = self.outlet_mut(conn) {
            outlet.ending = outlet.ending.max(ending);
        }
        self.touch(conn);
    }
}

#[cfg(test)]
mod tests;
