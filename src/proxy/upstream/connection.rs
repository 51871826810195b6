//! The one connection to the upstream, as a queue of requests whose replies come in order.
//!
//! ```text
//!            connect            connected
//!   Down ─────────────▶ Connecting ─────▶ Up
//!    ▲  after a backoff     │             │ lost, a request unanswered for too long,
//!    └──────────────────────┴─────────────┘ a reply that makes no sense
//! ```
//!
//! A connection that has left `Up` is never used again: what its requests came to is not known, and
//! every reply still on its way is ignored with it. What a request is *for* is the caller's: the
//! queue keeps a `P` for each and gives it back with the reply.
//!
//! A connection begins with a *greeting*: a few questions, one after the other. Until it is over,
//! what clients ask is held here, so that it is never carried out by an upstream to which the proxy
//! has not shown who it is, or in the wrong database.
//!
//! ```text
//!   the wire    HELLO 3 ▸        AUTH … ▸         GET a ▸ DEL b ▸
//!                         ◂ -ERR          ◂ +OK                    ◂ $1 …
//!   held        GET a, DEL b ─────────────────────┘ greeted
//! ```
//!
//! A connection that stands is not yet one that answers: greetings are answered also by an upstream
//! that then closes, and do not end the backoff.

use crate::base::buffer::Buffer;
use crate::handler::{ConnId, Outbox};
use crate::protocol::resp::{self, ProtocolError, ReplyKind, ReplyScanner, Scanned};
use crate::proxy::error::UpstreamError;
use crate::settings::limits;
use log::{info, warn};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest wait between two attempts to connect to the upstream.
pub const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The shortest wait before the proxy connects to its upstream again; it doubles with each failure.
pub const MIN_BACKOFF: Duration = Duration::from_millis(50);

/// Requests that may be unanswered before clients are held back.
const MAX_UPSTREAM_UNANSWERED: usize = 128 * 1024;
/// Reasons for which it is away that are logged before it answers again; it stays away for a few at
/// the most, however often it is tried.
const MAX_LOGGED_FAILURES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    Down { until: Instant },
    Connecting(ConnId),
    Up(ConnId),
}

/// A reply, and what it is for.
#[derive(Debug, PartialEq, Eq)]
pub struct UpstreamReply<P> {
    /// What was given with the request; `None`: it is for one of a block, before the last.
    pub purpose: Option<P>,
    /// The bytes of the reply, to be consumed by the caller; `None`: it was too large, and is gone.
    pub length: Option<usize>,
}

/// What has come from the upstream.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<P> {
    /// A reply.
    Reply(UpstreamReply<P>),
    /// Word that nobody asked for, of so many bytes, to be consumed by the caller.
    Push(usize),
}

/// What came of a deadline.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A connection is being made: what is sent now comes first on it.
    Connecting,
    /// A reply is overdue: [`UpstreamConnection::lose`] is to be called.
    Overdue,
}

/// A request, or a block of them, that is not answered.
#[derive(Debug)]
struct Unanswered<P> {
    sent_at: Instant,
    /// Replies to others of the block that come before the one with the purpose.
    before: usize,
    purpose: P,
}

/// How a connection begins.
#[derive(Debug)]
struct Greeting {
    /// When the connection stood, or was asked for. The whole of it has one timeout.
    since: Instant,
    /// Its questions that are not answered. They stand before all else in the queue.
    unanswered: usize,
    /// The requests that wait for its end, encoded.
    held: Buffer,
}

/// The connection to the upstream, with the requests that are not answered on it.
#[derive(Debug)]
pub struct UpstreamConnection<P> {
    /// `HOST:PORT`. All addresses that the host has are tried in turn.
    place: String,
    turn: usize,
    timeout: Duration,
    link: LinkState,
    /// `None`: it is over, or there is no connection.
    greeting: Option<Greeting>,
    unanswered: VecDeque<Unanswered<P>>,
    scanner: ReplyScanner,
    /// When the newest request was sent, and the newest that is answered, on this connection.
    sent: Instant,
    confirmed: Option<Instant>,
    /// Connections lost or not made since the last reply.
    failures: u32,
    /// The reasons of them that were logged.
    logged_failures: Vec<String>,
    random: u64,
}

