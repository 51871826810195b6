//! An upstream that comes and goes hundreds of times a second.

use crate::support::fake::Fake;
use crate::support::process::{Client, Process, proxy};
use crate::support::rounds;
use crate::support::tools::{descriptors, resident_memory, wait_until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// A value says which key it is of, and on which connection it came: none comes later than that
/// connection has ended, and none of another key.
#[test]
fn an_upstream_that_flaps_leaves_nothing_behind_and_nothing_old() {
    let fake = Fake::start();
    let proxy = proxy(fake.address(), &[]);
    let mut clients: Vec<_> = (0..10).map(|_| proxy.client()).collect();
    let steady = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flap_until(&steady, fake));
        let takes = |proxy: &Process| (descriptors(proxy.id()), resident_memory(proxy.id()));
        let (mut before, mut answered, started) = (None, 0, Instant::now());
        let (mut connects, count) = (0, rounds(20_000));
        while connects < count {
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(format!("STATS\r\nGET shared\r\nGET k{number}\r\nSET k{number} v\r\n"));
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let answered_now;
                (connects, answered_now) = read_round(client, number);
                answered += answered_now;
            }
            if connects > count / 10 {
                before.get_or_insert_with(|| takes(&proxy));
            }
        }
        let rate = connects as f64 / started.elapsed().as_secs_f64();
        let ((open, memory), before) = (takes(&proxy), before.expect("it was noted"));
        let grown = memory as i64 - before.1 as i64;
        println!("{connects} connections, {rate:.0} a second; {answered} reads answered");
        println!("memory grew by {} KiB", grown >> 10);
        steady.store(true, Ordering::Relaxed);
        wait_until("it is found again", || clients[0].ask("GET last").starts_with("last of "));
        assert!(open <= before.0 + 1 && grown < 2 << 20, "{before:?}: {open}, {memory}");
        assert!(answered > count / 10, "only {answered} reads were answered");
        drop(proxy);
    });
}

/// How many connections there had been, and how many reads were answered.
fn read_round(client: &mut Client, number: usize) -> (usize, usize) {
    let stats = client.until_end();
    let connects = stats.iter().find_map(|line| line.strip_prefix("upstream_connects "));
    let connects: usize = connects.expect("it is there").parse().expect("a number");
    let own = format!("k{number} of ");
    let answered = ["shared of ", &own].into_iter().filter(|begin| {
        let read = client.line();
        if ["ERR upstream lost", "ERR upstream unavailable"].contains(&read.as_str()) {
            return false;
        }
        let came_on = read.strip_prefix(begin).and_then(|it| it.parse::<usize>().ok());
        assert!(came_on.is_some_and(|it| it >= connects), "{begin}{connects}: {read}");
        true
    });
    let answered = answered.count();
    let written = client.line();
    let maybe = "ERR upstream lost, the write may or may not have happened";
    assert!(["OK", "ERR upstream unavailable", maybe].contains(&written.as_str()), "{written}");
    (connects, answered)
}

/// Closes each connection after a few answers, so that the next attempt is made at once, some by
/// RST; when it is to be steady, serves until the proxy leaves.
fn flap_until(steady: &AtomicBool, fake: Fake) {
    for number in 1_usize.. {
        let mut link = fake.accept_telling();
        let mut answers = 0;
        loop {
            match link.next() {
                Some(request) if request == "PING" => link.say("+PONG\r\n"),
                Some(request) => match request.strip_prefix("GET ") {
                    Some(key) => link.say_value(&format!("{key} of {number}")),
                    None => link.say("+OK\r\n"),
                },
                None if steady.load(Ordering::Relaxed) => return,
                None => break,
            }
            answers += 1;
            if answers > number % 7 && !steady.load(Ordering::Relaxed) {
                if number.is_multiple_of(50) {
                    link.reset();
                } else {
                    link.finish_sending();
                    link.expect_end();
                }
                break;
            }
        }
    }
}
