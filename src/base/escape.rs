//! Untrusted bytes made printable: three rules, for three places where they are shown.
//!
//! | function | for | control characters | quotes, `\` | what is not UTF-8 |
//! | --- | --- | --- | --- | --- |
//! | [`escape`], [`printable`] | a reply that is read back | `\n \r \t \xHH` | escaped | `\xHH` |
//! | [`for_terminal`] | a terminal | `\xHH`, tabs as they are | as they are | as it is |
//! | [`for_log`] | a line of a log | `\n \r \t \0 \u{H}` | as they are | – |

use std::borrow::Cow;
use std::fmt;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Passes `bytes` to `push` in pieces, escaped: `\\ \" \n \r \t`, else `\xHH` if not printable.
pub fn escape(bytes: &[u8], mut push: impl FnMut(&[u8])) {
    for chunk in bytes.utf8_chunks() {
        // Runs of plain characters go as one piece.
        let valid = chunk.valid();
        let mut plain_from = 0;
        for (at, character) in valid.char_indices() {
            let escape: &[u8] = match character {
                '\\' => b"\\\\",
                '"' => b"\\\"",
                '\n' => b"\\n",
                '\r' => b"\\r",
                '\t' => b"\\t",
                _ if character.is_control() => b"",
                _ => continue,
            };
            let end = at + character.len_utf8();
            push(&valid.as_bytes()[plain_from..at]);
            push(escape);
            if escape.is_empty() {
                valid.as_bytes()[at..end].iter().for_each(|&byte| push(&hex(byte)));
            }
            plain_from = end;
        }
        push(&valid.as_bytes()[plain_from..]);
        chunk.invalid().iter().for_each(|&byte| push(&hex(byte)));
    }
}

/// Returns the first `max` of `bytes`, escaped, for a log or an error message.
pub fn printable(bytes: &[u8], max: usize) -> impl fmt::Display {
    let mut text = Vec::new();
    escape(&bytes[..bytes.len().min(max)], |piece| text.extend_from_slice(piece));
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns text for a terminal: control characters as `\xHH`, tabs and everything else as they are.
pub fn for_terminal(text: &[u8]) -> Cow<'_, [u8]> {
    const C1_LEAD: u8 = 0xc2;
    // C1 controls are two bytes in UTF-8, and some terminals obey them.
    let is_control = |index: usize| match text[index] {
        b'\t' => false,
        0x80..=0x9f => index > 0 && text[index - 1] == C1_LEAD,
        C1_LEAD => matches!(text.get(index + 1), Some(0x80..=0x9f)),
        byte => byte < b' ' || byte == 0x7f,
    };
    if !(0..text.len()).any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for (index, &byte) in text.iter().enumerate() {
        match is_control(index) {
            true => shown.extend_from_slice(&hex(byte)),
            false => shown.push(byte),
        }
    }
    Cow::Owned(shown)
}

/// Returns text as one line of a log: what would end the line or steer a terminal is escaped.
pub fn for_log(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

fn hex(byte: u8) -> [u8; 4] {
    [b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests;
