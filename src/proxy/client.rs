//! One client of the proxy: its session, the replies that it is owed, and what it waits for.
//!
//! - `replies.rs`: its replies, in the order of its requests · `gather.rs`: the values of an `MGET`
//! - `dump.rs`: its `DUMP`, made of `SCAN`s and `GET`s

pub mod dump;
pub mod gather;
pub mod replies;

use super::no_reply::UpstreamError;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::{Form, Reply};
use crate::session::{Origin, RequestError, Session, Style};
use crate::settings::limits;
use crate::stats::{Stat, Stats};
use dump::ProxyDump;
use replies::Replies;
use std::net::SocketAddr;

/// A client of the proxy; see the head of the file.
#[derive(Debug)]
pub struct ProxyClient {
    /// Its protocol state.
    pub session: Session,
    /// The replies that it waits for.
    pub replies: Replies,
    /// Its `DUMP` that waits or is under way; no request is read meanwhile.
    pub dump: Option<Box<ProxyDump>>,
    /// The number of `DUMP`s that it has begun.
    pub dumps: u32,
    /// The bytes of the reply that came last: those to come may be as large.
    pub last_bytes: usize,
    /// Whether the reactor waits for [`Outbox::resume`] before it calls again.
    pub is_waiting: bool,
    /// Whether its requests have ended: it is closed once every owed reply is given.
    pub has_ended: bool,
    /// The number of its unanswered reads that were sent on. A cached value may be older than their
    /// replies: before a key is looked up, [`Coherence::forget_before_own_read`] drops such a
    /// value.
    ///
    /// [`Coherence::forget_before_own_read`]: super::coherence::Coherence::forget_before_own_read
    pub reads_sent: u32,
    /// Whether a PING is answered that was sent after its present request had come.
    pub ping_answered: bool,
    /// The bytes of its input that were consumed, since it connected.
    taken: u64,
    /// Whether it waits for the answer to a PING.
    waits_for_ping: bool,
    /// The bytes of its input that had come when it last began to wait for a PING.
    ping_wanted_to: u64,
    /// The bytes of its input that had come before the last PING was sent that is answered.
    ping_answered_to: u64,
    /// Whether its present request waits for a PING.
    is_held: bool,
    /// The error of its present request, whose PING will not be answered.
    failure: Option<UpstreamError>,
}

impl ProxyClient {
    /// Returns a client that has just connected from `peer`.
    pub fn new(peer: SocketAddr, now: Now) -> ProxyClient {
        ProxyClient {
            session: Session::new(peer, now),
            replies: Replies::default(),
            dump: None,
            dumps: 0,
            last_bytes: 0,
            is_waiting: false,
            has_ended: false,
            reads_sent: 0,
            ping_answered: false,
            taken: 0,
            waits_for_ping: false,
            ping_wanted_to: 0,
            ping_answered_to: 0,
            is_held: false,
            failure: None,
        }
    }

    /// Returns whether its session is plain, and its present request was not held.
    pub fn is_plain(&self) -> bool {
        !self.is_held && self.session.is_plain()
    }

