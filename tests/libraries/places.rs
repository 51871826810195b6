//! Where a client is to work: first with a real redis-server, then with ours just as well.

use crate::recorder::Recorder;
use crate::support::process::server;
use crate::support::redis_server::Redis;
use crate::support::tools::connected_proxy;
use std::any::Any;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;

/// Whom a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Redis,
    Server,
    Proxy,
    ProxyBeforeRedis,
}

impl Place {
    /// Starts it: where it listens, and what is to live as long.
    fn start(self) -> (SocketAddr, Vec<Box<dyn Any>>) {
        let with_proxy = |upstream: SocketAddr, behind: Box<dyn Any>| {
            let proxy = connected_proxy(upstream, &[]);
            (proxy.address(), vec![Box::new(proxy) as Box<dyn Any>, behind])
        };
        match self {
            Place::Redis => {
                let redis = Redis::start(&[]);
                (redis.address, vec![Box::new(redis)])
            }
            Place::Server => {
                let server = server(&[]);
                (server.address(), vec![Box::new(server)])
            }
            Place::Proxy => {
                let server = server(&[]);
                with_proxy(server.address(), Box::new(server))
            }
            Place::ProxyBeforeRedis => {
                let redis = Redis::start(&[]);
                with_proxy(redis.address, Box::new(redis))
            }
        }
    }

    /// Whether all clients share the connections to the server, so that none can `WATCH`.
    pub fn is_proxy(self) -> bool {
        matches!(self, Place::Proxy | Place::ProxyBeforeRedis)
    }

    /// The same in a word, for the scripts.
    pub fn role(self) -> &'static str {
        if self.is_proxy() { "proxy" } else { "server" }
    }
}

/// Runs `round` against a real redis-server, and then at all places of ours, at once. There, no
/// request may be refused that was not refused by Redis, with the same words.
#[track_caller]
pub fn everywhere(round: impl Fn(SocketAddr, Place) + Sync) {
    let allowed = &recorded(Place::Redis, &round);
    let ours = [Place::Server, Place::Proxy, Place::ProxyBeforeRedis];
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

/// What was refused at `place` beyond what is `allowed`, and beyond the `WATCH` of a proxy.
fn refused_beyond(
    allowed: &BTreeSet<String>,
    place: Place,
    round: impl Fn(SocketAddr, Place),
) -> Vec<String> {
    let refused = recorded(place, round).into_iter().filter(|it| !allowed.contains(it));
    let is_watch = |it: &String| it.to_uppercase().starts_with("WATCH ");
    refused.filter(|it| !(place.is_proxy() && is_watch(it))).collect()
}

fn recorded(place: Place, round: impl Fn(SocketAddr, Place)) -> BTreeSet<String> {
    let (address, _programs) = place.start();
    let recorder = Recorder::start(address);
    round(recorder.address, place);
    recorder.refused()
}
