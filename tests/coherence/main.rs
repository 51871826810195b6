//! The promises of `docs/coherence.md` over real sockets: clients of two proxies and writers beside
//! them, in front of a redis-server and of our own, while all that can happen does.

mod faults;
mod history;
mod link;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
mod work;

use faults::{Fault, LINKS, PROCESSES, Scene};
use history::{Upheavals, Versions};
use std::thread;
use std::time::Duration;
use support::guards::AtEnd;
use support::history::judge;
use support::process::proxy;
use support::random::Random;
use support::wire::Wire;
use upstream::{Kind, Upstream};
use work::{HOT, Reads, SLOTS, Shared, Written};

/// So many readers at each proxy read now this, now that.
const READERS: usize = 2;

#[test]
fn redis_is_never_older_than_a_second() {
    check(Kind::Redis, 1.0, PROCESSES);
}

#[test]
fn redis_is_never_older_than_a_fifth_of_a_second() {
    check(Kind::Redis, 0.2, PROCESSES);
}

#[test]
fn redis_is_never_old_without_trust() {
    check(Kind::Redis, 0.0, PROCESSES);
}

#[test]
fn our_server_is_never_older_than_a_second() {
    check(Kind::Larder, 1.0, PROCESSES);
}

#[test]
fn our_server_is_never_older_than_a_fifth_of_a_second() {
    check(Kind::Larder, 0.2, PROCESSES);
}

#[test]
fn our_server_is_never_old_without_trust() {
    check(Kind::Larder, 0.0, PROCESSES);
}

#[test]
fn redis_is_never_old_behind_links_that_fall_silent() {
    check(Kind::Redis, 0.2, LINKS);
}

#[test]
fn our_server_is_never_old_behind_links_that_fall_silent() {
    check(Kind::Larder, 0.2, LINKS);
}

/// How long all faults together are made to happen.
fn time() -> Duration {
    Duration::from_millis(if support::is_full() { 40_000 } else { 2_500 })
}

fn check(kind: Kind, trust: f64, faults: &[Fault]) {
    let seed = support::seed();
    let upstream = Upstream::start(kind);
    let wires = if faults == LINKS { 2 } else { 0 };
    let wires: Vec<Wire> = (0..wires).map(|_| Wire::to(upstream.address())).collect();
    // Some stops are longer than the timeout, and many longer than the trust.
    let (timeout, longest_stop) = (0.5 + trust, 0.6 + 1.3 * trust);
    let flags = ["--trust", &trust.to_string(), "--upstream-timeout", &timeout.to_string()];
    let place = |at| wires.get(at).map_or(upstream.address(), |wire: &Wire| wire.address);
    let proxies = [0, 1].map(|at| proxy(place(at), &flags));
    let addresses = [proxies[0].address(), proxies[1].address()];
    let shared = Shared::new(Duration::from_secs_f64(trust), upstream.address(), addresses);
    let mut scene = Scene {
        kind,
        upstream: Some(upstream),
        proxies: &proxies,
        wires: &wires,
        faults,
        shared: &shared,
        random: Random(seed),
        longest_stop: Duration::from_secs_f64(longest_stop),
        upheavals: Upheavals::default(),
    };
    let (mut written, mut reads) = (Vec::new(), Reads::default());
    thread::scope(|scope| {
        let at_end = AtEnd(|| shared.end.come());
        let random = |salt: usize| Random(seed.wrapping_add(salt as u64 * 2));
        let shared = &shared;
        let write = |slot| scope.spawn(move || shared.write(slot, random(slot + 1)));
        let writers: Vec<_> = (0..SLOTS).map(write).collect();
        let read = |at: usize| {
            let slot = (at < 2).then_some(HOT);
            scope.spawn(move || shared.read(at, slot, random(SLOTS + at + 1)))
        };
        let readers: Vec<_> = (0..2 + 2 * READERS).map(read).collect();
        scene.run(time() / faults.len() as u32);
        drop(at_end);
        for writer in writers {
            written.extend(writer.join().expect("a writer failed"));
        }
        for reader in readers {
            reads.extend(reader.join().expect("a reader failed"));
        }
    });
    report(&scene, written, reads);
}

/// Judges what clients saw, and prints how much that was.
fn report(scene: &Scene<'_>, written: Vec<Written>, mut reads: Reads) {
    let (mut writes, mut judged, mut violations) = (0, 0, Vec::new());
    let keys = written.len();
    for history in written {
        let seen = reads.seen.remove(&history.key).unwrap_or_default();
        (writes, judged) = (writes + history.writes.len(), judged + seen.len());
        let versions = Versions::of(scene.shared.start, &history.writes, &scene.upheavals).list;
        let broken = judge(&versions, &seen).into_iter();
        violations.extend(broken.map(|what| format!("{:?} at {what}", history.key)));
    }
    println!("{:?}, {:?}:", scene.kind, scene.shared.promise);
    println!("  {writes} writes of {keys} keys; {judged} reads, {} errors", reads.errors);
    for name in
        ["hits", "misses", "invalidations_received", "flights_poisoned", "flushes_by_disconnect"]
    {
        println!("  {name} {}", scene.counted(name));
    }
    println!("  violations {}", violations.len());
    assert!(violations.is_empty(), "{}: {}", violations.len(), violations[0]);
    for name in ["hits", "invalidations_received", "flushes_by_disconnect"] {
        assert!(scene.counted(name) > 0, "no {name}: nothing was tested");
    }
    assert!(writes > 0 && judged > writes);
}
