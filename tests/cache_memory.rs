//! What the cache says that it takes, beside what the process takes.
//!
//! Each measurement is a process of its own, which is this program again: memory that one left to
//! the allocator would be used by the next unseen. The count is made for the allocator of glibc.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod support;

use larder::base::output::Value;
use larder::program::resident_bytes;
use larder::protocol::KeyLookup;
use larder::proxy::coherence::cache::{Cache, Found};
use std::env;
use std::process::{self, Command};
use std::time::{Duration, Instant};
use support::random::Random;

const BUDGET: usize = 64 << 20;
/// The lengths of values that the process is to fill its cache with, one after the other; those
/// with commas between them mixed.
const LENGTHS: &str = "LARDER_VALUE_LENGTHS";

/// To be called by the test of this name, which is called again in the other process.
#[track_caller]
fn check(test: &str, lengths: &str, within: f64) {
    if let Ok(lengths) = env::var(LENGTHS) {
        fill(&lengths);
        process::exit(0);
    }
    let mut command = Command::new(env::current_exe().expect("this is a program"));
    command.args(["--exact", test, "--nocapture"]).env(LENGTHS, lengths);
    let output = command.output().expect("the program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| Some(line.split_once("filled ")?.1))
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(rows.len(), lengths.split(' ').count(), "{text}");
    for row in rows {
        let taken: f64 = row[1].parse().expect("it is a number");
        println!("values of {} bytes: {taken:.3} of what is counted", row[0]);
        assert!((taken - 1.0).abs() <= within, "{lengths}: {row:?}");
    }
}

#[test]
fn a_full_cache_takes_what_it_counts() {
    for length in ["0", "8", "33", "100", "500", "2000", "10000", "65536", "200000", "1000000"] {
        check("a_full_cache_takes_what_it_counts", length, 0.1);
    }
}

#[test]
fn so_does_one_of_many_sizes_however_long_it_is_used() {
    let mixed = "10,20,40,80,160,320,640,1280,2560,5120,10240,20480,65536";
    check("so_does_one_of_many_sizes_however_long_it_is_used", &[mixed; 4].join(" "), 0.1);
}

/// What was freed in pieces too small for the new values is lost until small ones come again: the
/// allocator's holes, which nobody can count from here.
#[test]
fn when_all_sizes_change_at_once_only_the_allocators_holes_come_on_top() {
    let test = "when_all_sizes_change_at_once_only_the_allocators_holes_come_on_top";
    check(test, "8 1000 30 500 100", 0.5);
}

fn fill(lengths: &str) {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(60);
    let before = resident_bytes();
    let mut cache = Cache::new(BUDGET, now);
    let (mut number, mut random) = (0u64, Random(1));
    for word in lengths.split(' ') {
        let length = |word: &str| word.parse::<usize>().expect("it is a number");
        let lengths: Vec<usize> = word.split(',').map(length).collect();
        let value = vec![b'v'; lengths.iter().copied().max().expect("there is one")];
        // Everything is replaced twice and more. Of ten one is asked for, and stays a round longer.
        let mut added = 0;
        while added <= 3 * cache.len() {
            (added, number) = (added + 1, number + 1);
            let mut key = [b'k'; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            // No order of lengths is repeated.
            let value = &value[..random.pick(&lengths)];
            let hash = cache.hash(&key);
            assert!(cache.insert(hash, &key, Found::Value(Value::Short(value)), deadline, now));
            if number.is_multiple_of(10) {
                cache.get(hash, &key, now);
            }
        }
        let full = cache.bytes() as f64 / BUDGET as f64;
        assert!((0.98..=1.0).contains(&full), "{full} of the budget is counted");
        let taken = (resident_bytes() - before) as f64 / cache.bytes() as f64;
        println!("filled {word} {taken:.4}");
    }
}
