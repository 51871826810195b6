//! The one table of counters, with their meanings.
//!
//! The loop counts connections and bytes, the handlers count requests and replies; `STATS` prints
//! all counters, and `INFO` most. A gauge is a current value, a counter only grows.
//!
//! - `errors.rs`: error replies by their codes · `service_time.rs`: the time that requests take

mod errors;
mod service_time;

pub use errors::{ErrorCounts, MAX_KINDS as MAX_ERROR_KINDS};
pub use service_time::Measure;

use crate::base::buffer::Buffer;
use crate::protocol::command::{Command, TABLE, Verb};
use crate::settings::Program;
use std::time::Duration;

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatKind {
    /// Grows from the start of the program, or `CONFIG RESETSTAT`, on.
    Counter,
    /// A current value.
    Gauge,
}

/// One row of the table.
#[derive(Debug)]
pub struct StatRow {
    /// The name in code.
    pub stat: Stat,
    /// The name in `STATS`.
    pub name: &'static str,
    /// A counter or a gauge.
    pub kind: StatKind,
    /// The program that shows it.
    pub program: Program,
    /// The meaning.
    pub help: &'static str,
}

/// Makes [`Stat`] and [`ROWS`] of one list.
macro_rules! rows {
    ($($kind:ident($stat:ident, $name:literal, $program:ident, $help:literal),)*) => {
        /// Names a row of [`ROWS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Stat {
            $(#[doc = $help] $stat,)*
        }

        /// All rows, in the order in which `STATS` prints them.
        pub static ROWS: &[StatRow] =
            &[$(StatRow {
                stat: Stat::$stat,
                name: $name,
                kind: StatKind::$kind,
                program: Program::$program,
                help: $help,
            },)*];
    };
}

