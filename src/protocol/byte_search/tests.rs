//! Tests of `byte_search.rs`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_first_is_found(
        bytes in prop::collection::vec(
            prop::sample::select(&b"\0\x01\n\x0b ~\x7f\x80\xfe\xffab"[..]),
            0..40,
        ),
        most in 0..127u8,
        sought in prop::collection::vec(any::<u8>(), 256),
    ) {
        let is_it = |byte: u8| {
            (byte <= most || byte == 127 || byte == 255) && sought[usize::from(byte)] % 2 == 0
        };
        prop_assert_eq!(find(&bytes, most, is_it), bytes.iter().position(|&byte| is_it(byte)));
    }
}
