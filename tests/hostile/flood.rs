//! A peer can have much to be logged, and not much is.

use crate::log::talkative;
use crate::support::fake::play;
use crate::support::process::{PATIENCE, Process};
use crate::support::tools::wait_until;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most lines of any second.
const MAX_LINES: usize = 100;

/// How long a flood lasts at least: long enough to be silenced twice, where there is time to cause
/// that many lines.
const LASTING: Duration = Duration::from_millis(2500);

/// What the log says when it is silenced.
const SILENCED: &str = "left out for a second, and counted";

/// Whether a flood is to go on: it is, until it has been silenced twice.
fn goes_on(process: &Process, started: Instant) -> bool {
    let silenced = || process.log().matches(SILENCED).count();
    started.elapsed() < LASTING || started.elapsed() < PATIENCE && silenced() < 2
}

/// How many lines the log says it has left out each time, and whether it says so of all that it
/// began to leave out.
fn left_out(log: &str) -> (Vec<usize>, bool) {
    let told = log.lines().filter_map(|line| line.strip_suffix(" lines were left out here"));
    let counts = told.map(|line| line.rsplit(' ').next().and_then(|it| it.parse().ok()));
    let counts: Vec<_> = counts.collect::<Option<_>>().expect("they are numbers");
    let begun = log.lines().filter(|line| line.ends_with(SILENCED));
    let is_all = begun.count() == counts.len();
    (counts, is_all)
}

/// Waits until the log has told of all that it left out, and checks that it was this much at least,
/// and that no second has too many lines. A line shows the second it was written in, which may be
/// the one after that it was counted in: hence one more, and another where two are written at once.
#[track_caller]
fn check_bounded(process: &Process, caused: usize) {
    let mut log = String::new();
    wait_until("it tells how many lines it has left out", || {
        // Every signal is a line, and the one that is written ends what was left out.
        process.signal("HUP");
        log = process.log();
        log.ends_with("SIGHUP: nothing to reload\n") && left_out(&log).1
    });
    let (lines, (left_out, _)) = (log.lines().count(), left_out(&log));
    let mut seconds = HashMap::<_, usize>::new();
    log.lines().for_each(|line| *seconds.entry(line.split(' ').next()).or_default() += 1);
    let most = seconds.values().max().copied().unwrap_or_default();
    println!("{lines} lines, {most} of them in one second, and not these: {left_out:?}");
    assert!(most <= MAX_LINES + 2, "{most} lines in a second");
    assert!(left_out.len() > 1, "it was silenced {} times", left_out.len());
    let told = lines + left_out.iter().sum::<usize>();
    assert!(told >= caused, "{told} are not {caused}");
}

/// At the lowest level every connection is a line, whoever makes it.
#[test]
fn a_client_cannot_flood_the_log() {
    for process in [
        talkative(env!("CARGO_BIN_EXE_server"), &[]),
        talkative(env!("CARGO_BIN_EXE_proxy"), &["--upstream", "127.0.0.1:1"]),
    ] {
        let (started, mut count) = (Instant::now(), 0);
        while goes_on(&process, started) {
            count += 1;
            assert_eq!(process.client().ask("BYE"), "Goodbye");
        }
        check_bounded(&process, count);
    }
}

/// Accepts, answers one request and leaves, as fast as it can.
#[test]
fn an_upstream_that_flaps_cannot_flood_the_log() {
    let (fake, proxy, mut link, mut client) = play(&[]);
    let (started, mut count) = (Instant::now(), 0);
    while goes_on(&proxy, started) {
        count += 1;
        link.hear(&mut client, "DEL k");
        link.say(":1\r\n");
        assert_eq!(client.line(), "OK", "{count}");
        drop(link);
        link = fake.accept();
    }
    check_bounded(&proxy, count);
}
