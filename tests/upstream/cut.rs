//! Replies that are cut, that hang and that drip, at every byte of every kind of reply.

use crate::states::{Stage, State};
use crate::support::fake::{Link, TELLING};
use crate::support::process::Client;
use crate::support::random::Random;
use crate::support::{is_full, seed};
use std::thread;

const UNAVAILABLE: &str = "ERR upstream unavailable";

/// Half of them by FIN, half by RST.
fn end(link: Link, at: usize) {
    if at.is_multiple_of(2) {
        link.reset();
    }
}

#[test]
fn a_reply_that_is_cut_at_any_byte_is_no_reply() {
    let mut stage = Stage::new(&[]);
    let mut before = (0, 0);
    for round in 0..if is_full() { 20 } else { 3 } {
        for number in 0..State::all("").len() {
            let state =
                |at: usize| State::all(&format!("r{round}.{number}.{at}")).swap_remove(number);
            // Its length depends on the names, by a byte or two.
            for at in 0..state(0).answer.len() {
                let state = state(at);
                stage.ask(&state);
                stage.link().push(&state.answer[..at]);
                end(stage.take_link(), at + round);
                assert_eq!(stage.client.lines(state.lost.len()), state.lost, "{:?}", state.answer);
                stage.go_on();
            }
        }
        if round == 0 {
            before = stage.takes();
        }
    }
    stage.check_no_growth("replies cut at every byte", before);
}

/// Until its end no client's request goes out.
#[test]
fn a_greeting_that_is_cut_at_any_byte_is_no_greeting() {
    let mut stage = Stage::new(&[]);
    for (number, (_, answer)) in TELLING.iter().enumerate() {
        for at in 0..answer.len() {
            drop(stage.take_link());
            let mut link = stage.accept_up_to(number + 1);
            stage.client.send("SET k v\r\n");
            link.push(&answer[..at]);
            end(link, at);
            assert_eq!(stage.client.line(), UNAVAILABLE, "{at} bytes of {answer:?}");
            stage.go_on();
        }
    }
}

#[test]
fn replies_that_drip_are_the_same_replies() {
    let mut stage = Stage::new(&[]);
    for number in 0..State::all("").len() {
        let state = &State::all(&format!("drip{number}")).swap_remove(number);
        stage.ask(state);
        let mut link = stage.take_link();
        drip(&mut link, &mut stage.other, &state.answer);
        stage.put_link(link);
        assert_eq!(stage.client.lines(state.replies.len()), state.replies);
    }
    drop(stage.take_link());
    let mut link = stage.accept_up_to(1);
    for (at, (_, answer)) in TELLING.iter().enumerate() {
        if at > 0 {
            link.expect(TELLING[at].0);
        }
        drip(&mut link, &mut stage.other, answer);
    }
    stage.client.send("GET k\r\n");
    link.expect("GET k");
    link.push(":-1\r\n$1\r\nv\r\n");
    assert_eq!(stage.client.line(), "v");
}

/// Byte by byte: with an answer in between, each is likely to be read alone.
fn drip(link: &mut Link, other: &mut Client, answer: &str) {
    for byte in answer.bytes() {
        link.push([byte]);
        assert_eq!(other.ask("PING"), "PONG");
    }
}

/// All at a time: each takes the timeout.
#[test]
fn a_reply_that_hangs_at_any_byte_is_given_up_and_its_rest_reaches_nobody() {
    let mut random = Random(seed());
    let flags = ["--upstream-timeout", "2"];
    thread::scope(|scope| {
        for number in 0..State::all("").len() {
            let random = Random(random.below(1 << 30) as u64);
            scope.spawn(move || hang(Stage::new(&flags), number, random));
        }
        for questions in 1..=TELLING.len() {
            let random = Random(random.below(1 << 30) as u64);
            scope.spawn(move || hang_in_greeting(Stage::new(&flags), questions, random));
        }
    });
}

fn hang(mut stage: Stage, number: usize, mut random: Random) {
    for round in 0..if is_full() { 10 } else { 2 } {
        let state = State::all(&format!("hang{round}")).swap_remove(number);
        let (begun, rest) = state.answer.split_at(random.below(state.answer.len()));
        stage.ask(&state);
        stage.link().push(begun);
        assert_eq!(stage.client.lines(state.silent.len()), state.silent, "after {begun:?}");
        let late = stage.take_link();
        stage.go_on();
        check_rest_reaches_nobody(&mut stage, late, rest);
    }
}

fn hang_in_greeting(mut stage: Stage, questions: usize, mut random: Random) {
    for _ in 0..if is_full() { 10 } else { 2 } {
        drop(stage.take_link());
        let mut late = stage.accept_up_to(questions);
        let answer = TELLING[questions - 1].1;
        let (begun, rest) = answer.split_at(random.below(answer.len()));
        stage.client.send("GET k\r\n");
        late.push(begun);
        assert_eq!(stage.client.line(), UNAVAILABLE, "after {begun:?}");
        stage.go_on();
        check_rest_reaches_nobody(&mut stage, late, rest);
    }
}

/// The rest of it comes while the same, and something else, is asked on the next connection.
fn check_rest_reaches_nobody(stage: &mut Stage, mut late: Link, rest: &str) {
    stage.client.send("GET mine\r\nDEL mine\r\n");
    late.push(rest);
    stage.link().expect("GET mine");
    stage.link().expect("DEL mine");
    late.push(":-1\r\n$6\r\nothers\r\n".repeat(3));
    stage.link().push(":-1\r\n$4\r\nmine\r\n:0\r\n");
    assert_eq!(stage.client.lines(2), ["mine", "Key not found"]);
    late.expect_end();
}
