//! The interface between the loop and the system: events, connections, the clock.
//!
//! [`Reactor`](crate::reactor::Reactor) is written against this trait, so that the loop that runs
//! on sockets and the loop that is simulated are one. `poll.rs` implements it with mio; the tests
//! implement it with plain memory and a clock of their own.

use crate::handler::ConnId;
use crate::reactor::connection::{Readiness, Stream};
use crate::stats::ProcessUsage;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Something that happened outside.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A connection may be read or written, or has failed.
    Connection(ConnId, Readiness),
    /// Clients may wait at a listener, counted from 0 in the order of [`Network::listen`].
    Listener(usize),
    /// A name has been looked up.
    Resolved(Box<Answer>),
    /// The program is to stop: the first time after a drain, the second time at once.
    Stop,
    /// The program is to read its files again.
    Reload,
}

/// The addresses of a name.
#[derive(Debug)]
pub struct Answer {
    /// The name that was looked up.
    pub name: String,
    /// Its addresses; none if the name is not known or cannot be looked up for now.
    pub addresses: Vec<SocketAddr>,
}

/// The surroundings of one reactor.
pub trait Network {
    /// One end of a connection.
    type Stream: Stream;

    /// Waits until something happens or the timeout has passed (`None`: without end), and appends
    /// what happened. Returns whether there may be more events than it had room for.
    ///
    /// # Errors
    /// The system's poll fails.
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<NetworkEvent>,
    ) -> io::Result<bool>;

    /// Returns the time of the monotonic clock.
    fn now(&mut self) -> Instant;

    /// Returns the time of the wall clock, since 1970.
    fn time_of_day(&self) -> Duration;

    /// Returns the process with what it has used so far; zeros where that is not known.
    fn process_usage(&self) -> ProcessUsage {
        ProcessUsage::default()
    }

    /// Accepts clients at an address from now on. Returns the real one, where the port was 0.
    ///
    /// # Errors
    /// The port is in use, or the address is not ours.
    fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr>;

    /// Accepts a client at a listener.
    ///
    /// # Errors
    /// `WouldBlock` if no client waits; else as the system's `accept`.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Stream, SocketAddr)>;

    /// Closes all listeners.
    fn close_listeners(&mut self);

    /// Names a stream that was accepted: events of it bear this name from now on.
    ///
    /// # Errors
    /// The system has no room for it.
    fn register(&mut self, stream: &mut Self::Stream, id: ConnId) -> io::Result<()>;

    /// Begins to connect, and names the stream. An event reports its success or failure.
    ///
    /// # Errors
    /// The attempt fails before it begins.
    fn connect(&mut self, to: SocketAddr, id: ConnId) -> io::Result<Self::Stream>;

    /// Begins to look up a name; [`NetworkEvent::Resolved`] brings the answer.
    ///
    /// # Errors
    /// The system has no thread left for it.
    fn look_up(&mut self, name: &str) -> io::Result<()>;

    /// Closes a stream.
    fn close(&mut self, stream: Self::Stream);
}
