//! The proxy: `proxy --help` lists its flags. Without `--upstream` it uses the server that listens
//! on `--server-listen`; if none does, it runs one there, on a second thread.

use larder::program::{self, flags};
use larder::proxy::{Proxy, UpstreamOptions};
use larder::reactor::Exit;
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "proxy";

fn main() -> ExitCode {
    program::start(NAME, flags::proxy, run)
}

fn run(config: flags::ProxyConfig) -> Result<ExitCode, String> {
    let mut settings = program::fitted_settings(NAME, &config.common);
    let own_server = match config.upstream {
        Some(_) => None,
        None => program::find_or_start_server(config.server_listen, &mut settings)?,
    };
    let server = own_server.as_ref().map_or(config.server_listen, |server| server.address);
    let upstream = UpstreamOptions {
        address: config.upstream.unwrap_or_else(|| server.to_string()),
        credentials: config.credentials,
        database: config.database,
        seed: program::random_seed(),
    };
    let proxy = Proxy::new(settings, upstream, Instant::now());
    let (reactor, addresses) = program::listening(proxy, settings.limits, &config.common.listen)?;
    program::warn_of_root();
    if let Some(server) = &own_server {
        program::announce("server", &[server.address]);
    }
    program::announce(NAME, &addresses);
    let ended = program::run(reactor)?;
    if ended == Exit::Drained
        && let Some(server) = own_server
    {
        server.stop();
    }
    Ok(program::exit_code(ended))
}
