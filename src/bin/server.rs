//! The server: `server --help` tells its flags.

use larder::server::Server;
use larder::{config, program};
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "server";

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let config = match program::checked(NAME, config::server(&arguments)) {
        Ok(config) => config,
        Err(code) => return code,
    };
    program::start_logging();
    let limits = program::fitted_limits(&config, 1);
    let server = Server::new(limits, config.put_mode, Instant::now());
    let started = program::listening(NAME, server, limits, &config.listen);
    let signals = started.and_then(|(mut reactor, _)| {
        reactor.take_signals().map_err(|error| format!("cannot catch signals: {error}"))?;
        Ok(reactor)
    });
    match signals {
        Ok(reactor) => program::run(NAME, reactor),
        Err(message) => {
            program::complain(NAME, &message);
            ExitCode::FAILURE
        }
    }
}
