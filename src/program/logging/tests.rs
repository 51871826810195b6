//! Tests of `logging.rs`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_second_has_too_many_lines_and_each_is_written_or_counted(
        pauses in prop::collection::vec(prop_oneof![9 => 0..12u64, 1 => 0..1500u64], 1..2000),
    ) {
        let (mut pace, mut now, mut sent) = (Pace::default(), Instant::now(), 0);
        let (mut times, mut accounted) = (Vec::new(), 0);
        for pause in pauses {
            now += Duration::from_millis(pause);
            sent += 1;
            match pace.admit(now) {
                Fate::Written { left_out } => {
                    times.extend((0..=u8::from(left_out > 0)).map(|_| now));
                    accounted += 1 + left_out;
                }
                Fate::First => times.push(now),
                Fate::LeftOut => {}
            }
        }
        prop_assert_eq!(accounted + pace.left_out, sent);
        for (at, &time) in times.iter().enumerate().skip(MAX_LINES) {
            prop_assert!(time - times[at - MAX_LINES] >= SPAN);
        }
    }
}

#[test]
fn lines_that_come_apart_are_all_written() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    for number in 0..1_000 {
        let fate = pace.admit(start + number * SPAN / (MAX_LINES as u32 - 1));
        assert_eq!(fate, Fate::Written { left_out: 0 }, "{number}");
    }
}
