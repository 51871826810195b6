//! Every counter of the programs, in one described table.
//!
//! The loop counts connections and bytes, the handlers count what they answer; `STATS` prints them
//! all, and `INFO` most. A gauge is a number as it stands now, a counter only grows.

use crate::base::buffer::Buffer;
use crate::protocol::command::{Command, TABLE};
use crate::settings::Program;

/// Tells a counter from a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatKind {
    /// Grows from the start of the program, or `CONFIG RESETSTAT`, on.
    Counter,
    /// A number as it stands now.
    Gauge,
}

/// One row of the table.
#[derive(Debug)]
pub struct StatRow {
    /// Names it in code.
    pub stat: Stat,
    /// Names it in `STATS`.
    pub name: &'static str,
    /// A counter or a gauge.
    pub kind: StatKind,
    /// Which program shows it.
    pub program: Program,
    /// What it counts.
    pub help: &'static str,
}

/// Makes the names of the rows and the table of one list.
macro_rules! rows {
    ($($kind:ident($stat:ident, $name:literal, $program:ident, $help:literal),)*) => {
        /// Names a row of [`ROWS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Stat {
            $(#[doc = $help] $stat,)*
        }

        /// All rows, in the order in which `STATS` prints them.
        pub static ROWS: &[StatRow] =
            &[$($kind(Stat::$stat, $name, Program::$program, $help),)*];
    };
}

#[rustfmt::skip]
rows! {
    gauge(UptimeSeconds, "uptime_seconds", Both, "seconds since the program started"),
    gauge(ConnectionsNow, "connections_now", Both, "clients connected"),
    counter(ConnectionsTotal, "connections_total", Both, "clients accepted"),
    counter(ConnectionsRefused, "connections_refused", Both, "clients refused beyond --max-connections"),
    counter(ConnectionsTimedOut, "connections_timed_out", Both, "clients closed by a timeout"),
    counter(OutputLimitCloses, "output_limit_closes", Both, "clients closed at --output-limit"),
    counter(RequestErrors, "request_errors", Both, "requests refused before execution: malformed, unknown or over a limit"),
    counter(TooLargeRequests, "too_large_requests", Both, "requests over a size limit, with those of request_errors refused for one"),
    counter(TooLargeReplies, "too_large_replies", Both, "replies replaced by an error: over --output-limit (proxy: from the upstream, over half of it)"),
    counter(BytesIn, "bytes_in", Both, "bytes read from all connections"),
    counter(BytesOut, "bytes_out", Both, "bytes written to all connections"),
    gauge(Keys, "keys", Server, "keys stored"),
    gauge(KeysExpiring, "keys_expiring", Server, "keys with an expiry"),
    gauge(KeyBytes, "key_bytes", Server, "bytes of all keys"),
    gauge(ValueBytes, "value_bytes", Server, "bytes of all values"),
    gauge(MemoryBytes, "memory_bytes", Server, "bytes of memory in use, limited by --max-memory"),
    gauge(ResidentBytes, "resident_bytes", Server, "resident set size of the process, with freed memory that the allocator keeps"),
    counter(Hits, "hits", Both, "keys looked up to be read, and found (proxy: in the cache)"),
    counter(Misses, "misses", Both, "keys looked up to be read, and not found"),
    counter(OutOfMemory, "out_of_memory", Server, "requests refused at --max-memory"),
    gauge(TrackingClients, "tracking_clients", Server, "clients that receive invalidations"),
    gauge(TrackingKeys, "tracking_keys", Server, "keys tracked for them, limited by --tracking-keys"),
    gauge(TrackingPairs, "tracking_pairs", Server, "pairs of a tracked key and a client that has read it"),
    counter(TrackingDropped, "tracking_dropped", Server, "keys beyond --tracking-keys, invalidated and forgotten"),
    counter(InvalidationsSent, "invalidations_sent", Server, "invalidations sent to clients"),
    counter(MissesCoalesced, "misses_coalesced", Proxy, "misses that joined a fetch under way"),
    counter(Expired, "expired", Both, "keys that expired (proxy: cache entries)"),
    counter(Evicted, "evicted", Proxy, "cache entries evicted to make room"),
    counter(NotCachedTooLarge, "not_cached_too_large", Proxy, "answers not cached because they cost more than an eighth of --cache-bytes"),
    counter(EntriesInvalidated, "entries_invalidated", Proxy, "cache entries dropped because they may be stale"),
    counter(InvalidationsReceived, "invalidations_received", Proxy, "invalidations received from the upstream"),
    counter(FlightsPoisoned, "flights_poisoned", Proxy, "fetches whose key changed meanwhile"),
    counter(HeldForConfirmation, "held_for_confirmation", Proxy, "requests held until the upstream confirmed that the cache is current"),
    counter(FlushesByUpstream, "flushes_by_upstream", Proxy, "full flushes ordered by the upstream"),
    counter(FlushesByWrite, "flushes_by_write", Proxy, "full flushes for a write whose keys are not known"),
    counter(FlushesByDisconnect, "flushes_by_disconnect", Proxy, "full flushes because the connection that carries invalidations was lost"),
    counter(FlushesByTrackingStart, "flushes_by_tracking_start", Proxy, "full flushes because the upstream began to send invalidations"),
    gauge(CoherenceLevel, "coherence_level", Proxy, "1 while the upstream sends invalidations"),
    gauge(ConfirmedAgeMs, "confirmed_age_ms", Proxy, "milliseconds since the newest answered request was sent; 0 without a connection"),
    gauge(UpstreamUp, "upstream_up", Proxy, "1 while the upstream is connected and has let the proxy in"),
    counter(UpstreamConnects, "upstream_connects", Proxy, "connections made to the upstream"),
    counter(UpstreamErrors, "upstream_errors", Proxy, "upstream connections failed or lost"),
    gauge(UpstreamUnanswered, "upstream_unanswered", Proxy, "requests the upstream has not answered"),
    gauge(CacheEntries, "cache_entries", Proxy, "entries in the cache"),
    gauge(CacheBytes, "cache_bytes", Proxy, "bytes of memory that they cost, limited by --cache-bytes"),
    counter(ForeignRequests, "foreign_requests", Proxy, "requests for commands that only the upstream knows"),
}

const fn counter(stat: Stat, name: &'static str, program: Program, help: &'static str) -> StatRow {
    StatRow { stat, name, kind: StatKind::Counter, program, help }
}

const fn gauge(stat: Stat, name: &'static str, program: Program, help: &'static str) -> StatRow {
    StatRow { stat, name, kind: StatKind::Gauge, program, help }
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
    /// Adds `count` to a counter.
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

    /// Counts one request less: undoes one `count_request`.
    pub fn take_back_request(&mut self, command: &Command) {
        self.values.requests[command.index()] -= 1;
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

    /// Sets every counter to 0. All of them must be up to date.
    pub fn reset(&mut self) {
        self.reset_at = self.values;
        for row in ROWS.iter().filter(|row| row.kind == StatKind::Gauge) {
            self.reset_at.rows[row.stat as usize] = 0;
        }
    }

    /// Appends the rows of `program` as lines `name value`, each ended by LF, then a line for each
    /// command that was requested: `requests_get 17`.
    pub fn write_lines(&self, program: Program, out: &mut Buffer) {
        for row in stats_of(program) {
            write_line(out, &[row.name], self.get(row.stat));
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
