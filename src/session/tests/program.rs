//! `STATS`, `INFO` and `CONFIG`.

use super::*;
use crate::protocol::command::{Command, Verb};
use crate::stats::Stat;

fn info(desk: &mut Desk, sections: &str) -> String {
    desk.reply(1, &format!("INFO {sections}").replace("INFO ''", "INFO"))
}

#[test]
fn information_comes_in_the_sections_that_are_asked_for() {
    let usual =
        "Server Clients Memory Persistence Stats Replication CPU Errorstats Cluster Keyspace";
    let all = "Server Clients Memory Persistence Stats Replication CPU Commandstats Errorstats \
               Cluster Keyspace";
    let mut desk = Desk::new();
    for (asked, expected) in [
        ("''", usual),
        ("default", usual),
        ("all", all),
        ("everything", all),
        ("keyspace SERVER", "Server Keyspace"),
        ("clients nosuch clients", "Clients"),
        ("default commandstats", all),
        ("nosuch", ""),
        ("proxy", ""),
    ] {
        let text = info(&mut desk, asked);
        let heads = text.split("# ").skip(1).filter_map(|part| part.split(' ').next());
        assert_eq!(heads.collect::<Vec<_>>().join(" "), expected, "{asked}");
    }
    desk.check(&[("INFO nosuch", "$0"), ("INFO cluster", "$30 # Cluster cluster_enabled:0")]);
    desk.reply(1, "HELLO 3");
    desk.check(&[
        ("INFO nosuch", "=4 txt:"),
        (
            "INFO cluster replication",
            "=84 txt:# Replication role:master connected_slaves:0  \
            # Cluster cluster_enabled:0",
        ),
    ]);
}

#[test]
fn information_says_what_the_counters_say() {
    let mut desk = Desk::new();
    for (stat, value) in [
        (Stat::UptimeSeconds, 2 * 86400 + 5),
        (Stat::ConnectionsNow, 3),
        (Stat::ConnectionsTotal, 11),
        (Stat::ConnectionsRefused, 4),
        (Stat::Keys, 2),
        (Stat::KeysExpiring, 1),
        (Stat::MeanTtlMs, 700),
        (Stat::KeyBytes, 1024),
        (Stat::ValueBytes, 512),
        (Stat::MemoryBytes, 3072),
        (Stat::ResidentBytes, 4096),
        (Stat::Hits, 6),
        (Stat::Misses, 5),
        (Stat::Expired, 9),
        (Stat::BytesIn, 70),
        (Stat::BytesOut, 80),
    ] {
        desk.stats.set(stat, value);
    }
    desk.check(&[("PING", "+PONG"), ("CLIENT ID", ":1")]);
    let row = |name: &[u8]| Command::find(name).expect("it is one");
    let measure = desk.stats.begin_turn(3, desk.start);
    desk.stats.count_request(row(b"PING"));
    desk.stats.end_turn(&measure, desk.start + Duration::from_micros(10));
    desk.stats.count_request(row(b"ECHO"));
    desk.stats.count_error(b"ERR", Some(Verb::Echo));
    desk.stats.count_rejected(row(b"GET"));
    desk.stats.count_error(b"OOM no memory", None);
    desk.stats.process.user = Duration::from_millis(1500);
    desk.stats.process.system = Duration::from_millis(250);
    let text = info(&mut desk, "all");
    for line in [
        "redis_version:7.4.0",
        concat!("larder_version:", env!("CARGO_PKG_VERSION")),
        "redis_mode:standalone",
        "uptime_in_seconds:172805",
        "uptime_in_days:2",
        "connected_clients:3",
        "maxclients:10000",
        "used_memory:3072",
        "used_memory_human:3.00K",
        "used_memory_rss:4096",
        "used_memory_dataset:1536",
        "loading:0",
        "total_connections_received:11",
        "total_commands_processed:5",
        "total_net_input_bytes:70",
        "total_net_output_bytes:80",
        "rejected_connections:4",
        "expired_keys:9",
        "evicted_keys:0",
        "keyspace_hits:6",
        "keyspace_misses:5",
        "role:master",
        "connected_slaves:0",
        "total_error_replies:2",
        "used_cpu_sys:0.250000",
        "used_cpu_user:1.500000",
        "cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
        "cmdstat_ping:calls=2,usec=30,usec_per_call=15.00,rejected_calls=0,failed_calls=0",
        "cmdstat_client|id:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
        "cmdstat_echo:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
        "errorstat_ERR:count=1",
        "errorstat_OOM:count=1",
        "lazyfree_pending_objects:0",
        "mem_fragmentation_ratio:1.33",
        "db0:keys=2,expires=1,avg_ttl=700",
    ] {
        assert!(text.split(' ').any(|field| field == line), "no {line} in {text}");
    }
    desk.stats.set(Stat::Keys, 0);
    desk.check(&[("INFO keyspace", "$12 # Keyspace")]);
}