#[rustfmt::skip]
rows! {
    Gauge(UptimeSeconds, "uptime_seconds", Both, "seconds since the program started"),
    Gauge(ConnectionsNow, "connections_now", Both, "clients connected"),
    Counter(ConnectionsTotal, "connections_total", Both, "clients accepted"),
    Counter(ConnectionsRefused, "connections_refused", Both, "clients refused beyond --max-connections"),
    Counter(ConnectionsTimedOut, "connections_timed_out", Both, "clients closed by a timeout"),
    Counter(OutputLimitCloses, "output_limit_closes", Both, "clients closed at --output-limit"),
    Counter(RequestErrors, "request_errors", Both, "requests refused before execution: malformed, unknown or over a limit"),
    Counter(ErrorReplies, "error_replies", Both, "replies that are errors, in either protocol"),
    Counter(TooLargeRequests, "too_large_requests", Both, "requests over a size limit, with those of request_errors refused for one"),
    Counter(TooLargeReplies, "too_large_replies", Both, "replies replaced by an error: over --output-limit (proxy: from the upstream, over half of it)"),
    Counter(BytesIn, "bytes_in", Both, "bytes read from all connections"),
    Counter(BytesOut, "bytes_out", Both, "bytes written to all connections"),
    Gauge(Keys, "keys", Server, "keys stored"),
    Gauge(KeysExpiring, "keys_expiring", Server, "keys with an expiry"),
    Gauge(MeanTtlMs, "mean_ttl_ms", Server, "mean time until those expire, in milliseconds"),
    Gauge(KeyBytes, "key_bytes", Server, "bytes of all keys"),
    Gauge(ValueBytes, "value_bytes", Server, "bytes of all values"),
    Gauge(MemoryBytes, "memory_bytes", Server, "bytes of memory in use, limited by --max-memory"),
    Gauge(ResidentBytes, "resident_bytes", Server, "resident set size of the process, with freed memory that the allocator keeps"),
    Counter(Hits, "hits", Both, "keys looked up to be read, and found (proxy: in the cache)"),
    Counter(Misses, "misses", Both, "keys looked up to be read, and not found"),
    Counter(OutOfMemory, "out_of_memory", Server, "requests refused at --max-memory"),
    Gauge(TrackingClients, "tracking_clients", Server, "clients that receive invalidations"),
    Gauge(TrackingKeys, "tracking_keys", Server, "keys tracked for them, limited by --tracking-keys"),
    Gauge(TrackingPairs, "tracking_pairs", Server, "pairs of a tracked key and a client that has read it"),
    Counter(TrackingDropped, "tracking_dropped", Server, "keys beyond --tracking-keys, invalidated and forgotten"),
    Counter(InvalidationsSent, "invalidations_sent", Server, "invalidations sent to clients"),
    Counter(MissesCoalesced, "misses_coalesced", Proxy, "misses that joined a fetch under way"),
    Counter(Expired, "expired", Both, "keys that expired (proxy: cache entries)"),
    Counter(Evicted, "evicted", Proxy, "cache entries evicted to make room"),
    Counter(NotCachedTooLarge, "not_cached_too_large", Proxy, "answers not cached because they cost more than an eighth of --cache-bytes"),
    Counter(EntriesInvalidated, "entries_invalidated", Proxy, "cache entries dropped because they may be stale"),
    Counter(InvalidationsReceived, "invalidations_received", Proxy, "invalidations received from the upstream"),
    Counter(FlightsPoisoned, "flights_poisoned", Proxy, "fetches not to be stored: the key changed, its client had read it before, or `--ttl` had passed"),
    Counter(HeldForConfirmation, "held_for_confirmation", Proxy, "requests held until the upstream confirmed that the cache is current"),
    Counter(FlushesByUpstream, "flushes_by_upstream", Proxy, "full flushes ordered by the upstream"),
    Counter(FlushesByWrite, "flushes_by_write", Proxy, "full flushes for a write whose keys are not known"),
    Counter(FlushesByDisconnect, "flushes_by_disconnect", Proxy, "full flushes because the connection that carries invalidations was lost"),
    Counter(FlushesByTrackingStart, "flushes_by_tracking_start", Proxy, "full flushes because the upstream began to send invalidations"),
    Gauge(CoherenceLevel, "coherence_level", Proxy, "1 while the upstream sends invalidations"),
    Gauge(ConfirmedAgeMs, "confirmed_age_ms", Proxy, "milliseconds since the newest answered request was sent; 0 without a connection"),
    Gauge(UpstreamUp, "upstream_up", Proxy, "1 while the upstream is connected and has let the proxy in"),
    Counter(UpstreamConnects, "upstream_connects", Proxy, "connections made to the upstream"),
    Counter(UpstreamErrors, "upstream_errors", Proxy, "upstream connections failed or lost"),
    Gauge(UpstreamUnanswered, "upstream_unanswered", Proxy, "requests the upstream has not answered"),
    Gauge(CacheEntries, "cache_entries", Proxy, "entries in the cache"),
    Gauge(CacheBytes, "cache_bytes", Proxy, "bytes of memory that they cost, limited by --cache-bytes"),
    Counter(ForeignRequests, "foreign_requests", Proxy, "requests for commands that only the upstream knows"),
}

/// Returns the rows that a program shows, in their order.
pub fn stats_of(program: Program) -> impl Iterator<Item = &'static StatRow> {
    ROWS.iter().filter(move |row| row.program == Program::Both || row.program == program)
}

/// The counters of one reactor.
#[derive(Debug, Default)]
pub struct Stats {
    values: Values,
    /// The values at the last reset.
    reset_at: Values,
    errors: ErrorCounts,
    /// The process, as the driver has measured it last.
    pub process: ProcessUsage,
    /// How many times all keys were deleted whose memory is not all given back yet.
    pub pending_frees: u64,
    /// The command of a request that a measured turn goes on with.
    continued: Option<usize>,
}

/// The process, with the processor time that it has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Its number in the system; 0 where it is not known.
    pub id: u32,
    /// The time in its own code, and in the system.
    pub user: Duration,
    /// See `user`.
    pub system: Duration,
    /// Those of the thread of this loop alone.
    pub thread_user: Duration,
    /// See `thread_user`.
    pub thread_system: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Values {
    rows: [u64; ROWS.len()],
    /// By command: the requests that were executed, those that were refused before, and those whose
    /// reply was an error; and the time of the first.
    requests: [u64; TABLE.len()],
    rejected: [u64; TABLE.len()],
    failed: [u64; TABLE.len()],
    nanos: [u64; TABLE.len()],
}

