//! Deadlines of keys, and what is left to do later, a part at a time: to remove the keys whose
//! deadline has come, and to free the memory of those that were cleared.

use super::Store;
use super::entry::{Lease, Parts};
use super::pages::{Handle, Pages};
use crate::base::clock::Now;
use crate::base::timer_wheel::TimerWheel;
use crate::protocol::Key;
use std::mem;
use std::time::Instant;

/// The most timers that one [`Store::remove_expired`] takes. Each costs a dozen cache misses, one
/// after another: 600 ns, but several µs where memory is slow.
pub const EXPIRED_AT_ONCE: usize = 100;

/// The memory that one [`Store::remove_expired`] gives back of what was cleared, in bytes: some 200
/// µs.
const FREED_AT_ONCE: usize = 4 * 1024 * 1024;

impl Store {
    /// Sets or removes the deadline of a key, in Unix milliseconds. Returns whether there is such a
    /// key. With a time that has come already, the key is absent at once: better to
    /// [`remove`](Self::remove) it.
    pub fn set_deadline<'k>(
        &mut self,
        key: impl Into<Key<'k>>,
        deadline: Option<u64>,
        now: Now,
    ) -> bool {
        let (hash, key) = self.hashed(key.into());
        let found = self.find(hash, key).filter(|(_, entry)| entry.is_live(now.unix_millis));
        let Some((handle, entry)) = found else { return false };
        let old = entry.lease();
        let lease = self.renew(handle, old, deadline, now);
        if !self.pages.set_lease(handle, lease) {
            let value = self.pages.entry(handle).value().to_vec();
            self.rewrite(hash, handle, &Parts { key, value: &value, lease });
        }
        true
    }

    /// Deletes a key that has expired, before [`remove_expired`](Self::remove_expired) does.
    /// Returns whether it has: else it lives, or there is none.
    pub fn purge<'k>(&mut self, key: impl Into<Key<'k>>, now: Now) -> bool {
        let (hash, key) = self.hashed(key.into());
        let found = self.find(hash, key);
        let expired = found.filter(|(_, entry)| !entry.is_live(now.unix_millis));
        if let Some((handle, _)) = expired {
            self.take_out_expired(handle);
            return true;
        }
        false
    }

    /// Deletes all keys. Takes no longer for many than for some: the rest of their memory is put
    /// aside, for [`remove_expired`](Self::remove_expired) to give back. The count of the expired
    /// stays.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        let timers = TimerWheel::new(self.timers.latest());
        let timers = mem::replace(&mut self.timers, Box::new(timers)).into_values();
        let timers = timers.map(|_| TimerWheel::<Handle>::TIMER_BYTES);
        let pages = mem::replace(&mut self.pages, Pages::new()).into_pieces();
        let index = mem::take(&mut self.index).into_pieces();
        self.cleared.put(0, pages.chain(index).chain(timers));
        (self.key_bytes, self.value_bytes, self.deadline_sum) = (0, 0, 0);
        self.cleared.free(FREED_AT_ONCE);
    }

    /// Puts memory aside, for [`remove_expired`](Self::remove_expired) to give back in pieces.
    pub fn dispose(&mut self, pieces: impl Iterator<Item = usize> + Send + 'static) {
        self.cleared.put(0, pieces);
    }

    /// Removes keys whose deadline has come, and reports each before it goes; then gives memory
    /// back that [`clear`](Self::clear) has put aside. Does a bounded part of it (of the keys,
    /// [`EXPIRED_AT_ONCE`]): after it, [`next_deadline`](Self::next_deadline) returns when there
    /// is more to do, which may be now.
    ///
    /// A key is removed at most 2 ms after its deadline, if the wall clock is not set forward and
    /// the calls come when they should.
    pub fn remove_expired(&mut self, now: Now, mut report: impl FnMut(&[u8])) {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(handle) = self.timers.take_due(now.instant) else {
                return self.cleared.free(FREED_AT_ONCE);
            };
            let entry = self.pages.entry(handle);
            if entry.is_live(now.unix_millis) {
                let deadline = entry.lease().map(|lease| lease.deadline);
                let lease = renew(&mut self.timers, handle, None, deadline, now);
                assert!(self.pages.set_lease(handle, lease), "it has room for a lease");
            } else {
                report(entry.key());
                self.take_out_expired(handle);
            }
        }
    }

    /// Returns the time of the next call of [`remove_expired`](Self::remove_expired); `None`: no
    /// need while no deadline is set and nothing was cleared.
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.cleared.is_empty() {
            true => self.timers.next_deadline(),
            false => Some(self.timers.latest()),
        }
    }

    /// Gives back some of what [`clear`](Self::clear) has put aside. Returns whether there is more.
    pub fn give_back(&mut self) -> bool {
        self.cleared.free(FREED_AT_ONCE);
        !self.cleared.is_empty()
    }

    /// Returns the lease of an entry until a new deadline, with its timer, in place of an old one.
    pub(super) fn renew(
        &mut self,
        handle: Handle,
        old: Option<Lease>,
        deadline: Option<u64>,
        now: Now,
    ) -> Option<Lease> {
        self.deadline_sum -= u128::from(old.map_or(0, |old| old.deadline));
        self.deadline_sum += u128::from(deadline.unwrap_or(0));
        renew(&mut self.timers, handle, old, deadline, now)
    }

    #[cold]
    pub(super) fn take_out_expired(&mut self, handle: Handle) {
        let hash = self.hash(self.pages.entry(handle).key());
        self.take_out(hash, |it, _| it == handle);
        self.expired += 1;
    }
}

fn renew(
    timers: &mut TimerWheel<Handle>,
    handle: Handle,
    old: Option<Lease>,
    deadline: Option<u64>,
    now: Now,
) -> Option<Lease> {
    match (old, deadline) {
        (Some(old), Some(deadline)) if old.deadline <= deadline => {
            return Some(Lease { deadline, ..old });
        }
        (Some(old), _) => _ = timers.cancel(old.timer),
        (None, _) => {}
    }
    let deadline = deadline?;
    Some(Lease { deadline, timer: timers.insert(now.instant_of(deadline), handle) })
}
