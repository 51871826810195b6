//! What the system does to the real programs: signals, standard streams that fail, system calls
//! that fail.

mod support;

#[path = "faults/outputs.rs"]
mod outputs;
#[path = "faults/signals.rs"]
mod signals;
#[path = "faults/system_calls.rs"]
mod system_calls;
#[path = "faults/upstream_calls.rs"]
mod upstream_calls;
