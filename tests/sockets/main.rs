//! The real programs over real loopback sockets: what only sockets show.

mod bursts;
mod churn;
mod claims;
mod descriptors;
mod each_limit;
mod limits;
mod memory;
mod pipelines;
mod readers;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;
mod waiting;
mod windows;
