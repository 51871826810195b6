//! The client: see `larder::client`.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder::client::run(std::env::args_os().skip(1))
}
