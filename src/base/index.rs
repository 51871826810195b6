//! A hash index: from the 64-bit hash of a key to the 32-bit handle of its entry.
//!
//! It holds no keys and no whole hashes, only a tag of each hash and the handle. The owner of the
//! entries passes functions that recognise an entry (`is_it`) and compute its hash (`hash_of`).
//!
//! A bucket is one cache line, so a lookup touches one line here and then the entry itself:
//!
//! ```text
//!          tags: 10 × 16 bits        link      handles: 10 × 32 bits
//!         ┌────┬────┬────┬──     ──┬───────┬──────┬──────┬──────┬──     ──┐
//! bucket  │a41c│07f2│9e03│ 0 …     │ none  │  17  │  4   │  88  │ …       │   64 bytes
//!         └────┴────┴────┴──     ──┴───────┴──────┴──────┴──────┴──     ──┘
//!           tag 0: empty              │ a full bucket links to an overflow bucket, and so on
//! ```
//!
//! It grows by *linear hashing* (Litwin 1980; in memory: Larson 1988): never all at once, but by
//! one bucket whenever the mean load passes a bound. The buckets are split in turn; the low bits of
//! a hash address a bucket, one bit more where the split has already been:
//!
//! ```text
//! 4 buckets  0 1 2 3         two bits count: hash …101 lives in bucket 1, hash …100 in bucket 0
//! 5 buckets  0 1 2 3 4       bucket 0 was split by the third bit: …100 moved to bucket 4
//! 6 buckets  0 1 2 3 4 5     bucket 1 was split: …101 moved to bucket 5; …110 is still in bucket 2
//! ```
//!
//! To find the bucket of …110 among 6: three bits give 6, which does not exist yet; two bits: 2.
//! Removals undo the splits in the opposite order. Buckets never move in memory as it grows (see
//! `arena.rs`), so no operation ever pauses.
//!
//! A *walk* over all entries goes by *position*: the bits of the hash, read backwards. Since the
//! low bits choose the bucket, each bucket is an interval of positions, and a split cuts it in two:
//!
//! ```text
//! 4 buckets  │ 0: …00    │ 2: …10    │ 1: …01    │ 3: …11    │
//! 5 buckets  │ 0   │ 4   │ 2         │ 1         │ 3         │
//! ```
//!
//! So a walk in this order that stops at a position and goes on there later meets each entry that
//! stays exactly once, however many buckets there were before and are now. (`SCAN` of Redis goes in
//! the same order, bucket by bucket; it may meet an entry twice when its table has shrunk.)

use crate::base::arena::Arena;
use bytemuck::{Pod, Zeroable};
use std::iter;

/// Entries a bucket holds: what fits a cache line of 64 bytes beside the link.
const SLOTS: usize = 10;

/// One bucket is split by an insert that leaves more entries per bucket than this. Since a bucket
/// whose turn is yet to come holds up to twice the mean, there are always some that overflow: with
/// 6, one lookup in thirty needs a second line (one in nine, if it finds nothing), at 12 bytes an
/// entry. 5 and 7 are as fast within what could be measured.
const GROW_ABOVE: usize = 6;

/// One bucket is merged by a removal that leaves fewer entries per bucket than this; half of
/// [`GROW_ABOVE`], so that an index of a steady size does neither.
const SHRINK_BELOW: usize = GROW_ABOVE / 2;

/// The bits of a position.
const POSITION_BITS: u32 = 53;

/// The last position of a walk.
pub const MAX_POSITION: u64 = (1 << POSITION_BITS) - 1;

/// The link of a chain's last bucket.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; SLOTS],
    link: u32,
    handles: [u32; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const EMPTY: Bucket = Bucket { tags: [0; SLOTS], link: NONE, handles: [0; SLOTS] };

    /// Returns a bit for each slot that holds `tag`. Branchless, to become vector instructions.
    #[inline]
    fn matches(&self, tag: u16) -> u32 {
        let mut found = 0;
        for slot in 0..SLOTS {
            found |= u32::from(self.tags[slot] == tag) << slot;
        }
        found
    }

    /// Returns the number of entries in this bucket; they fill it from the front.
    fn len(&self) -> usize {
        self.matches(0).trailing_zeros().min(SLOTS as u32) as usize
    }

    fn entries(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.tags.into_iter().zip(self.handles).take(self.len())
    }

    fn put(&mut self, slot: usize, (tag, handle): (u16, u32)) {
        self.tags[slot] = tag;
        self.handles[slot] = handle;
    }
}

