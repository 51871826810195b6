//! Numbers, sizes and seconds, as people and clients write them.

use std::time::Duration;

/// A whole number of 64 bits as Redis takes it: digits, with `-` before them or not, and nothing
/// else; no zero before another digit.
pub fn integer(text: &[u8]) -> Option<i64> {
    match text {
        // The longest has a sign and 19 digits.
        [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] if text.len() <= 20 => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// A number of bytes: `4096`, `64KiB`, `64MiB`, `1GiB`.
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

/// A time in seconds, with decimals or without. At most a hundred years, so that no deadline
/// overflows the clock.
pub fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3.2e9).contains(seconds))?;
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_one_way_to_be_written() {
        for number in [0, 7, 10, -1, -305, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        let bad =
            ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "0x1", "9223372036854775808"];
        for text in bad {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("64KiB", 65536), ("1GiB", 1 << 30), ("7B", 7)] {
            assert_eq!(size(text), Some(bytes));
        }
        let bad = ["", "MiB", "1.5MiB", "1mb", "99999999999999999999", "9999999999999GiB"];
        for text in bad {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_may_have_decimals() {
        for (text, millis) in [("0", 0), ("0.5", 500), ("30", 30_000), ("1e3", 1_000_000)] {
            assert_eq!(seconds(text), Some(Duration::from_millis(millis)));
        }
        for text in ["", "-1", "NaN", "inf", "1s", "4e9"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
