//! One entry of the store, as bytes: the key, the value and, only if it expires, when.
//!
//! ```text
//!  never expires   │ head │ color │ blue │ slack │
//!                    4 bytes
//!  expires         │ head │ deadline │ timer │ color │ blue │ slack │
//!                    4 bytes  8 bytes  8 bytes
//! ```
//!
//! The head is a number: the length of the key in its low 17 bits, the length of the slack in 14,
//! and in the highest bit whether there is room for a *lease*, a deadline with its timer. The
//! slack is what the place of an entry is longer than the entry. So the length of the value need
//! not be written down, and an entry that never expires has no byte for expiry, unless
//! it is so large that it does not matter: then there is always room for a lease, with a timer of
//! 0 if it has none, and a deadline that comes or goes does not move it.

use crate::base::timer_wheel::TimerId;
use std::io::{self, Write};

/// Bytes of the head.
const HEAD: usize = size_of::<u32>();

/// Bits of the head that hold the length of the key.
const KEY_BITS: u32 = 17;
/// Bits of the head that hold the length of the slack.
const SLACK_BITS: u32 = 14;

/// In the head: there is room for a lease.
const ROOM: u32 = 1 << (KEY_BITS + SLACK_BITS);

/// Bytes of a deadline and its timer.
const LEASE: usize = 2 * size_of::<u64>();

/// The longest key, in bytes.
pub const MAX_KEY: usize = (1 << KEY_BITS) - 1;
/// The most by which a place may be longer than its entry.
pub const MAX_SLACK: usize = (1 << SLACK_BITS) - 1;

/// The deadline of an entry, with its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// In Unix time, in milliseconds: from then on the entry is absent.
    pub deadline: u64,
    /// The timer that wakes the store to remove it.
    pub timer: TimerId,
}

/// The parts of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The key, of at most [`MAX_KEY`] bytes.
    pub key: &'a [u8],
    /// The value, of any length.
    pub value: &'a [u8],
    /// `None`: it never expires.
    pub lease: Option<Lease>,
}

impl Parts<'_> {
    /// Returns the bytes that the entry takes, without room for a lease that it has not.
    #[inline]
    pub fn len(&self) -> usize {
        let lease = if self.lease.is_some() { LEASE } else { 0 };
        HEAD + lease + self.key.len() + self.value.len()
    }

    /// Fills a place of a length of at least [`len`](Self::len), and no more than [`MAX_SLACK`]
    /// above it.
    pub fn fill(&self, mut place: &mut [u8]) {
        let slack = place.len() - self.len();
        let written = self.write(&mut place, slack, self.lease.is_some());
        written.expect("there is room");
    }

    /// Returns the entry as bytes of its own, with room for a lease in any case, and with so many
    /// zeros at the end of the value.
    pub fn to_padded_vec(self, padding: usize) -> Vec<u8> {
        let length = HEAD + LEASE + self.key.len() + self.value.len() + padding;
        let mut bytes = Vec::with_capacity(length);
        self.write(&mut bytes, 0, true).expect("a vector grows");
        bytes.resize(length, 0);
        bytes
    }

    #[inline]
    fn write(&self, to: &mut impl Write, slack: usize, room: bool) -> io::Result<()> {
        assert!(self.key.len() <= MAX_KEY && slack <= MAX_SLACK, "it does not fit the head");
        let flag = if room { ROOM } else { 0 };
        let head = self.key.len() as u32 | (slack as u32) << KEY_BITS | flag;
        to.write_all(&head.to_ne_bytes())?;
        if room {
            to.write_all(&lease_bytes(self.lease))?;
        }
        to.write_all(self.key)?;
        to.write_all(self.value)
    }
}

/// The bytes of an entry, to look at.
#[derive(Clone, Copy, Debug)]
pub struct StoredEntry<'a>(pub &'a [u8]);

impl<'a> StoredEntry<'a> {
    /// Returns the key and the value.
    #[inline]
    pub fn split(self) -> (&'a [u8], &'a [u8]) {
        let head = head(self.0);
        let value_end = self.0.len() - slack(head);
        self.0[key_start(head)..value_end].split_at(key_length(head))
    }

