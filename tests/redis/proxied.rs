//! Redis through our proxy beside Redis itself: what the proxy sends on for clients of RESP2 and of
//! RESP3 is answered as if they had asked Redis.

use super::agree;
use super::compare::{ONE_DATABASE, Pair, REDIS};
use super::grammar::lines;
use super::script::Script;
use super::tables::none_differs;
use crate::support::place::Place;

const CACHING: Place = Place::ProxyBeforeRedis(&[], ONE_DATABASE);

/// Keys that expire are served from a cache for longer.
const NOT_CACHING: Place = Place::ProxyBeforeRedis(&["--ttl", "0"], ONE_DATABASE);

/// As before Redis 6.
const OLD: Place =
    Place::ProxyBeforeRedis(&[], &["--databases", "1", "--rename-command", "HELLO", ""]);

#[test]
fn values_through_a_proxy_are_as_in_redis() {
    agree(REDIS, CACHING, &lines(&["strings", "numbers"]), 4_000);
}

#[test]
fn keys_that_live_for_a_while_are_through_a_proxy_as_in_redis() {
    // INFO is the proxy's own.
    let mut lines = lines(&["lives", "keys"]);
    lines.retain(|line| !line.contains("INFO"));
    agree(REDIS, NOT_CACHING, &lines, 4_000);
}

#[test]
fn replies_are_held_back_by_a_proxy_as_in_redis() {
    // That they be held back is not kept for EXEC.
    let mut lines = lines(&["hushed"]);
    lines.retain(|line| *line != "MULTI");
    agree(REDIS, CACHING, &lines, 1_000);
}

/// Several requests as one, without WATCH.
const TRANSACTIONS: &[&str] = &[
    "8 MULTI",
    "6 EXEC",
    "DISCARD",
    "UNWATCH",
    "MULTI; INCR key; GET key; NOSUCH; EXEC",
    "MULTI; INCR key; MGET key+; EXEC",
    "MULTI; HSET key value value; HGETALL key; ZADD key number value; EXEC",
    "RESET",
];

#[test]
fn transactions_through_a_proxy_are_as_in_redis() {
    agree(REDIS, CACHING, &[TRANSACTIONS, &lines(&["strings"])].concat(), 4_000);
}

const SCRIPTS: &str = include_str!("proxied.txt");

fn scripts() -> impl Iterator<Item = String> {
    SCRIPTS.split("\n\n").map(|block| {
        let lines = block.lines().filter(|line| !line.starts_with('#'));
        lines.flat_map(|line| line.split("; ")).map(|it| format!("*> {it}\n")).collect()
    })
}

#[track_caller]
fn check(other: Place, scripts: impl Iterator<Item = Script>) {
    let mut pair = Pair::start(REDIS, other);
    none_differs(scripts.map(|script| pair.run(&script)).collect());
}

fn in_both_versions(script: String) -> [Script; 2] {
    [Script::of(&script), Script::of(&script).in_resp3()]
}

#[test]
fn other_types_are_through_a_proxy_as_in_redis() {
    check(CACHING, scripts().flat_map(in_both_versions));
}

#[test]
fn other_types_are_through_a_proxy_as_in_redis_that_knows_no_resp3() {
    check(OLD, scripts().map(|script| Script::of(&script)));
}

#[test]
fn other_types_in_a_transaction_are_through_a_proxy_as_in_redis() {
    // What is refused at once is so in both.
    let is_right = |line: &&str| !line.contains("NOSUCH") && line.split(' ').count() > 2;
    let transactions = scripts().map(|script| {
        let lines: Vec<_> = script.lines().filter(is_right).collect();
        format!("*> MULTI\n{}\n*> EXEC\n", lines.join("\n"))
    });
    check(CACHING, transactions.flat_map(in_both_versions));
}
