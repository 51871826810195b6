//! Tests of which turns are measured.

use super::*;

#[test]
fn the_first_turns_of_a_second_are_all_measured() {
    let mut sampling = Sampling::new();
    for _ in 0..3 {
        sampling.refill();
        let first = sampling.next_turn();
        assert!((1..=2 * MEAN_GAP).contains(&first), "it stands for the last of the second before");
        assert!((0..MEASURED_WHOLE).all(|_| sampling.next_turn() == 1));
        (0..1000).for_each(|_| _ = sampling.next_turn());
        assert!((0..200).any(|_| sampling.next_turn() == 0));
    }
}

#[test]
fn measured_turns_stand_for_all() {
    let mut sampling = Sampling::new();
    const TURNS: u32 = 1_000_000;
    let (mut measured, mut stood_for) = (0, 0);
    for _ in 0..TURNS {
        let stands_for = sampling.next_turn();
        stood_for += stands_for;
        measured += u32::from(stands_for > 0);
    }
    assert!((TURNS - 2 * MEAN_GAP..=TURNS).contains(&stood_for), "{stood_for}");
    let mean = TURNS / MEAN_GAP + MEASURED_WHOLE;
    assert!((mean * 9 / 10..mean * 11 / 10).contains(&measured), "{measured}");
}

#[test]
fn clients_that_take_turns_in_any_rhythm_are_all_measured() {
    for clients in [2, 31, 32, 64, 100] {
        let (mut sampling, mut stood_for) = (Sampling::new(), vec![0; clients]);
        const ROUNDS: u32 = 10_000;
        for turn in 0..ROUNDS * clients as u32 {
            stood_for[turn as usize % clients] += sampling.next_turn();
        }
        for count in stood_for {
            assert!((ROUNDS / 2..ROUNDS * 2).contains(&count), "{count} of {clients} clients");
        }
    }
}
