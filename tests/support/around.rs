//! A handler with what a test does around every call of it.

use larder::base::buffer::Buffer;
use larder::handler::{CloseReason, ConnId, Handler, Next, Outbox, Via};
use std::time::{Duration, Instant};

/// Gives `around` the handler and each call of it, which is to be passed on.
pub struct Around<H, F> {
    pub handler: H,
    pub around: F,
}

impl<H: Handler, F: FnMut(&mut H, &mut dyn FnMut(&mut H))> Handler for Around<H, F> {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        (self.around)(&mut self.handler, &mut |it| it.opened(out, conn, via, now));
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        let (before, mut next) = (input.len(), Next::Wait);
        (self.around)(&mut self.handler, &mut |it| next = it.received(out, conn, input, now));
        assert!(input.len() <= before, "a handler takes input, and adds none");
        next
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        (self.around)(&mut self.handler, &mut |it| it.input_ended(out, conn, now));
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        let mut next = None;
        (self.around)(&mut self.handler, &mut |it| next = it.timed_out(out, conn, now));
        next
    }

    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) {
        (self.around)(&mut self.handler, &mut |it| it.closed(out, conn, why, now));
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        (self.around)(&mut self.handler, &mut |it| it.deadline_reached(out, now));
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.handler.next_deadline()
    }

    fn idle_timeout(&self) -> Duration {
        self.handler.idle_timeout()
    }

    fn expected_len(&self, conn: ConnId) -> usize {
        self.handler.expected_len(conn)
    }

    fn wants_fresh_time(&self) -> bool {
        self.handler.wants_fresh_time()
    }

    fn check_invariants(&self) {
        self.handler.check_invariants();
    }
}
