//! What peers send who mean harm, or nothing at all, and what the real programs make of it: of junk
//! without end, and in their logs. What is answered to single requests of this kind stands in
//! `transcripts/hostile-*.txt`, `transcripts/http*.txt` and `transcripts/bye.txt`.

mod support;

#[allow(dead_code)] // `tests/upstream.rs` uses the rest
#[path = "upstream/fake.rs"]
mod fake;
#[path = "hostile/flood.rs"]
mod flood;
#[path = "hostile/junk.rs"]
mod junk;
#[path = "hostile/log.rs"]
mod log;
#[path = "hostile/root.rs"]
mod root;
