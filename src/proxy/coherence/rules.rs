//! The rules that keep the cache coherent, in short; `docs/coherence.md` gives all reasons.
//!
//! `W(k)` is the number of writes of a key that were sent upstream and are not answered.
//!
//! 1. Tracking starts with an empty cache ([`begin_level`]).
//! 2. A flight is noted before its `GET` is sent; an invalidation poisons it: its waiters are
//!    answered, nothing is stored, no client joins it any more ([`push_received`]). Else the value
//!    from before the change would be stored after the invalidation, and none would follow.
//! 3. An invalidation removes the entry; a flush removes all ([`push_received`]).
//! 4. A write through the proxy, before it is sent ([`write_begun`]): `W + 1`, the entry is
//!    removed, the flight poisoned and detached. When it is answered or lost ([`write_ended`]):
//!    `W − 1`, and only then is the reply passed on. A flight that begins while `W > 0` is not
//!    stored or joined either, and the entry is removed again at the end: so the rule holds in
//!    whatever order the upstream executes the two. Else a client would read an older value than
//!    it wrote: from the cache, by joining an older flight, or from what that flight stored.
//! 5. A `GET` joins a flight only if that is not poisoned, `W = 0`, and it was sent less than
//!    `--trust` ago ([`prepare_fetch`]). An older one may bring what was overwritten since.
//! 6. A connection that is lost or late is never used again: every waiter gets an error, and at
//!    level 1 the cache is dropped, since invalidations may have been lost ([`connection_lost`]).
//! 7. At level 1 a hit is served only if the upstream has answered a request that was sent less
//!    than `--trust` ago ([`look_up`]). Otherwise the client is held ([`hold`]), one `PING` is sent
//!    for all clients that are held, and after its answer the cache is looked up again. Replies and
//!    invalidations come in one order, so behind that answer no earlier invalidation is missing;
//!    else a link that died silently would hide that a value is old.
//! 8. An entry lives no longer than its key, whose life is requested by `PTTL` before its value,
//!    and no longer than `--ttl` ([`land`]).
//! 9. Upstreams are read dry before any client is served (`reactor.rs`, `tick`).
//! 10. Replies leave in the order of the requests (`client/replies.rs`); behind a read that was
//!     sent on and is not answered, a client's hits are fetched anew at level 1
//!     ([`forget_before_own_read`]).
//! 11. Clients are served at the time of the read that brought their request, not at that of the
//!     tick's begin (`Handler::wants_fresh_time`): the process may be stopped in between.
//!
//! [`begin_level`]: super::Coherence::begin_level
//! [`push_received`]: super::Coherence::push_received
//! [`write_begun`]: super::Coherence::write_begun
//! [`write_ended`]: super::Coherence::write_ended
//! [`prepare_fetch`]: super::Coherence::prepare_fetch
//! [`connection_lost`]: super::Coherence::connection_lost
//! [`look_up`]: super::Coherence::look_up
//! [`hold`]: super::Coherence::hold
//! [`land`]: super::Coherence::land
//! [`forget_before_own_read`]: super::Coherence::forget_before_own_read

/// A part of a rule that tests switch off, to see that they would notice.
///
/// Rule 9 is the reactor's, which has two switches of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// 1: level 1 begins with an empty cache.
    BeginEmpty,
    /// 2: an invalidation poisons the flight that it meets.
    PoisonAtInvalidations,
    /// 3: an invalidation removes the entry.
    HeedInvalidations,
    /// 4: nothing is stored by a flight that overlapped a write of its key.
    PoisonAtWrites,
    /// 4, 5: from a write's dispatch to its reply, no flight of its key is joined.
    DetachAtWrites,
    /// 5: no flight is joined that was sent longer ago than `--trust`.
    ConfirmJoins,
    /// 6: at level 1 the cache is dropped with the connection that filled it.
    DropWithConnection,
    /// 6: a connection that left a request unanswered for too long is not used again.
    AbandonLateConnection,
    /// 7: at level 1 a hit is served only if the upstream has answered a recent request.
    ConfirmHits,
    /// 8: an entry lives no longer than its key.
    LiveNoLongerThanKey,
    /// 10: what is behind an unanswered read of its client joins no older flight and, at level 1,
    /// is fetched anew.
    ReadBehindOwnReads,
    /// 11: a client's bytes are served at the time of their read.
    ServeAtReadTime,
}

impl Rule {
    /// All parts of rules.
    pub const ALL: [Rule; 12] = [
        Rule::BeginEmpty,
        Rule::PoisonAtInvalidations,
        Rule::HeedInvalidations,
        Rule::PoisonAtWrites,
        Rule::DetachAtWrites,
        Rule::ConfirmJoins,
        Rule::DropWithConnection,
        Rule::AbandonLateConnection,
        Rule::ConfirmHits,
        Rule::LiveNoLongerThanKey,
        Rule::ReadBehindOwnReads,
        Rule::ServeAtReadTime,
    ];
}

/// The rules in force: all, but in a test that has switched one off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    #[cfg(feature = "mutants")]
    broken: Option<Rule>,
}

impl Rules {
    /// Returns all rules but this one.
    #[cfg(feature = "mutants")]
    pub fn without(rule: Rule) -> Rules {
        Rules { broken: Some(rule) }
    }

    /// Returns whether a rule is in force.
    #[inline]
    pub fn keep(self, rule: Rule) -> bool {
        #[cfg(feature = "mutants")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "mutants"))]
        {
            _ = rule;
            true
        }
    }
}
