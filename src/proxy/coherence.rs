//! Whether what is kept may be served: what the upstream tells of changes, what writes through this
//! proxy change, and when the upstream was last heard of. `docs/coherence.md` has the rules, their
//! reasons and the races that they close.

use super::purpose::{Purpose, UnexpectedReply, Writes};
use super::rules::Rule;
use super::state::{Level, Proxy};
use super::upstream::Trouble;
use crate::handler::{ConnId, Outbox};
use crate::protocol::resp::{Element, Elements};
use crate::stats::Stat;
use log::{info, warn};
use std::time::{Duration, Instant};

/// Of `--trust`, after which part of it without a request the upstream is asked whether it lives;
/// and how often at the most.
const PINGS_PER_TRUST: u32 = 3;
const MIN_PAUSE: Duration = Duration::from_millis(1);

impl Proxy {
    /// Whether a rule is in force: always, but in a test that has switched it off.
    #[inline]
    pub(super) fn keeps(&self, rule: Rule) -> bool {
        #[cfg(feature = "mutants")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "mutants"))]
        {
            _ = rule;
            true
        }
    }

    /// The upstream tells of changes on this connection from now on, or it does not.
    pub(super) fn begin_level(&mut self, out: &mut Outbox, level: Level) {
        if level == Level::One && self.keeps(Rule::BeginEmpty) {
            self.drop_entries(out, Stat::FlushesLevel);
        }
        self.level = level;
        if self.level_told.replace(level) != Some(level) {
            if level == Level::One {
                info!("the upstream tells of changes: cached values are coherent (level 1)");
            } else {
                let age = "cached values may be old by as much as --ttl";
                warn!("the upstream cannot tell of changes: {age} (level 0)");
            }
        }
    }

    /// Word that nobody asked for: that keys were changed, or all of them; anything else is passed
    /// over.
    ///
    /// # Errors
    /// Something was changed, and it is not understood what.
    pub(super) fn push_came(
        &mut self,
        out: &mut Outbox,
        push: &[u8],
    ) -> Result<(), UnexpectedReply> {
        let mut elements = Elements::new(push);
        let head = elements.next();
        if !matches!(elements.next(), Some(Element::Bulk(b"invalidate")))
            || !self.keeps(Rule::HeedInvalidations)
        {
            return Ok(());
        }
        match (head, elements.next()) {
            (Some(Element::Push(2)), Some(Element::Array(count))) => {
                for _ in 0..count {
                    let Some(Element::Bulk(key)) = elements.next() else {
                        return Err(UnexpectedReply);
                    };
                    out.stats.add(Stat::Invalidations, 1);
                    self.drop_entry(out, key);
                    if self.keeps(Rule::PoisonAtInvalidations) {
                        self.flights.poison(key);
                    }
                }
                Ok(())
            }
            (Some(Element::Push(2)), Some(Element::Null)) => {
                out.stats.add(Stat::Invalidations, 1);
                self.drop_entries(out, Stat::FlushesTold);
                self.flights.poison_all();
                Ok(())
            }
            _ => Err(UnexpectedReply),
        }
    }

    /// Whether what is kept may be served to a request that comes now. `covered`: the upstream has
    /// answered a question that was put after the request came.
    #[inline]
    pub(super) fn is_fresh(&self, covered: bool, now: Instant) -> bool {
        covered
            || self.level == Level::Zero
            || self.upstream.confirmed().is_some_and(|at| self.is_trusted(at, now))
            || !self.keeps(Rule::ConfirmHits)
    }

    /// Whether a request may join a flight that was sent then.
    pub(super) fn is_joinable(&self, sent_at: Instant, covered: bool, now: Instant) -> bool {
        covered
            || self.level == Level::Zero
            || self.is_trusted(sent_at, now)
            || !self.keeps(Rule::ConfirmJoins)
    }

    /// Whether what was true then is good enough now.
    fn is_trusted(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.options.trust
    }

