//! The proxy, its server and its clients in one process on virtual time: what the proxy promises
//! holds whatever the links between them do, and whoever writes.
//!
//! - `rules.rs`: the rules of the cache, one at a time
//! - `greeting.rs`: how a connection to the upstream comes about and begins
//! - `dumps.rs`: DUMP while keys come and go
//! - `large.rs`: large values      - `links.rs`: links at their worst
//! - `scene.rs`: the usual cast
//! - `rounds.rs`: random rounds, and whether they would notice a rule that is missing
//! - `round.rs`: one of them, `round/checks.rs`, what must hold of it, `plan.rs`, what it is like,
//!   and `traffic.rs`, what is said in it
//! - `witness.rs`: our server, with somebody beside it who sees every version of every key
//! - `verdicts.rs`: what the judge of histories (`support/history.rs`) finds good and bad
//! - `abilities.rs`: that nodes freeze, servers are old, and so on

mod abilities;
mod dumps;
mod greeting;
mod large;
mod links;
mod plan;
mod round;
mod rounds;
mod rules;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod verdicts;
mod witness;
