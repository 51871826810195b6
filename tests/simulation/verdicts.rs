//! What the judge finds in histories made by hand, good and bad.
//! Times are milliseconds, and steps are the same.

use crate::support::history::{Act, Event, Known, Promise, Version, judge};
use crate::support::world::Stamp;
use std::time::{Duration, Instant};

struct History {
    start: Instant,
    versions: Vec<Version>,
    events: Vec<Event>,
}

const TTL: u64 = 60_000;

impl History {
    /// Of a key that is absent, then has these values from these times on; 0 is absent again.
    fn new(versions: &[(u32, u64)]) -> History {
        let start = Instant::now();
        let mut history = History { start, versions: Vec::new(), events: Vec::new() };
        for &(value, at) in [(0, 0)].iter().chain(versions) {
            let value = (value > 0).then_some(value);
            let since = history.at(at);
            history.versions.push(Version { value, since, known: None });
        }
        history
    }

    fn at(&self, time: u64) -> Stamp {
        Stamp { at: self.start + Duration::from_millis(time), step: time }
    }

    /// The last version came of itself.
    fn by_nobody(mut self) -> History {
        let last = self.versions.last_mut().expect("there is one");
        last.known = Some(Known { from: last.since, proxy: None });
        self
    }

    /// An event at a proxy, of a client of its own, at level 1 with this trust.
    fn add(mut self, act: Act, proxy: usize, began: u64, ended: u64, trust: u64) -> History {
        let promise = Promise {
            ttl: Duration::from_millis(TTL),
            trust: Some(Duration::from_millis(trust)),
            is_linearizable: trust == 0,
        };
        self.events.push(Event {
            act,
            began: self.at(began),
            ended: self.at(ended),
            client: self.events.len(),
            place: self.events.len(),
            proxy: Some(proxy),
            from_server: !matches!(act, Act::Saw(_)),
            promise,
        });
        self
    }

    /// Changes the last event.
    fn but(mut self, change: impl FnOnce(&mut Event)) -> History {
        change(self.events.last_mut().expect("there is one"));
        self
    }

    #[track_caller]
    fn holds(&self) {
        assert_eq!(judge(&self.versions, &self.events), [""; 0]);
    }

    #[track_caller]
    fn breaks(&self, how: &str) {
        let broken = judge(&self.versions, &self.events);
        let first = broken.first().and_then(|message| message.lines().next());
        assert!(first.is_some_and(|line| line.contains(how)), "{broken:?}");
    }
}

const WROTE_1: Act = Act::Wrote(Some(1));
const WROTE_2: Act = Act::Wrote(Some(2));
const SAW_1: Act = Act::Saw(Some(1));
const SAW_2: Act = Act::Saw(Some(2));
const SAW_NONE: Act = Act::Saw(None);
const OLD: &str = "is too old";

#[test]
fn what_others_wrote_is_seen_once_it_is_acknowledged_and_trust_has_passed() {
    // Written at the server at 10, acknowledged at 20, through another proxy.
    let written = || History::new(&[(1, 10)]).add(WROTE_1, 0, 0, 20, 100);
    written().add(SAW_NONE, 1, 119, 150, 100).holds();
    written().add(SAW_NONE, 1, 120, 150, 100).breaks(OLD);
    written().add(SAW_1, 1, 10, 11, 100).holds();
    written().add(SAW_NONE, 1, 19, 150, 0).holds();
    written().add(SAW_NONE, 1, 20, 150, 0).breaks(OLD);
    // Nobody knows when a write was done that is not acknowledged; a later one that is counts.
    let unanswered = || History::new(&[(1, 10), (2, 30)]);
    unanswered().add(SAW_NONE, 1, 900, 901, 100).holds();
    unanswered().add(WROTE_2, 0, 20, 40, 100).add(SAW_1, 1, 900, 901, 100).breaks(OLD);
}

#[test]
fn what_was_written_at_a_proxy_is_seen_there_and_at_the_server_at_once() {
    for trust in [0, 100] {
        let written = || History::new(&[(1, 10)]).add(WROTE_1, 0, 0, 20, trust);
        written().add(SAW_NONE, 0, 19, 30, trust).holds();
        written().add(SAW_NONE, 0, 20, 30, trust).breaks(OLD);
        // Also at level 0.
        written().add(SAW_NONE, 0, 20, 30, trust).but(|it| it.promise.trust = None).breaks(OLD);
        written().add(SAW_NONE, 0, 19, 30, trust).but(|it| it.proxy = None).holds();
        written().add(SAW_NONE, 0, 20, 30, trust).but(|it| it.proxy = None).breaks(OLD);
    }
    let written = History::new(&[(1, 10)]).add(WROTE_1, 0, 0, 20, 100);
    let elsewhere = written.add(SAW_NONE, 1, 900, 901, 100);
    elsewhere.but(|it| it.promise.trust = None).holds();
}

