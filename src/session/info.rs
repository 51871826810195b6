//! `INFO`: the counters and settings, by the names that Redis has for them, and only where they are
//! true. Counters that Redis does not have stand under a heading of their own.

use super::Identity;
use crate::protocol::command::TABLE;
use crate::settings::{Program, Settings};
use crate::stats::{ProcessUsage, ROWS, Stat, Stats};
use std::time::Duration;

struct Facts<'a> {
    program: Program,
    stats: &'a Stats,
    settings: &'a Settings,
    identity: &'a Identity,
}

/// Writes the lines of one section, without their ends.
type Section = fn(&Facts<'_>) -> Vec<String>;

/// The sections, in order, and whether a request without names includes them.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("Server", true, server),
    ("Clients", true, clients),
    ("Memory", true, memory),
    ("Persistence", true, persistence),
    ("Stats", true, stats),
    ("Replication", true, |_| vec!["role:master".to_string(), "connected_slaves:0".to_string()]),
    ("CPU", true, cpu),
    ("Commandstats", false, commands),
    ("Errorstats", true, errors),
    ("Cluster", true, |_| vec!["cluster_enabled:0".to_string()]),
    ("Keyspace", true, keyspace),
    ("Proxy", true, proxy),
];

/// Returns the requested sections, in our order; without any, the usual ones.
pub(super) fn text(
    program: Program,
    stats: &Stats,
    settings: &Settings,
    identity: &Identity,
    named: &[&[u8]],
) -> String {
    let facts = Facts { program, stats, settings, identity };
    let names = |word: &str| named.iter().any(|it| it.eq_ignore_ascii_case(word.as_bytes()));
    let all = names("all") || names("everything");
    let usual = named.is_empty() || names("default");
    let mut text = String::new();
    for (name, is_usual, section) in SECTIONS {
        // The keys are the upstream's, and only the proxy has one.
        let elsewhere = if program == Program::Proxy { "Keyspace" } else { "Proxy" };
        let wanted = all || usual && *is_usual || names(name);
        if *name == elsewhere || !wanted {
            continue;
        }
        let gap = if text.is_empty() { "" } else { "\r\n" };
        text += &format!("{gap}# {name}\r\n");
        for line in section(&facts) {
            text += &format!("{line}\r\n");
        }
    }
    text
}

fn server(facts: &Facts<'_>) -> Vec<String> {
    let uptime = facts.stats.get(Stat::UptimeSeconds);
    vec![
        format!("redis_version:{}", facts.identity.version),
        format!("larder_version:{}", env!("CARGO_PKG_VERSION")),
        "redis_mode:standalone".to_string(),
        format!("arch_bits:{}", usize::BITS),
        format!("process_id:{}", facts.stats.process.id),
        format!("uptime_in_seconds:{uptime}"),
        format!("uptime_in_days:{}", uptime / (24 * 3600)),
    ]
}

fn clients(facts: &Facts<'_>) -> Vec<String> {
    vec![
        format!("connected_clients:{}", facts.stats.get(Stat::ConnectionsNow)),
        "cluster_connections:0".to_string(),
        format!("maxclients:{}", facts.settings.limits.max_connections),
        "blocked_clients:0".to_string(),
        format!("tracking_clients:{}", facts.stats.get(Stat::TrackingClients)),
    ]
}

/// Returns the memory; of a proxy, that of the cache: the rest is not counted.
fn memory(facts: &Facts<'_>) -> Vec<String> {
    let (used, most) = match facts.program {
        Program::Proxy => (facts.stats.get(Stat::CacheBytes), 0),
        _ => (facts.stats.get(Stat::MemoryBytes), facts.settings.limits.max_memory as u64),
    };
    let data = facts.stats.get(Stat::KeyBytes) + facts.stats.get(Stat::ValueBytes);
    let mut lines =
        vec![format!("used_memory:{used}"), format!("used_memory_human:{}", human(used))];
    if facts.program == Program::Server {
        let resident = facts.stats.get(Stat::ResidentBytes);
        lines.extend([
            format!("used_memory_rss:{resident}"),
            format!("used_memory_dataset:{data}"),
            format!("mem_fragmentation_ratio:{:.2}", resident as f64 / used.max(1) as f64),
            format!("mem_fragmentation_bytes:{}", resident as i64 - used as i64),
        ]);
    }
    lines.extend([
        format!("maxmemory:{most}"),
        format!("maxmemory_human:{}", human(most)),
        "maxmemory_policy:noeviction".to_string(),
        // That of the system, whatever it is.
        "mem_allocator:libc".to_string(),
    ]);
    if facts.program == Program::Server {
        lines.push(format!("lazyfree_pending_objects:{}", facts.stats.pending_frees));
    }
    lines
}

