//! The proxy in front of a real server, of a scripted upstream, and of a real redis-server.

mod support;

#[path = "upstream/answers.rs"]
mod answers;
#[path = "upstream/cache.rs"]
mod cache;
#[path = "upstream/cut.rs"]
mod cut;
#[path = "upstream/dumps.rs"]
mod dumps;
#[path = "upstream/fake.rs"]
mod fake;
#[path = "upstream/flapping.rs"]
mod flapping;
#[path = "upstream/flights.rs"]
mod flights;
#[path = "upstream/full.rs"]
mod full;
#[path = "upstream/garbage.rs"]
mod garbage;
#[path = "upstream/login.rs"]
mod login;
#[path = "upstream/lost.rs"]
mod lost;
#[path = "upstream/names.rs"]
mod names;
#[path = "upstream/pour.rs"]
mod pour;
#[path = "upstream/pushes.rs"]
mod pushes;
#[path = "upstream/redis.rs"]
mod redis;
#[path = "upstream/silence.rs"]
mod silence;
#[path = "upstream/states.rs"]
mod states;
#[path = "upstream/sweep.rs"]
mod sweep;
