//! The scanner of RESP replies, under libFuzzer: `bodies/reply.rs` says what is to hold.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::reply::run(input));
