//! Tests of the counts of error codes.

use super::*;

fn counts(of: &ErrorCounts) -> Vec<(&str, u64)> {
    of.iter().collect()
}

#[test]
fn errors_are_counted_by_their_first_word_if_it_is_a_code() {
    let mut errors = ErrorCounts::default();
    for error in ["ERR no", "WRONGTYPE no", "ERR", "no such thing", "", "Err a", "\u{ff} b"] {
        errors.count(error.as_bytes());
    }
    errors.count(&[b'A'; MAX_CODE + 1]);
    assert_eq!(counts(&errors), [("ERR", 7), ("WRONGTYPE", 1)]);
    errors.clear();
    assert_eq!(counts(&errors), []);
}

#[test]
fn the_number_of_codes_is_bounded() {
    let mut errors = ErrorCounts::default();
    for _ in 0..2 {
        for number in 0..10 * MAX_KINDS {
            errors.count(format!("E{number} message").as_bytes());
        }
    }
    let counts = counts(&errors);
    assert_eq!(counts.len(), MAX_KINDS + 1);
    assert_eq!(counts[0], ("E0", 2), "those that came first are still counted");
    assert_eq!(counts[MAX_KINDS], (OVERFLOW, 2 * 9 * MAX_KINDS as u64));
}
