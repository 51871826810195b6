//! The rules that keep the cache coherent, by name: tests switch off one at a time, to see that
//! they would notice. `docs/coherence.md` says why each is there.

/// A rule that tests can switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An invalidation removes the entry.
    HeedInvalidations,
    /// An invalidation poisons the flight that it meets: its value is not stored.
    PoisonAtInvalidations,
    /// From a write's dispatch to its reply, no flight of its key is joined.
    DetachAtWrites,
    /// Nothing is stored by a flight that overlapped a write of its key.
    PoisonAtWrites,
    /// At level 1 the cache goes with the connection that filled it.
    DropWithConnection,
    /// Level 1 begins with an empty cache.
    BeginEmpty,
    /// A connection that left a request unanswered for too long is not used again.
    AbandonLateConnection,
    /// At level 1 a hit is served only if the upstream has answered what was sent lately.
    ConfirmHits,
    /// Nor is a flight joined that was sent longer ago than that.
    ConfirmJoins,
    /// An entry lives no longer than its key.
    LiveNoLongerThanKey,
    /// What a client asks for behind a read of its own that was sent on is not looked up.
    ReadBehindOwnReads,
    /// A client's bytes are served at the time of their read, not at that of the tick's begin.
    ServeAtReadTime,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 12] = [
        Rule::HeedInvalidations,
        Rule::PoisonAtInvalidations,
        Rule::DetachAtWrites,
        Rule::PoisonAtWrites,
        Rule::DropWithConnection,
        Rule::BeginEmpty,
        Rule::AbandonLateConnection,
        Rule::ConfirmHits,
        Rule::ConfirmJoins,
        Rule::LiveNoLongerThanKey,
        Rule::ReadBehindOwnReads,
        Rule::ServeAtReadTime,
    ];
}
