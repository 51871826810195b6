//! What each fuzz target does with an input, for libFuzzer (`targets/`) and for `tests/corpus.rs`
//! alike: it panics where something does not hold.
//!
//! - `request.rs`, `text.rs`, `reply.rs`: the decoders, with `decoding.rs`
//! - `session.rs`, `proxy_session.rs`: whole handlers and their clients in a `World`, on virtual
//!   time, with `script.rs`, what such an input says, and `stage.rs`, where it is played
#![allow(dead_code)]

pub mod decoding;
pub mod proxy_session;
pub mod reply;
pub mod request;
pub mod script;
pub mod session;
pub mod stage;
pub mod text;

#[path = "../../support/around.rs"]
pub mod around;
// What `world.rs` stands on.
#[path = "../../support/random.rs"]
pub mod random;
#[path = "../../support/world.rs"]
pub mod world;

/// Does what a target is for, with one input.
pub type Body = fn(&[u8]);

/// Every target, by the name of its file, its corpus and its dictionary.
pub const TARGETS: [(&str, Body); 5] = [
    ("request", request::run),
    ("text", text::run),
    ("reply", reply::run),
    ("session", session::run),
    ("proxy_session", proxy_session::run),
];
