//! Where a client is to work: a real redis-server, or ours.

use super::process::server;
use super::redis_server::Redis;
use super::tools::connected_proxy;
use std::any::Any;
use std::net::SocketAddr;

/// Whom a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A redis-server with flags.
    Redis(&'static [&'static str]),
    /// Our server.
    Server,
    /// Our proxy in front of our server.
    Proxy,
    /// Our proxy with flags, in front of a redis-server with flags.
    ProxyBeforeRedis(&'static [&'static str], &'static [&'static str]),
}

impl Place {
    /// Starts it; returns where it listens, and what is to live as long.
    pub fn start(self) -> (SocketAddr, Box<dyn Any>) {
        match self {
            Place::Redis(flags) => {
                let redis = Redis::start(flags);
                (redis.address, Box::new(redis))
            }
            Place::Server => {
                let server = server(&[]);
                (server.address(), Box::new(server))
            }
            Place::Proxy => {
                let server = server(&[]);
                let proxy = connected_proxy(server.address(), &[]);
                (proxy.address(), Box::new((proxy, server)))
            }
            Place::ProxyBeforeRedis(flags, redis_flags) => {
                let redis = Redis::start(redis_flags);
                let proxy = connected_proxy(redis.address, flags);
                (proxy.address(), Box::new((proxy, redis)))
            }
        }
    }

    /// Returns whether all clients share the connections to the server, so that none can `WATCH`.
    pub fn is_proxy(self) -> bool {
        matches!(self, Place::Proxy | Place::ProxyBeforeRedis(..))
    }

    /// Returns what it is in a word.
    pub fn name(self) -> &'static str {
        match self {
            Place::Redis(_) => "redis",
            Place::Server => "server",
            Place::Proxy | Place::ProxyBeforeRedis(..) => "proxy",
        }
    }
}
