//! The server behind the proxy: one connection to it, how that begins, and what it can do.
//!
//! - `connection.rs`: the connection, as a queue of requests whose replies come in order
//! - `greeting.rs`: what a new connection begins with · `credentials.rs`: who the proxy is to it
//! - `purpose.rs`: what each request on it is for, and what its reply means
//! - `foreign.rs`: the upstream's own commands

pub mod connection;
pub mod credentials;
pub mod foreign;
mod greeting;
pub mod purpose;

use crate::handler::{ConnId, Outbox};
use crate::protocol::resp::Version;
use connection::UpstreamConnection;
use credentials::{Credentials, Source};
use foreign::ForeignCommands;
use purpose::Purpose;
use std::time::{Duration, Instant};

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

/// The upstream, and what is known of it on the connection that stands now.
pub struct Upstream {
    /// The connection.
    pub connection: UpstreamConnection<Purpose>,
    source: Source,
    database: u32,
    /// Who the proxy is, while a connection is greeted.
    credentials: Option<Credentials>,
    /// Which RESP it speaks, once it has said so.
    pub version: Version,
    /// Its own commands, once it has told them.
    pub commands: Option<ForeignCommands>,
    /// Whether it has refused the `MULTI` of the transaction that it answers now.
    pub has_refused_multi: bool,
    /// Clients that wait for room, or for its commands.
    waiting: Vec<ConnId>,
}

impl Upstream {
    /// Returns an upstream that is connected to as soon as the proxy runs.
    pub fn new(options: UpstreamOptions, timeout: Duration, now: Instant) -> Upstream {
        let UpstreamOptions { address, credentials, database, seed } = options;
        Upstream {
            connection: UpstreamConnection::new(address, timeout, seed, now),
            source: credentials,
            database,
            credentials: None,
            version: Version::Two,
            commands: None,
            has_refused_multi: false,
            waiting: Vec::new(),
        }
    }

    /// Has a client wait until there is room.
    pub fn hold(&mut self, conn: ConnId) {
        self.waiting.push(conn);
    }

    /// Forgets a client that has gone.
    pub fn forget(&mut self, conn: ConnId) {
        self.waiting.retain(|&held| held != conn);
    }

    /// Takes out the clients that can go on, if there is room now, and returns them.
    pub fn release(&mut self, out: &Outbox) -> Vec<ConnId> {
        if self.waiting.is_empty() || !self.connection.has_room(out) {
            return Vec::new();
        }
        std::mem::take(&mut self.waiting)
    }
}