impl<P> UpstreamConnection<P> {
    /// An upstream that is to be connected at once. `seed` drives the jitter of the backoff.
    pub fn new(place: String, timeout: Duration, seed: u64, now: Instant) -> UpstreamConnection<P> {
        UpstreamConnection {
            place,
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

    /// The connection that stands or is being made.
    fn conn(&self) -> Option<ConnId> {
        match self.link {
            LinkState::Down { .. } => None,
            LinkState::Connecting(conn) | LinkState::Up(conn) => Some(conn),
        }
    }

    /// Returns whether `conn` is its connection now.
    #[inline]
    pub fn is(&self, conn: ConnId) -> bool {
        self.conn() == Some(conn)
    }

    /// Returns whether it is connected, and requests go out to it.
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

    /// Returns whether clients are to be held back: too much is unanswered, or unsent.
    #[inline]
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

    /// Asks a question of the greeting, which goes out before all that is held.
    ///
    /// # Errors
    /// There is no connection, or its greeting is over: gives back what it was for.
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

    /// The greeting is over: what was held is sent.
    pub fn greeted(&mut self, out: &mut Outbox, now: Instant) {
        let output = self.conn().and_then(|conn| out.output(conn));
        if let (Some(output), Some(greeting)) = (output, self.greeting.take()) {
            debug_assert_eq!(greeting.unanswered, 0, "each question is answered before the next");
            output.push(greeting.held.bytes());
            // Whoever waited for the connection has the whole timeout for the reply.
            self.sent = self.sent.max(now);
            for request in &mut self.unanswered {
                request.sent_at = self.sent;
            }
        }
    }

    /// Sends a request; until the connection stands and is greeted, it is held.
    ///
    /// # Errors
    /// There is no connection, and none is being made: gives back what the request was for.
    pub fn send(
        &mut self,
        out: &mut Outbox,
        words: &[&[u8]],
        purpose: P,
        now: Instant,
    ) -> Result<(), P> {
        self.send_with(out, |output| resp::push_request(output, words), 0, purpose, now)
    }

    /// Sends a block of requests that are encoded already, the last of which is for `purpose` and
    /// stands after `before` others.
    ///
    /// # Errors
    /// As for [`UpstreamConnection::send`].
    pub fn send_block(
        &mut self,
        out: &mut Outbox,
        requests: &[u8],
        before: usize,
        purpose: P,
        now: Instant,
    ) -> Result<(), P> {
        self.send_with(out, |output| output.push(requests), before, purpose, now)
    }

    fn send_with(
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
        // Within a tick the time that callers know may go back; that of the queue does not.
        self.sent = self.sent.max(now);
        self.unanswered.push_back(Unanswered { sent_at: self.sent, before, purpose });
        Ok(())
    }

    /// The connection stands.
    pub fn connected(&mut self, conn: ConnId, now: Instant) {
        debug_assert!(self.is(conn), "another connection was asked for");
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

    /// Returns when the newest request was sent that is answered on this connection. What was
    /// changed and acknowledged before is told by now, if the upstream tells of changes: it does so
    /// before it answers anything that comes later.
    #[inline]
    pub fn confirmed(&self) -> Option<Instant> {
        self.confirmed
    }

    /// Returns when the newest request was sent on this connection.
    pub fn sent(&self) -> Instant {
        self.sent
    }

    /// Returns what stands at the front of `input`. `None`: it is not whole; what is too large of
    /// it has been consumed.
    ///
    /// # Errors
    /// It is no reply, or nothing was asked; or it is unasked word of more than `most` bytes.
    #[inline]
    pub fn next_reply(
        &mut self,
        input: &mut Buffer,
        most: usize,
    ) -> Result<Option<Received<P>>, ProtocolError> {
        let Some(&first) = input.bytes().first() else { return Ok(None) };
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
            // What is held is not sent.
            let left = greeting.unanswered.checked_sub(1);
            greeting.unanswered = left.ok_or(ProtocolError::UnknownType(first))?;
        }
        match self.unanswered.front_mut() {
            Some(request) if request.before > 0 => {
                request.before -= 1;
                Ok(Some(Received::Reply(UpstreamReply { purpose: None, length })))
            }
            _ => match self.unanswered.pop_front() {
                Some(Unanswered { sent_at, purpose, .. }) => {
                    self.confirmed = Some(sent_at);
                    Ok(Some(Received::Reply(UpstreamReply { purpose: Some(purpose), length })))
                }
                None => Err(ProtocolError::UnknownType(first)),
            },
        }
    }

    /// Returns the length of the partly received reply; 0 if it is unknown.
    pub fn expected_len(&self) -> usize {
        self.scanner.expected_len()
    }

    /// It has answered more than a greeting.
    #[inline]
    pub fn has_answered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            info!("the upstream answers");
            self.logged_failures.clear();
        }
    }

