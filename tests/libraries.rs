//! The programs and libraries that people use with Redis: one round with a real redis-server, and
//! the same with ours. `tests/all` installs them.

mod support;

#[path = "libraries/benchmark.rs"]
mod benchmark;
#[path = "libraries/command_line.rs"]
mod command_line;
#[path = "libraries/places.rs"]
mod places;
#[path = "libraries/recorder.rs"]
mod recorder;
#[path = "libraries/redis_rs.rs"]
mod redis_rs;
#[path = "libraries/scripts.rs"]
mod scripts;