    /// Returns the key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let head = head(self.0);
        &self.0[key_start(head)..][..key_length(head)]
    }

    /// Returns the value.
    pub fn value(self) -> &'a [u8] {
        self.split().1
    }

    /// Returns its lease; `None`: it lives for ever.
    #[inline]
    pub fn lease(self) -> Option<Lease> {
        if head(self.0) & ROOM == 0 {
            return None;
        }
        let (deadline, timer) = self.0[HEAD..HEAD + LEASE].split_at(LEASE / 2);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("it has 8 bytes"));
        let timer = number(timer);
        let deadline = number(deadline);
        (timer != 0).then(|| Lease { deadline, timer: TimerId::unpack(timer) })
    }

    /// Returns whether its deadline is yet to come at this Unix time, if it has one.
    pub fn is_live(self, unix_millis: u64) -> bool {
        head(self.0) & ROOM == 0 || self.lease().is_none_or(|lease| lease.deadline > unix_millis)
    }

    /// Reads its ends, so that they are in the cache. Returns a byte that depends on them.
    pub fn ends(self) -> u8 {
        self.0.first().copied().unwrap_or(0) ^ self.0.last().copied().unwrap_or(0)
    }
}

/// The bytes of an entry, to be changed where they are.
#[derive(Debug)]
pub struct StoredEntryMut<'a>(pub &'a mut [u8]);

impl StoredEntryMut<'_> {
    /// Sets the value of an entry in a place of such a length that the new one fits it.
    #[inline]
    pub fn set_value(&mut self, value: &[u8]) {
        let head = head(self.0);
        let start = value_start(head);
        self.0[start..][..value.len()].copy_from_slice(value);
        self.set_slack(head, self.0.len() - start - value.len());
    }

    /// Writes over a part of the value, or beyond its end after zeros, where the slack has room.
    /// Returns whether it has: else nothing changes.
    pub fn set_range(&mut self, offset: usize, piece: &[u8]) -> bool {
        let head = head(self.0);
        let (old_end, start) = (self.0.len() - slack(head), value_start(head) + offset);
        let end = start + piece.len();
        if end > self.0.len() {
            return false;
        }
        if start > old_end {
            self.0[old_end..start].fill(0);
        }
        self.0[start..end].copy_from_slice(piece);
        if end > old_end {
            self.set_slack(head, self.0.len() - end);
        }
        true
    }

    /// Returns whether there is room for a lease.
    pub fn has_room(&self) -> bool {
        head(self.0) & ROOM != 0
    }

    /// Sets the lease of an entry with room for it.
    pub fn set_lease(&mut self, lease: Option<Lease>) {
        self.0[HEAD..][..LEASE].copy_from_slice(&lease_bytes(lease));
    }

    #[inline]
    fn set_slack(&mut self, head: u32, slack: usize) {
        assert!(slack <= MAX_SLACK, "it does not fit the head");
        let other = head & !((MAX_SLACK as u32) << KEY_BITS);
        let head = other | (slack as u32) << KEY_BITS;
        self.0[..HEAD].copy_from_slice(&head.to_ne_bytes());
    }
}

fn head(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(*bytes.first_chunk().expect("an entry begins with its head"))
}

fn key_length(head: u32) -> usize {
    head as usize & MAX_KEY
}

fn slack(head: u32) -> usize {
    (head >> KEY_BITS) as usize & MAX_SLACK
}

fn key_start(head: u32) -> usize {
    if head & ROOM == 0 { HEAD } else { HEAD + LEASE }
}

fn value_start(head: u32) -> usize {
    key_start(head) + key_length(head)
}

fn lease_bytes(lease: Option<Lease>) -> [u8; LEASE] {
    let mut bytes = [0; LEASE];
    if let Some(lease) = lease {
        let (deadline, timer) = bytes.split_at_mut(LEASE / 2);
        deadline.copy_from_slice(&lease.deadline.to_ne_bytes());
        timer.copy_from_slice(&lease.timer.pack().to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
