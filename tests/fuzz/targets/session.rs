//! Sessions with the server, under libFuzzer: `bodies/session.rs` says what is to hold.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::session::run(input));
