//! Ever new keys through a small cache.

use crate::support::is_full;
use crate::support::process::{Client, PATIENCE, proxy, server};
use crate::support::tools::{resident_memory, stat, stats};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BUDGET: u64 = 1 << 20;
/// Keys that are there; between them it is asked for as many that are not. More than the cache
/// holds by far.
const THERE: u64 = 100_000;
const BATCH: u64 = 500;

fn value(key: u64) -> String {
    format!("value of {key}{}", "+".repeat(key as usize % 60))
}

fn load(address: SocketAddr) {
    let mut client = Client::connect(address);
    for first in (0..THERE).step_by(BATCH as usize) {
        let line = |key| format!("SET k{key} {}\r\n", value(key));
        client.send((first..first + BATCH).map(line).collect::<String>());
        assert!(client.lines(BATCH as usize).iter().all(|reply| reply == "OK"));
    }
}

/// What those who ask share.
#[derive(Default)]
struct Asked {
    count: AtomicU64,
    stop: AtomicBool,
}

/// Asks for the keys that nobody has asked for yet, until told to stop.
fn ask(address: SocketAddr, asked: &Asked) {
    let mut client = Client::connect(address);
    while !asked.stop.load(Ordering::Relaxed) {
        let first = asked.count.fetch_add(BATCH, Ordering::Relaxed);
        let line = |number: u64| match number % 2 {
            0 => format!("GET k{}\r\n", number / 2 % THERE),
            _ => format!("GET none{number}\r\n"),
        };
        client.send((first..first + BATCH).map(line).collect::<String>());
        for number in first..first + BATCH {
            let reply = client.line();
            match number % 2 {
                0 => assert_eq!(reply, value(number / 2 % THERE)),
                _ => assert_eq!(reply, "Key not found"),
            }
        }
    }
}

#[test]
fn memory_is_flat_while_ever_new_keys_go_through_a_small_cache() {
    let time = Duration::from_secs(if is_full() { 120 } else { 6 });
    let upstream = server(&["--tracking-keys", "50000"]);
    load(upstream.address());
    let proxy = proxy(upstream.address(), &["--cache-bytes", &BUDGET.to_string()]);
    let mut watcher = proxy.client();
    let (asked, address) = (Asked::default(), proxy.address());
    let memory = || [&proxy, &upstream].map(|process| resident_memory(process.id()) >> 10);
    let (mut most, mut before) = (0, None);
    let started = Instant::now();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(|| ask(address, &asked))).collect();
        // It goes on until there is something to compare with, should the machine be slow.
        let goes_on = |is_noted: bool| {
            let elapsed = started.elapsed();
            elapsed < time || !is_noted && elapsed < time + PATIENCE
        };
        while goes_on(before.is_some()) && !asking.iter().any(|it| it.is_finished()) {
            let counted = stats(&mut watcher);
            most = most.max(counted["cache_bytes"]);
            if started.elapsed() > time / 6 && counted["evicted"] > 10_000 {
                before.get_or_insert_with(memory);
            }
            // How often it is looked at.
            thread::sleep(Duration::from_millis(20));
        }
        asked.stop.store(true, Ordering::Relaxed);
    });
    let elapsed = started.elapsed().as_secs_f64();
    let (before, after) = (before.expect("it was noted"), memory());
    let count = asked.count.load(Ordering::Relaxed);
    let evicted = stat(&mut watcher, "evicted");
    println!("{:.0} new keys a second, {count} in all; {evicted} evicted", count as f64 / elapsed);
    println!(
        "cache_bytes up to {most} of {BUDGET}; KiB resident, proxy and server: {before:?} {after:?}"
    );
    assert!(most <= BUDGET && most > BUDGET * 9 / 10, "{most} bytes");
    assert!(evicted > count * 9 / 10 - 20_000, "of {count} only {evicted} are evicted");
    for (before, after) in before.iter().zip(after) {
        assert!(after < before + 2_048, "{before} KiB grew to {after} KiB");
    }
}
