//! Lookups of names, without blocking the loop.
//!
//! The system's `getaddrinfo` has no timeout and cannot be cancelled. So each lookup has a thread
//! of its own, which sends the reactor the addresses. For one name there is at most one of these:
//! connections that need the same name meanwhile get the same addresses, so that threads do not
//! accumulate while a name server does not reply.

use super::network::Answer;
use crate::base::timer_wheel::TimerId;
use crate::handler::{ConnId, Connect};
use log::debug;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Instant;

/// A connection that waits for its address.
#[derive(Debug)]
pub(super) struct PendingConnect {
    /// The handler's order.
    pub(super) connect: Connect,
    /// The time by which it must be open.
    pub(super) deadline: Instant,
    /// The timer of this deadline.
    pub(super) timer: TimerId,
}

/// The lookups of one reactor.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    waiting: Vec<PendingConnect>,
    /// The names that are being looked up.
    under_way: Vec<String>,
}

impl Resolver {
    /// Adds a connection that waits for its address. Returns the name if its lookup must begin.
    pub(super) fn add(&mut self, pending: PendingConnect) -> Option<String> {
        let name = pending.connect.to.clone();
        self.waiting.push(pending);
        if self.under_way.contains(&name) {
            return None;
        }
        self.under_way.push(name.clone());
        Some(name)
    }

    /// Notes that a lookup could not begin; the connections that wait for it are to be removed.
    pub(super) fn failed(&mut self, name: &str) {
        self.under_way.retain(|other| other != name);
    }

    /// Takes out the connections that waited for this answer, and returns them.
    pub(super) fn answered(&mut self, answer: &Answer) -> Vec<PendingConnect> {
        self.under_way.retain(|name| *name != answer.name);
        self.waiting.extract_if(.., |pending| pending.connect.to == answer.name).collect()
    }

    /// Takes out a connection that waits no longer, and returns it; `None` if it does not wait.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<PendingConnect> {
        let index = self.waiting.iter().position(|pending| pending.connect.conn == conn)?;
        Some(self.waiting.swap_remove(index))
    }
}

/// Looks a name up on a thread of its own, which calls `done` with the answer.
///
/// # Errors
/// The system has no thread left.
pub(super) fn look_up(name: &str, done: impl FnOnce(Answer) + Send + 'static) -> io::Result<()> {
    let name = name.to_string();
    let thread = thread::Builder::new().name("resolver".to_string());
    thread.spawn(move || done(resolve(name)))?;
    Ok(())
}

/// Returns the addresses of a name with a port. The name may be an IPv6 address with a zone, which
/// is the number of an interface or its name: `[fe80::1%eth0]:5000`.
///
/// # Errors
/// There are none, or there is no such interface.
pub fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
    let Some((host, port)) = bracketed else { return name.to_socket_addrs().map(Vec::from_iter) };
    let port = port.parse::<u16>().map_err(io::Error::other)?;
    let found = (host, port).to_socket_addrs().map(Vec::from_iter);
    match host.rsplit_once('%') {
        Some((address, zone)) if address.parse::<Ipv6Addr>().is_ok() => found.map_err(|_| {
            let zone = zone.escape_debug();
            io::Error::new(io::ErrorKind::NotFound, format!("there is no interface '{zone}'"))
        }),
        _ => found,
    }
}

fn resolve(name: String) -> Answer {
    let addresses = match addresses(&name) {
        Ok(addresses) => addresses,
        Err(error) => {
            debug!("no address for {name}: {error}");
            Vec::new()
        }
    };
    Answer { name, addresses }
}
