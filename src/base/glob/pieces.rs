//! The pieces of a pattern, read from its bytes.

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Any bytes, also none.
    Star,
    /// This byte.
    Byte(u8),
    /// Any byte.
    Any,
    /// One of these bytes.
    OneOf(Box<ByteSet>),
}

/// A set of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte) / 64] |= 1 << (byte % 64);
    }

    /// Returns whether a byte is in the set.
    pub fn holds(&self, byte: u8) -> bool {
        self.0[usize::from(byte) / 64] & 1 << (byte % 64) != 0
    }

    /// Adds the bytes that `fold` makes the same as this one, which is folded.
    fn add_folded(&mut self, folded: u8, fold: impl Fn(u8) -> u8) {
        for byte in [folded, folded.to_ascii_uppercase()] {
            if fold(byte) == folded {
                self.add(byte);
            }
        }
    }
}

/// Reads a pattern. Bytes that `fold` makes the same, which may be those of a letter in either
/// case, are the same; of those it returns the lower case.
pub fn read(pattern: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (piece, length) = match *rest {
            [b'*', ..] => (Piece::Star, 1),
            [b'?', ..] => (Piece::Any, 1),
            [b'[', ref class @ ..] => {
                let (set, length) = read_class(class, fold);
                (Piece::OneOf(Box::new(set)), 1 + length)
            }
            [b'\\', escaped, ..] => (same_as(escaped, fold), 2),
            [plain, ..] => (same_as(plain, fold), 1),
            [] => break,
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

fn same_as(byte: u8, fold: impl Fn(u8) -> u8) -> Piece {
    let other = if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { byte };
    if other == byte || fold(other) != fold(byte) {
        return Piece::Byte(byte);
    }
    let mut set = ByteSet::default();
    set.add(byte);
    set.add(other);
    Piece::OneOf(Box::new(set))
}

/// Reads a class from behind its `[`. Returns its bytes, and its length.
fn read_class(class: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> (ByteSet, usize) {
    let negated = class.first() == Some(&b'^');
    let (mut at, mut set) = (usize::from(negated), ByteSet::default());
    loop {
        match class[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                set.add(escaped);
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                // Bytes are in the order that they have as a `char` of C, as Redis compares them.
                let reversed = first as i8 > last as i8;
                let (low, high) = if reversed { (last, first) } else { (first, last) };
                let range = fold(low) as i8..=fold(high) as i8;
                range.for_each(|byte| set.add_folded(byte as u8, fold));
                at += 3;
            }
            [one, ..] => {
                set.add_folded(fold(one), fold);
                at += 1;
            }
        }
    }
    if negated {
        set.0 = set.0.map(|word| !word);
    }
    (set, at)
}

/// Returns the bytes that pieces match, if each matches one only.
pub fn plain(pieces: &[Piece]) -> Option<Vec<u8>> {
    let byte = |piece: &Piece| if let Piece::Byte(byte) = piece { Some(*byte) } else { None };
    pieces.iter().map(byte).collect()
}
