//! Coherence: that no proxy goes on serving what it was told is old, whatever happens between it
//! and the server, and whoever writes.
//!
//! - `history.rs`: what is promised of the history of a key, and the judge of it
//! - `rounds.rs`: random rounds, and whether they would notice a rule that is missing
//! - `round.rs`: one of them, `plan.rs`, what it is like, and `traffic.rs`, what is said in it
//! - `witness.rs`: our server, with somebody beside it who sees every version of every key
//! - `abilities.rs`: that nodes freeze, servers are old, and so on

mod abilities;
mod history;
mod plan;
mod round;
mod rounds;
mod traffic;
mod witness;
