//! One stream and its buffers: everything that happens to a connection between its opening and its
//! end, generic over the stream, so that tests drive it with plain memory.
//!
//! ```text
//!   Connecting ──▶ Open ──▶ Flushing ──▶ Lingering ──▶ gone
//!                   │  close()  │  all sent   │  peer's FIN, or LINGER is over
//!                   └───────────┴─────────────┴──▶ gone: lost, aborted, output limit
//! ```
//!
//! Readiness is edge-triggered: one event reports that there may be data, and the connection
//! remembers it until a read has shown that there is no more.
//!
//! - A read that brings less than it could was the last: no second system call finds out that
//!   the socket is empty. Not so after an event of *priority* (urgent data splits reads) or of
//!   the peer's close: then only `WouldBlock`, returned twice, or EOF ends the reading.
//! - A connection whose last event may not be used up stays on the reactor's ready list.
//!
//! `sending.rs` sends the output, and closes the connection after it.

mod sending;

use crate::base::buffer::{Buffer, SCRATCH_BYTES};
use crate::base::timer_wheel::TimerId;
use crate::handler::{CloseMode, CloseReason, ConnId, Handler, Next, Outbox};
use crate::settings::limits;
use crate::stats::Stat;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// The timeout of a closing connection whose peer takes none of its last output.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// How long the input of a half-closed connection is read and dropped before the connection goes,
/// so that the last reply is not lost to a reset: some round trips on a bad link.
pub const LINGER: Duration = Duration::from_secs(2);

/// The least time that a handler can extend a connection's deadline by.
pub const MIN_WAIT: Duration = Duration::from_secs(1);

/// The most bytes of one read of a long request into its own buffer: some 50 µs.
pub const LONG_READ: usize = 256 * 1024;

/// The bytes of a partial request from which on the rest is read into its own buffer, not into the
/// scratch buffer and copied: so much is copied at the most.
const LONG_INPUT: usize = SCRATCH_BYTES / 2;

/// A byte stream whose sending half can be closed.
pub trait Stream: Read + Write {
    /// Sends FIN after what was written.
    fn shutdown_write(&mut self);

    /// Returns whether the peer has accepted the connection; an event may come too early.
    ///
    /// # Errors
    /// The attempt to connect has failed.
    fn is_connected(&self) -> io::Result<bool>;
}

/// The state of a stream, as an event reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be data, or the end of it.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// One read may not show it all: urgent data, or the peer closed.
    pub read_on: bool,
    /// Both directions are closed, or the stream failed.
    pub broken: bool,
}

/// The phase of a connection between its opening and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    Flushing,
    Lingering,
}

/// What the handler waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// New bytes.
    Bytes,
    /// Drained output.
    Drained,
    /// The next turn.
    Turn,
    /// A call of `resume`.
    Nothing,
}

/// The kind of a connection's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client's: one read a tick.
    Client,
    /// The handler ordered it: read before others, and dry.
    Upstream,
    /// A client past the connection limit, on its way out; the handler does not know it.
    Refused,
}

/// One stream with its input, and its state. Its output is in the outbox.
#[derive(Debug)]
pub struct Connection<S> {
    /// The stream.
    pub stream: S,
    /// The time at which [`Connection::overdue`] is to be called.
    pub deadline: Option<Instant>,
    /// The timer that was set for the deadline or for an earlier one, and its time.
    pub timer: Option<(TimerId, Instant)>,
    /// On the reactor's ready list.
    pub listed: bool,
    /// The kind of its peer.
    pub role: Role,
    id: ConnId,
    /// The beginning of a request that is not whole; few connections have one.
    input: Option<Box<PartialInput>>,
    phase: Phase,
    want: Want,
    readable: bool,
    read_on: bool,
    writable: bool,
    /// There is more output than its share of this tick.
    owes_more: bool,
    end: InputEnd,
    eof_delivered: bool,
}

/// The beginning of a request that is not whole.
#[derive(Debug)]
struct PartialInput {
    bytes: Buffer,
    /// The request is long, and the memory goes back to the pool.
    is_long: bool,
}

/// The end of a connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    NotYet,
    /// The peer sent FIN.
    ByPeer,
    /// The program is stopping; the peer may go on sending.
    ByUs,
}

/// The clock of one turn.
pub struct TurnClock<F: FnMut() -> Instant> {
    /// Whether the handler is given the time of the read.
    pub is_fresh: bool,
    /// For how many turns this one stands, as it is measured; 0: it is not.
    pub measured: u32,
    /// Reads the clock.
    pub read: F,
}

/// The result of a step: `Ok` if the connection goes on, else the reason of its end.
pub type StepResult = Result<(), CloseReason>;

