//! Every counter of the table counts, in each program that shows it.

use crate::support::fake::{Fake, Link};
use crate::support::process::{Client, PATIENCE, Process, proxy, server};
use crate::support::redis_server::Redis;
use crate::support::tools::stat;
use crate::{PROGRAMS, resp, start, tracking_client};
use larder::settings::Program;
use larder::stats::{StatKind, stats_of};
use std::thread;
use std::time::{Duration, Instant};

/// What makes a counter count.
struct Case {
    /// Those of the program.
    flags: &'static [&'static str],
    upstream: UpstreamKind,
    act: fn(&mut Scene),
}

/// What a proxy stands in front of.
#[derive(Clone, Copy, PartialEq)]
enum UpstreamKind {
    Server,
    Redis,
    /// The test itself.
    Scripted,
}

/// A program that runs, with what belongs to it.
struct Scene {
    /// What stands behind it is kept as long as it is.
    upstream: Option<Process>,
    _redis: Option<Redis>,
    fake: Option<Fake>,
    links: Vec<Link>,
    process: Process,
    client: Client,
    /// Others that stay connected.
    others: Vec<Client>,
}

impl Scene {
    fn new(program: Program, case: &Case) -> Scene {
        let (mut upstream, mut redis, mut fake) = (None, None, None);
        let process = match case.upstream {
            _ if program == Program::Server => start(program, case.flags),
            UpstreamKind::Server => {
                let server = upstream.insert(server(&[]));
                proxy(server.address(), case.flags)
            }
            UpstreamKind::Redis => {
                let server = redis.insert(Redis::start(&[]));
                proxy(server.address, case.flags)
            }
            UpstreamKind::Scripted => {
                let script = fake.insert(Fake::start());
                proxy(script.address(), case.flags)
            }
        };
        let client = process.client();
        let (links, others) = (Vec::new(), Vec::new());
        Scene { upstream, _redis: redis, fake, links, process, client, others }
    }

    /// Returns another client, of the server itself.
    fn behind(&self) -> Client {
        self.upstream.as_ref().expect("there is a server behind").client()
    }

    fn fake(&self) -> &Fake {
        self.fake.as_ref().expect("there is a script")
    }

    /// Has the proxy keep a value for the key.
    fn cache(&mut self, key: &str) {
        self.cache_briefly(key);
        assert!(stat(&mut self.client, "cache_entries") > 0);
    }

    /// Has the proxy keep a value, which may be gone before it is looked for.
    fn cache_briefly(&mut self, key: &str) {
        assert_eq!(self.client.ask(&format!("SET {key} 1")), "OK");
        assert_eq!(self.client.ask(&format!("GET {key}")), "1");
    }
}

const NO_FLAGS: &[&str] = &[];

