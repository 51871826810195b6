//! The one connection to the upstream, as a queue of requests whose replies come in order.
//!
//! ```text
//!            connect            connected
//!   Down ─────────────▶ Connecting ─────▶ Up
//!    ▲  after a backoff     │             │ lost, a request unanswered for too long,
//!    └──────────────────────┴─────────────┘ a reply that fits no request
//! ```
//!
//! A connection that has left `Up` is never used again: what its requests came to is not known, and
//! every reply still on its way is ignored with it. The *purpose* of a request is the caller's: the
//! queue keeps a `P` for each request and returns it with the reply.
//!
//! A connection begins with a *greeting*: a few requests, one after the other. Until it is over,
//! the requests of clients are held here, so that none is executed before the proxy has
//! authenticated, or in the wrong database.
//!
//! ```text
//!   the wire    HELLO 3 ▸        AUTH … ▸         GET a ▸ DEL b ▸
//!                         ◂ -ERR          ◂ +OK                    ◂ $1 …
//!   held        GET a, DEL b ─────────────────────┘ greeted
//! ```
//!
//! Replies to a greeting do not end the backoff: an upstream may answer it and then close.

use crate::base::buffer::Buffer;
use crate::handler::{ConnId, Outbox};
use crate::protocol::resp::{self, ProtocolError, ReplyKind, ReplyScanner, Scanned};
use crate::proxy::no_reply::UpstreamError;
use crate::settings::limits;
use log::{info, warn};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest wait between two attempts to connect to the upstream.
pub const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The shortest wait before the proxy connects to its upstream again; it doubles with each failure.
pub const MIN_BACKOFF: Duration = Duration::from_millis(50);

/// The most requests that are unanswered before clients are held back.
const MAX_UPSTREAM_UNANSWERED: usize = 128 * 1024;
/// The most reasons for lost connections that are logged before the upstream answers again.
const MAX_LOGGED_FAILURES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    Down { until: Instant },
    Connecting(ConnId),
    Up(ConnId),
}

/// A message that has come from the upstream.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<P> {
    /// The reply to a request.
    Reply {
        /// The purpose of the request; `None`: it is one of a block, before the last.
        purpose: Option<P>,
        /// The bytes of the reply, which the caller consumes; `None`: it was too large, and is
        /// dropped.
        length: Option<usize>,
    },
    /// A push, of so many bytes, which the caller consumes.
    Push(usize),
}

/// What is due at a deadline.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A connection is being made: the first request that is sent now comes first on it.
    Connecting,
    /// A reply is overdue: [`UpstreamConnection::lose`] is to be called.
    Overdue,
}

/// A request, or a block of them, that is not answered.
#[derive(Debug)]
struct Unanswered<P> {
    sent_at: Instant,
    /// The unanswered requests of the block before the last, which has the purpose.
    before: usize,
    purpose: P,
}

/// The beginning of a connection.
#[derive(Debug)]
struct Greeting {
    /// The time at which the connection was requested, or opened. All of it has one timeout.
    since: Instant,
    /// The number of its unanswered requests, which come first in the queue.
    unanswered: usize,
    /// The requests of clients that wait for its end, encoded.
    held: Buffer,
}

/// The connection to the upstream, with the requests that are not answered on it.
#[derive(Debug)]
pub struct UpstreamConnection<P> {
    /// `HOST:PORT`.
    address: String,
    /// The number of the attempt: all addresses that the host has are tried in turn.
    turn: usize,
    timeout: Duration,
    link: LinkState,
    /// The greeting; `None`: it is over, or there is no connection.
    greeting: Option<Greeting>,
    unanswered: VecDeque<Unanswered<P>>,
    scanner: ReplyScanner,
    sent: Instant,
    confirmed: Option<Instant>,
    /// The number of connections lost or not made since the last reply.
    failures: u32,
    /// Their reasons that were logged.
    logged_failures: Vec<String>,
    random: u64,
}