    /// Logs why there is no upstream; the same only once until it answers again.
    pub fn log_failure(&mut self, why: String) {
        if self.logged_failures.len() < MAX_LOGGED_FAILURES && !self.logged_failures.contains(&why)
        {
            warn!("upstream {}: {why}", self.place);
            self.logged_failures.push(why);
        }
    }

    /// Returns whether everything is answered, although not everything was sent.
    pub fn is_ahead(&self, out: &Outbox) -> bool {
        let sent = self.greeting.as_ref().map_or(self.unanswered.len(), |it| it.unanswered);
        sent == 0 && self.conn().is_some_and(|conn| out.unsent(conn) > 0)
    }

    /// Returns when something is due: an attempt to connect, or a reply.
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

    /// Does what is due: connects, or finds that a reply is overdue.
    pub fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) -> Due {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Due::Nothing;
        }
        if let LinkState::Down { .. } = self.link {
            self.link = LinkState::Connecting(out.connect(&self.place, self.turn, self.timeout));
            self.greeting = Some(Greeting { since: now, unanswered: 0, held: Buffer::new() });
            return Due::Connecting;
        }
        Due::Overdue
    }

    /// Gives the connection up for good; whoever waits on it is in the return value, with the
    /// reason to be told. The next attempt is made at once and at the same address if this one had
    /// answered, else at the next address after a backoff.
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

    /// Waits for no reply any more, and goes on with the connection: wrongly.
    #[cfg(feature = "mutants")]
    pub fn wait_no_longer(&mut self) -> impl Iterator<Item = P> + use<P> {
        if let Some(greeting) = &mut self.greeting {
            (greeting.unanswered, greeting.held) = (0, Buffer::new());
        }
        std::mem::take(&mut self.unanswered).into_iter().map(|request| request.purpose)
    }

    /// Returns what the unanswered requests are for, in the order in which they are answered.
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
                assert!(times.is_sorted(), "the first that is overdue stands in front");
            }
            (LinkState::Up(_), Some(_)) => {}
        }
        if let Some(greeting) = &self.greeting {
            assert!(greeting.unanswered <= self.unanswered.len(), "questions stand in the queue");
            let is_empty = self.unanswered.len() == greeting.unanswered;
            assert_eq!(greeting.held.is_empty(), is_empty, "what is held stands in the queue");
        }
    }

    /// Returns how long to wait before the next attempt: doubled by each failure, up to a most, of
    /// which a random half is taken off, so that many proxies do not come back in step.
    fn backoff(&mut self) -> Duration {
        if self.failures == 0 {
            return Duration::ZERO;
        }
        let doubled = MIN_BACKOFF * (1 << (self.failures - 1).min(10));
        let most = doubled.min(MAX_BACKOFF);
        // Xorshift (Marsaglia 2003) will do for a jitter.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        most.mul_f64(0.5 + (self.random % 1024) as f64 / 2048.0)
    }
}

#[cfg(test)]
mod tests;
