//! Sessions with the proxy, under libFuzzer: `bodies/proxy_session.rs` says what is to hold.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::proxy_session::run(input));
