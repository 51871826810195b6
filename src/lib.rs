//! Larder: a key–value server that you can telnet to, a caching proxy that keeps answers close at
//! hand, and a client, on one single-threaded event loop.
//!
//! The library is built in floors, and a file imports from its own floor or a lower one only:
//!
//! ```text
//! floor 3   edges      config, logging, program, client, and the three binaries
//! floor 2'  mechanism  reactor ── connection_table ── connection    floor 2  policy  server, proxy
//! floor 1   boundary   handler, session, transaction
//! floor 0   values     arena, buffer, output, clock, segmented_slab, timer_wheel, index, glob,
//!                      protocol, command, credentials, limits, memory, units, settings,
//!                      stats
//! ```
//!
//! Floors 0 to 2 do no input or output, read no clock and start no thread: bytes and the time come
//! in as arguments. Policy and mechanism never import each other; they meet in [`handler`]. Only
//! [`reactor`] knows `mio`.
//!
//! To read it, begin where the least has to be known: [`buffer`], [`output`], [`handler`],
//! [`connection`] and [`reactor`] are the loop; [`command`], [`protocol`] and [`session`] what is
//! spoken; [`server`] the simplest policy on it, [`proxy`] the other. `docs/architecture.md` tells
//! the life of a request through them.

pub mod arena;
pub mod buffer;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod connection;
pub mod connection_table;
pub mod credentials;
pub mod glob;
pub mod handler;
pub mod index;
pub mod limits;
pub mod logging;
pub mod memory;
pub mod output;
pub mod program;
pub mod protocol;
pub mod proxy;
pub mod reactor;
pub mod segmented_slab;
pub mod server;
pub mod session;
pub mod settings;
pub mod stats;
pub mod timer_wheel;
pub mod transaction;
pub mod units;