/// Names a bucket: a home bucket, or an overflow bucket in its chain.
#[derive(Clone, Copy, PartialEq)]
struct BucketId {
    home: usize,
    /// [`NONE`]: the home bucket itself.
    overflow: u32,
}

/// A hash index from 64-bit hashes to `u32` handles; see the head of the file.
///
/// Every bit of a hash matters: the low ones choose the bucket, the highest sixteen are the tag.
/// Several handles may have the same hash. Up to 2^32 entries.
///
/// An insert or removal touches a few buckets, and calls `hash_of` for the entries of one or two of
/// them: with well mixed hashes at most thirty, however large the index is.
pub struct Index {
    /// The home buckets, addressed by hash; at least one.
    home: Arena<Bucket>,
    /// What does not fit; linked from the home buckets. Without holes, none of them empty.
    overflow: Arena<Bucket>,
    /// The mask of the low bits of a hash that address the largest home bucket.
    mask: usize,
    len: usize,
    /// Entries on their way to a home bucket, with its number; empty between operations.
    moving: Vec<(usize, (u16, u32))>,
}

impl Default for Index {
    /// Returns an empty index, of one bucket.
    fn default() -> Self {
        let mut home = Arena::default();
        *home.grow() = Bucket::EMPTY;
        Self { home, overflow: Arena::default(), mask: 0, len: 0, moving: Vec::new() }
    }
}

impl Index {
    /// Returns the number of handles.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no handles.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns its heap memory in bytes, without the allocator's own share.
    pub fn memory_bytes(&self) -> usize {
        self.home.memory_bytes()
            + self.overflow.memory_bytes()
            + self.moving.capacity() * size_of::<(usize, (u16, u32))>()
    }

