//! What the proxy is made of. What it does stands in `routing.rs`, `delivery.rs` and beside them.

use super::cache::Cache;
use super::client::Client;
use super::flight::Flights;
use super::foreign::Commands;
use super::purpose::Purpose;
#[cfg(feature = "mutants")]
use super::rules::Rule;
use super::upstream::Upstream;
use crate::handler::{ConnId, ConnMap};
use crate::protocol::Scratch;
use crate::protocol::resp::Version;
use crate::proxy::credentials::{Credentials, Source};
use crate::settings::PutMode;
use crate::settings::limits::Limits;
use std::time::{Duration, Instant};

/// What the proxy is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Limits and timeouts of its clients.
    pub limits: Limits,
    /// What PUT does to a key that exists.
    pub put_mode: PutMode,
    /// The upstream: `HOST:PORT`, looked up and connected to anew when it was lost.
    pub upstream: String,
    /// Who the proxy is to it.
    pub credentials: Source,
    /// The number of its database.
    pub database: u32,
    /// How long the upstream may take to accept a connection and to answer a request.
    pub upstream_timeout: Duration,
    /// How long a value is served, from the moment its request was sent.
    pub ttl: Duration,
    /// How long a value is served after the upstream last answered, where it tells of changes.
    pub trust: Duration,
    /// What the cache may cost, in bytes; 0: no cache, and no joining of flights either.
    pub cache_bytes: usize,
    /// Drives what is random: the jitter of the backoff.
    pub seed: u64,
}

/// Why a request cannot be carried out yet.
#[derive(Clone, Copy)]
pub(super) enum NotYet {
    /// The upstream can take no more for now, or has not said whether it can take this.
    Upstream,
    /// What is kept is not known to be still true.
    Confirmation,
}

/// What keeps the cache true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Time alone, and the writes that come through here.
    Zero,
    /// The upstream tells of changes on this connection.
    One,
}

/// Hits that wait until the upstream has answered something that was sent after they came.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    /// The clients that are held for it, in the order in which they came.
    pub clients: Vec<ConnId>,
    /// When the first of them came.
    pub since: Instant,
}

/// The proxy's policy.
pub struct Proxy {
    pub(super) options: Options,
    pub(super) started: Instant,
    pub(super) clients: ConnMap<Client>,
    pub(super) scratch: Option<Box<Scratch>>,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    pub(super) upstream: Upstream<Purpose>,
    /// Who the proxy is, while a connection is greeted.
    pub(super) credentials: Option<Credentials>,
    /// Which RESP the upstream speaks on this connection, once it has said so.
    pub(super) version: Version,
    /// The upstream's own commands, once it has told them on this connection.
    pub(super) commands: Option<Commands>,
    /// Whether the upstream has refused the `MULTI` of the transaction that it answers now.
    pub(super) multi_refused: bool,
    /// Clients that wait for room at the upstream, or for its commands.
    pub(super) held_back: Vec<ConnId>,
    /// What keeps the cache true on this connection.
    pub(super) level: Level,
    /// Whether it was asked for a confirmation and has not answered.
    pub(super) is_asking: bool,
    /// Whether it was told in the log that nothing can be kept.
    pub(super) is_life_refusal_told: bool,
    /// The level that was told last in the log.
    pub(super) level_told: Option<Level>,
    pub(super) unconfirmed: Unconfirmed,
    #[cfg(feature = "mutants")]
    pub(super) broken: Option<Rule>,
}

impl Proxy {
    /// A proxy with an empty cache, which connects to its upstream as soon as it runs.
    pub fn new(options: Options, now: Instant) -> Proxy {
        let Options { upstream_timeout, seed, .. } = options;
        Proxy {
            started: now,
            clients: ConnMap::default(),
            scratch: None,
            cache: Cache::new(options.cache_bytes, now),
            flights: Flights::default(),
            upstream: Upstream::new(options.upstream.clone(), upstream_timeout, seed, now),
            credentials: None,
            version: Version::Two,
            commands: None,
            multi_refused: false,
            held_back: Vec::new(),
            level: Level::Zero,
            is_life_refusal_told: false,
            level_told: None,
            is_asking: false,
            unconfirmed: Unconfirmed { clients: Vec::new(), since: now },
            #[cfg(feature = "mutants")]
            broken: None,
            options,
        }
    }

    /// The same without one of its rules, to see that tests notice.
    #[cfg(feature = "mutants")]
    pub fn without(mut self, rule: Rule) -> Proxy {
        self.flights.without(rule);
        self.broken = Some(rule);
        self
    }

    /// Whether anything is kept.
    pub(super) fn is_caching(&self) -> bool {
        self.options.cache_bytes > 0 && self.options.ttl > Duration::ZERO
    }
}
