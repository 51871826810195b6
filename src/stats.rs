//! Every counter of the programs, in one described table.
//!
//! The loop counts connections and bytes, the handlers count what they answer; `STATS` prints them
//! all, and `INFO` most. A gauge is a number as it stands now, a counter only grows.

use crate::base::buffer::Buffer;
use crate::protocol::command::{Command, TABLE};
use crate::settings::Program;

/// Names a row of [`ROWS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the rows of `ROWS` say what each one counts
pub enum Stat {
    UptimeSeconds,
    ConnectionsNow,
    ConnectionsTotal,
    ConnectionsRefused,
    ConnectionsTimedOut,
    OutputLimitCloses,
    RequestErrors,
    TooLargeRequests,
    TooLargeReplies,
    BytesIn,
    BytesOut,
    Keys,
    KeysExpiring,
    KeyBytes,
    ValueBytes,
    MemoryBytes,
    MemoryResident,
    Hits,
    Misses,
    OutOfMemory,
    TrackingClients,
    TrackingKeys,
    TrackingPairs,
    TrackingDropped,
    InvalidationsSent,
    Coalesced,
    Expired,
    Evicted,
    TooLarge,
    Invalidated,
    Invalidations,
    FlightsPoisoned,
    HitsUnconfirmed,
    FlushesTold,
    FlushesWrite,
    FlushesLost,
    FlushesLevel,
    CoherenceLevel,
    ConfirmedAgeMs,
    UpstreamUp,
    UpstreamConnects,
    UpstreamErrors,
    UpstreamUnanswered,
    CacheEntries,
    CacheBytes,
    RequestsForeign,
}

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows from the start of the program, or `CONFIG RESETSTAT`, on.
    Counter,
    /// A number as it stands now.
    Gauge,
}

/// One row: which, its name in `STATS`, its kind, who shows it, what it means.
pub struct Row(pub Stat, pub &'static str, pub Kind, pub Program, pub &'static str);

/// All of them, in the order in which `STATS` prints them.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    Row(Stat::UptimeSeconds, "uptime_seconds", Kind::Gauge, Program::Both, "seconds since the program started"),
    Row(Stat::ConnectionsNow, "connections_now", Kind::Gauge, Program::Both, "clients connected"),
    Row(Stat::ConnectionsTotal, "connections_total", Kind::Counter, Program::Both, "clients accepted"),
    Row(Stat::ConnectionsRefused, "connections_refused", Kind::Counter, Program::Both, "clients past --max-connections"),
    Row(Stat::ConnectionsTimedOut, "connections_timed_out", Kind::Counter, Program::Both, "clients closed by a timeout"),
    Row(Stat::OutputLimitCloses, "output_limit_closes", Kind::Counter, Program::Both, "clients closed at --output-limit"),
    Row(Stat::RequestErrors, "request_errors", Kind::Counter, Program::Both, "requests that were not understood"),
    Row(Stat::TooLargeRequests, "too_large_requests", Kind::Counter, Program::Both, "requests over a limit of what one may say, those not understood for it among them"),
    Row(Stat::TooLargeReplies, "too_large_replies", Kind::Counter, Program::Both, "replies over --output-limit (proxy: of the upstream, over half of it): an error was said instead"),
    Row(Stat::BytesIn, "bytes_in", Kind::Counter, Program::Both, "bytes read from all connections"),
    Row(Stat::BytesOut, "bytes_out", Kind::Counter, Program::Both, "bytes written to all connections"),
    Row(Stat::Keys, "keys", Kind::Gauge, Program::Server, "keys stored"),
    Row(Stat::KeysExpiring, "keys_expiring", Kind::Gauge, Program::Server, "keys that will expire"),
    Row(Stat::KeyBytes, "key_bytes", Kind::Gauge, Program::Server, "bytes of all keys"),
    Row(Stat::ValueBytes, "value_bytes", Kind::Gauge, Program::Server, "bytes of all values"),
    Row(Stat::MemoryBytes, "memory_bytes", Kind::Gauge, Program::Server, "bytes of memory in use, of --max-memory"),
    Row(Stat::MemoryResident, "memory_resident", Kind::Gauge, Program::Server, "bytes that the process takes of the machine's memory, also what is kept of freed memory"),
    Row(Stat::Hits, "hits", Kind::Counter, Program::Both, "keys looked up to be read, and found (proxy: in the cache)"),
    Row(Stat::Misses, "misses", Kind::Counter, Program::Both, "keys looked up to be read, and not found"),
    Row(Stat::OutOfMemory, "out_of_memory", Kind::Counter, Program::Server, "requests refused for want of memory"),
    Row(Stat::TrackingClients, "tracking_clients", Kind::Gauge, Program::Server, "clients that are told of changes"),
    Row(Stat::TrackingKeys, "tracking_keys", Kind::Gauge, Program::Server, "keys that they have read, of --tracking-keys"),
    Row(Stat::TrackingPairs, "tracking_pairs", Kind::Gauge, Program::Server, "the same, each key counted for each client"),
    Row(Stat::TrackingDropped, "tracking_dropped", Kind::Counter, Program::Server, "keys past --tracking-keys, invalidated and forgotten"),
    Row(Stat::InvalidationsSent, "invalidations_sent", Kind::Counter, Program::Server, "changes that clients were told of"),
    Row(Stat::Coalesced, "coalesced", Kind::Counter, Program::Proxy, "misses that joined a fetch under way"),
    Row(Stat::Expired, "expired", Kind::Counter, Program::Both, "keys that expired (proxy: cache entries)"),
    Row(Stat::Evicted, "evicted", Kind::Counter, Program::Proxy, "cache entries that made room"),
    Row(Stat::TooLarge, "too_large", Kind::Counter, Program::Proxy, "answers too large to be cached: over an eighth of --cache-bytes"),
    Row(Stat::Invalidated, "invalidated", Kind::Counter, Program::Proxy, "cache entries dropped because they may be old"),
    Row(Stat::Invalidations, "invalidations", Kind::Counter, Program::Proxy, "changes of keys that the upstream told"),
    Row(Stat::FlightsPoisoned, "flights_poisoned", Kind::Counter, Program::Proxy, "fetches whose key was changed meanwhile"),
    Row(Stat::HitsUnconfirmed, "hits_unconfirmed", Kind::Counter, Program::Proxy, "times that a request was held until the upstream had confirmed what is kept"),
    Row(Stat::FlushesTold, "flushes_told", Kind::Counter, Program::Proxy, "times the whole cache went: the upstream told to"),
    Row(Stat::FlushesWrite, "flushes_write", Kind::Counter, Program::Proxy, "the same: for a write whose keys are not known"),
    Row(Stat::FlushesLost, "flushes_lost", Kind::Counter, Program::Proxy, "the same: the connection that would tell of changes was lost"),
    Row(Stat::FlushesLevel, "flushes_level", Kind::Counter, Program::Proxy, "the same: the upstream began to tell of changes"),
    Row(Stat::CoherenceLevel, "coherence_level", Kind::Gauge, Program::Proxy, "1 while the upstream tells of changes"),
    Row(Stat::ConfirmedAgeMs, "confirmed_age_ms", Kind::Gauge, Program::Proxy, "since the newest request was sent that is answered; 0 without a connection"),
    Row(Stat::UpstreamUp, "upstream_up", Kind::Gauge, Program::Proxy, "1 while the upstream is connected and has let the proxy in"),
    Row(Stat::UpstreamConnects, "upstream_connects", Kind::Counter, Program::Proxy, "connections made to the upstream"),
    Row(Stat::UpstreamErrors, "upstream_errors", Kind::Counter, Program::Proxy, "upstream connections failed or lost"),
    Row(Stat::UpstreamUnanswered, "upstream_unanswered", Kind::Gauge, Program::Proxy, "requests the upstream has not answered"),
    Row(Stat::CacheEntries, "cache_entries", Kind::Gauge, Program::Proxy, "entries in the cache"),
    Row(Stat::CacheBytes, "cache_bytes", Kind::Gauge, Program::Proxy, "what they cost, of --cache-bytes"),
    Row(Stat::RequestsForeign, "requests_foreign", Kind::Counter, Program::Proxy, "requests sent on for commands that only the upstream knows"),
];

