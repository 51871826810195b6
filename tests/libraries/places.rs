//! A client works with a real redis-server first, and then with ours just as well.

use crate::recorder::Recorder;
use crate::support::place::Place;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;

/// Runs `round` against a real redis-server, and then at all places of ours, at once. There, no
/// request may be refused that was not refused by Redis, with the same words.
#[track_caller]
pub fn everywhere(round: impl Fn(SocketAddr, Place) + Sync) {
    let allowed = &recorded(Place::Redis(&[]), &round);
    let ours = [Place::Server, Place::Proxy, Place::ProxyBeforeRedis(&[], &[])];
    let failed: Vec<Place> = thread::scope(|scope| {
        let start = |place: Place| {
            let round = &round;
            let check = move || assert_eq!(refused_beyond(allowed, place, round), [""; 0]);
            // The name stands in front of what a panic says.
            let thread = thread::Builder::new().name(format!("{place:?}"));
            (place, thread.spawn_scoped(scope, check).expect("a thread more"))
        };
        let running = ours.map(start);
        running.into_iter().filter_map(|(place, it)| it.join().is_err().then_some(place)).collect()
    });
    assert!(failed.is_empty(), "not as with Redis: {failed:?}");
}

/// What was refused at `place` beyond what is `allowed`, and beyond the `WATCH` of a proxy
/// and the `EXEC` after it.
fn refused_beyond(
    allowed: &BTreeSet<String>,
    place: Place,
    round: impl Fn(SocketAddr, Place),
) -> Vec<String> {
    let refused = recorded(place, round).into_iter().filter(|it| !allowed.contains(it));
    let is_watch = |it: &String| {
        let it = it.to_uppercase();
        it.starts_with("WATCH ") || it.starts_with("EXEC: -EXECABORT")
    };
    refused.filter(|it| !(place.is_proxy() && is_watch(it))).collect()
}

fn recorded(place: Place, round: impl Fn(SocketAddr, Place)) -> BTreeSet<String> {
    let (address, _program) = place.start();
    let recorder = Recorder::start(address);
    round(recorder.address, place);
    recorder.refused()
}
