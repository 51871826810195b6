//! A real redis-server behind the proxy (Debian's package of that name).

use crate::support::process::{Client, Process};
use crate::support::redis_server::Redis;
use crate::support::tools::{connected_proxy, stat, wait_until};

fn pair() -> (Redis, Process, Client) {
    let redis = Redis::start(&[]);
    let proxy = connected_proxy(redis.address, &[]);
    let client = proxy.client();
    (redis, proxy, client)
}

#[test]
fn what_is_not_a_string_is_skipped_in_pairs_and_refused_in_its_own_words() {
    let (redis, _proxy, mut client) = pair();
    redis.tell("RPUSH list a b c");
    redis.tell("HSET hash field value");
    redis.tell("SADD set member");
    assert_eq!(client.ask("SET plain = text"), "OK");
    assert_eq!(client.ask("DUMP").split(' ').count(), 4);
    client.send("DUMP PAIRS\r\n");
    assert_eq!(client.until_end(), ["plain = text"]);
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    for _ in 0..3 {
        assert_eq!(client.ask("GET list"), format!("ERR {wrong}"));
    }
    client.send("*2\r\n$3\r\nGET\r\n$4\r\nhash\r\n");
    assert_eq!(client.line(), format!("-{wrong}"));
    assert_eq!(client.ask("PUT set x"), "Key already exists");
    assert_eq!(client.ask("DEL list"), "OK");
    assert_eq!(client.ask("GET list"), "Key not found");
}

/// `MULTI`, `SET k v`, `EXEC`.
const TRANSACTION: &str =
    "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*1\r\n$4\r\nEXEC\r\n";

#[test]
fn an_upstream_without_transactions_is_sent_none() {
    let redis = Redis::start(&["--rename-command", "MULTI", ""]);
    let proxy = connected_proxy(redis.address, &[]);
    let mut client = proxy.client();
    // Which commands it has is known when one that is not ours is answered.
    client.send("*2\r\n$4\r\nHLEN\r\n$1\r\nh\r\n");
    assert_eq!(client.line(), ":0");
    client.send(TRANSACTION);
    assert_eq!(client.lines(2), ["+OK", "+QUEUED"]);
    assert_eq!(client.line(), "-ERR transactions are not available: the upstream has none");
    assert_eq!(client.ask("GET k"), "Key not found");
}

#[test]
fn a_transaction_that_is_refused_harms_nobody_else() {
    let (redis, _proxy, mut client) = pair();
    redis.tell("ACL SETUSER default -multi");
    client.send(TRANSACTION);
    assert_eq!(client.lines(2), ["+OK", "+QUEUED"]);
    assert_eq!(client.line(), "-ERR EXEC without MULTI");
    assert_eq!(stat(&mut client, "upstream_connects"), 1);
}

#[test]
fn the_level_is_told_each_time_that_it_changes() {
    let (redis, proxy, mut client) = pair();
    proxy.wait_for_log("(level 1)");
    redis.tell("ACL SETUSER default -client|tracking");
    redis.tell("CLIENT KILL TYPE normal");
    proxy.wait_for_log("(level 0)");
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(stat(&mut client, "coherence_level"), 0);
    redis.tell("ACL SETUSER default +client|tracking");
    redis.tell("CLIENT KILL TYPE normal");
    wait_until("it is told again", || proxy.log().matches("(level 1)").count() == 2);
}

/// One that told of none goes on being trusted for `--ttl`.
#[test]
fn what_is_cached_of_a_redis_that_tells_nothing_is_served_while_it_is_away() {
    let redis = Redis::start(&[]);
    redis.tell("ACL SETUSER default -client|tracking");
    let proxy = connected_proxy(redis.address, &[]);
    let mut client = proxy.client();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(client.ask("GET k"), "v");
    assert_eq!(stat(&mut client, "coherence_level"), 0);
    drop(redis);
    wait_until("the loss is noticed", || stat(&mut client, "upstream_up") == 0);
    assert_eq!(client.ask("GET k"), "v");
    assert_eq!(client.ask("GET other"), "ERR upstream unavailable");
}

#[test]
fn nothing_is_cached_of_an_upstream_that_does_not_tell_how_long_keys_live() {
    let (redis, proxy, mut client) = pair();
    redis.tell("ACL SETUSER default -pttl");
    assert_eq!(client.ask("SET k v"), "OK");
    for _ in 0..3 {
        assert_eq!(client.ask("GET k"), "v");
    }
    assert_eq!(stat(&mut client, "hits"), 0);
    proxy.wait_for_log("the upstream refuses PTTL");
}
