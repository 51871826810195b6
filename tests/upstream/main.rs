//! The proxy in front of a real server, of a scripted upstream, and of a real redis-server.

mod answers;
mod cut;
mod dumps;
mod flapping;
mod garbage;
mod login;
mod names;
mod pour;
mod pushes;
mod redis;
mod silence;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
