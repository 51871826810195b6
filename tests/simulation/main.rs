//! The proxy, its server and its clients in one process on virtual time: what the proxy promises
//! (the cache at level 0) holds whatever the links between them do.
//!
//! - `rules.rs`: the rules of the cache, one at a time
//! - `greeting.rs`: how a connection to the upstream comes about and begins
//! - `dumps.rs`: DUMP while keys come and go
//! - `rounds.rs`: random rounds, `plan.rs`, what they are like, and `checks.rs`, what must hold of
//!   them
//! - `linearizable.rs`: whether a history could have happened one operation after the other
//! - `coherence/`: the same with several proxies, others who write, and a server that tells of
//!   changes
//! - `large.rs`: large values      - `links.rs`: links at their worst
//! - `scene.rs`, `traffic.rs`: the usual cast, and what they say

mod checks;
mod coherence;
mod dumps;
mod greeting;
mod large;
mod linearizable;
mod links;
mod plan;
mod rounds;
mod rules;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
