//! What peers send who mean harm, or nothing at all, and what the real programs make of it: of junk
//! without end, and in their logs. What is answered to single requests of this kind stands in
//! `transcripts/hostile-*.txt`, `transcripts/http*.txt` and `transcripts/bye.txt`.

mod flood;
mod junk;
mod log;
mod root;
#[path = "../support/mod.rs"]
mod support;
