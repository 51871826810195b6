//! Patterns as in Redis: `KEYS`, `SCAN … MATCH` and `CONFIG GET` take them.
//!
//! | piece | what it matches |
//! | --- | --- |
//! | `*` | any bytes, also none |
//! | `?` | one byte |
//! | `[abc]`, `[a-c]`, `[^a]` | one of these bytes; one from here to there; none of these |
//! | `\x` | the byte x, whatever it means otherwise; in a class too |
//! | another byte | itself |
//!
//! A class without its `]` ends with the pattern. As in Redis, only `*` alone and the empty pattern
//! match an empty text.
//!
//! A pattern is read once, into the *segments* between its stars. Every piece of a segment matches
//! exactly one byte, so a segment has one length, and of its places in the text the first is always
//! the best: it leaves the most for the rest.
//!
//! ```text
//!   user:*:[a-f]?:*log
//!   └─┬─┘ └──┬───┘ └┬┘
//!     │      │      at the end of the text
//!     │      at its first place after `user:`
//!     at the front of the text
//! ```
//!
//! So every byte of the text is looked at once. A segment of plain bytes is found as any substring
//! is; for one with `?` or classes, each byte of the text takes a step for every 64 pieces
//! (`bits.rs`).

mod bits;
mod pieces;

use bits::{BitRange, Bits};
use memchr::memmem::Finder;
use pieces::Piece;

/// A pattern that has been read; see the head of the file.
#[derive(Debug)]
pub struct Pattern {
    segments: Vec<Segment>,
    bits: Bits,
    stars: StarPlaces,
    /// The length of all segments together.
    least: usize,
}

/// Pieces in a row, none of them a star; at least one.
#[derive(Debug)]
enum Segment {
    /// Each matches one byte only.
    Plain(Box<Finder<'static>>),
    /// Some match several bytes.
    Various(BitRange),
}

/// Where a pattern has stars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StarPlaces {
    /// No star: one segment, or none.
    Whole,
    /// At least one star.
    Stars {
        /// No star is before the first segment.
        front: bool,
        /// No star is behind the last segment.
        end: bool,
        /// There is nothing but one star.
        alone: bool,
    },
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(pattern: &[u8]) -> Pattern {
        Pattern::of(&pieces::read(pattern, |byte| byte))
    }

    /// Reads a pattern for texts in whatever case of ASCII letters. As in Redis, a letter behind
    /// `\` in a class stands for itself only.
    pub fn in_any_case(pattern: &[u8]) -> Pattern {
        Pattern::of(&pieces::read(pattern, |byte| byte.to_ascii_lowercase()))
    }

    fn of(pieces: &[Piece]) -> Pattern {
        let mut bits = Bits::default();
        let segments = pieces.split(|piece| *piece == Piece::Star);
        let segments = segments.filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| match pieces::plain(segment) {
            Some(bytes) => Segment::Plain(Box::new(Finder::new(&bytes).into_owned())),
            None => Segment::Various(bits.add(segment)),
        });
        let segments = segments.collect();
        bits.finish();
        let stars = pieces.iter().filter(|piece| **piece == Piece::Star).count();
        let places = if stars == 0 {
            StarPlaces::Whole
        } else {
            let front = pieces.first() != Some(&Piece::Star);
            let end = pieces.last() != Some(&Piece::Star);
            StarPlaces::Stars { front, end, alone: pieces.len() == 1 }
        };
        Pattern { segments, bits, stars: places, least: pieces.len() - stars }
    }

    /// Returns whether the pattern matches the whole text.
    pub fn matches(&self, text: &[u8]) -> bool {
        if text.is_empty() {
            return match self.stars {
                StarPlaces::Whole => self.least == 0,
                StarPlaces::Stars { alone, .. } => alone,
            };
        }
        if text.len() < self.least {
            return false;
        }
        let (mut segments, mut rest) = (&self.segments[..], text);
        match self.stars {
            StarPlaces::Whole => {
                let [segment] = segments else { return false };
                return text.len() == self.least && self.is_at_front(segment, text);
            }
            // All segments together are no longer than the text, so that none lies over another.
            StarPlaces::Stars { front, end, .. } => {
                if front && let [first, others @ ..] = segments {
                    if !self.is_at_front(first, rest) {
                        return false;
                    }
                    (segments, rest) = (others, &rest[first.len()..]);
                }
                if end && let [others @ .., last] = segments {
                    let (before, tail) = rest.split_at(rest.len() - last.len());
                    if !self.is_at_front(last, tail) {
                        return false;
                    }
                    (segments, rest) = (others, before);
                }
            }
        }
        segments.iter().all(|segment| match self.end_in(segment, rest) {
            Some(end) => {
                rest = &rest[end..];
                true
            }
            None => false,
        })
    }

    /// Returns an estimate of the time that it takes to match a text of so many bytes, in
    /// nanoseconds.
    pub fn cost(&self, bytes: usize) -> usize {
        20 + 10 * self.segments.len() + bytes / 4 + bytes * self.bits.most_words() / 2
    }

    fn is_at_front(&self, segment: &Segment, text: &[u8]) -> bool {
        match segment {
            Segment::Plain(finder) => text.starts_with(finder.needle()),
            Segment::Various(range) => self.bits.is_at_front(range, text),
        }
    }

    /// Returns the end of the first place in the text that the segment matches.
    fn end_in(&self, segment: &Segment, text: &[u8]) -> Option<usize> {
        match segment {
            Segment::Plain(finder) => finder.find(text).map(|at| at + finder.needle().len()),
            Segment::Various(range) => self.bits.end_in(range, text),
        }
    }
}

impl Segment {
    /// Returns the number of its pieces, which is that of the bytes that it matches.
    fn len(&self) -> usize {
        match self {
            Segment::Plain(finder) => finder.needle().len(),
            Segment::Various(range) => range.len(),
        }
    }
}

#[cfg(test)]
mod tests;