    /// Holds a client until the upstream has answered a question that is put after all `input`
    /// bytes that have come of it.
    pub(super) fn await_confirmation(&mut self, conn: ConnId, input: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        if client.ask_for_confirmation(input) {
            if self.unconfirmed.clients.is_empty() {
                self.unconfirmed.since = now;
            }
            self.unconfirmed.clients.push(conn);
        }
    }

    /// When a question is due: at once, if hits wait for it. All that came in one turn of the loop
    /// share it.
    pub(super) fn confirmation_due(&self) -> Option<Instant> {
        if !self.unconfirmed.clients.is_empty() {
            return Some(self.unconfirmed.since);
        }
        let keeps_asking = self.level == Level::One
            && !self.is_asking
            && !self.cache.is_empty()
            && self.options.trust > Duration::ZERO;
        let pause = (self.options.trust / PINGS_PER_TRUST).max(MIN_PAUSE);
        keeps_asking.then(|| self.upstream.sent() + pause)
    }

    /// Puts the question, if it is due.
    pub(super) fn confirm(&mut self, out: &mut Outbox, now: Instant) {
        if self.confirmation_due().is_some_and(|due| due <= now) {
            let waiting = std::mem::take(&mut self.unconfirmed.clients);
            self.is_asking = true;
            self.send(out, &[b"PING"], Purpose::Confirmation(waiting), now);
        }
    }

    /// The question is answered, and those who waited look again; or it never will be, and they are
    /// told.
    pub(super) fn confirmation_ended(
        &mut self,
        out: &mut Outbox,
        waiting: Vec<ConnId>,
        trouble: Option<Trouble>,
    ) {
        self.is_asking = false;
        for conn in waiting {
            if let Some(client) = self.clients.get_mut(conn) {
                client.confirmation_ended(trouble);
                if client.waiting {
                    client.go_on(out, conn);
                }
            }
        }
    }

    /// The connection has gone: what it told is all that will be told of what was kept.
    pub(super) fn coherence_lost(&mut self, out: &mut Outbox, trouble: Trouble) {
        if self.level == Level::One && self.keeps(Rule::DropWithConnection) {
            self.drop_entries(out, Stat::FlushesLost);
        }
        self.level = Level::Zero;
        let waiting = std::mem::take(&mut self.unconfirmed.clients);
        self.confirmation_ended(out, waiting, Some(trouble));
    }

    /// What is to be remembered of a request's keys: without a cache, nothing. A `ttl` of 0 is not
    /// enough, since it may be set to another.
    pub(super) fn tracked(&self, writes: Writes) -> Writes {
        match writes {
            Writes::Keys(_) if self.options.cache_bytes == 0 => Writes::Keys(Vec::new()),
            writes => writes,
        }
    }

    /// A request is sent: what it may change is dropped, and not kept until it is answered.
    pub(super) fn write_begun(&mut self, out: &mut Outbox, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    self.drop_entry(out, key);
                    self.flights.write_begun(key);
                }
            }
            Writes::Everything => {
                self.drop_entries(out, Stat::FlushesWrite);
                self.flights.write_of_all_begun();
            }
        }
    }

    /// It is answered, or never will be.
    pub(super) fn write_ended(&mut self, out: &mut Outbox, writes: &Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Keys(keys) => {
                for key in keys {
                    self.flights.write_ended(key);
                    self.drop_entry(out, key);
                }
            }
            Writes::Everything => {
                self.flights.write_of_all_ended();
                self.drop_entries(out, Stat::FlushesWrite);
            }
        }
    }

    pub(super) fn drop_entry(&mut self, out: &mut Outbox, key: &[u8]) {
        if self.cache.remove(key) {
            out.stats.add(Stat::Invalidated, 1);
        }
    }

    fn drop_entries(&mut self, out: &mut Outbox, why: Stat) {
        if !self.cache.is_empty() {
            out.stats.add(Stat::Invalidated, self.cache.len() as u64);
            out.stats.add(why, 1);
            self.cache.clear();
        }
    }
}
