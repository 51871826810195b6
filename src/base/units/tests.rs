//! Tests of `units.rs`.

use super::*;

#[test]
fn whole_numbers_have_one_way_to_be_written() {
    for number in [0, 7, 10, -1, -305, i64::MAX, i64::MIN] {
        assert_eq!(integer(number.to_string().as_bytes()), Some(number));
    }
    let bad = ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "0x1", "9223372036854775808"];
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
