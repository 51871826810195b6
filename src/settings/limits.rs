//! Every limit of the programs, with its default and the reason for the number.
//!
//! Limits that a user may change are fields of [`Limits`]; the others are constants.

use std::time::Duration;

/// Output of one connection above which its requests are left unread: enough to keep a fast link
/// busy. A reply that is begun is finished, so a connection may hold one value more, copied or
/// shared: see [`SHARED_FROM`](crate::base::output::SHARED_FROM).
pub const HIGH_WATER: usize = 1024 * 1024;

/// Output below which a connection held back by [`HIGH_WATER`] goes on. A quarter, so that it does
/// not flicker between the two.
pub const LOW_WATER: usize = HIGH_WATER / 4;

/// The longest key. A key is one word, and stands in `DUMP`'s line with all others.
pub const MAX_KEY: usize = 64 * 1024;

/// The longest pattern of `KEYS` and `SCAN`: to match one with a key takes up to as many steps as
/// both have bytes, multiplied.
pub const MAX_PATTERN: usize = 1024;

/// Requests of one client that may be unanswered in the proxy before it is paused.
pub const MAX_UNANSWERED: usize = 1024;

/// The meaning of a line that a client sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineMode {
    /// A request of the text protocol, answered with a line.
    #[default]
    Text,
    /// An inline command of Redis, answered in RESP.
    Resp,
}

/// The limits and timeouts that a user may set, shared by server and proxy.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at one time.
    pub max_connections: usize,
    /// A client that sends nothing for so long is closed; zero: never.
    pub idle_timeout: Duration,
    /// How long a RESP request may take from its first byte to its last.
    pub request_timeout: Duration,
    /// How long a line may take from its first byte to its end: people pause while they type.
    pub line_timeout: Duration,
    /// The meaning of lines.
    pub inline: LineMode,
    /// The longest line of text, in bytes, without its end.
    pub max_line: usize,
    /// The longest value, in bytes.
    pub max_value: usize,
    /// The longest RESP request, in bytes.
    pub max_request: usize,
    /// Output that a client leaves unread before it is closed, in bytes.
    pub output_limit: usize,
    /// Server: memory that the process may take before nothing more is stored, in bytes; 0: any.
    pub max_memory: usize,
    /// Server: keys that are tracked for clients that receive invalidations.
    pub tracking_keys: usize,
    /// How long the programs wait, when they stop, for clients to take their last replies.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            idle_timeout: Duration::ZERO,
            request_timeout: Duration::from_secs(30),
            line_timeout: Duration::from_secs(300),
            inline: LineMode::Text,
            max_line: 1 << 20,
            max_value: 64 << 20,
            max_request: 128 << 20,
            output_limit: 256 << 20,
            max_memory: 0,
            tracking_keys: 1_000_000,
            drain_timeout: Duration::from_secs(5),
        }
    }
}
