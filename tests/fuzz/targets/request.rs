//! The decoder of RESP requests, under libFuzzer: `bodies/request.rs` says what is to hold.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::request::run(input));
