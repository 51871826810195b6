//! Tests of how the time of turns is shared.

use super::*;
use crate::protocol::command::Verb;

fn row(verb: Verb) -> &'static Command {
    &TABLE[verb as usize]
}

/// Measures a turn of `micros` that stands for `turns`, in which these are executed.
fn turn(stats: &mut Stats, turns: u32, micros: u64, executed: &[Verb]) {
    let begin = Instant::now();
    let measure = stats.begin_turn(turns, begin);
    executed.iter().for_each(|&verb| stats.count_request(row(verb)));
    stats.end_turn(&measure, begin + Duration::from_micros(micros));
}

#[test]
fn the_time_of_a_turn_is_shared_among_its_requests() {
    let mut stats = Stats::default();
    stats.count_request(row(Verb::Del)); // before: it has no share
    turn(&mut stats, 1, 40, &[Verb::Get, Verb::Get, Verb::Get, Verb::Set]);
    turn(&mut stats, 1, 10, &[]); // what came was no whole request
    assert_eq!(stats.service_time(row(Verb::Get)), Duration::from_micros(30));
    assert_eq!(stats.service_time(row(Verb::Set)), Duration::from_micros(10));
    assert_eq!(stats.service_time(row(Verb::Del)), Duration::ZERO);
}

#[test]
fn a_turn_stands_for_those_before_it_that_were_not_measured() {
    let mut stats = Stats::default();
    turn(&mut stats, 32, 5, &[Verb::Get]);
    assert_eq!(stats.service_time(row(Verb::Get)), Duration::from_micros(160));
    stats.reset();
    assert_eq!(stats.service_time(row(Verb::Get)), Duration::ZERO);
}

#[test]
fn a_request_that_goes_on_has_the_time_of_a_turn_without_others() {
    let mut stats = Stats::default();
    let begin = Instant::now();
    for executed in [&[][..], &[Verb::Get]] {
        let measure = stats.begin_turn(1, begin);
        stats.continue_request(row(Verb::Dump));
        executed.iter().for_each(|&verb| stats.count_request(row(verb)));
        stats.end_turn(&measure, begin + Duration::from_micros(7));
    }
    turn(&mut stats, 1, 9, &[]); // it goes on no more
    for verb in [Verb::Dump, Verb::Get] {
        assert_eq!(stats.service_time(row(verb)), Duration::from_micros(7), "{verb:?}");
    }
}

#[test]
fn a_request_that_is_taken_back_has_no_share() {
    let mut stats = Stats::default();
    let begin = Instant::now();
    stats.count_request(row(Verb::Set));
    let measure = stats.begin_turn(1, begin);
    stats.count_request(row(Verb::Get));
    stats.take_back_request(row(Verb::Get));
    stats.end_turn(&measure, begin + Duration::from_micros(7));
    assert_eq!(stats.service_time(row(Verb::Get)), Duration::ZERO);
}
