//! Tests of `telnet.rs`.

use super::*;

#[track_caller]
fn check(input: &[u8], data: &[u8], answers: &[[u8; 3]]) {
    let mut state = TelnetState::default();
    let (mut got, mut answered) = (Vec::new(), Vec::new());
    for &byte in input {
        match state.next(byte) {
            TelnetEvent::Data(byte) => got.push(byte),
            TelnetEvent::Answer(answer) => answered.push(answer),
            TelnetEvent::None | TelnetEvent::EraseLine | TelnetEvent::EraseCharacter => {}
        }
    }
    assert_eq!((got.as_slice(), answered.as_slice(), state), (data, answers, TelnetState::Data));
}

#[test]
fn every_option_is_declined() {
    check(b"a\xff\xfb\x18b", b"ab", &[[255, 254, 24]]);
    check(b"a\xff\xfd\x0ab", b"ab", &[[255, 252, 10]]);
    check(b"a\xff\xfc\x18\xff\xfe\x01b", b"ab", &[]);
}

#[test]
fn the_timing_mark_of_an_interrupt_is_granted() {
    check(b"\xff\xf4\xff\xfd\x06", b"", &[[0xff, 0xfb, 0x06]]);
}

#[test]
fn a_doubled_iac_is_data_and_a_subnegotiation_is_none() {
    check(b"a\xff\xffb", b"a\xffb", &[]);
    check(b"a\xff\xfa\x18\n\xff\xffx\xff\xf0b", b"ab", &[]);
}

#[test]
fn data_after_a_data_mark_that_came_urgently_is_kept() {
    check(b"\xffget k", b"get k", &[]);
}
