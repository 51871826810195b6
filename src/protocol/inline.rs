//! Redis's inline commands: lines whose words may be quoted, answered in RESP.
//!
//! Lines are read in this way after a `HELLO` that came as one, and all of them where `--inline` is
//! `resp`. Words are separated as Redis separates them; in double quotes there are the escapes
//! `\n \r \t \b \a \xHH`, in single quotes `\'`.

use super::{Decoded, Form, Refusal, Span, Words, resp, text};
use crate::settings::limits::Limits;

/// Returns the request of a line without its end, which is not blank. Its words are written to
/// `unquoted`, one behind the other.
pub fn parse<'a>(
    line: &[u8],
    words: &'a mut Vec<Span>,
    unquoted: &'a mut Vec<u8>,
    limits: &Limits,
) -> Decoded<'a> {
    words.clear();
    unquoted.clear();
    let mut rest = line;
    while let Some(at) = rest.iter().position(|&byte| !text::separates(byte)) {
        rest = &rest[at..];
        let start = unquoted.len();
        let Some(after) = next_word(rest, unquoted) else {
            return Decoded::Broken(Refusal::Protocol(resp::ProtocolError::UnbalancedQuotes));
        };
        words.push(Span::new(start, unquoted.len()));
        rest = after;
    }
    let request = Words { spans: words, bytes: unquoted };
    if text::is_http(request.get(0).unwrap_or_default(), line) {
        return Decoded::Broken(Refusal::Http);
    }
    if request.iter().any(|word| word.len() > limits.max_value) {
        return Decoded::Refused(Form::Resp, Refusal::ValueTooLong(limits.max_value));
    }
    resp::check(unquoted, words)
}

/// Appends the word at the front of `rest`, which is not blank. Returns what is behind it; `None`
/// if its quotes are not closed, or followed by more of a word.
fn next_word<'a>(rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut bytes = rest;
    loop {
        let (&byte, after) = match bytes.split_first() {
            None => return Some(bytes),
            Some((&byte, _)) if text::separates(byte) => return Some(bytes),
            Some(first) => first,
        };
        bytes = match byte {
            b'"' | b'\'' => {
                let after = quoted(byte, after, word)?;
                let is_end = after.first().is_none_or(|&byte| text::separates(byte));
                return is_end.then_some(after);
            }
            _ => {
                word.push(byte);
                after
            }
        };
    }
}

/// Appends what stands before the closing `quote`. Returns what is behind that.
fn quoted<'a>(quote: u8, mut bytes: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match bytes {
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => (b'\'', after),
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => (escape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        word.push(byte);
        bytes = after;
    }
}

/// Returns the value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

/// Returns the byte that a letter after a backslash means.
fn escape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

#[cfg(test)]
mod tests;
