//! Whether the history of one key is linearizable: the search of Wing & Gong (1993) with the memory
//! of Lowe (2017), made short by three observations:
//!
//! - What changes nothing (a GET, a refused PUT, a DEL of nothing) is best taken as soon as it can
//!   be.
//! - Values that nobody has read are all alike.
//! - Of writes that are alike and may be missing, the one that began first can stand for the
//!   others.

use std::collections::HashSet;

/// What an operation did, or may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// GET: the value, or not found.
    Read(Option<u32>),
    /// SET.
    Write(u32),
    /// PUT that was done.
    Create(u32),
    /// PUT that found the key.
    Refused,
    /// DEL that found the key.
    Remove,
    /// DEL that did not.
    RemoveNothing,
    /// SET, PUT and DEL of which nobody knows whether and when they were done.
    MaybeWrite(u32),
    MaybeCreate(u32),
    MaybeRemove,
}

impl Act {
    /// Whether it is known what it did.
    pub fn is_certain(self) -> bool {
        !matches!(self, Act::MaybeWrite(_) | Act::MaybeCreate(_) | Act::MaybeRemove)
    }
}

/// One operation on the key.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub act: Act,
    /// When it began and ended. One that ended at the step in which another began came before it.
    pub began: u64,
    pub ended: u64,
    /// Whose it is, and its place among theirs: certain operations of one client keep their order.
    pub client: usize,
    pub place: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Not,
    /// The search became too long.
    Unknown,
}

/// A value that nobody has read.
const UNREAD: u32 = u32::MAX;
const MAX_STATES: usize = 300_000;

struct Search {
    events: Vec<Event>,
    /// For each event, the certain ones that came before it.
    before: Vec<u128>,
    certain: u128,
    seen: HashSet<(u128, Option<u32>)>,
}

/// Judges the history of one key that held `initial` before.
pub fn judge(initial: Option<u32>, mut events: Vec<Event>) -> Verdict {
    if events.len() > 128 {
        return Verdict::Unknown;
    }
    let read: HashSet<u32> = events
        .iter()
        .filter_map(|event| if let Act::Read(value) = event.act { value } else { None })
        .collect();
    let known = |value: u32| if read.contains(&value) { value } else { UNREAD };
    for event in &mut events {
        event.act = match event.act {
            Act::Write(value) => Act::Write(known(value)),
            Act::Create(value) => Act::Create(known(value)),
            Act::MaybeWrite(value) => Act::MaybeWrite(known(value)),
            Act::MaybeCreate(value) => Act::MaybeCreate(known(value)),
            other => other,
        };
    }
    events.sort_by_key(|event| event.began);
    let comes_before = |first: &Event, second: &Event| {
        let in_order = first.client == second.client && first.place < second.place;
        first.ended <= second.began || in_order && second.act.is_certain()
    };
    let mask = |of: &dyn Fn(&Event) -> bool| {
        let bits = events.iter().enumerate().filter(|(_, event)| of(event));
        bits.fold(0u128, |mask, (index, _)| mask | 1 << index)
    };
    let certain = mask(&|event| event.act.is_certain());
    let before =
        events.iter().map(|event| certain & mask(&|other| comes_before(other, event))).collect();
    let mut search = Search { before, certain, seen: HashSet::new(), events };
    match search.can_finish(0, initial.map(known)) {
        Some(true) => Verdict::Linearizable,
        Some(false) => Verdict::Not,
        None => Verdict::Unknown,
    }
}

impl Search {
    /// Whether the events that are not `done` can follow in some order. `None`: too long.
    fn can_finish(&mut self, mut done: u128, state: Option<u32>) -> Option<bool> {
        self.take_idle(&mut done, state);
        if done & self.certain == self.certain {
            return Some(true);
        }
        if !self.seen.insert((done, state)) {
            return Some(false);
        }
        if self.seen.len() > MAX_STATES {
            return None;
        }
        let mut tried: Vec<Act> = Vec::new();
        for index in 0..self.events.len() {
            let act = self.events[index].act;
            if !self.is_next(index, done) || tried.contains(&act) && !act.is_certain() {
                continue;
            }
            let after = match (act, state) {
                (Act::Write(value) | Act::MaybeWrite(value), _) => Some(value),
                (Act::Create(value) | Act::MaybeCreate(value), None) => Some(value),
                (Act::Remove | Act::MaybeRemove, Some(_)) => None,
                _ => continue,
            };
            tried.push(act);
            if act.is_certain() || after != state {
                match self.can_finish(done | 1 << index, after) {
                    Some(false) => {}
                    found => return found,
                }
            }
        }
        Some(false)
    }

