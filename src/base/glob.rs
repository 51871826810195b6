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
//! A class without its `]` ends with the pattern.
//!
//! Every piece but `*` matches exactly one byte. So when the pieces behind a `*` fail, only that
//! `*` need match a byte more: one before it would only leave less for the rest. The time is at
//! most the pattern's length times the text's, and there is no recursion.

/// Returns whether the pattern matches the whole text.
///
/// As in Redis, only `*` alone and the empty pattern match an empty text.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte)
}

/// Returns whether the pattern matches the whole text, whatever the case of ASCII letters. As in
/// Redis, a letter behind `\` in a class stands for itself only.
pub fn matches_in_any_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn matches_folded(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    if text.is_empty() {
        return matches!(pattern, [] | [b'*']);
    }
    let (mut rest, mut at) = (pattern, 0);
    // The pattern behind the last `*`, and the text that this `*` has not matched yet.
    let mut star: Option<(&[u8], usize)> = None;
    while at < text.len() {
        if let [b'*', behind @ ..] = rest {
            if behind.is_empty() {
                return true;
            }
            star = Some((behind, at));
            rest = behind;
        } else if let Some(length) = piece_for(rest, text[at], fold) {
            rest = &rest[length..];
            at += 1;
        } else if let Some((behind, taken)) = &mut star {
            *taken += 1;
            (rest, at) = (*behind, *taken);
        } else {
            return false;
        }
    }
    rest.iter().all(|&byte| byte == b'*')
}

/// Returns the length of the pattern's first piece, which is not `*`, if it matches the byte.
#[inline]
fn piece_for(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> Option<usize> {
    let (takes, length) = match *pattern {
        [] => (false, 0),
        [b'?', ..] => (true, 1),
        [b'[', ref class @ ..] => {
            let (holds, length) = class_for(class, byte, fold);
            (holds, 1 + length)
        }
        [b'\\', escaped, ..] => (fold(escaped) == fold(byte), 2),
        [plain, ..] => (fold(plain) == fold(byte), 1),
    };
    takes.then_some(length)
}

/// Returns whether the class holds the byte, and its length, from behind its `[`.
fn class_for(class: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, usize) {
    // Bytes are in the order that they have as a `char` of C, as Redis compares them.
    let signed = |byte| fold(byte) as i8;
    let negated = class.first() == Some(&b'^');
    let (mut at, mut found) = (usize::from(negated), false);
    loop {
        match class[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                let reversed = first as i8 > last as i8;
                let (low, high) = if reversed { (last, first) } else { (first, last) };
                found |= (signed(low)..=signed(high)).contains(&signed(byte));
                at += 3;
            }
            [one, ..] => {
                found |= fold(one) == fold(byte);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests;