impl<P> UpstreamConnection<P> {
    /// Returns an upstream that is to be connected at once, without requests. `seed` drives the
    /// jitter of the backoff.
    pub fn new(
        address: String,
        timeout: Duration,
        seed: u64,
        now: Instant,
    ) -> UpstreamConnection<P> {
        UpstreamConnection {
            address,
            turn: 0,
            timeout,
            link: LinkState::Down { until: now },
            greeting: None,
            unanswered: VecDeque::new(),
            scanner: ReplyScanner::default(),
            sent: now,
            confirmed: None,
            failures: 0,
            logged_failures: Vec::new(),
            random: seed | 1,
        }
    }

    /// Returns the connection that is open or being made.
    fn conn(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Down { .. } => None,
            LinkState::Connecting(conn) | LinkState::Up(conn) => Some(conn),
        }
    }

    /// Returns whether `conn` is its connection now.
    pub fn is(&self, conn: ConnId) -> bool {
        self.conn() == Some(conn)
    }

    /// Returns whether it is connected and greeted.
    pub fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up(_)) && self.greeting.is_none()
    }

    /// Returns whether there is no connection, and none is being made.
    pub fn is_down(&self) -> bool {
        matches!(self.link, LinkState::Down { .. })
    }

    /// Returns whether attempts to connect have failed since it last answered.
    pub fn is_retrying(&self) -> bool {
        self.failures > 0
    }

    /// Returns the number of unanswered requests.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Returns whether clients are to be held back, since too much is unanswered or unsent.
    pub fn is_full(&self, out: &Outbox) -> bool {
        self.unanswered.len() >= MAX_UPSTREAM_UNANSWERED || self.unsent(out) > limits::HIGH_WATER
    }

    /// Returns whether clients that were held back can go on.
    pub fn has_room(&self, out: &Outbox) -> bool {
        self.unanswered.len() <= MAX_UPSTREAM_UNANSWERED / 2 && self.unsent(out) < limits::LOW_WATER
    }

    fn unsent(&self, out: &Outbox) -> usize {
        let held = self.greeting.as_ref().map_or(0, |greeting| greeting.held.len());
        self.conn().map_or(0, |conn| out.unsent(conn)) + held
    }

    /// Sends a request of the greeting, before all that are held.
    ///
    /// # Errors
    /// There is no connection, or its greeting is over: returns the purpose.
    pub fn greet(&mut self, out: &mut Outbox, words: &[&[u8]], purpose: P) -> Result<(), P> {
        let output = self.conn().and_then(|conn| out.output(conn));
        let (Some(output), Some(greeting)) = (output, &mut self.greeting) else {
            return Err(purpose);
        };
        resp::push_request(output.plain(), words);
        let request = Unanswered { sent_at: greeting.since, before: 0, purpose };
        self.unanswered.insert(greeting.unanswered, request);
        greeting.unanswered += 1;
        Ok(())
    }

    /// Ends the greeting, and sends the requests that were held.
    pub fn greeted(&mut self, out: &mut Outbox, now: Instant) {
        let output = self.conn().and_then(|conn| out.output(conn));
        if let (Some(output), Some(greeting)) = (output, self.greeting.take()) {
            debug_assert_eq!(
                greeting.unanswered, 0,
                "each of its requests is answered before the next is sent"
            );
            output.push(greeting.held.bytes());
            // The timeout of a request that was held begins now.
            self.sent = self.sent.max(now);
            for request in &mut self.unanswered {
                request.sent_at = self.sent;
            }
        }
    }

    /// Sends a request; until the connection is open and greeted, it is held.
    ///
    /// # Errors
    /// There is no connection, and none is being made: returns the purpose.
    pub fn send(
        &mut self,
        out: &mut Outbox,
        words: &[&[u8]],
        purpose: P,
        now: Instant,
    ) -> Result<(), P> {
        self.send_with(out, |output| resp::push_request(output, words), 0, purpose, now)
    }

    /// Sends a request that `write` encodes, or a block of them, of which the last has the purpose
    /// and follows `before` others.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(
        &mut self,
        out: &mut Outbox,
        write: impl FnOnce(&mut Buffer),
        before: usize,
        purpose: P,
        now: Instant,
    ) -> Result<(), P> {
        let output = self.conn().and_then(|conn| out.output(conn));
        match (output, &mut self.greeting) {
            (None, _) => return Err(purpose),
            (Some(_), Some(greeting)) => write(&mut greeting.held),
            (Some(output), None) => write(output.plain()),
        }
        // Within a tick `now` may go back; the times of the queue do not.
        self.sent = self.sent.max(now);
        self.unanswered.push_back(Unanswered { sent_at: self.sent, before, purpose });
        Ok(())
    }

    /// Notes that the connection is open.
    pub fn connected(&mut self, conn: ConnId, now: Instant) {
        debug_assert!(self.is(conn), "another connection was requested");
        self.link = LinkState::Up(conn);
        self.scanner = ReplyScanner::default();
        self.sent = now;
        if let Some(greeting) = &mut self.greeting {
            greeting.since = now;
            for request in self.unanswered.iter_mut().take(greeting.unanswered) {
                request.sent_at = now;
            }
        }
    }

    /// Returns the time at which the newest request that is answered was sent on this connection.
    /// An upstream that reports changes has reported each that it acknowledged before that time: it
    /// does so before it answers a request that comes later.
    pub fn confirmed(&self) -> Option<Instant> {
        self.confirmed
    }

    /// Returns the time at which the newest request was sent on this connection.
    pub fn sent(&self) -> Instant {
        self.sent
    }

    /// Returns the message at the front of `input`; `None`: it is not whole. What has come of one
    /// that has more than `most` bytes is consumed.
    ///
    /// # Errors
    /// It is malformed, or no request is unanswered, or it is a push of more than `most` bytes.
    #[inline]
    pub fn next_reply(
        &mut self,
        input: &mut Buffer,
        most: usize,
    ) -> Result<Option<Received<P>>, ProtocolError> {
        if input.is_empty() {
            return Ok(None);
        }
        let (length, kind) = match self.scanner.advance(input.bytes(), most)? {
            Scanned::Midway => return Ok(None),
            Scanned::Whole(length, kind) => (Some(length), kind),
            Scanned::Dropped(count, kind) => {
                input.consume(count);
                let Some(kind) = kind else { return Ok(None) };
                (None, kind)
            }
        };
        if kind == ReplyKind::Push {
            return Ok(Some(Received::Push(length.ok_or(ProtocolError::TooLarge)?)));
        }
        if let Some(greeting) = &mut self.greeting {
            // Requests that are held were not sent.
            let left = greeting.unanswered.checked_sub(1);
            greeting.unanswered = left.ok_or(ProtocolError::Unrequested)?;
        }
        match self.unanswered.front_mut() {
            Some(request) if request.before > 0 => {
                request.before -= 1;
                Ok(Some(Received::Reply { purpose: None, length }))
            }
            _ => match self.unanswered.pop_front() {
                Some(Unanswered { sent_at, purpose, .. }) => {
                    self.confirmed = Some(sent_at);
                    Ok(Some(Received::Reply { purpose: Some(purpose), length }))
                }
                None => Err(ProtocolError::Unrequested),
            },
        }
    }

    /// Returns the length of the partly received reply; 0 if it is unknown.
    pub fn expected_len(&self) -> usize {
        self.scanner.expected_len()
    }

    /// Notes that it has answered more than a greeting, which ends the backoff.
    #[inline]
    pub fn note_answered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            info!("the upstream answers");
            self.logged_failures.clear();
        }
    }

    /// Logs why there is no upstream; each reason only once until it answers again.
    pub fn log_failure(&mut self, why: String) {
        if self.logged_failures.len() < MAX_LOGGED_FAILURES && !self.logged_failures.contains(&why)
        {
            warn!("upstream {}: {why}", self.address);
            self.logged_failures.push(why);
        }
    }

    /// Returns whether it has answered requests that it cannot have read: every request is
    /// answered, but not every one is sent.
    pub fn is_ahead(&self, out: &Outbox) -> bool {
        let sent = self.greeting.as_ref().map_or(self.unanswered.len(), |it| it.unanswered);
        sent == 0 && self.conn().is_some_and(|conn| out.unsent(conn) > 0)
    }

    /// Returns the time at which something is due: an attempt to connect, or a reply.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match self.link {
            LinkState::Down { until } => Some(until),
            LinkState::Connecting(_) => None,
            LinkState::Up(_) => {
                self.unanswered.front().map(|request| request.sent_at + self.timeout)
            }
        }
    }

    /// Begins to connect, if that is due. Returns what is due.
    pub fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) -> Due {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Due::Nothing;
        }
        if let LinkState::Down { .. } = self.link {
            self.link = LinkState::Connecting(out.connect(&self.address, self.turn, self.timeout));
            self.greeting = Some(Greeting { since: now, unanswered: 0, held: Buffer::new() });
            return Due::Connecting;
        }
        Due::Overdue
    }

    /// Gives the connection up. Returns the error for its unanswered requests, and their purposes.
    /// The next attempt is made at once and at the same address if the upstream had answered on
    /// this connection, else at the next address after a backoff.
    pub fn lose(
        &mut self,
        out: &mut Outbox,
        why: UpstreamError,
        now: Instant,
    ) -> (UpstreamError, impl Iterator<Item = P> + use<P>) {
        let why = if self.is_up() { why } else { UpstreamError::Unavailable };
        if let Some(conn) = self.conn() {
            out.abort(conn);
        }
        if !self.is_up() || self.failures > 0 {
            self.turn = self.turn.wrapping_add(1);
        }
        self.link = LinkState::Down { until: now + self.backoff() };
        self.greeting = None;
        self.failures = self.failures.saturating_add(1);
        self.confirmed = None;
        let waiting = std::mem::take(&mut self.unanswered);
        (why, waiting.into_iter().map(|request| request.purpose))
    }

    /// Forgets the unanswered requests, but goes on with the connection, which is wrong. Returns
    /// their purposes.
    #[cfg(feature = "mutants")]
    pub fn wait_no_longer(&mut self) -> impl Iterator<Item = P> + use<P> {
        if let Some(greeting) = &mut self.greeting {
            (greeting.unanswered, greeting.held) = (0, Buffer::new());
        }
        std::mem::take(&mut self.unanswered).into_iter().map(|request| request.purpose)
    }

    /// Returns the purposes of the unanswered requests, in the order in which they are answered.
    pub fn purposes(&self) -> impl Iterator<Item = &P> {
        self.unanswered.iter().map(|request| &request.purpose)
    }

    /// Panics unless the queue fits the state of the connection, and is in the order in which its
    /// requests were sent. For tests and debug builds.
    pub fn check_invariants(&self) {
        match (self.link, &self.greeting) {
            (LinkState::Down { .. }, greeting) => {
                assert!(greeting.is_none() && self.unanswered.is_empty(), "its waiters are failed");
                assert_eq!(self.confirmed, None, "nothing is known of a connection that is lost");
            }
            (LinkState::Connecting(_), greeting) => {
                assert!(greeting.is_some(), "a connection begins with its greeting");
                assert_eq!(self.confirmed, None, "nothing can be answered yet");
            }
            (LinkState::Up(_), None) => {
                let times = self.unanswered.iter().map(|request| request.sent_at);
                assert!(times.is_sorted(), "the oldest is in front");
            }
            (LinkState::Up(_), Some(_)) => {}
        }
        if let Some(greeting) = &self.greeting {
            assert!(greeting.unanswered <= self.unanswered.len(), "its requests are in the queue");
            let is_empty = self.unanswered.len() == greeting.unanswered;
            assert_eq!(
                greeting.held.is_empty(),
                is_empty,
                "requests that are held are in the queue"
            );
        }
    }

    /// Returns how long to wait before the next attempt: doubled by each failure, up to
    /// [`MAX_BACKOFF`], less a random part of up to half, so that proxies do not connect in step.
    fn backoff(&mut self) -> Duration {
        if self.failures == 0 {
            return Duration::ZERO;
        }
        let doubled = MIN_BACKOFF * (1 << (self.failures - 1).min(10));
        let most = doubled.min(MAX_BACKOFF);
        // Xorshift (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        most.mul_f64(0.5 + (self.random % 1024) as f64 / 2048.0)
    }
}

#[cfg(test)]
mod tests;
