//! What several test programs share. Each uses a part of it.
#![allow(dead_code)]

pub mod around;
pub mod child;
pub mod clients;
pub mod crowd;
pub mod fake;
pub mod figures;
pub mod generated;
pub mod guards;
pub mod history;
pub mod lives;
pub mod place;
pub mod process;
pub mod random;
pub mod redis_server;
pub mod resp;
pub mod strace;
pub mod tools;
pub mod transcript;
pub mod wire;
pub mod world;

use larder::program::flags::Parsed;

/// The number of rounds of a heavy test: all of them with `tests/all --full`, a hundredth with
/// `tests/quick`, else a twentieth.
pub fn rounds(full: usize) -> usize {
    match () {
        () if is_full() => full,
        () if is_quick() => full.div_ceil(100),
        () => full.div_ceil(20),
    }
}

/// Whether `tests/quick` is running.
pub fn is_quick() -> bool {
    std::env::var_os("LARDER_QUICK").is_some()
}

/// Whether `tests/all --full` is running.
pub fn is_full() -> bool {
    std::env::var_os("LARDER_FULL").is_some()
}

/// The seed of a random test, printed so that a failure can be repeated with `LARDER_SEED`.
pub fn seed() -> u64 {
    let given = std::env::var("LARDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(larder::program::random_seed);
    println!("seed: LARDER_SEED={seed}");
    seed
}

/// Returns what flags that are right come to.
#[track_caller]
pub fn run_by<T>(flags: Result<Parsed<T>, String>) -> T {
    match flags {
        Ok(Parsed::Run(config)) => config,
        Ok(Parsed::Print(text)) => panic!("they print {text}"),
        Err(error) => panic!("{error}"),
    }
}
