//! The server behind the proxy: the connection to it, its greeting and its commands.
//!
//! - `connection.rs`: the connection, as a queue of requests whose replies come in order
//! - `greeting.rs`: the greeting of a new connection · `credentials.rs`: user and password
//! - `purpose.rs`: the purpose of each request, and the shape of its reply
//! - `foreign.rs`: the upstream's own commands

pub mod connection;
pub mod credentials;
pub mod foreign;
pub mod greeting;
pub mod purpose;

use credentials::Source;

/// The upstream of a proxy: its address, user and database.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// `HOST:PORT`; the host is looked up for each connection.
    pub address: String,
    /// The source of user and password.
    pub credentials: Source,
    /// The number of the database.
    pub database: u32,
    /// The seed of the jitter of the backoff.
    pub seed: u64,
}