fn case(program: Program, name: &str) -> Option<Case> {
    let is_proxy = program == Program::Proxy;
    let row = |flags, act| Some(Case { flags, upstream: UpstreamKind::Server, act });
    let scripted = |act| Some(Case { flags: NO_FLAGS, upstream: UpstreamKind::Scripted, act });
    match name {
        "uptime_seconds" | "connections_now" | "connections_total" | "bytes_in" | "bytes_out" => {
            row(NO_FLAGS, |it| assert_eq!(it.process.client().ask("PING"), "PONG"))
        }
        "connections_refused" => row(&["--max-connections", "1"], |it| {
            assert_eq!(it.process.client().line(), "-ERR too many connections");
        }),
        "connections_timed_out" => row(&["--line-timeout", "0.05"], |it| {
            let mut slow = it.process.client();
            slow.send("PI");
            slow.until_eof();
        }),
        "output_limit_closes" if is_proxy => row(&["--output-limit", "2MiB"], leave_replies),
        "output_limit_closes" => row(&["--output-limit", "2MiB"], leave_invalidations),
        "request_errors" | "error_replies" => {
            row(NO_FLAGS, |it| assert_ne!(it.client.ask("NONSENSE"), "OK"))
        }
        "too_large_requests" => row(NO_FLAGS, |it| {
            let reply = it.client.ask(&format!("GET {}", "k".repeat(65_537)));
            assert!(reply.contains("key longer"), "{reply}");
        }),
        "too_large_replies" => row(&["--output-limit", "2MiB"], |it| {
            let value = "v".repeat(1_500_000);
            assert_eq!(it.client.ask("SET small 1"), "OK");
            assert_eq!(resp(&mut it.client, &["SET", "large", &value]), "+OK");
            let reply = resp(&mut it.client, &["MGET", "large", "large"]);
            assert!(reply.starts_with("-ERR"), "{}", &reply[..20]);
        }),
        "hits" => row(NO_FLAGS, |it| {
            assert_eq!(it.client.ask("SET a 1"), "OK");
            assert_eq!([it.client.ask("GET a"), it.client.ask("GET a")], ["1", "1"]);
        }),
        "misses" => row(NO_FLAGS, |it| assert_eq!(it.client.ask("GET a"), "Key not found")),
        "expired" if is_proxy => row(&["--ttl", "0.01"], |it| it.cache_briefly("a")),
        "expired" => row(NO_FLAGS, |it| {
            assert_eq!(resp(&mut it.client, &["SET", "a", "1", "PX", "1"]), "+OK");
        }),
        _ if is_proxy => proxy_case(name).or(match name {
            "upstream_unanswered" => scripted(|it| {
                it.links.push(it.fake().accept_telling());
                it.others.push(it.process.client());
                it.others[0].send("GET a\r\n");
            }),
            "upstream_connects" => scripted(|it| {
                it.fake().accept_telling().reset();
                it.links.push(it.fake().accept_telling());
            }),
            "flushes_by_tracking_start" => scripted(begin_tracking_late),
            "foreign_requests" => {
                let act: fn(&mut Scene) = |it| {
                    assert_eq!(resp(&mut it.client, &["LPUSH", "list", "a"]), ":1");
                };
                Some(Case { flags: NO_FLAGS, upstream: UpstreamKind::Redis, act })
            }
            _ => None,
        }),
        _ => server_case(name),
    }
}

fn server_case(name: &str) -> Option<Case> {
    let row = |flags, act| Some(Case { flags, upstream: UpstreamKind::Server, act });
    match name {
        "keys" | "keys_expiring" | "mean_ttl_ms" | "key_bytes" | "value_bytes" | "memory_bytes"
        | "resident_bytes" => row(NO_FLAGS, |it| {
            assert_eq!(resp(&mut it.client, &["SET", "a", "1", "EX", "1000"]), "+OK");
        }),
        "out_of_memory" => row(&["--max-memory", "1"], |it| {
            assert!(it.client.ask("SET a 1").starts_with("ERR out of memory"));
        }),
        "tracking_clients" | "tracking_keys" | "tracking_pairs" => row(NO_FLAGS, |it| {
            track(it, "a");
        }),
        "tracking_dropped" => row(&["--tracking-keys", "1"], |it| {
            track(it, "a");
            assert_eq!(resp(&mut it.others[0], &["GET", "b"]), "_");
        }),
        "invalidations_sent" => row(NO_FLAGS, |it| {
            track(it, "a");
            assert_eq!(it.client.ask("SET a 1"), "OK");
        }),
        _ => None,
    }
}

