//! Coherence: that no proxy goes on serving what it was told is old, whatever happens between it
//! and the server, and whoever writes.
//!
//! - `verdicts.rs`: what the judge of histories (`support/history.rs`) finds good and bad
//! - `rounds.rs`: random rounds, and whether they would notice a rule that is missing
//! - `round.rs`: one of them, `plan.rs`, what it is like, and `traffic.rs`, what is said in it
//! - `witness.rs`: our server, with somebody beside it who sees every version of every key
//! - `abilities.rs`: that nodes freeze, servers are old, and so on

mod abilities;
mod plan;
mod round;
mod rounds;
mod traffic;
mod verdicts;
mod witness;