    /// Takes every event that can be next and changes nothing.
    fn take_idle(&self, done: &mut u128, state: Option<u32>) {
        loop {
            let idle = (0..self.events.len()).find(|&index| {
                let fits = match self.events[index].act {
                    Act::Read(value) => value == state,
                    Act::Refused => state.is_some(),
                    Act::RemoveNothing => state.is_none(),
                    _ => false,
                };
                fits && self.is_next(index, *done)
            });
            match idle {
                Some(index) => *done |= 1 << index,
                None => return,
            }
        }
    }

    fn is_next(&self, index: usize, done: u128) -> bool {
        done & 1 << index == 0 && self.before[index] & !done == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of clients of their own, each with its beginning and its end.
    #[track_caller]
    fn check(initial: Option<u32>, history: &[(Act, u64, u64)], expected: Verdict) {
        let event = |(client, &(act, began, ended))| Event { act, began, ended, client, place: 0 };
        assert_eq!(judge(initial, history.iter().enumerate().map(event).collect()), expected);
    }

    #[test]
    fn histories_that_are_linearizable() {
        let yes = Verdict::Linearizable;
        check(
            None,
            &[(Act::Read(None), 0, 1), (Act::Write(1), 0, 9), (Act::Read(Some(1)), 2, 3)],
            yes,
        );
        // Overlapping: either may be first.
        check(
            None,
            &[(Act::Write(1), 0, 5), (Act::Write(2), 0, 5), (Act::Read(Some(1)), 6, 7)],
            yes,
        );
        check(Some(1), &[(Act::Refused, 0, 1), (Act::Remove, 2, 3), (Act::Create(2), 4, 5)], yes);
        // A write that may be missing: it is done after its error, between two reads.
        let late =
            [(Act::MaybeWrite(2), 0, 1), (Act::Read(Some(1)), 5, 6), (Act::Read(Some(2)), 7, 8)];
        let late = late.map(|(act, began, ended)| match act {
            Act::MaybeWrite(_) => (act, began, u64::MAX),
            _ => (act, began, ended),
        });
        check(Some(1), &late, yes);
        check(Some(1), &[(Act::MaybeRemove, 0, u64::MAX), (Act::Create(2), 5, 6)], yes);
    }

    #[test]
    fn histories_that_are_not() {
        let no = Verdict::Not;
        // A write that has been acknowledged is not seen.
        check(Some(1), &[(Act::Write(2), 0, 1), (Act::Read(Some(1)), 1, 3)], no);
        // Back to an older value.
        let back = [(Act::Write(2), 0, 9), (Act::Read(Some(2)), 1, 2), (Act::Read(Some(1)), 3, 4)];
        check(Some(1), &back, no);
        check(Some(1), &[(Act::Create(2), 0, 1)], no);
        check(Some(1), &[(Act::RemoveNothing, 0, 1)], no);
        // Seen before it began.
        check(None, &[(Act::Read(Some(7)), 0, 1), (Act::MaybeWrite(7), 2, u64::MAX)], no);
        // One write that may be missing does not explain two changes.
        let twice =
            [(Act::MaybeRemove, 0, u64::MAX), (Act::Create(2), 1, 2), (Act::Create(3), 3, 4)];
        check(Some(1), &twice, no);
    }

    #[test]
    fn one_client_keeps_its_order() {
        let event = |act, place| Event { act, began: 0, ended: 9, client: 0, place };
        let history = |first, second| vec![event(first, 0), event(second, 1)];
        let (write, read) = (Act::Write(2), Act::Read(Some(1)));
        assert_eq!(judge(Some(1), history(read, write)), Verdict::Linearizable);
        assert_eq!(judge(Some(1), history(write, read)), Verdict::Not);
    }
}
