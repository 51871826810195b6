//! Segments with pieces that match several bytes, found with a bit for each piece: *Shift-And*
//! (Baeza-Yates and Gonnet 1992; many words: Myers 1999).
//!
//! A bit is set while the pieces up to its own match the latest bytes of the text. A byte of the
//! text shifts all bits by one, and leaves those whose piece matches it:
//!
//! ```text
//!   segment   a ? b          text     x  a  a  c  b
//!   mask[a]   1 1 0          piece 0  0  1  1  0  0
//!   mask[b]   0 1 1          piece 1  0  0  1  1  0
//!   mask[…]   0 1 0          piece 2  0  0  0  0  1   ← the segment ends here
//! ```

use super::pieces::Piece;

const BITS: usize = u64::BITS as usize;

/// The number of values of a byte.
const BYTES: usize = 256;

/// The pieces of a segment, among those of all.
#[derive(Clone, Debug)]
pub struct BitRange {
    first: usize,
    end: usize,
}

impl BitRange {
    /// Returns the number of pieces.
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    /// Returns the first of the words with its bits, and their number.
    fn words(&self) -> (usize, usize) {
        let first = self.first / BITS;
        (first, (self.end - 1) / BITS + 1 - first)
    }
}

/// A bit for each piece, and for each byte those whose piece matches it.
#[derive(Debug, Default)]
pub struct Bits {
    pieces: Vec<Piece>,
    /// For each byte so many words.
    masks: Vec<u64>,
    words: usize,
    most_words: usize,
}

impl Bits {
    /// Adds a segment, and returns its bits. Then it is to be [finished](Self::finish).
    pub fn add(&mut self, pieces: &[Piece]) -> BitRange {
        let first = self.pieces.len();
        self.pieces.extend_from_slice(pieces);
        let range = BitRange { first, end: self.pieces.len() };
        self.most_words = self.most_words.max(range.words().1);
        range
    }

    /// Makes it ready, after all segments were added.
    pub fn finish(&mut self) {
        self.words = self.pieces.len().div_ceil(BITS);
        self.masks = vec![0; BYTES * self.words];
        let mut any = vec![0; self.words];
        for (number, piece) in std::mem::take(&mut self.pieces).into_iter().enumerate() {
            let (word, bit) = (number / BITS, 1 << (number % BITS));
            match piece {
                Piece::Any => any[word] |= bit,
                Piece::Byte(byte) => self.masks[usize::from(byte) * self.words + word] |= bit,
                Piece::OneOf(set) => {
                    for byte in (0..=u8::MAX).filter(|byte| set.holds(*byte)) {
                        self.masks[usize::from(byte) * self.words + word] |= bit;
                    }
                }
                Piece::Star => unreachable!("no segment has a star"),
            }
        }
        if !any.is_empty() {
            for masks in self.masks.chunks_exact_mut(self.words) {
                masks.iter_mut().zip(&any).for_each(|(mask, any)| *mask |= any);
            }
        }
    }

    /// Returns the words that a byte of the text takes a step for, in the longest segment.
    pub fn most_words(&self) -> usize {
        self.most_words
    }

    /// Returns whether a segment matches the front of a text that is not shorter.
    pub fn is_at_front(&self, range: &BitRange, text: &[u8]) -> bool {
        let matches = |(number, byte): (usize, &u8)| {
            self.masks_of(*byte)[number / BITS] & 1 << (number % BITS) != 0
        };
        (range.first..range.end).zip(text).all(matches)
    }

    /// Returns the end of the first place in the text that a segment matches.
    pub fn end_in(&self, range: &BitRange, text: &[u8]) -> Option<usize> {
        let (first, count) = range.words();
        let begin = 1 << (range.first % BITS);
        let end = 1 << ((range.end - 1) % BITS);
        if count == 1 {
            let mut state = 0;
            let found = text.iter().position(|byte| {
                state = (state << 1 | begin) & self.masks_of(*byte)[first];
                state & end != 0
            });
            return found.map(|at| at + 1);
        }
        let mut state = vec![0; count];
        let found = text.iter().position(|byte| {
            let masks = &self.masks_of(*byte)[first..][..count];
            // From the last word, since each takes the highest bit of the one before.
            for word in (1..count).rev() {
                state[word] = (state[word] << 1 | state[word - 1] >> (BITS - 1)) & masks[word];
            }
            state[0] = (state[0] << 1 | begin) & masks[0];
            state[count - 1] & end != 0
        });
        found.map(|at| at + 1)
    }

    fn masks_of(&self, byte: u8) -> &[u64] {
        &self.masks[usize::from(byte) * self.words..][..self.words]
    }
}
