//! The server: `server --help` tells its flags.

use larder::server::Server;
use larder::{config, program};
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "server";

fn main() -> ExitCode {
    let config = match program::checked(NAME, config::server(&program::arguments())) {
        Ok(config) => config,
        Err(code) => return code,
    };
    program::start_logging();
    run(&config).unwrap_or_else(|message| {
        program::complain(NAME, &message);
        ExitCode::FAILURE
    })
}

fn run(config: &config::Common) -> Result<ExitCode, String> {
    let limits = program::fitted_limits(NAME, config);
    let server = Server::new(limits, config.put_mode, Instant::now());
    let (mut reactor, addresses) = program::listening(server, limits, &config.listen)?;
    program::take_signals(&mut reactor)?;
    program::announce(NAME, &addresses);
    program::run(reactor).map(program::exit_code)
}