/// The counters of one reactor.
#[derive(Debug, Default)]
pub struct Stats {
    values: Values,
    /// What they were when they were last reset.
    reset_at: Values,
}

#[derive(Clone, Copy, Debug)]
struct Values {
    rows: [u64; ROWS.len()],
    requests: [u64; TABLE.len()],
}

impl Default for Values {
    fn default() -> Self {
        Values { rows: [0; ROWS.len()], requests: [0; TABLE.len()] }
    }
}

impl Stats {
    /// Counts `count` more.
    #[inline]
    pub fn add(&mut self, stat: Stat, count: u64) {
        self.values.rows[stat as usize] += count;
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&mut self, stat: Stat, value: u64) {
        self.values.rows[stat as usize] = value;
    }

    /// Counts a request.
    #[inline]
    pub fn count_request(&mut self, command: &Command) {
        self.values.requests[command.index()] += 1;
    }

    /// Takes back what `count_request` counted.
    pub fn take_back_request(&mut self, command: &Command) {
        self.values.requests[command.index()] -= 1;
    }

    /// The number as it stands, of a counter since it was reset.
    pub fn get(&self, stat: Stat) -> u64 {
        let at = stat as usize;
        self.values.rows[at].saturating_sub(self.reset_at.rows[at])
    }

    /// How often a command was asked for, since that was reset.
    pub fn requests(&self, command: &Command) -> u64 {
        let at = command.index();
        self.values.requests[at].saturating_sub(self.reset_at.requests[at])
    }

    /// Every counter begins at 0 again. To be called with all of them up to date.
    pub fn reset(&mut self) {
        self.reset_at = self.values;
        for Row(stat, _, kind, ..) in ROWS {
            if *kind == Kind::Gauge {
                self.reset_at.rows[*stat as usize] = 0;
            }
        }
    }

    /// Appends the rows of `program` as lines `name value`, each ended by LF, then a line for each
    /// command that was asked for: `requests_get 17`.
    pub fn write_lines(&self, program: Program, out: &mut Buffer) {
        for Row(stat, name, _, shown_by, _) in ROWS {
            if *shown_by == Program::Both || *shown_by == program {
                write_line(out, &[name], self.get(*stat));
            }
        }
        for command in TABLE {
            let requests = self.requests(command);
            if requests > 0 {
                let name = command.name.to_ascii_lowercase().replace('|', "_");
                write_line(out, &["requests_", &name], requests);
            }
        }
    }
}

fn write_line(out: &mut Buffer, name: &[&str], value: u64) {
    for part in name {
        out.push(part.as_bytes());
    }
    out.push(b" ");
    out.push_decimal(value);
    out.push(b"\n");
}

#[cfg(test)]
mod tests;
