//! Tests of `flight.rs`.

use super::*;
use crate::base::clock::WallClock;
use crate::handler::Outbox;
use crate::protocol::Form;
use crate::proxy::client::replies::Replies;
use crate::session::Style;
use std::time::Duration;

/// One hash for many keys, so that it is the key that decides.
fn hash(key: &[u8]) -> u64 {
    key.len() as u64
}

fn waiter() -> Waiter {
    let ticket = Replies::default().owe(Style::plain(Form::Text));
    let clock = WallClock::new(Instant::now(), Duration::ZERO);
    Waiter { conn: Outbox::new(clock).admit(), ticket }
}

#[test]
fn a_flight_is_joined_until_it_lands() {
    let mut flights = Flights::default();
    assert!(!flights.join(hash(b"k"), b"k", waiter()));
    let id = flights.begin(hash(b"k"), b"k", waiter(), Instant::now());
    assert!(flights.join(hash(b"k"), b"k", waiter()));
    assert!(!flights.join(hash(b"other"), b"other", waiter()));
    let flight = flights.land(id);
    assert_eq!((flight.waiters().count(), flight.is_poisoned), (2, false));
    assert!(!flights.join(hash(b"k"), b"k", waiter()));
}

#[test]
fn a_flight_that_is_poisoned_makes_room_for_a_new_one() {
    let mut flights = Flights::default();
    let now = Instant::now();
    let old = flights.begin(hash(b"k"), b"k", waiter(), now);
    assert_eq!(flights.joinable(hash(b"k"), b"k").map(|flight| flight.sent_at), Some(now));
    flights.poison(hash(b"k"), b"k");
    flights.poison(hash(b"other"), b"other");
    assert!(flights.joinable(hash(b"k"), b"k").is_none());
    assert!(!flights.join(hash(b"k"), b"k", waiter()));
    let new = flights.begin(hash(b"k"), b"k", waiter(), now);
    assert_eq!([old, new].map(|id| flights.land(id).is_poisoned), [true, false]);
    assert_eq!(flights.poisoned(), 1);
}

#[test]
fn a_write_poisons_the_flight_before_it_and_every_flight_until_its_reply() {
    let mut flights = Flights::default();
    let before = flights.begin(hash(b"k"), b"k", waiter(), Instant::now());
    flights.write_begun(hash(b"k"), b"k");
    assert!(!flights.join(hash(b"k"), b"k", waiter()), "a poisoned flight is not joined");
    let during = flights.begin(hash(b"k"), b"k", waiter(), Instant::now());
    assert!(!flights.join(hash(b"k"), b"k", waiter()), "nor is one that began while W > 0");
    flights.write_begun(hash(b"k"), b"k");
    flights.write_ended(b"k");
    let still = flights.begin(hash(b"k"), b"k", waiter(), Instant::now());
    flights.write_ended(b"k");
    let after = flights.begin(hash(b"k"), b"k", waiter(), Instant::now());
    let poisoned = [before, during, still, after].map(|id| flights.land(id).is_poisoned);
    assert_eq!(poisoned, [true, true, true, false]);
    assert!(flights.flights.is_empty() && flights.writes.is_empty());
}

#[test]
fn a_write_of_unknown_keys_poisons_every_flight_until_its_reply() {
    let mut flights = Flights::default();
    let before =
        [&b"a"[..], b"b"].map(|key| flights.begin(hash(key), key, waiter(), Instant::now()));
    flights.write_of_all_begun();
    assert!(!flights.join(hash(b"a"), b"a", waiter()) && !flights.join(hash(b"b"), b"b", waiter()));
    let during = flights.begin(hash(b"a"), b"a", waiter(), Instant::now());
    flights.write_of_all_begun();
    flights.write_of_all_ended();
    let still = flights.begin(hash(b"c"), b"c", waiter(), Instant::now());
    flights.write_of_all_ended();
    let after = flights.begin(hash(b"a"), b"a", waiter(), Instant::now());
    assert!(flights.join(hash(b"a"), b"a", waiter()));
    let poisoned =
        [before[0], before[1], during, still, after].map(|id| flights.land(id).is_poisoned);
    assert_eq!(poisoned, [true, true, true, true, false]);
    assert!(flights.joinable.is_empty());
}
