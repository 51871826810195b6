//! Every counter of the programs, in one described table.
//!
//! The loop counts connections and bytes, the handlers count what they answer; `STATS` prints them
//! all. A gauge is a number as it stands now, a counter only grows.

use crate::buffer::Buffer;
use crate::command::{Command, TABLE};

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
    BytesIn,
    BytesOut,
    Keys,
    KeyBytes,
    ValueBytes,
    Hits,
    Misses,
    Coalesced,
    Expired,
    Evicted,
    Invalidated,
    UpstreamUp,
    UpstreamConnects,
    UpstreamErrors,
    UpstreamUnanswered,
    CacheEntries,
    CacheBytes,
    RequestsForeign,
}

/// Which program shows a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Both.
    Both,
    /// Only the server.
    Server,
    /// Only the proxy.
    Proxy,
}

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows from the start of the program on.
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
    Row(Stat::BytesIn, "bytes_in", Kind::Counter, Program::Both, "bytes read from all connections"),
    Row(Stat::BytesOut, "bytes_out", Kind::Counter, Program::Both, "bytes written to all connections"),
    Row(Stat::Keys, "keys", Kind::Gauge, Program::Server, "keys stored"),
    Row(Stat::KeyBytes, "key_bytes", Kind::Gauge, Program::Server, "bytes of all keys"),
    Row(Stat::ValueBytes, "value_bytes", Kind::Gauge, Program::Server, "bytes of all values"),
    Row(Stat::Hits, "hits", Kind::Counter, Program::Both, "GETs that found the key (proxy: in the cache)"),
    Row(Stat::Misses, "misses", Kind::Counter, Program::Both, "GETs that did not"),
    Row(Stat::Coalesced, "coalesced", Kind::Counter, Program::Proxy, "misses that joined a fetch under way"),
    Row(Stat::Expired, "expired", Kind::Counter, Program::Proxy, "cache entries that reached their deadline"),
    Row(Stat::Evicted, "evicted", Kind::Counter, Program::Proxy, "cache entries that made room"),
    Row(Stat::Invalidated, "invalidated", Kind::Counter, Program::Proxy, "cache entries dropped because of a write"),
    Row(Stat::UpstreamUp, "upstream_up", Kind::Gauge, Program::Proxy, "1 while the upstream is connected"),
    Row(Stat::UpstreamConnects, "upstream_connects", Kind::Counter, Program::Proxy, "connections made to the upstream"),
    Row(Stat::UpstreamErrors, "upstream_errors", Kind::Counter, Program::Proxy, "upstream connections failed or lost"),
    Row(Stat::UpstreamUnanswered, "upstream_unanswered", Kind::Gauge, Program::Proxy, "requests the upstream has not answered"),
    Row(Stat::CacheEntries, "cache_entries", Kind::Gauge, Program::Proxy, "entries in the cache"),
    Row(Stat::CacheBytes, "cache_bytes", Kind::Gauge, Program::Proxy, "what they cost, of --cache-bytes"),
    Row(Stat::RequestsForeign, "requests_foreign", Kind::Counter, Program::Proxy, "requests sent on for commands that only the upstream knows"),
];

/// The counters of one reactor.
#[derive(Debug)]
pub struct Stats {
    values: [u64; ROWS.len()],
    requests: [u64; TABLE.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Stats { values: [0; ROWS.len()], requests: [0; TABLE.len()] }
    }
}

impl Stats {
    /// Counts `count` more.
    #[inline]
    pub fn add(&mut self, stat: Stat, count: u64) {
        self.values[stat as usize] += count;
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&mut self, stat: Stat, value: u64) {
        self.values[stat as usize] = value;
    }

    /// Counts a request.
    #[inline]
    pub fn count_request(&mut self, command: &Command) {
        self.requests[command.index()] += 1;
    }

    /// Takes back what `count_request` counted.
    pub fn take_back_request(&mut self, command: &Command) {
        self.requests[command.index()] -= 1;
    }

    /// The number as it stands.
    pub fn get(&self, stat: Stat) -> u64 {
        self.values[stat as usize]
    }

    /// Appends the rows of `program` as lines `name value`, each ended by LF, then a line for each
    /// command: `requests_get 17`.
    pub fn write_lines(&self, program: Program, out: &mut Buffer) {
        for Row(stat, name, _, shown_by, _) in ROWS {
            if *shown_by == Program::Both || *shown_by == program {
                write_line(out, &[name], self.get(*stat));
            }
        }
        for command in TABLE {
            let name = command.name.to_ascii_lowercase();
            write_line(out, &["requests_", &name], self.requests[command.index()]);
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
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_names_and_no_name_stands_twice() {
        for (index, Row(stat, name, ..)) in ROWS.iter().enumerate() {
            assert_eq!(*stat as usize, index, "{name}");
            assert_eq!(ROWS.iter().filter(|Row(_, other, ..)| other == name).count(), 1);
        }
    }

    #[test]
    fn each_program_prints_its_own_rows() {
        let mut stats = Stats::default();
        stats.add(Stat::Hits, 2);
        stats.set(Stat::Keys, 7);
        let mut out = Buffer::new();
        stats.write_lines(Program::Server, &mut out);
        let text = String::from_utf8(out.bytes().to_vec()).expect("ASCII");
        assert!(text.contains("\nkeys 7\n") && text.contains("\nhits 2\n"));
        assert!(!text.contains("cache_bytes") && text.ends_with("requests_exit 0\n"));
    }
}
