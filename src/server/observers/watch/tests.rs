//! Tests of `watch.rs`.

use super::*;
use crate::base::clock::WallClock;
use crate::handler::Outbox;
use std::time::{Duration, Instant};

#[test]
fn a_change_is_told_to_those_who_watch_the_key() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let [first, second, third] = [out.admit(), out.admit(), out.admit()];
    let mut watches = Watches::default();
    assert!(watches.watch(first, b"k") && watches.watch(first, b"k"));
    assert!(watches.watch(second, b"other") && watches.watch(second, b"k"));
    assert!(watches.watch(third, b"other"));
    watches.changed(b"k");
    watches.changed(b"nobody's");
    assert!(watches.forget(first) && watches.forget(second) && !watches.forget(third));
    assert!(!watches.forget(first), "it was forgotten");
    assert!(watches.by_key.is_empty() && watches.by_client.is_empty());
}

#[test]
fn a_client_watches_so_many_bytes_and_no_more() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let [first, second] = [out.admit(), out.admit()];
    let mut watches = Watches::default();
    let large = vec![b'k'; Watches::MAX_BYTES];
    assert!(watches.watch(first, &large) && watches.watch(first, &large));
    assert!(!watches.watch(first, b"k") && watches.watch(second, b"k"));
    watches.changed(&large);
    assert!(watches.forget(first) && !watches.forget(second));
    assert!(watches.by_key.is_empty() && watches.by_client.is_empty());
}

#[test]
fn when_all_keys_go_those_that_exist_change() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let [first, second] = [out.admit(), out.admit()];
    let mut watches = Watches::default();
    assert!(watches.watch(first, b"here") && watches.watch(second, b"missing"));
    watches.all_changed(|key| key == b"here");
    assert!(watches.forget(first) && !watches.forget(second));
}
