//! The server behind the proxy: one connection to it, how that begins, and what it can do.
//!
//! - `connection.rs`: the connection, as a queue of requests whose replies come in order
//! - `greeting.rs`: what a new connection begins with · `credentials.rs`: who the proxy is to it
//! - `purpose.rs`: what each request on it is for, and what its reply means
//! - `foreign.rs`: the upstream's own commands

pub mod connection;
pub mod credentials;
pub mod foreign;
pub mod greeting;
pub mod purpose;

use credentials::Source;

/// Which upstream, and who the proxy is to it.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// `HOST:PORT`, looked up and connected to anew when it was lost.
    pub address: String,
    /// Who the proxy is to it.
    pub credentials: Source,
    /// The number of its database.
    pub database: u32,
    /// Drives what is random: the jitter of the backoff.
    pub seed: u64,
}
