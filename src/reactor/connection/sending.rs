//! Sending the output of a connection, and closing it after that.

use super::{Connection, FLUSH_PATIENCE, InputEnd, LINGER, Phase, Role, StepResult, Stream, Want};
use crate::handler::{CloseMode, CloseReason, Outbox};
use crate::settings::limits;
use crate::stats::Stat;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

impl<S: Stream> Connection<S> {
    /// Sends about `share` bytes of the output, and closes the connection if that was ordered.
    #[inline]
    pub fn settle(
        &mut self,
        out: &mut Outbox,
        output_limit: usize,
        idle_timeout: Duration,
        share: usize,
        now: Instant,
    ) -> StepResult {
        let ending = out.ending(self.id);
        if ending == CloseMode::Now {
            return Err(CloseReason::Closed);
        }
        let before = out.unsent(self.id);
        let unsent = self.flush(out, output_limit, share)?;
        if self.want == Want::Drained && unsent < limits::LOW_WATER {
            self.want = Want::Turn;
        } else if self.want == Want::Drained && (unsent < before || self.deadline.is_none()) {
            self.expect_by(idle_timeout, now);
        }
        if ending == CloseMode::AfterFlush {
            return self.finish(unsent, now);
        }
        Ok(())
    }

    /// Writes until all is sent, the stream takes no more, or the share is used up. Returns the
    /// number of bytes that are left.
    #[inline]
    fn flush(
        &mut self,
        out: &mut Outbox,
        output_limit: usize,
        share: usize,
    ) -> Result<usize, CloseReason> {
        let Some(output) = out.pending(self.id) else { return Ok(0) };
        debug_assert!(self.phase != Phase::Connecting || !self.writable, "it is not open yet");
        let before = output.len();
        let share = if self.role == Role::Upstream { usize::MAX } else { share };
        while self.writable && !output.is_empty() {
            let left = share.saturating_sub(before - output.len());
            if left == 0 {
                self.owes_more = true;
                break;
            }
            match output.send(&mut self.stream, left) {
                // A short write means that the stream is full: an event follows when it is not.
                Ok(took_all) => self.writable = took_all,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CloseReason::Lost(error.kind())),
            }
        }
        let unsent = output.len();
        debug_assert!(unsent <= before, "sending adds nothing");
        out.stats.add(Stat::BytesOut, (before - unsent) as u64);
        if unsent == 0 {
            out.drained(self.id);
        } else if unsent > output_limit && self.role != Role::Upstream {
            out.stats.add(Stat::OutputLimitCloses, 1);
            return Err(CloseReason::OutputLimit);
        }
        if unsent < before && self.phase == Phase::Flushing {
            self.deadline = None;
        }
        Ok(unsent)
    }

    /// Goes on with closing.
    #[cold]
    fn finish(&mut self, unsent: usize, now: Instant) -> StepResult {
        match self.phase {
            Phase::Connecting => return Err(CloseReason::Closed),
            Phase::Lingering => return Ok(()),
            Phase::Open => {
                self.input = None;
                self.deadline = None;
            }
            Phase::Flushing => {}
        }
        if unsent > 0 {
            self.phase = Phase::Flushing;
            self.deadline.get_or_insert(now + FLUSH_PATIENCE);
            return Ok(());
        }
        self.stream.shutdown_write();
        if self.end == InputEnd::ByPeer {
            return Err(CloseReason::Closed);
        }
        self.phase = Phase::Lingering;
        self.suspect_readable();
        self.deadline = Some(now + LINGER);
        Ok(())
    }
}