#[test]
fn a_proxy_tells_of_its_upstream_and_its_cache() {
    let mut desk = Desk::new();
    desk.program = Program::Proxy;
    desk.stats.set(Stat::UpstreamUp, 1);
    desk.stats.set(Stat::CacheEntries, 7);
    desk.stats.set(Stat::CacheBytes, 900);
    let text = info(&mut desk, "''");
    for part in
        ["# Proxy misses_coalesced:0 ", " upstream_up:1 ", " cache_entries:7 ", "used_memory:900 "]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains("Keyspace"), "the keys are the upstream's: {text}");
}

#[test]
fn settings_are_found_by_our_names_and_those_of_redis() {
    let mut desk = Desk::new();
    desk.check(&[
        ("CONFIG GET save", "*2 $4 save $0"),
        ("CONFIG GET appendonly databases", "*4 $10 appendonly $2 no $9 databases $1 1"),
        ("CONFIG GET MaxClients", "*2 $10 MaxClients $5 10000"),
        ("CONFIG GET maxmemory*", "*4 $9 maxmemory $1 0 $16 maxmemory-policy $10 noeviction"),
        ("CONFIG GET MAX-L* timeout", "*4 $8 max-line $7 1048576 $7 timeout $1 0"),
        ("CONFIG GET put put P?T", "*2 $3 put $6 create"),
        ("CONFIG GET proto-max-bulk-len", "*2 $18 proto-max-bulk-len $8 67108864"),
        ("CONFIG GET ttl nosuch", "*0"),
        (&format!("CONFIG GET {}", "x".repeat(1024)), "*0"),
        (&format!("CONFIG GET a* {}", "x".repeat(1023)), "-ERR pattern longer than 1024 bytes"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG", "-ERR wrong number of arguments for 'config' command"),
        ("CONFIG REWRITE", "-ERR unknown subcommand 'REWRITE'. Try CONFIG HELP."),
    ]);
    desk.program = Program::Proxy;
    desk.check(&[("CONFIG GET ttl cache-bytes", "*4 $3 ttl $2 60 $11 cache-bytes $8 67108864")]);
    desk.reply(1, "HELLO 3");
    desk.check(&[("CONFIG GET timeout", "%1 $7 timeout $1 0"), ("CONFIG GET nosuch", "%0")]);
}

#[test]
fn settings_change_together_or_not_at_all() {
    fn failed(name: &str, why: &str) -> String {
        format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    }
    let immutable = "can't set immutable config";
    for (words, reply) in [
        ("databases 1", failed("databases", immutable)),
        ("max-connections 5", failed("max-connections", immutable)),
        ("maxclients 5", failed("maxclients", immutable)),
        ("output-limit 4MiB", failed("output-limit", immutable)),
        ("TIMEOUT 6", failed("timeout", "duplicate parameter")),
        ("idle-timeout 6", failed("idle-timeout", "duplicate parameter")),
        ("put sometimes", failed("put", "it takes create or replace")),
        ("line-timeout 0", failed("line-timeout", "it takes more than 0 seconds")),
        ("max-value 1", failed("max-value", "it takes a size from 64 to 2147483648 bytes")),
        ("max-line \u{e9}", failed("max-line", "it takes a size like 4096 or 64MiB")),
        ("nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'".into()),
        (
            "no\\nsuch 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'no\\nsuch'".into(),
        ),
        ("ttl 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'ttl'".into()),
        ("put", "-ERR syntax error".into()),
    ] {
        let mut desk = Desk::new();
        assert_eq!(desk.reply(1, &format!("CONFIG SET timeout 5 {words}")), reply);
        desk.check(&[("CONFIG GET timeout", "*2 $7 timeout $1 0")]);
    }
    let mut desk = Desk::new();
    desk.check(&[
        ("CONFIG SET timeout 2.5 put replace", "+OK"),
        ("CONFIG GET idle-timeout put", "*4 $3 put $7 replace $12 idle-timeout $3 2.5"),
        ("CONFIG SET max-value", "-ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET proto-max-bulk-len 1MiB", "+OK"),
        ("CONFIG GET max-value", "*2 $9 max-value $7 1048576"),
    ]);
    assert_eq!(desk.settings.limits.idle_timeout, Duration::from_millis(2500));
    desk.program = Program::Proxy;
    desk.check(&[("CONFIG SET ttl 5", "+OK"), ("CONFIG GET ttl", "*2 $3 ttl $1 5")]);
}

#[test]
fn counters_begin_again_at_zero() {
    let mut desk = Desk::new();
    desk.stats.set(Stat::Hits, 5);
    desk.stats.set(Stat::Keys, 5);
    desk.check(&[("PING", "+PONG"), ("CONFIG RESETSTAT", "+OK"), ("PING", "+PONG")]);
    let stats = desk.reply(1, "STATS");
    assert!(stats.contains("\nhits 0\n") && stats.contains("\nkeys 5\n"), "{stats}");
    assert!(stats.contains("\nrequests_ping 1\nrequests_stats 1"), "{stats}");
}
