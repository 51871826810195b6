//! The server: `server --help` tells its flags.

use cap::Cap;
use larder::memory::Memory;
use larder::server::Server;
use larder::{config, logging, program};
use std::alloc::System;
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "server";

/// Counts what is allocated, and limits nothing.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> ExitCode {
    let config = match program::checked(NAME, config::server(&program::arguments())) {
        Ok(config) => config,
        Err(code) => return code,
    };
    logging::start();
    run(&config).unwrap_or_else(|message| {
        program::complain(NAME, &message);
        ExitCode::FAILURE
    })
}

fn run(config: &config::Common) -> Result<ExitCode, String> {
    let limits = program::fitted_limits(NAME, config);
    let server = Server::new(limits, config.put_mode, Instant::now())
        .counting(Memory::new(|| ALLOCATOR.allocated(), program::resident_bytes));
    let (mut reactor, addresses) = program::listening(server, limits, &config.listen)?;
    program::take_signals(&mut reactor)?;
    program::warn_of_root();
    program::announce(NAME, &addresses);
    program::run(reactor).map(program::exit_code)
}
