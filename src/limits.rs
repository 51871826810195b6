//! Every limit of the programs, with its default and the reason for the number.
//!
//! What a user may change is a field of [`Limits`]; what nobody should need to change is a
//! constant.

use std::time::Duration;

/// One read from a socket, and so one client's share of a tick. Redis reads 16 KiB at a time; with
/// 64 KiB a pipeline of 64 requests with small values still arrives in one read, and with a little
/// more a value of 64 KiB and its key do.
pub const SCRATCH_BYTES: usize = 68 * 1024;

/// The same for what is read of a longer request to where it stands: some 50 µs.
pub const LONG_READ: usize = 256 * 1024;

/// What one tick writes to clients, shared among those who have a turn in it: about a millisecond.
/// One alone, or a few, are written all that they are kept ready.
pub const TICK_WRITES: usize = 4 * 1024 * 1024;

/// What each of them is written at the least, however many they are. As in Redis.
pub const LEAST_WRITE: usize = 64 * 1024;

/// Output of one connection above which its requests are left unread: enough to keep a fast link
/// busy. A reply that is begun is finished, so a connection may hold this and one value more; be it
/// by reference, see [`SHARED_FROM`].
pub const HIGH_WATER: usize = 1024 * 1024;

/// Output below which a connection held back by [`HIGH_WATER`] goes on. A quarter, so that it does
/// not flicker between the two.
pub const LOW_WATER: usize = HIGH_WATER / 4;

/// Values of so many bytes are sent from where they are stored; smaller ones are copied. To copy so
/// much takes about as long as to keep a list of what is not copied; and together with a few small
/// replies it just fits the storage of an output.
pub const SHARED_FROM: usize = 16 * 1024;

/// What a streamed reply adds to the output before others have their turn.
pub const STREAM_CHUNK: usize = 64 * 1024;

/// Entries that one step of a walk over the store looks at: at under 100 ns each it stays below a
/// millisecond.
pub const SCAN_STEP: usize = 4096;

/// The longest key. A key is one word, and stands in `DUMP`'s line with all others.
pub const MAX_KEY: usize = 64 * 1024;

/// The longest pattern of `KEYS` and `SCAN`: to match one with a key takes up to as many steps as
/// both have bytes, multiplied.
pub const MAX_PATTERN: usize = 1024;

/// The longest name of a client or its library: each connection keeps its own, and `CLIENT LIST`
/// shows them all.
pub const MAX_NAME: usize = 1024;

/// The most arguments of one RESP request, as in Redis.
pub const MAX_ARGUMENTS: usize = 1024 * 1024;

/// The longest header line of RESP (`*<n>`, `$<n>`), as in Redis.
pub const MAX_HEADER: usize = 64 * 1024;

/// Requests of one client that may be unanswered in the proxy before it is paused.
pub const MAX_UNANSWERED: usize = 1024;

/// The most keys of an `MGET` whose values the proxy gathers from its cache and from single `GET`s;
/// one with more is sent on as it is. As many as a client may have unanswered.
pub const MOST_GATHERED: usize = MAX_UNANSWERED;

/// How long a handler that wants more time for a connection gets at least.
pub const LEAST_WAIT: Duration = Duration::from_secs(1);

/// How long a closed connection is read and dropped before it goes, so that the last reply is not
/// lost to a reset: some round trips on a bad link.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that is being closed may fail to take any of its last output.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// How long a listener rests after the system ran out of descriptors or memory.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Descriptors kept back from clients: listeners, the upstream, signals, the log, and clients past
/// the limit while they read why they are refused.
pub const RESERVED_DESCRIPTORS: usize = 64;

/// Clients past `--max-connections` that may at one time be waited for while they read why they are
/// refused; any beyond are told and closed at once. Half of [`RESERVED_DESCRIPTORS`].
pub const MAX_REFUSALS: usize = 32;

/// Idle time after which the system probes whether the peer is still there, as in Redis.
pub const KEEPALIVE: Duration = Duration::from_secs(300);

/// The shortest wait before the proxy connects to its upstream again; it doubles with each failure.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// The longest wait between two attempts to connect to the upstream.
pub const BACKOFF_MOST: Duration = Duration::from_secs(1);

/// What a user may set, shared by server and proxy.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at one time.
    pub max_connections: usize,
    /// A client that sends nothing for so long is closed; zero: never.
    pub idle_timeout: Duration,
    /// How long a RESP request may take from its first byte to its last.
    pub request_timeout: Duration,
    /// How long a line may take from its first byte to its end: people think while they type.
    pub line_timeout: Duration,
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
    /// Server: keys that are remembered for clients that are to be told of changes.
    pub tracking_keys: usize,
    /// How long the programs wait, when told to stop, for clients to take their last replies.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            idle_timeout: Duration::ZERO,
            request_timeout: Duration::from_secs(30),
            line_timeout: Duration::from_secs(300),
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
