//! The real programs over real loopback sockets: what only sockets show.

mod support;

#[path = "sockets/bursts.rs"]
mod bursts;
#[path = "sockets/churn.rs"]
mod churn;
#[path = "sockets/claims.rs"]
mod claims;
#[path = "sockets/crowd.rs"]
mod crowd;
#[path = "sockets/descriptors.rs"]
mod descriptors;
#[path = "sockets/dump.rs"]
mod dump;
#[path = "sockets/each_limit.rs"]
mod each_limit;
#[path = "sockets/limits.rs"]
mod limits;
#[path = "sockets/memory.rs"]
mod memory;
#[path = "sockets/pipelines.rs"]
mod pipelines;
#[path = "sockets/readers.rs"]
mod readers;
#[path = "sockets/slow.rs"]
mod slow;
#[path = "sockets/system_calls.rs"]
mod system_calls;
#[path = "sockets/timeouts.rs"]
mod timeouts;
#[path = "sockets/waiting.rs"]
mod waiting;
#[path = "sockets/windows.rs"]
mod windows;
