//! Handlers in plain memory, on virtual time: no socket, no clock, no thread.
//!
//! A [`World`] holds *nodes*, each a `Handler` with its outbox and real `Connection`s, and the test's
//! own *hands*, joined by links: two pipes of parcels, each with the time at which it arrives.
//!
//! ```text
//!   hand ══ link ══ node (Proxy) ══ link ══ node (Server)
//!           │ to the acceptor:  Bytes("GET k\r\n") at 3 ms, Fin at 5 ms
//!           └ to the initiator: Bytes("v\r\n") at 9 ms
//! ```
//!
//! A *step* lets what is due arrive, and gives each node one tick in the order of `reactor.rs`:
//! events, upstreams, deadlines, clients, settle. [`World::run`] steps until nothing moves;
//! [`World::advance`] goes from one due moment to the next. Everything follows from the seed.

pub use network::{LinkId, Reach, Side, Stamp, Weather};
use network::{Network, NodeId as Place, Random};
use node::Node;

use larder::handler::Handler;
use larder::proxy::Proxy;
use larder::server::Server;
use larder::stats::Stat;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[path = "world/network.rs"]
pub mod network;
#[path = "world/node.rs"]
mod node;
