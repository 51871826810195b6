//! The programs and libraries that people use with Redis: one round with a real redis-server, and
//! the same with ours. `tests/all` installs them.

mod benchmark;
mod command_line;
mod places;
mod recorder;
mod redis_rs;
mod scripts;
#[path = "../support/mod.rs"]
mod support;