    /// Returns the handle under `hash` for which `is_it` holds. `is_it` is called for the handles
    /// with that hash, and in one lookup of several thousand for another.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.locate(hash, is_it).map(|(_, _, handle)| handle)
    }

    /// Adds `handle` under `hash`, beside others that are there; whether it is there already is
    /// not checked. `hash_of` must accept it, too.
    pub fn insert(&mut self, hash: u64, handle: u32, hash_of: impl FnMut(u32) -> u64) {
        debug_assert!(self.moving.is_empty(), "nothing moves between operations");
        self.append(self.home_of(hash), (tag_of(hash), handle));
        self.len += 1;
        if self.len > self.home.len() * GROW_ABOVE {
            self.split(hash_of);
        }
    }

    /// Removes and returns the handle for which `is_it` holds. `hash_of` is called for others only.
    pub fn remove(
        &mut self,
        hash: u64,
        is_it: impl FnMut(u32) -> bool,
        mut hash_of: impl FnMut(u32) -> u64,
    ) -> Option<u32> {
        let (place, slot, handle) = self.locate(hash, is_it)?;
        // The chain's last entry fills the hole: only a chain's last bucket has empty slots.
        let last = self.last_of_chain(place.home);
        let bucket = self.bucket_mut(last);
        debug_assert!(bucket.len() > 0 && bucket.link == NONE, "the last of a chain is not empty");
        let end = bucket.len() - 1;
        let filler = (bucket.tags[end], bucket.handles[end]);
        bucket.tags[end] = 0;
        if (last, end) != (place, slot) {
            self.bucket_mut(place).put(slot, filler);
        }
        if end == 0 && last.overflow != NONE {
            let before = self.before(last);
            self.bucket_mut(before).link = NONE;
            self.release(last.overflow, &mut hash_of);
        }
        self.len -= 1;
        if self.len < self.home.len() * SHRINK_BELOW && self.home.len() > 1 {
            self.merge(hash_of);
        }
        Some(handle)
    }

    /// Replaces the handle `old` under `hash`, which must be there, by `new`.
    #[inline]
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let found = self.locate(hash, |handle| handle == old);
        let (place, slot, _) = found.expect("the old handle is there");
        self.bucket_mut(place).handles[slot] = new;
    }

    /// Returns the handles of the bucket in whose interval a position lies, and where the next
    /// interval begins; 0 after the last. See the head of the file, and [`position`].
    pub fn bucket_at(&self, position: u64) -> (impl Iterator<Item = u32> + '_, u64) {
        let home = self.home_of((position << (u64::BITS - POSITION_BITS)).reverse_bits());
        let half = self.mask.div_ceil(2);
        let is_split = home >= half || home + half < self.home.len();
        let bits = self.mask.count_ones() - u32::from(!is_split);
        let width = 1 << (POSITION_BITS - bits);
        let next = (position / width + 1) * width;
        (self.handles(home), next % (1 << POSITION_BITS))
    }

    /// Returns the number of buckets.
    pub fn buckets(&self) -> usize {
        self.home.len()
    }

    /// Returns the handles of a bucket, by its number, which must be below
    /// [`buckets`](Self::buckets).
    pub fn handles(&self, number: usize) -> impl Iterator<Item = u32> + '_ {
        let buckets = self.chain(number).map(|place| self.bucket(place));
        buckets.flat_map(|bucket| bucket.entries().map(|(_, handle)| handle))
    }

    /// Returns the memory in pieces, as their sizes: each is given back when its size is taken, so
    /// that no call has to free all.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> {
        self.home.into_pieces().chain(self.overflow.into_pieces())
    }

    /// Drops all handles and gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns a handle that may be the one with this hash, unchecked: the first one in the first
    /// cache line of the search.
    #[inline]
    pub fn likely(&self, hash: u64) -> Option<u32> {
        let bucket = self.home.at(self.home_of(hash));
        let matches = bucket.matches(tag_of(hash));
        (matches != 0).then(|| bucket.handles[matches.trailing_zeros() as usize])
    }

    #[inline]
    fn locate(
        &self,
        hash: u64,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<(BucketId, usize, u32)> {
        let tag = tag_of(hash);
        let mut place = BucketId { home: self.home_of(hash), overflow: NONE };
        let mut bucket = self.home.at(place.home);
        loop {
            let mut matches = bucket.matches(tag);
            while matches != 0 {
                let slot = matches.trailing_zeros() as usize;
                let handle = bucket.handles[slot];
                if is_it(handle) {
                    return Some((place, slot, handle));
                }
                matches &= matches - 1;
            }
            if bucket.link == NONE {
                return None;
            }
            place.overflow = bucket.link;
            bucket = self.overflow.at(bucket.link as usize);
        }
    }

    #[inline]
    fn home_of(&self, hash: u64) -> usize {
        let number = hash as usize & self.mask;
        let before_its_split = number & (self.mask >> 1);
        debug_assert!(before_its_split < self.home.len(), "half of the buckets are always there");
        if number < self.home.len() { number } else { before_its_split }
    }

    fn bucket(&self, place: BucketId) -> &Bucket {
        if place.overflow == NONE {
            self.home.at(place.home)
        } else {
            self.overflow.at(place.overflow as usize)
        }
    }

    fn bucket_mut(&mut self, place: BucketId) -> &mut Bucket {
        if place.overflow == NONE {
            self.home.at_mut(place.home)
        } else {
            self.overflow.at_mut(place.overflow as usize)
        }
    }

    fn chain(&self, home: usize) -> impl Iterator<Item = BucketId> + '_ {
        iter::successors(Some(BucketId { home, overflow: NONE }), move |&place| {
            let overflow = self.bucket(place).link;
            (overflow != NONE).then_some(BucketId { home, overflow })
        })
    }

    fn last_of_chain(&self, home: usize) -> BucketId {
        self.chain(home).last().expect("a chain begins with its home bucket")
    }

    /// Returns the bucket that links to an overflow bucket.
    fn before(&self, place: BucketId) -> BucketId {
        let mut chain = self.chain(place.home);
        let before = chain.find(|&before| self.bucket(before).link == place.overflow);
        before.expect("an overflow bucket is in a chain")
    }

    fn append(&mut self, home: usize, entry: (u16, u32)) {
        let last = self.last_of_chain(home);
        let next = self.overflow.len() as u32;
        let bucket = self.bucket_mut(last);
        debug_assert_eq!(bucket.link, NONE, "only the last bucket of a chain has room");
        let end = bucket.len();
        if end < SLOTS {
            bucket.put(end, entry);
        } else {
            bucket.link = next;
            let mut overflow = Bucket::EMPTY;
            overflow.put(0, entry);
            *self.overflow.grow() = overflow;
        }
    }

    /// Frees an overflow bucket to which nothing links any more. The one with the highest number
    /// takes its place, and so memory is given back when the index shrinks.
    fn release(&mut self, number: u32, hash_of: &mut impl FnMut(u32) -> u64) {
        let moved_from = self.overflow.len() as u32 - 1;
        debug_assert!(number <= moved_from, "it is one of the overflow buckets");
        if number != moved_from {
            let moved = *self.overflow.at(moved_from as usize);
            let home = self.home_of(hash_of(moved.handles[0]));
            let before = self.before(BucketId { home, overflow: moved_from });
            self.bucket_mut(before).link = number;
            *self.overflow.at_mut(number as usize) = moved;
        }
        self.overflow.pop();
    }

    /// Empties the chain of one home bucket, to be moved to another.
    fn drain(&mut self, from: usize, to: usize, hash_of: &mut impl FnMut(u32) -> u64) {
        self.moving.extend(self.home.at(from).entries().map(|entry| (to, entry)));
        loop {
            let first = self.home.at(from).link;
            if first == NONE {
                break;
            }
            let bucket = *self.overflow.at(first as usize);
            self.moving.extend(bucket.entries().map(|entry| (to, entry)));
            self.home.at_mut(from).link = bucket.link;
            self.release(first, hash_of);
        }
        *self.home.at_mut(from) = Bucket::EMPTY;
    }

    fn settle(&mut self) {
        while let Some((home, entry)) = self.moving.pop() {
            self.append(home, entry);
        }
    }

    /// Adds a home bucket, and moves there what belongs there from the bucket whose turn it is.
    fn split(&mut self, mut hash_of: impl FnMut(u32) -> u64) {
        debug_assert!(self.moving.is_empty());
        let from = image(self.home.len());
        self.drain(from, from, &mut hash_of);
        *self.home.grow() = Bucket::EMPTY;
        self.mask = self.home.len().next_power_of_two() - 1;
        // All hashes first, as no branch depends on them here: the cache misses that `hash_of`
        // runs into overlap.
        for i in 0..self.moving.len() {
            let (_, (_, handle)) = self.moving[i];
            self.moving[i].0 = self.home_of(hash_of(handle));
        }
        self.settle();
    }

    /// Undoes the latest split.
    fn merge(&mut self, mut hash_of: impl FnMut(u32) -> u64) {
        debug_assert!(self.moving.is_empty() && self.home.len() > 1);
        let from = self.home.len() - 1;
        self.drain(from, image(from), &mut hash_of);
        self.home.pop();
        self.mask = self.home.len().next_power_of_two() - 1;
        self.settle();
    }

    /// Panics unless: every entry is in the bucket its hash belongs to, under its tag; only the
    /// last bucket of a chain has empty slots, and they are at its end; every overflow bucket is
    /// in exactly one chain and not empty; the counts are right.
    pub fn check_invariants(&self, mut hash_of: impl FnMut(u32) -> u64) {
        let (mut entries, mut overflows) = (0, 0);
        assert_eq!(self.mask, self.home.len().next_power_of_two() - 1);
        for place in (0..self.home.len()).flat_map(|home| self.chain(home)) {
            let bucket = self.bucket(place);
            let len = bucket.len();
            assert!(bucket.tags[len..].iter().all(|&tag| tag == 0), "a gap");
            assert!(len == SLOTS || bucket.link == NONE, "room before the chain's end");
            for (tag, handle) in bucket.entries() {
                let hash = hash_of(handle);
                assert_eq!((self.home_of(hash), tag_of(hash)), (place.home, tag));
            }
            entries += len;
            if place.overflow != NONE {
                assert!(len > 0, "an empty overflow bucket");
                overflows += 1;
                assert!(overflows <= self.overflow.len(), "a bucket is in two chains, or twice");
            }
        }
        assert_eq!((entries, overflows), (self.len, self.overflow.len()));
    }
}

/// Returns the position of a hash in a walk: below 2^53, so that every client can keep the number.
#[inline]
pub fn position(hash: u64) -> u64 {
    hash.reverse_bits() >> (u64::BITS - POSITION_BITS)
}

/// Returns the tag of a hash: of its high bits, since the low ones are mostly the same within a
/// bucket; never 0, which means an empty slot.
#[inline]
fn tag_of(hash: u64) -> u16 {
    ((hash >> 48) as u16).max(1)
}

/// Returns the bucket that `bucket` is split from: its number without the highest bit.
fn image(bucket: usize) -> usize {
    bucket - (1 << bucket.ilog2())
}

#[cfg(test)]
mod tests;
