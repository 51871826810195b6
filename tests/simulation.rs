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

mod support;

#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/coherence/mod.rs"]
mod coherence;
#[path = "simulation/dumps.rs"]
mod dumps;
#[path = "simulation/greeting.rs"]
mod greeting;
#[path = "simulation/large.rs"]
mod large;
#[path = "simulation/linearizable.rs"]
mod linearizable;
#[path = "simulation/links.rs"]
mod links;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/rounds.rs"]
mod rounds;
#[path = "simulation/rules.rs"]
mod rules;
#[path = "simulation/scene.rs"]
mod scene;
#[path = "simulation/traffic.rs"]
mod traffic;
