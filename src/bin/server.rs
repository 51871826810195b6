//! The server: `server --help` lists its flags.

use larder::program::{self, flags};
use larder::server::Server;
use larder::server::memory::{Allocated, Memory};
use stats_alloc::StatsAlloc;
use std::alloc::System;
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "server";

/// Counts what is allocated.
#[global_allocator]
static ALLOCATOR: StatsAlloc<System> = StatsAlloc::system();

fn main() -> ExitCode {
    program::start(NAME, flags::server, run)
}

fn allocated() -> Allocated {
    let stats = ALLOCATOR.stats();
    Allocated {
        pieces: stats.allocations.saturating_sub(stats.deallocations),
        bytes: stats.bytes_allocated.saturating_sub(stats.bytes_deallocated),
    }
}

fn run(config: flags::Common) -> Result<ExitCode, String> {
    let settings = program::fitted_settings(NAME, &config);
    let server = Server::new(settings, Instant::now())
        .counting(Memory::new(allocated, program::resident_bytes));
    let (reactor, addresses) = program::listening(server, settings.limits, &config.listen)?;
    program::warn_of_root();
    program::announce(NAME, &addresses);
    program::run(reactor).map(program::exit_code)
}
