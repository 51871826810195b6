//! The decoder of lines, with telnet, under libFuzzer: `bodies/text.rs` says what is to hold.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::text::run(input));
