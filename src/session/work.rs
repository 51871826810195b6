//! The work of one turn of a client, so that none holds the loop for long.
//!
//! A handler sees no clock, so work is counted, not timed: each thing done counts for about the
//! nanoseconds that it takes with twenty million keys, where each key is in no cache. Once a turn's
//! work is done, the client's next request, or the rest of a long one, waits for the next tick.

/// The work of a turn. The request that passes it is not cut short, so it is well below a
/// millisecond.
pub const TURN: usize = 400_000;

/// The work of the walks in one transaction, which is executed whole: a tenth of a second.
const TRANSACTION: usize = 100_000_000;

/// A short request.
pub const REQUEST: usize = 150;
/// A request that the proxy sends on, beside that.
pub const SENT_ON: usize = 500;
/// A key that is looked up, written or deleted, of many that a request names.
pub const KEY: usize = 400;
/// An entry that a walk looks at.
pub const ENTRY: usize = 150;
/// A key that is appended to a reply.
pub const COLLECTED: usize = 20;
/// A word of a request that is looked at.
pub const WORD: usize = 30;
/// A byte of the reply to a command for the connection or the program, which is formatted.
pub const FORMATTED: usize = 4;
/// A line of `CLIENT LIST`.
pub const CLIENT: usize = 2_000;
/// Bytes that are copied for one nanosecond.
pub const BYTES: usize = 8;

/// The work that is done and may be done; see the head of the file.
#[derive(Debug, Default)]
pub struct Work {
    done: usize,
    /// `Some`: the work left for walks in a transaction.
    in_transaction: Option<usize>,
}

impl Work {
    /// Begins a turn.
    pub fn begin_turn(&mut self) {
        self.done = 0;
    }

    /// Counts work.
    #[inline]
    pub fn add(&mut self, work: usize) {
        self.done += work;
    }

    /// Returns the work that was done in this turn.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Returns whether the work of this turn is done.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.done >= TURN
    }

    /// Returns how many things of so much work each are left to do in this turn; at least one.
    pub fn left(&self, each: usize) -> usize {
        (TURN.saturating_sub(self.done) / each).max(1)
    }

    /// Begins a transaction, in which nothing waits for the next tick.
    pub fn begin_transaction(&mut self) {
        self.in_transaction = Some(TRANSACTION);
    }

    /// Ends a transaction.
    pub fn end_transaction(&mut self) {
        self.in_transaction = None;
    }

    /// Returns whether a transaction is being executed.
    #[inline]
    pub fn is_in_transaction(&self) -> bool {
        self.in_transaction.is_some()
    }

    /// Begins the next step of a walk in a transaction. Returns whether there may be one.
    pub fn next_step_in_transaction(&mut self) -> bool {
        let done = std::mem::take(&mut self.done);
        let Some(left) = &mut self.in_transaction else { return true };
        *left = left.saturating_sub(done);
        *left > 0
    }
}
