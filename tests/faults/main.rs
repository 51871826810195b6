//! What the system does to the real programs: signals, standard streams that fail, system calls
//! that fail.

mod outputs;
mod signals;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;
mod upstream_calls;