impl Default for Values {
    fn default() -> Self {
        let none = [0; TABLE.len()];
        let rows = [0; ROWS.len()];
        Values { rows, requests: none, rejected: none, failed: none, nanos: none }
    }
}

impl Stats {
    /// Adds `count` to a counter.
    pub fn add(&mut self, stat: Stat, count: u64) {
        self.values.rows[stat as usize] += count;
    }

    /// Sets a gauge.
    pub fn set(&mut self, stat: Stat, value: u64) {
        self.values.rows[stat as usize] = value;
    }

    /// Counts a request.
    pub fn count_request(&mut self, command: &Command) {
        self.values.requests[command.index()] += 1;
    }

    /// Counts one request less: undoes one `count_request`.
    pub fn take_back_request(&mut self, command: &Command) {
        self.values.requests[command.index()] -= 1;
    }

    /// Counts a request as refused that was counted as one to execute.
    #[cold]
    pub fn reject_request(&mut self, command: &Command) {
        self.take_back_request(command);
        self.count_rejected(command);
    }

    /// Counts a request that was refused and not executed, of a known command.
    #[cold]
    pub fn count_rejected(&mut self, command: &Command) {
        self.values.rejected[command.index()] += 1;
    }

    /// Counts a reply that is an error: its code, or code and message, and the command that was
    /// executed, if one was.
    #[cold]
    pub fn count_error(&mut self, error: &[u8], verb: Option<Verb>) {
        self.add(Stat::ErrorReplies, 1);
        self.errors.count(error);
        if let Some(verb) = verb {
            self.values.failed[verb as usize] += 1;
        }
    }

    /// Returns the codes of errors since the last reset, with how often each was sent.
    pub fn errors(&self) -> &ErrorCounts {
        &self.errors
    }

    /// Returns the value: of a counter, since the last reset.
    pub fn get(&self, stat: Stat) -> u64 {
        let at = stat as usize;
        self.values.rows[at].saturating_sub(self.reset_at.rows[at])
    }

    /// Returns how often a command was requested since the last reset.
    pub fn requests(&self, command: &Command) -> u64 {
        let at = command.index();
        self.values.requests[at].saturating_sub(self.reset_at.requests[at])
    }

    /// Returns how often a request for a command was refused, and not executed, since the last
    /// reset.
    pub fn rejected(&self, command: &Command) -> u64 {
        let at = command.index();
        self.values.rejected[at].saturating_sub(self.reset_at.rejected[at])
    }

    /// Returns how often an executed command was answered with an error since the last reset.
    pub fn failed(&self, command: &Command) -> u64 {
        let at = command.index();
        self.values.failed[at].saturating_sub(self.reset_at.failed[at])
    }

    /// Sets every counter to 0. All of them must be up to date.
    pub fn reset(&mut self) {
        self.reset_at = self.values;
        self.errors.clear();
        for row in ROWS.iter().filter(|row| row.kind == StatKind::Gauge) {
            self.reset_at.rows[row.stat as usize] = 0;
        }
    }

    /// Appends the rows of `program` as lines `name value`, each ended by LF, then a line for each
    /// command that was requested: `requests_get 17`.
    pub fn write_lines(&self, program: Program, out: &mut Buffer) {
        for row in stats_of(program) {
            write_line(out, row.name, self.get(row.stat));
        }
        for command in TABLE {
            let requests = self.requests(command);
            if requests > 0 {
                let name = command.name.to_ascii_lowercase().replace('|', "_");
                write_line(out, &format!("requests_{name}"), requests);
            }
        }
    }
}

fn write_line(out: &mut Buffer, name: &str, value: u64) {
    out.push(name.as_bytes());
    out.push(b" ");
    out.push_decimal(value);
    out.push(b"\n");
}

#[cfg(test)]
mod tests;
