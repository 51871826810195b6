//! Names and versions of upstreams, and what is none.

use super::*;

fn of(server: &str, version: &str) -> Option<Identity> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let fields = ["server", server, "version", version, "proto"].map(bulk).concat();
    let reply = format!("%3\r\n{fields}:3\r\n");
    Identity::of_hello(reply.as_bytes())
}

#[test]
fn an_upstream_is_known_by_what_it_says_in_hello() {
    let valkey = Identity { server: "valkey".into(), version: "8.1.0".into() };
    assert_eq!(of("valkey", "8.1.0"), Some(valkey));
}

#[test]
fn what_is_no_name_is_not_taken_for_one() {
    assert_eq!(of("redis", ""), None);
    assert_eq!(of("redis\r\nfoo:1", "7"), None);
    assert_eq!(of(&"x".repeat(65), "7"), None);
    assert_eq!(Identity::of_hello(b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"), None);
    assert_eq!(Identity::of_hello(b"-ERR unknown command\r\n"), None);
}