#[test]
fn nothing_is_older_than_its_time_to_live() {
    let level_0 = |began: u64| {
        let read = History::new(&[(1, 10)]).add(SAW_NONE, 0, began, began + 1, 100);
        read.but(|it| it.promise.trust = None)
    };
    level_0(9 + TTL).holds();
    level_0(10 + TTL).breaks(OLD);
}

#[test]
fn nothing_is_seen_before_it_is_there_or_that_never_was() {
    let (history, early) = (|| History::new(&[(1, 10)]), "was not there yet, or never");
    history().add(SAW_1, 0, 5, 10, 100).holds();
    history().add(SAW_1, 0, 5, 9, 100).breaks(early);
    history().add(SAW_2, 0, 5, 90, 100).breaks(early);
    history().add(WROTE_2, 0, 5, 90, 100).breaks("was acknowledged and never done");
    history().add(WROTE_1, 0, 11, 90, 100).breaks("was acknowledged and never done");
}

#[test]
fn a_proxy_never_goes_back() {
    let seen = || History::new(&[(1, 10), (2, 20)]).add(SAW_2, 0, 15, 30, 100);
    seen().add(SAW_1, 0, 29, 35, 100).holds();
    seen().add(SAW_1, 0, 30, 35, 100).breaks(OLD);
    seen().add(SAW_1, 0, 30, 35, 100).but(|it| it.promise.trust = None).breaks(OLD);
    // Another proxy may lag behind, unless all are to be as one.
    seen().add(SAW_1, 1, 30, 35, 100).holds();
    seen().add(SAW_1, 1, 30, 35, 0).breaks(OLD);
    // What looks the same can be something later.
    let again = History::new(&[(1, 10), (2, 20), (1, 25)]).add(SAW_2, 0, 15, 30, 100);
    again.add(SAW_1, 0, 30, 35, 100).holds();
    // It went back behind what somebody had seen who had to see something new.
    let twice = History::new(&[(0, 10), (2, 20), (0, 30), (1, 40)]).add(SAW_2, 0, 15, 60, 100);
    twice.add(SAW_NONE, 0, 60, 61, 100).add(SAW_2, 0, 61, 62, 100).breaks(OLD);
}

#[test]
fn at_level_0_what_is_kept_may_be_older_than_what_the_server_said() {
    let said = |kept_at_level: Option<Duration>| {
        let said = History::new(&[(1, 10), (2, 20)]).add(Act::Saw(Some(2)), 0, 15, 30, 100);
        let said = said.but(|it| it.from_server = true).add(SAW_1, 0, 30, 35, 100);
        said.but(|it| it.promise.trust = kept_at_level)
    };
    said(None).holds();
    said(Some(Duration::from_millis(100))).breaks(OLD);
}

#[test]
fn what_expires_is_gone_as_if_that_were_acknowledged() {
    let expired = || History::new(&[(1, 10), (0, 50)]).by_nobody();
    expired().add(SAW_1, 0, 149, 160, 100).holds();
    expired().add(SAW_1, 0, 150, 160, 100).breaks(OLD);
    expired().add(SAW_1, 0, 50, 160, 0).breaks(OLD);
    let removed = History::new(&[(1, 10), (0, 50)]);
    removed.add(SAW_1, 0, 900, 901, 100).holds();
}

#[test]
fn a_client_keeps_its_order_in_a_pipeline() {
    let own = |first: Act, second: Act| {
        let history = History::new(&[(1, 10), (2, 20)]).add(first, 0, 5, 30, 100);
        history.add(second, 0, 5, 30, 100).but(|it| it.client = 0)
    };
    own(WROTE_2, SAW_1).breaks(OLD);
    own(SAW_2, SAW_1).breaks(OLD);
    own(SAW_1, SAW_2).holds();
    own(WROTE_1, SAW_2).holds();
    own(SAW_2, WROTE_2).breaks("was not there yet");
    own(SAW_1, WROTE_2).holds();
}

#[test]
fn what_is_absent_or_present_somehow_fits_any_such_version() {
    let history = || History::new(&[(1, 10), (0, 20), (2, 30)]);
    history().add(Act::SawSome, 0, 15, 16, 0).holds();
    history().add(Act::SawSome, 0, 5, 9, 0).breaks("was not there yet");
    history().add(Act::Wrote(None), 0, 15, 25, 0).add(SAW_1, 0, 25, 26, 0).breaks(OLD);
    history().add(Act::WroteSome, 0, 25, 35, 0).add(SAW_NONE, 0, 35, 36, 0).breaks(OLD);
    // It removed what was not there: that changes nothing.
    history().add(Act::Wrote(None), 0, 5, 9, 0).add(SAW_NONE, 0, 9, 12, 0).holds();
    // A PUT that was done found nothing, and a DEL that was done found something.
    let never = "was acknowledged and never done";
    history().add(Act::Created(2), 0, 25, 31, 0).holds();
    History::new(&[(1, 10), (2, 20)]).add(Act::Created(2), 0, 15, 25, 0).breaks(never);
    history().add(Act::Removed, 0, 15, 25, 0).holds();
    history().add(Act::Removed, 0, 5, 9, 0).breaks(never);
}