/// Returns a size as Redis writes it for people: `1.50K`.
fn human(bytes: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    match units.iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.2}{unit}", bytes as f64 / (1u64 << bits) as f64),
        None => format!("{bytes}B"),
    }
}

fn persistence(_: &Facts<'_>) -> Vec<String> {
    let none = [
        "loading",
        "async_loading",
        "rdb_bgsave_in_progress",
        "aof_enabled",
        "aof_rewrite_in_progress",
        "module_fork_in_progress",
    ];
    none.iter().map(|name| format!("{name}:0")).collect()
}

fn stats(facts: &Facts<'_>) -> Vec<String> {
    let counted = |name: &str, stat| format!("{name}:{}", facts.stats.get(stat));
    let known: u64 = TABLE.iter().map(|command| facts.stats.requests(command)).sum();
    let requests = known + facts.stats.get(Stat::ForeignRequests);
    vec![
        counted("total_connections_received", Stat::ConnectionsTotal),
        format!("total_commands_processed:{requests}"),
        counted("total_net_input_bytes", Stat::BytesIn),
        counted("total_net_output_bytes", Stat::BytesOut),
        counted("rejected_connections", Stat::ConnectionsRefused),
        counted("client_output_buffer_limit_disconnections", Stat::OutputLimitCloses),
        counted("expired_keys", Stat::Expired),
        counted("evicted_keys", Stat::Evicted),
        counted("keyspace_hits", Stat::Hits),
        counted("keyspace_misses", Stat::Misses),
        counted("tracking_total_keys", Stat::TrackingKeys),
        counted("tracking_total_items", Stat::TrackingPairs),
        "tracking_total_prefixes:0".to_string(),
        "pubsub_channels:0".to_string(),
        "pubsub_patterns:0".to_string(),
        "latest_fork_usec:0".to_string(),
        counted("total_error_replies", Stat::ErrorReplies),
    ]
}

/// Returns the processor time, up to a second old.
fn cpu(facts: &Facts<'_>) -> Vec<String> {
    let ProcessUsage { user, system, thread_user, thread_system, .. } = facts.stats.process;
    let line = |name: &str, time: Duration| format!("used_cpu_{name}:{:.6}", time.as_secs_f64());
    vec![
        line("sys", system),
        line("user", user),
        line("sys_children", Duration::ZERO),
        line("user_children", Duration::ZERO),
        line("sys_main_thread", thread_system),
        line("user_main_thread", thread_user),
    ]
}

fn commands(facts: &Facts<'_>) -> Vec<String> {
    let lines = TABLE.iter().filter_map(|command| {
        let stats = facts.stats;
        let (calls, rejected) = (stats.requests(command), stats.rejected(command));
        let usec = stats.service_time(command).as_micros() as u64;
        let per_call = usec as f64 / calls.max(1) as f64;
        let name = command.name.to_ascii_lowercase();
        (calls + rejected > 0).then(|| {
            let failed = stats.failed(command);
            format!(
                "cmdstat_{name}:calls={calls},usec={usec},usec_per_call={per_call:.2},\
                 rejected_calls={rejected},failed_calls={failed}"
            )
        })
    });
    lines.collect()
}

fn errors(facts: &Facts<'_>) -> Vec<String> {
    let errors = facts.stats.errors().iter();
    errors.map(|(code, count)| format!("errorstat_{code}:count={count}")).collect()
}

fn keyspace(facts: &Facts<'_>) -> Vec<String> {
    let (keys, expires) = (facts.stats.get(Stat::Keys), facts.stats.get(Stat::KeysExpiring));
    let ttl = facts.stats.get(Stat::MeanTtlMs);
    let line = format!("db0:keys={keys},expires={expires},avg_ttl={ttl}");
    Some(line).filter(|_| keys > 0).into_iter().collect()
}

/// Returns the counters that only a proxy has, by their own names.
fn proxy(facts: &Facts<'_>) -> Vec<String> {
    let own = ROWS.iter().filter(|row| row.program == Program::Proxy);
    own.map(|row| format!("{}:{}", row.name, facts.stats.get(row.stat))).collect()
}
