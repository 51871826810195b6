//! One entry of the store, in one allocation: the key, the value and, only if it expires, when.
//!
//! ```text
//!  never expires   │ 5        │ color │ blue │
//!                    4 bytes
//!  expires         │ 5 + 2^31 │ deadline │ timer │ color │ blue │
//!                    4 bytes    8 bytes    8 bytes
//! ```
//!
//! The first word is the length of the key; its highest bit says that there is a deadline. The
//! word mostly vanishes in the allocator's rounding; as a field outside, it would make every place
//! larger by eight bytes. An entry that never expires has no byte that speaks of expiry.

use crate::timer_wheel::TimerId;
use std::mem;

/// Bytes of the first word.
const WORD: usize = size_of::<u32>();

/// In the first word: there is a deadline.
const EXPIRES: u32 = 1 << 31;

/// Bytes of a deadline and its timer.
const LEASE: usize = 2 * size_of::<u64>();

/// Until when an entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// In Unix time, in milliseconds: from then on the entry is absent.
    pub deadline: u64,
    /// What wakes the store up to remove it.
    pub timer: TimerId,
}

/// A key with its value, and with a lease if it expires; see the head of the file.
pub struct Entry(Box<[u8]>);

impl Entry {
    /// A new entry.
    ///
    /// # Panics
    /// With a key of 2^31 bytes or more.
    pub fn new(key: &[u8], value: &[u8], lease: Option<Lease>) -> Entry {
        let length = u32::try_from(key.len()).ok().filter(|length| length & EXPIRES == 0);
        let length = length.expect("keys are shorter than 2 GiB");
        let (flag, lease_length) = if lease.is_some() { (EXPIRES, LEASE) } else { (0, 0) };
        let mut bytes = Vec::with_capacity(WORD + lease_length + key.len() + value.len());
        bytes.extend_from_slice(&(length | flag).to_ne_bytes());
        if let Some(lease) = lease {
            bytes.extend_from_slice(&lease_bytes(lease));
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Entry(bytes.into_boxed_slice())
    }

    /// The key and the value.
    #[inline]
    pub fn split(&self) -> (&[u8], &[u8]) {
        let (word, rest) = self.0.split_first_chunk().expect("an entry begins with a word");
        let word = u32::from_ne_bytes(*word);
        let rest = if word & EXPIRES == 0 { rest } else { &rest[LEASE..] };
        rest.split_at((word & !EXPIRES) as usize)
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.split().0
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.split().1
    }

    /// Until when it lives; `None`: for ever.
    #[inline]
    pub fn lease(&self) -> Option<Lease> {
        if !self.expires() {
            return None;
        }
        let (deadline, timer) = self.0[WORD..WORD + LEASE].split_at(LEASE / 2);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("it has 8 bytes"));
        Some(Lease { deadline: number(deadline), timer: TimerId::unpack(number(timer)) })
    }

    /// Whether its deadline is yet to come at this Unix time, if it has one.
    #[inline]
    pub fn is_live(&self, unix_millis: u64) -> bool {
        !self.expires() || self.lease().is_none_or(|lease| lease.deadline > unix_millis)
    }

    /// The first byte, to have it brought near.
    #[inline]
    pub fn first_byte(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Sets the value and the lease: in place, if they take as many bytes as the old ones. Gives
    /// the length of the old value.
    #[inline]
    pub fn replace(&mut self, value: &[u8], lease: Option<Lease>) -> usize {
        let (key, old) = self.split();
        let old_length = old.len();
        if old_length == value.len() && self.expires() == lease.is_some() {
            self.overwrite_lease(lease);
            let begin = self.0.len() - value.len();
            self.0[begin..].copy_from_slice(value);
        } else {
            *self = Entry::new(key, value, lease);
        }
        old_length
    }

    /// Sets the lease.
    pub fn set_lease(&mut self, lease: Option<Lease>) {
        if self.expires() == lease.is_some() {
            self.overwrite_lease(lease);
        } else {
            let (key, value) = self.split();
            *self = Entry::new(key, value, lease);
        }
    }

    /// Appends to the value. The allocator may move the entry, or find room behind it.
    pub fn append(&mut self, tail: &[u8]) {
        let mut bytes = mem::take(&mut self.0).into_vec();
        bytes.reserve_exact(tail.len());
        bytes.extend_from_slice(tail);
        self.0 = bytes.into_boxed_slice();
    }

    #[inline]
    fn word(&self) -> u32 {
        u32::from_ne_bytes(*self.0.first_chunk().expect("an entry begins with a word"))
    }

    #[inline]
    fn expires(&self) -> bool {
        self.word() & EXPIRES != 0
    }

    /// Only if there is a lease already, or none is given.
    #[inline]
    fn overwrite_lease(&mut self, lease: Option<Lease>) {
        if let Some(lease) = lease {
            self.0[WORD..][..LEASE].copy_from_slice(&lease_bytes(lease));
        }
    }
}

fn lease_bytes(lease: Lease) -> [u8; LEASE] {
    let mut bytes = [0; LEASE];
    let (deadline, timer) = bytes.split_at_mut(LEASE / 2);
    deadline.copy_from_slice(&lease.deadline.to_ne_bytes());
    timer.copy_from_slice(&lease.timer.pack().to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_expires_pays_for_it() {
        let lease = Lease { deadline: u64::MAX, timer: TimerId::unpack(u64::MAX) };
        let mut entry = Entry::new(b"color", b"blue", None);
        assert_eq!((entry.0.len(), entry.lease()), (4 + 5 + 4, None));
        entry.set_lease(Some(lease));
        assert_eq!((entry.0.len(), entry.lease()), (4 + 16 + 5 + 4, Some(lease)));
        assert_eq!(entry.split(), (&b"color"[..], &b"blue"[..]));
        entry.replace(b"red", None);
        assert_eq!((entry.0.len(), entry.lease()), (4 + 5 + 3, None));
        assert_eq!(entry.split(), (&b"color"[..], &b"red"[..]));
    }

    #[test]
    fn what_takes_as_many_bytes_stays_where_it_is() {
        let lease = |deadline| Some(Lease { deadline, timer: TimerId::unpack(1 << 32) });
        let changes = [(None, b"one", None, true), (lease(1), b"two", lease(2), true)];
        let moves = [(None, b"one", lease(2), false), (lease(1), b"two", None, false)];
        for (old, value, new, stays) in changes.into_iter().chain(moves) {
            let mut entry = Entry::new(b"k", b"old", old);
            let before = (entry.0.len(), entry.0.as_ptr());
            entry.replace(value, new);
            assert_eq!((entry.0.len(), entry.0.as_ptr()) == before, stays);
            assert_eq!((entry.split(), entry.lease()), ((&b"k"[..], &value[..]), new));
        }
    }

    #[test]
    fn a_tail_changes_nothing_but_the_value() {
        let lease = Lease { deadline: 7, timer: TimerId::unpack(1 << 32) };
        for lease in [None, Some(lease)] {
            let mut entry = Entry::new(b"", b"", lease);
            entry.append(b"ab");
            entry.append(b"");
            entry.append(b"c");
            assert_eq!((entry.split(), entry.lease()), ((&b""[..], &b"abc"[..]), lease));
        }
    }
}
