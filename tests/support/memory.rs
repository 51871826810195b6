//! How much memory this process takes.

use std::fs;

/// Memory of this process that is not swapped out, in bytes.
pub fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("Linux tells");
    kibibytes.parse::<usize>().expect("it is a number") << 10
}
