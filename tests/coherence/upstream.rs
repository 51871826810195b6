//! What is behind the proxies: a redis-server or our own, which can be killed and comes back at
//! the same place with nothing.

use crate::link::Link;
use crate::support::process::Process;
use crate::support::redis_server::Redis;
use crate::support::resp::Reply;
use crate::support::tools::{own_loopback, server_at};
use std::net::SocketAddr;

/// Which program it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Redis,
    Larder,
}

/// A running upstream; killed when dropped.
pub enum Upstream {
    Redis(Redis),
    Larder(Process),
}

impl Upstream {
    pub fn start(kind: Kind) -> Upstream {
        match kind {
            Kind::Redis => Upstream::Redis(Redis::start(&[])),
            Kind::Larder => Upstream::Larder(server_at(SocketAddr::new(own_loopback(), 0))),
        }
    }

    /// Another one, where this was that has been killed.
    pub fn start_again(kind: Kind, address: SocketAddr) -> Upstream {
        match kind {
            Kind::Redis => Upstream::Redis(Redis::start_at(address, &[])),
            Kind::Larder => Upstream::Larder(server_at(address)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Upstream::Redis(redis) => redis.address,
            Upstream::Larder(server) => server.address(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        match self {
            Upstream::Redis(redis) => redis.id(),
            Upstream::Larder(server) => server.id(),
        }
    }

    /// Tells it something directly.
    pub fn tell(&self, words: &[&str]) -> Reply {
        let mut link = Link::connect(self.address()).expect("it listens");
        let reply = link.request(words).expect("it answers");
        assert!(!matches!(reply, Reply::Error(_)), "{words:?}: {reply:?}");
        reply
    }

    /// Closes the connections of the proxies: those that speak RESP3.
    pub fn kill_connections(&self) -> usize {
        let Reply::Text(list) = self.tell(&["CLIENT", "LIST"]) else { panic!("no list") };
        let field = |line: &str, name: &str| {
            let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
            fields.find_map(|(it, value)| (it == name).then(|| value.to_string()))
        };
        let of_proxies = list.lines().filter(|line| field(line, "resp").as_deref() == Some("3"));
        let ids: Vec<String> = of_proxies.filter_map(|line| field(line, "id")).collect();
        let kill = |id: &&String| self.tell(&["CLIENT", "KILL", "ID", id]) == Reply::Number(1);
        ids.iter().filter(kill).count()
    }
}