impl<S: Stream> Connection<S> {
    /// Returns a connection that came in, which is open.
    pub fn accepted(id: ConnId, stream: S, role: Role) -> Connection<S> {
        Connection {
            stream,
            id,
            role,
            input: None,
            deadline: None,
            timer: None,
            phase: Phase::Open,
            want: Want::Bytes,
            listed: false,
            readable: false,
            read_on: false,
            writable: true,
            owes_more: false,
            end: InputEnd::NotYet,
            eof_delivered: false,
        }
    }

    /// Returns a connection that was ordered, and has to be open by `deadline`.
    pub fn connecting(id: ConnId, stream: S, deadline: Instant) -> Connection<S> {
        Connection {
            phase: Phase::Connecting,
            writable: false,
            deadline: Some(deadline),
            ..Connection::accepted(id, stream, Role::Upstream)
        }
    }

    /// Returns its name.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Returns whether it waits to be connected.
    pub fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting
    }

    /// Opens a connection that the peer has accepted.
    pub fn connected(&mut self) {
        self.phase = Phase::Open;
        self.writable = true;
        self.deadline = None;
    }

    /// Notes the readiness that an event reports.
    ///
    /// # Errors
    /// The stream has failed.
    #[inline]
    pub fn note(&mut self, event: Readiness) -> StepResult {
        self.readable |= event.readable;
        self.read_on |= event.read_on;
        self.writable |= event.writable;
        if event.broken && self.phase != Phase::Connecting {
            // Data that came before a reset is lost with it; of data that came before both sides
            // closed no reply could be sent.
            return Err(CloseReason::Lost(ErrorKind::ConnectionReset));
        }
        Ok(())
    }

    /// Assumes that there is something to read, whatever the events report.
    pub fn suspect_readable(&mut self) {
        self.readable = true;
        self.read_on = true;
    }

    /// Returns whether a turn would do something.
    #[inline]
    pub fn is_ready(&self) -> bool {
        match self.phase {
            Phase::Connecting => false,
            Phase::Open | Phase::Flushing if self.owes_more => true,
            Phase::Open => match self.want {
                Want::Bytes => self.can_read() || self.eof_pending(),
                Want::Turn => true,
                Want::Drained | Want::Nothing => false,
            },
            Phase::Flushing => false,
            Phase::Lingering => self.readable,
        }
    }

    /// Sets the deadline for the peer to do something; a timeout of zero sets none.
    pub fn expect_by(&mut self, timeout: Duration, now: Instant) {
        self.deadline = (!timeout.is_zero()).then(|| now + timeout);
    }

    /// Takes no more input: the program is stopping.
    pub fn end_input(&mut self) {
        if self.end == InputEnd::NotYet {
            self.end = InputEnd::ByUs;
            self.readable = false;
        }
    }

    fn can_read(&self) -> bool {
        self.readable && self.end == InputEnd::NotYet
    }

    fn eof_pending(&self) -> bool {
        self.end != InputEnd::NotYet && !self.eof_delivered
    }

    /// Goes on after [`Next::Wait`].
    pub fn resume(&mut self) {
        if self.want == Want::Nothing {
            self.want = Want::Turn;
        }
    }

    /// Takes one turn: reads at most once, and passes the input to the handler. `scratch` is empty
    /// before and after.
    #[inline]
    pub fn take_turn<H: Handler>(
        &mut self,
        handler: &mut H,
        out: &mut Outbox,
        scratch: &mut Buffer,
        now: Instant,
        mut clock: TurnClock<impl FnMut() -> Instant>,
    ) -> StepResult {
        if self.phase == Phase::Lingering {
            return self.drop_input(scratch);
        }
        if std::mem::take(&mut self.owes_more) {
            out.touch(self.id);
        }
        if self.phase != Phase::Open || out.ending(self.id) != CloseMode::None {
            return Ok(());
        }
        match self.want {
            Want::Turn => self.hand_over_measured(handler, out, scratch, now, clock),
            Want::Bytes if self.can_read() => {
                let count = self.read_more(handler, scratch)?;
                if count > 0 {
                    out.stats.add(Stat::BytesIn, count as u64);
                    let now = if clock.is_fresh { (clock.read)() } else { now };
                    self.hand_over_measured(handler, out, scratch, now, clock);
                }
            }
            Want::Bytes | Want::Drained | Want::Nothing => {}
        }
        if self.want == Want::Bytes && self.eof_pending() {
            self.eof_delivered = true;
            handler.input_ended(out, self.id, now);
        }
        Ok(())
    }

    #[inline]
    fn hand_over_measured<H: Handler>(
        &mut self,
        handler: &mut H,
        out: &mut Outbox,
        scratch: &mut Buffer,
        now: Instant,
        mut clock: TurnClock<impl FnMut() -> Instant>,
    ) {
        let begin = |turns| out.stats.begin_turn(turns, (clock.read)());
        let measure = Some(clock.measured).filter(|&turns| turns > 0).map(begin);
        self.hand_over(handler, out, scratch, now);
        if let Some(measure) = measure {
            out.stats.end_turn(&measure, (clock.read)());
        }
    }

    fn hand_over<H: Handler>(
        &mut self,
        handler: &mut H,
        out: &mut Outbox,
        scratch: &mut Buffer,
        now: Instant,
    ) {
        let next = match self.input.take() {
            None => {
                let next = handler.received(out, self.id, scratch, now);
                if !scratch.is_empty() {
                    let whole = handler.expected_len(self.id);
                    let is_long = scratch.len() >= LONG_INPUT && whole > scratch.len();
                    let mut bytes = Buffer::new();
                    if is_long {
                        bytes = out.pool.lend_long(whole, scratch.len());
                        bytes.make_room_towards(whole, scratch.len());
                    }
                    bytes.push(scratch.bytes());
                    self.input = Some(Box::new(PartialInput { bytes, is_long }));
                }
                next
            }
            Some(mut input) => {
                input.bytes.push(scratch.bytes());
                let next = handler.received(out, self.id, &mut input.bytes, now);
                if !input.bytes.is_empty() {
                    if !input.is_long || handler.expected_len(self.id) <= input.bytes.len() {
                        input.bytes.shrink();
                    }
                    self.input = Some(input);
                } else if input.is_long {
                    out.pool.take_back_long(input.bytes);
                }
                next
            }
        };
        scratch.clear();
        (self.want, self.deadline) = match next {
            Next::Read(until) => (Want::Bytes, until),
            Next::Drain
                if self.role == Role::Upstream || out.unsent(self.id) < limits::LOW_WATER =>
            {
                (Want::Turn, None)
            }
            Next::Drain => {
                // From now on the peer has to take some, even if nothing new is written.
                out.touch(self.id);
                (Want::Drained, None)
            }
            Next::Wait => (Want::Nothing, None),
        };
    }

    /// Reads once, and returns the number of bytes; 0: there were none, or EOF. The rest of a long
    /// request is read into its own buffer, and no further; all else into `scratch`.
    #[inline]
    fn read_more<H: Handler>(
        &mut self,
        handler: &H,
        scratch: &mut Buffer,
    ) -> Result<usize, CloseReason> {
        if let Some(mut input) = self.input.take_if(|input| input.bytes.len() >= LONG_INPUT) {
            let bytes = &mut input.bytes;
            let (has, whole) = (bytes.len(), handler.expected_len(self.id));
            let rest = whole.saturating_sub(has);
            let count = rest.min(LONG_READ).min(has.max(bytes.used_room()));
            let mut result = Ok(0);
            if count > 0 {
                bytes.make_room_towards(whole, count);
                result = self.read(bytes, count);
            }
            self.input = Some(input);
            if count > 0 {
                return result;
            }
        }
        self.read(scratch, usize::MAX)
    }

    /// Reads once into a buffer, no more than `most` bytes. Returns their number.
    #[inline]
    fn read(&mut self, into: &mut Buffer, most: usize) -> Result<usize, CloseReason> {
        let asked = into.room().min(most);
        let mut doubts = true;
        loop {
            match into.fill(&mut self.stream, most) {
                Ok(0) => {
                    self.end = InputEnd::ByPeer;
                    self.readable = false;
                    return Ok(0);
                }
                Ok(count) => {
                    if count < asked && !self.read_on {
                        self.readable = false;
                    }
                    return Ok(count);
                }
                // Linux returns that, too, where the next byte is urgent and a signal has just
                // come; and no event would follow.
                Err(error) if error.kind() == ErrorKind::WouldBlock && doubts => doubts = false,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    self.read_on = false;
                    return Ok(0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CloseReason::Lost(error.kind())),
            }
        }
    }

    /// Reads and drops input after the last reply: closing with unread input would make the system
    /// send a reset, which overtakes the reply.
    fn drop_input(&mut self, scratch: &mut Buffer) -> StepResult {
        let result = self.read(scratch, usize::MAX);
        scratch.clear();
        result?;
        if self.end == InputEnd::ByPeer { Err(CloseReason::Closed) } else { Ok(()) }
    }

    /// Acts on the deadline, which has come: the handler decides, or the connection ends.
    pub fn overdue<H: Handler>(
        &mut self,
        handler: &mut H,
        out: &mut Outbox,
        now: Instant,
    ) -> StepResult {
        self.deadline = None;
        match self.phase {
            Phase::Connecting => Err(CloseReason::ConnectFailed(ErrorKind::TimedOut)),
            Phase::Open if self.want == Want::Drained => {
                out.stats.add(Stat::ConnectionsTimedOut, 1);
                Err(CloseReason::Stuck)
            }
            Phase::Open => {
                // Not within this tick, which would not end.
                let again = handler.timed_out(out, self.id, now);
                self.deadline = again.map(|again| again.max(now + MIN_WAIT));
                Ok(())
            }
            Phase::Flushing => Err(CloseReason::Stuck),
            Phase::Lingering => Err(CloseReason::Closed),
        }
    }
}

#[cfg(test)]
mod tests;