    /// Counts bytes of its input that are consumed.
    pub fn consumed(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Begins a request: the next `bytes` of its input.
    pub fn begin_request(&mut self, bytes: usize) {
        self.ping_answered = self.taken + bytes as u64 <= self.ping_answered_to;
    }

    /// Begins to wait for a PING, with so many bytes of input that are not consumed. Returns
    /// `false` if it does so already.
    pub fn wait_for_ping(&mut self, input: usize) -> bool {
        self.is_held = true;
        if self.waits_for_ping {
            return false;
        }
        self.waits_for_ping = true;
        self.ping_wanted_to = self.taken + input as u64;
        true
    }

    /// Ends the wait for a PING, which is answered; with `failure`, it never will be.
    pub fn end_wait_for_ping(&mut self, failure: Option<UpstreamError>) {
        debug_assert!(self.waits_for_ping, "it waits for one at most");
        self.waits_for_ping = false;
        if failure.is_none() {
            self.ping_answered_to = self.ping_wanted_to;
        } else if self.is_held {
            self.failure = failure;
        }
    }

    /// Takes up its present request, which may be one that was held. Returns why it is to fail, if
    /// the PING that it waited for will not be answered.
    pub fn take_up(&mut self) -> Option<UpstreamError> {
        self.is_held = false;
        self.failure.take()
    }

    /// Has it wait before its next request, if too much of its own replies is owed, or not taken:
    /// `unsent` bytes are in the output. Returns what it waits for; `None`: there is room.
    #[inline]
    pub fn wait_if_full(&mut self, unsent: usize, output_limit: usize) -> Option<Next> {
        if unsent > limits::HIGH_WATER {
            return Some(Next::Drain);
        }
        // The size of owed replies is not known: the last one is the estimate.
        let expected = self.last_bytes.saturating_mul(self.replies.len());
        if self.has_room() && expected <= output_limit / 4 {
            return None;
        }
        self.is_waiting = true;
        Some(Next::Wait)
    }

    /// Panics unless its replies and its wait for a PING are as they should be. For tests and debug
    /// builds.
    pub fn check_invariants(&self) {
        self.replies.check_invariants();
        assert!(
            self.ping_answered_to <= self.ping_wanted_to,
            "a PING is answered that was not wanted"
        );
        assert!(self.reads_sent as usize <= self.replies.owed(), "a read is owed a reply");
        assert!(self.failure.is_none() || self.is_held, "only what was held fails");
    }

    fn has_room(&self) -> bool {
        // Once it waits, it waits until half of them have come.
        let most =
            if self.is_waiting { limits::MAX_UNANSWERED / 2 } else { limits::MAX_UNANSWERED };
        self.replies.len() < most && self.replies.parked_bytes() <= limits::HIGH_WATER
    }

    /// Answers its present request.
    pub fn answer(&mut self, out: &mut Outbox, conn: ConnId, style: Style, reply: Reply<'_>) {
        count_if_error(&mut out.stats, reply, style);
        if let Some(output) = out.output(conn) {
            self.replies.answer(output, style, |output| style.write(output, Origin::Server, reply));
        }
    }

    /// Answers its present request with a reply that is encoded already.
    pub fn answer_with(&mut self, out: &mut Outbox, conn: ConnId, style: Style, reply: &Output) {
        if let Some(output) = out.output(conn) {
            self.replies.answer(output, style, |output| output.push_all(reply));
        }
    }

    /// Answers its present request with an error, and counts that if it has a counter.
    pub fn answer_error(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        error: &RequestError,
    ) {
        let mut reply = Output::new();
        error.write(style, &mut reply, &mut out.stats);
        self.answer_with(out, conn, style, &reply);
    }

    /// Refuses its present request, of which no command is executed, with an error, and with it the
    /// transaction around it.
    pub fn refuse(&mut self, out: &mut Outbox, conn: ConnId, form: Form, error: &RequestError) {
        out.stats.add(Stat::RequestErrors, 1);
        let style = self.session.refuse(form);
        self.answer_error(out, conn, style, error);
    }

    /// Goes on after an owed reply was given, if there is room now.
    pub fn replied(&mut self, out: &mut Outbox, conn: ConnId) {
        if self.has_ended {
            self.end(out, conn);
            return;
        }
        // A dump begins when nothing is owed.
        let can_go_on = if self.dump.is_some() { self.replies.is_empty() } else { self.has_room() };
        if self.is_waiting && can_go_on {
            self.go_on(out, conn);
        }
    }

    /// Has the reactor call again.
    pub fn go_on(&mut self, out: &mut Outbox, conn: ConnId) {
        self.is_waiting = false;
        out.resume(conn);
    }

    /// Ends its requests, and closes it once every owed reply is given.
    pub fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        self.has_ended = true;
        if self.replies.is_empty() {
            out.close(conn);
        }
    }
}

/// Counts a reply, if it is an error.
#[inline]
pub fn count_if_error(stats: &mut Stats, reply: Reply<'_>, style: Style) {
    match reply {
        Reply::Error(_) => stats.count_error(b"ERR", style.verb),
        Reply::Failure(error) => stats.count_error(error, style.verb),
        Reply::Exists if style.form == Form::Resp => stats.count_error(b"ERR", style.verb),
        _ => {}
    }
}
