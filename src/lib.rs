//! Larder: a key–value server that you can telnet to, a caching proxy that keeps answers close at
//! hand, and a client, on one single-threaded event loop.
//!
//! The library is a house of rooms on floors. A file imports from its own room or a lower floor
//! only, and rooms that share a floor do not know each other:
//!
//! ```text
//!   bin        the three programs
//!   client     the client: blocking, for a terminal or a pipe
//!   program    flags, log, announcements: what server and proxy do around their reactors
//!   server     the policy of a server ║ proxy      the policy of a caching proxy
//!   reactor    the event loop, mio    ║ session    the state of one client's connection
//!   handler    the boundary: Handler, Outbox, ConnId
//!   stats      every counter
//!   protocol   bytes to requests and replies, and back; the one table of commands
//!   settings   every setting, with its limits
//!   base       data structures that know nothing of Larder
//! ```
//!
//! `server` and `proxy` never import `reactor`, and it never imports them: they meet in
//! [`handler`]. Below `program`, only [`reactor`] does input or output, reads a clock or starts a
//! thread; in all other rooms bytes and the time come in as arguments.
//!
//! To read it, begin where the least has to be known: [`base::buffer`], [`base::output`],
//! [`handler`], [`reactor::connection`] and [`reactor`] are the loop; [`protocol::command`],
//! [`protocol`] and [`session`] the protocols; [`server`] the simplest policy on them, [`proxy`]
//! the other. `docs/architecture.md` follows a request through them.

pub mod base;
pub mod client;
pub mod handler;
pub mod program;
pub mod protocol;
pub mod proxy;
pub mod reactor;
pub mod server;
pub mod session;
pub mod settings;
pub mod stats;
