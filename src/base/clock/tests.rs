//! Tests of `clock.rs`.

use super::*;

#[test]
fn unix_time_becomes_an_instant_as_far_as_that_reaches() {
    let now = Now { instant: Instant::now(), unix_millis: 5000 };
    for (unix_millis, ahead) in [(0, 0), (5000, 0), (5001, 1), (65_000, 60_000)] {
        let expected = now.instant + Duration::from_millis(ahead);
        assert_eq!(now.instant_of(unix_millis), expected, "{unix_millis}");
    }
    assert_eq!(now.instant_of(u64::MAX), now.instant + FARTHEST);
    assert_eq!(now.plus(FARTHEST).instant_of(u64::MAX), now.instant + 2 * FARTHEST);
}

#[test]
fn both_clocks_go_on_together() {
    let now = Now { instant: Instant::now(), unix_millis: 5000 };
    let later = now.plus(Duration::from_micros(1999));
    assert_eq!((later.instant - now.instant).as_micros(), 1999);
    assert_eq!(later.unix_millis, 5001, "a millisecond that is not over does not count");
}
