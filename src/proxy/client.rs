//! One client of the proxy: what it said, what it is owed, and what keeps it from going on.

use super::dump::Dump;
use super::replies::Replies;
use super::upstream::Trouble;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::Reply;
use crate::session::{Origin, Session, Style};
use crate::settings::limits;
use std::net::SocketAddr;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its protocol state.
    pub session: Session,
    /// The replies that it waits for.
    pub replies: Replies,
    /// Its `DUMP` that waits or is under way; nothing is read meanwhile.
    pub dump: Option<Box<Dump>>,
    /// The size of the value that came last: those to come may be as large.
    pub last_bytes: usize,
    /// Told the reactor to wait: `resume` is owed once there is something to do.
    pub waiting: bool,
    /// No request follows: close once every owed reply is given.
    pub ended: bool,
    /// How many of the replies that it waits for are to reads that were sent on as they are. What
    /// is kept may be older than they, and so is not looked up before they have come.
    pub reads_sent: u32,
    /// Whether a confirmation has come that was asked for after its present request had come.
    pub covered: bool,
    /// Bytes of its input that have been consumed, from its beginning.
    taken: u64,
    /// Whether it waits for a confirmation, and how far its input had come when it was asked for.
    is_unconfirmed: bool,
    asked_to: u64,
    /// The same of the confirmation that came last.
    confirmed_to: u64,
    /// Whether its present request is what waits.
    is_held: bool,
    /// Why what its present request has waited for will not come.
    trouble: Option<Trouble>,
}

impl Client {
    /// A client that has just come from `peer`.
    pub fn new(peer: SocketAddr, now: Now) -> Client {
        Client {
            session: Session::new(peer, now),
            replies: Replies::default(),
            dump: None,
            last_bytes: 0,
            waiting: false,
            ended: false,
            reads_sent: 0,
            covered: false,
            taken: 0,
            is_unconfirmed: false,
            asked_to: 0,
            confirmed_to: 0,
            is_held: false,
            trouble: None,
        }
    }

    /// So many bytes of its input are consumed.
    #[inline]
    pub fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Whether the last of the next `bytes` of its input had come before a confirmation was asked
    /// for that has come since.
    #[inline]
    pub fn covers(&self, bytes: usize) -> bool {
        self.taken + bytes as u64 <= self.confirmed_to
    }

    /// Waits for a confirmation, with so many bytes of input that are not consumed. `false`: it
    /// does so already.
    pub fn ask_for_confirmation(&mut self, input: usize) -> bool {
        self.is_held = true;
        if self.is_unconfirmed {
            return false;
        }
        self.is_unconfirmed = true;
        self.asked_to = self.taken + input as u64;
        true
    }

    /// The confirmation has come, or will not.
    pub fn confirmation_ended(&mut self, trouble: Option<Trouble>) {
        self.is_unconfirmed = false;
        if trouble.is_none() {
            self.confirmed_to = self.asked_to;
        } else if self.is_held {
            self.trouble = trouble;
        }
    }

    /// Goes on to its present request, which may be one that was held: why it is to fail, if so.
    pub fn take_up(&mut self) -> Option<Trouble> {
        self.is_held = false;
        self.trouble.take()
    }

    /// Whether the client's own replies keep it from going on.
    pub fn is_blocked(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        output_limit: usize,
    ) -> Option<Next> {
        if out.unsent(conn) > limits::HIGH_WATER {
            return Some(Next::Drain);
        }
        // Replies that are owed are not bounded by what has come: go by the last one.
        let expected = self.last_bytes.saturating_mul(self.replies.len());
        if self.has_room() && expected <= output_limit / 4 {
            return None;
        }
        self.waiting = true;
        Some(Next::Wait)
    }

    fn has_room(&self) -> bool {
        // Once it waits, it waits until half of them have come: not for each anew.
        let most = if self.waiting { limits::MAX_UNANSWERED / 2 } else { limits::MAX_UNANSWERED };
        self.replies.len() < most && self.replies.parked_bytes() <= limits::HIGH_WATER
    }

    /// Gives a reply that nothing was waited for.
    pub fn answer(&mut self, out: &mut Outbox, conn: ConnId, style: Style, reply: Reply<'_>) {
        if let Some(output) = out.output(conn) {
            self.replies.answer(output, style, |output| style.write(output, Origin::Server, reply));
        }
    }

    /// Gives a reply that is written already.
    pub fn answer_with(&mut self, out: &mut Outbox, conn: ConnId, style: Style, reply: &Output) {
        if let Some(output) = out.output(conn) {
            self.replies.answer(output, style, |output| output.push_all(reply));
        }
    }

    /// Goes on after an owed reply was given.
    pub fn replied(&mut self, out: &mut Outbox, conn: ConnId) {
        if self.ended {
            self.end(out, conn);
            return;
        }
        // A dump begins when nothing is owed.
        let can_go_on = if self.dump.is_some() { self.replies.is_empty() } else { self.has_room() };
        if self.waiting && can_go_on {
            self.go_on(out, conn);
        }
    }

    /// Has the reactor call again, after waiting.
    pub fn go_on(&mut self, out: &mut Outbox, conn: ConnId) {
        self.waiting = false;
        out.resume(conn);
    }

    /// No request follows: closes once every owed reply is given.
    pub fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        self.ended = true;
        if self.replies.is_empty() {
            out.close(conn);
        }
    }
}