fn proxy_case(name: &str) -> Option<Case> {
    let row = |flags, act| Some(Case { flags, upstream: UpstreamKind::Server, act });
    match name {
        "misses_coalesced" => row(NO_FLAGS, |it| {
            it.client.send("GET a\r\nGET a\r\n");
            assert_eq!(it.client.lines(2), ["Key not found"; 2]);
        }),
        "evicted" => row(&["--cache-bytes", "4KiB"], |it| {
            for number in 0..100 {
                it.cache(&format!("k{number}"));
            }
        }),
        "not_cached_too_large" => row(&["--cache-bytes", "8KiB"], |it| {
            assert_eq!(it.client.ask(&format!("SET a {}", "v".repeat(5_000))), "OK");
            assert_eq!(it.client.ask("GET a").len(), 5_000);
        }),
        "entries_invalidated" => row(NO_FLAGS, |it| {
            it.cache("a");
            assert_eq!(it.client.ask("SET a 2"), "OK");
        }),
        "invalidations_received" => row(NO_FLAGS, |it| {
            it.cache("a");
            assert_eq!(it.behind().ask("SET a 2"), "OK");
        }),
        "flights_poisoned" => row(NO_FLAGS, |it| {
            it.client.send("GET a\r\nSET a 2\r\n");
            assert_eq!(it.client.lines(2), ["Key not found", "OK"]);
        }),
        "held_for_confirmation" => row(&["--trust", "0"], |it| {
            it.cache("a");
            assert_eq!(it.client.ask("GET a"), "1");
        }),
        "flushes_by_upstream" => row(NO_FLAGS, |it| {
            it.cache("a");
            assert_eq!(resp(&mut it.behind(), &["FLUSHALL"]), "+OK");
        }),
        "flushes_by_write" => row(NO_FLAGS, |it| {
            it.cache("a");
            assert_eq!(resp(&mut it.client, &["FLUSHALL"]), "+OK");
        }),
        "flushes_by_disconnect" | "upstream_errors" => row(NO_FLAGS, |it| {
            it.cache("a");
            it.upstream.take().expect("it runs").kill();
        }),
        "coherence_level" | "confirmed_age_ms" | "upstream_up" | "cache_entries"
        | "cache_bytes" => row(NO_FLAGS, |it| it.cache("a")),
        _ => None,
    }
}

/// Has another client track a key.
fn track(scene: &mut Scene, key: &str) {
    let mut client = tracking_client(&scene.process);
    assert_eq!(resp(&mut client, &["GET", key]), "_");
    scene.others.push(client);
}

/// A proxy cannot call back what it has asked its upstream for.
fn leave_replies(scene: &mut Scene) {
    let value = "v".repeat(1_000_000);
    let mut behind = scene.behind();
    (0..100).for_each(|key| assert_eq!(behind.ask(&format!("SET k{key} {value}")), "OK"));
    let mut reader = scene.process.client();
    reader.send((0..100).map(|key| format!("GET k{key}\r\n")).collect::<String>());
    scene.others.push(reader);
}

/// A server cannot hold back what others change.
fn leave_invalidations(scene: &mut Scene) {
    // More than the buffers of both sockets take.
    let keys: Vec<String> = (0..400).map(|key| format!("{key}{}", "k".repeat(60_000))).collect();
    track(scene, "first");
    for key in &keys {
        assert_eq!(resp(&mut scene.others[0], &["GET", key]), "_");
    }
    for key in &keys {
        assert_eq!(scene.client.ask(&format!("SET {key} 1")), "OK");
    }
}

/// What was cached by time alone is flushed once the upstream sends invalidations.
fn begin_tracking_late(scene: &mut Scene) {
    let mut link = scene.fake().accept();
    scene.client.send("GET a\r\n");
    link.expect("GET a");
    link.say_value("1");
    assert_eq!(scene.client.line(), "1");
    assert_eq!(stat(&mut scene.client, "cache_entries"), 1);
    link.reset();
    scene.links.push(scene.fake().accept_telling());
}

#[test]
fn every_counter_counts() {
    let mut wrong = Vec::new();
    for (program, whose) in PROGRAMS {
        for row in stats_of(program) {
            let name = row.name;
            let Some(case) = case(program, name) else {
                wrong.push(format!(
                    "{whose}: the counter `{name}` has no case: add one to `case` in \
                     tests/tables/counters.rs that makes it count"
                ));
                continue;
            };
            let mut scene = Scene::new(program, &case);
            let is_gauge = row.kind == StatKind::Gauge;
            let before = if is_gauge { 0 } else { stat(&mut scene.client, name) };
            (case.act)(&mut scene);
            let until = Instant::now() + PATIENCE / 6;
            while stat(&mut scene.client, name) <= before {
                if Instant::now() > until {
                    let stat = format!("Stat::{:?}", row.stat);
                    wrong.push(format!(
                        "{whose}: `{name}` does not count. A counter: `stats.add({stat}, …)` where \
                         it happens. A gauge: `stats.set({stat}, …)` where `Outcome::Program` is \
                         handled, in `publish` of src/server.rs or in src/proxy/requests.rs. Else \
                         its case in tests/tables/counters.rs does not make it happen"
                    ));
                    break;
                }
                // What is asked for from outside can only be asked for again.
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
