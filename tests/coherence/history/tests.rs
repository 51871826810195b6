//! Small histories of one key, in milliseconds from its beginning, with a trust of 100.

use super::*;
use crate::support::history::{Act, Event, Promise, judge};

const BESIDE: Option<usize> = None;

struct Scene {
    start: Instant,
    writes: Vec<Write>,
    upheavals: Upheavals,
}

fn scene() -> Scene {
    Scene { start: Instant::now(), writes: Vec::new(), upheavals: Upheavals::default() }
}

impl Scene {
    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn span(&self, begin: u64, end: u64) -> Span {
        Span { begin: self.at(begin), end: self.at(end) }
    }

    fn writes(mut self, number: u32, sent: u64, acknowledged: Option<u64>) -> Scene {
        let (sent, acknowledged) = (self.at(sent), acknowledged.map(|it| self.at(it)));
        let (is_delete, life, proxy) = (false, None, BESIDE);
        self.writes.push(Write { number, is_delete, life, proxy, sent, acknowledged });
        self
    }

    /// Changes the last write.
    fn but(mut self, change: impl FnOnce(&mut Write)) -> Scene {
        change(self.writes.last_mut().expect("there is one"));
        self
    }

    fn removes(mut self, begin: u64, end: u64) -> Scene {
        let span = self.span(begin, end);
        self.upheavals.removals.push(span);
        self
    }

    /// How many of these reads, each of a client of its own, break a promise.
    fn broken(&self, trust: u64, reads: &[(usize, u64, u64, Option<u32>)]) -> usize {
        let trust = Duration::from_millis(trust);
        let (ttl, is_linearizable) = (Duration::MAX, trust.is_zero());
        let read = |(client, &(proxy, begin, end, saw))| Event {
            act: Act::Saw(saw),
            began: stamp(self.start, self.at(begin)),
            ended: stamp(self.start, self.at(end)),
            client,
            place: 0,
            proxy: Some(proxy),
            from_server: false,
            promise: Promise { ttl, trust: Some(trust), is_linearizable },
        };
        let reads: Vec<Event> = reads.iter().enumerate().map(read).collect();
        judge(&Versions::of(self.start, &self.writes, &self.upheavals).list, &reads).len()
    }

    #[track_caller]
    fn allows(&self, begin: u64, end: u64, saw: Option<u32>) {
        assert_eq!(self.broken(100, &[(0, begin, end, saw)]), 0);
    }

    #[track_caller]
    fn forbids(&self, begin: u64, end: u64, saw: Option<u32>) {
        assert_eq!(self.broken(100, &[(0, begin, end, saw)]), 1);
    }
}

#[test]
fn what_is_acknowledged_must_be_known_after_the_trust() {
    let scene = scene().writes(1, 10, Some(20)).writes(2, 30, Some(40));
    scene.allows(0, 5, None);
    scene.forbids(0, 5, Some(1));
    scene.allows(5, 15, Some(1));
    scene.allows(135, 500, Some(1));
    scene.forbids(145, 500, Some(1));
    scene.forbids(125, 130, None);
    scene.allows(145, 500, Some(2));
    let reads = [(0, 41, 50, Some(1))];
    assert_eq!((scene.broken(10, &reads), scene.broken(0, &reads)), (0, 1));
    assert_eq!(
        scene.but(|it| it.proxy = Some(0)).broken(100, &reads),
        1,
        "its own writes a proxy knows at once"
    );
}

#[test]
fn a_write_that_was_lost_may_have_happened() {
    let scene = scene().writes(1, 10, Some(20)).writes(2, 30, None);
    scene.allows(900, 910, Some(1));
    scene.allows(900, 910, Some(2));
    assert_eq!(scene.broken(100, &[(0, 50, 60, Some(2)), (0, 70, 80, Some(1))]), 1);
}

#[test]
fn what_is_removed_is_absent_until_it_is_written_again() {
    let scene = scene().writes(1, 10, Some(20)).removes(230, 240).writes(2, 500, Some(510));
    scene.forbids(225, 228, None);
    scene.allows(225, 235, None);
    scene.allows(330, 335, Some(1));
    scene.forbids(345, 350, Some(1));
    scene.allows(345, 350, None);
    scene.forbids(615, 620, None);
}

#[test]
fn a_write_while_all_is_removed_comes_before_or_after() {
    for acknowledged in [Some(35), Some(60), None] {
        let scene = scene().writes(1, 10, Some(20)).writes(2, 32, acknowledged).removes(30, 40);
        scene.allows(900, 910, None);
        scene.allows(900, 910, Some(2));
        scene.forbids(900, 910, Some(1));
        assert_eq!(scene.broken(100, &[(0, 50, 60, Some(2)), (0, 70, 80, None)]), 0);
        assert_eq!(scene.broken(100, &[(0, 50, 60, Some(2)), (0, 70, 80, Some(1))]), 1);
    }
}

#[test]
fn what_lives_for_a_while_ends_then() {
    let scene = scene().writes(1, 10, Some(20)).but(|it| it.life = Some(Duration::from_secs(1)));
    scene.forbids(130, 940, None);
    scene.allows(130, 970, None);
    scene.allows(1_100, 1_200, Some(1));
    scene.forbids(1_175, 1_200, Some(1));
    let scene = scene.writes(2, 500, Some(510));
    scene.forbids(700, 1_200, None);
    scene.allows(1_300, 1_310, Some(2));
}
