//! Entries in order of their age, linked through the numbers of their places: to add one, or to
//! take one out, touches no more than its neighbours.
//!
//! The entries lie elsewhere, in a table that has each by its number, with its links:
//!
//! ```text
//!   oldest ─→  3 ⇄ 0 ⇄ 7  ←─ newest
//! ```

use std::iter;

/// In place of a number: there is no entry.
const NONE: u32 = u32::MAX;

/// The entries next to one in an [`AgeList`], which keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    older: u32,
    newer: u32,
}

impl Links {
    /// The links of an entry that is in no list yet.
    pub const NONE: Links = Links { older: NONE, newer: NONE };

    /// Returns the number of the next newer entry; `None` for the newest.
    pub fn newer(self) -> Option<u32> {
        some(self.newer)
    }
}

/// A table of entries with links. Each function panics if there is no entry of this number.
pub trait LinkedEntries {
    /// Returns the links of an entry.
    fn links(&self, number: u32) -> Links;

    /// Returns the links of an entry, to be changed.
    fn links_mut(&mut self, number: u32) -> &mut Links;
}

/// The ends of a list of entries by age; see the head of the file.
#[derive(Debug)]
pub struct AgeList {
    oldest: u32,
    newest: u32,
}

impl AgeList {
    /// A list without entries.
    pub const EMPTY: AgeList = AgeList { oldest: NONE, newest: NONE };

    /// Returns the number of the oldest entry.
    pub fn oldest(&self) -> Option<u32> {
        some(self.oldest)
    }

    /// Adds an entry of the table, as the newest.
    pub fn push(&mut self, number: u32, entries: &mut impl LinkedEntries) {
        *entries.links_mut(number) = Links { older: self.newest, newer: NONE };
        match self.newest {
            NONE => self.oldest = number,
            before => entries.links_mut(before).newer = number,
        }
        self.newest = number;
    }

    /// Takes out an entry that had these links, and may have left the table already.
    pub fn remove(&mut self, links: Links, entries: &mut impl LinkedEntries) {
        match links.older {
            NONE => self.oldest = links.newer,
            older => entries.links_mut(older).newer = links.newer,
        }
        match links.newer {
            NONE => self.newest = links.older,
            newer => entries.links_mut(newer).older = links.older,
        }
    }

    /// Returns the numbers of the entries, the oldest first.
    pub fn iter(&self, entries: &impl LinkedEntries) -> impl Iterator<Item = u32> {
        iter::successors(self.oldest(), |&number| entries.links(number).newer())
    }

    /// Panics unless the list is the same in both directions. For tests and debug builds.
    pub fn check_invariants(&self, entries: &impl LinkedEntries) {
        let mut older = NONE;
        for number in self.iter(entries) {
            assert_eq!(entries.links(number).older, older, "neighbours know each other");
            older = number;
        }
        assert_eq!(self.newest, older);
    }
}

fn some(number: u32) -> Option<u32> {
    (number != NONE).then_some(number)
}

#[cfg(test)]
mod tests;
