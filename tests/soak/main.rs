//! A server and a proxy in front of it for as long as there is time, while clients work, behave
//! badly and leave, and the link between the two fails in every way. Everything comes from a seed.

mod checks;
mod ground;
mod nuisances;
#[path = "../support/mod.rs"]
mod support;
mod truth;
mod work;

use checks::{Checks, Taken, requests};
use ground::{Ground, WORKERS};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use support::guards::AtEnd;
use support::process::{proxy, server};
use support::random::Random;
use support::tools::{peak_memory, stats};
use support::wire::Wire;
use support::{is_full, seed};
use work::Worker;

/// Threads that behave badly.
const NUISANCES: usize = 3;
/// The memory that either program may have gained when all rest and nothing is stored: what its
/// allocator keeps of what came and went.
const MOST_GAINED: usize = 8 << 20;

#[rustfmt::skip]
const PROXY: &[&str] = &[
    "--trust", "0.3",
    "--upstream-timeout", "1",
    "--request-timeout", "2",
    "--line-timeout", "2",
    "--cache-bytes", "2MiB",
    "--output-limit", "4MiB",
];

/// The time for all, and between two checks.
fn times() -> (Duration, Duration) {
    let seconds = Duration::from_secs;
    if is_full() { (seconds(600), seconds(60)) } else { (seconds(60), seconds(10)) }
}

#[test]
fn everything_at_once_mixes_nothing_up_and_leaves_nothing_behind() {
    let seed = seed();
    let server = server(&[]);
    let wire = Wire::to(server.address());
    let proxy = proxy(wire.address, PROXY);
    let ground = &Ground::new(server.address(), proxy.address());
    let random = |salt: usize| Random(seed.wrapping_add(salt as u64 * 2));
    thread::scope(|scope| {
        // Whoever ends, be it by a failure, ends it all.
        let end = || AtEnd(|| ground.end());
        let end_of_checks = end();
        for number in 0..WORKERS {
            let (worker, end) = (Worker::new(ground, number, random(1 + number)), end());
            scope.spawn(move || {
                let _end = end;
                worker.run();
            });
        }
        for number in 0..NUISANCES {
            let (random, end) = (random(1 + WORKERS + number), end());
            scope.spawn(move || {
                let _end = end;
                nuisances::run(ground, random);
            });
        }
        let (at_server, at_proxy) = (server.client(), proxy.client());
        let (server, proxy, wire) = (&server, &proxy, &wire);
        soak(Checks { ground, server, proxy, wire, at_server, at_proxy }, random(0));
        drop(end_of_checks);
    });
    for process in [proxy, server] {
        assert_eq!(process.terminate().code(), Some(0));
    }
}

/// Has the link fail again and again, and checks everything now and then.
fn soak(mut checks: Checks<'_>, mut random: Random) {
    let (time, between) = times();
    let (began, mut checked, mut first) = (Instant::now(), Instant::now(), None);
    while began.elapsed() < time && !checks.ground.is_over() {
        let pause = if random.below(3) == 0 { 2_000 } else { 300 };
        let_pass(&mut random, pause);
        fail(&checks, &mut random);
        if checked.elapsed() > between || began.elapsed() > time {
            let ground = checks.ground;
            let taken = ground.rest(|| checks.run());
            report(&mut checks, began.elapsed(), taken);
            // The first are those of the end of the warm-up.
            let first: &Taken = first.get_or_insert(taken);
            for ((descriptors, memory), (first_descriptors, first_memory)) in
                taken.iter().zip(first)
            {
                assert_eq!(descriptors, first_descriptors, "descriptors");
                assert!(*memory < first_memory + MOST_GAINED, "{first_memory} grew to {memory}");
            }
            checked = Instant::now();
        }
    }
    let now = stats(&mut checks.at_proxy);
    for name in [
        "hits",
        "invalidations_received",
        "flushes_by_disconnect",
        "request_errors",
        "output_limit_closes",
    ] {
        assert!(now[name] > 0, "no {name}: that was not tested");
    }
}

fn let_pass(random: &mut Random, most_millis: usize) {
    // Whatever happens meanwhile.
    thread::sleep(Duration::from_millis(random.below(most_millis) as u64));
}

/// One failure of the link, or of the server, and its end.
fn fail(checks: &Checks<'_>, random: &mut Random) {
    let wire = checks.wire;
    // Some last longer than the timeout.
    let most = if random.below(4) == 0 { 2_500 } else { 400 };
    match random.below(5) {
        0 | 1 => wire.cut(),
        2 => {
            wire.set_refusing(true);
            wire.cut();
            let_pass(random, most);
            wire.set_refusing(false);
        }
        3 => {
            wire.set_silent(true);
            let_pass(random, most);
            wire.set_silent(false);
        }
        _ => {
            checks.server.signal("STOP");
            let_pass(random, most);
            checks.server.signal("CONT");
        }
    }
}

fn report(checks: &mut Checks<'_>, since: Duration, taken: Taken) {
    let stats = stats(&mut checks.at_proxy);
    let [server, proxy] = taken.map(|(open, memory)| format!("{open} open, {} KiB", memory >> 10));
    let commands = ["get", "set", "mget", "exec", "dump"];
    let requests = commands.map(|it| format!("{it} {}", requests(&stats, it))).join(", ");
    let counters = [
        "connections_total",
        "connections_timed_out",
        "output_limit_closes",
        "upstream_connects",
        "invalidations_received",
        "hits",
        "misses",
    ];
    let counters = counters.map(|name| format!("{name} {}", stats[name])).join(", ");
    let errors = checks.ground.asked.errors.load(Ordering::Relaxed);
    let (seconds, peak) = (since.as_secs(), peak_memory(checks.proxy.id()) >> 10);
    println!("{seconds:>4} s: {requests}, errors {errors}; {counters}");
    println!("        server {server}; proxy {proxy}, peak {peak} KiB");
}
