//! Numbers, sizes and seconds, as people and clients write them.

use std::time::Duration;

/// Returns a whole number of 64 bits, written as Redis takes it: digits, with `-` before them or
/// not, and nothing else; no zero before another digit.
pub fn integer(text: &[u8]) -> Option<i64> {
    match text {
        // The longest has a sign and 19 digits.
        [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] if text.len() <= 20 => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Returns a number of bytes, written `4096`, `64KiB`, `64MiB`, `1GiB`.
pub fn size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse::<usize>().ok()?.checked_mul(unit)
}

/// Returns a time that is written in seconds, with decimals or without. At most a hundred years, so
/// that no deadline overflows the clock.
pub fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3.2e9).contains(seconds))?;
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests;
