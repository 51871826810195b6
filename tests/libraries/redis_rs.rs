//! The crate `redis`, as it comes.

use crate::places::everywhere;
use crate::support::rounds;
use redis::{ErrorKind, RedisResult, ServerErrorKind, TypedCommands, pipe, transaction};
use std::collections::HashSet;

#[test]
fn redis_rs() {
    everywhere(|address, place| {
        for protocol in ["resp2", "resp3"] {
            let url = format!("redis://{address}/?protocol={protocol}");
            let client = redis::Client::open(url).expect("it is an address");
            let mut connection = client.get_connection().expect("it listens");
            commands(&mut connection).expect("all are known");
            pipelines(&mut connection).expect("all are known");
            let transacted = transact(&mut connection);
            match transacted {
                Ok(value) => assert!(!place.is_proxy() && value == 3, "{value}"),
                Err(error) => assert!(place.is_proxy(), "{error}"),
            }
            assert_eq!(connection.get("name"), Ok(Some("Derek Moss".to_string())));
        }
    });
}

fn commands(client: &mut redis::Connection) -> RedisResult<()> {
    client.set("name", "Derek Moss")?;
    assert_eq!(client.get("name")?.as_deref(), Some("Derek Moss"));
    assert_eq!(client.get("nothing")?, None);
    assert!(client.expire("name", 100)?);
    assert!((98..=100).contains(&client.ttl("name")?.raw()));
    client.mset(&[("a", "1"), ("b", "\0\r\n")])?;
    let values = client.mget(&["a", "nothing", "b"])?;
    assert_eq!(values, [Some("1"), None, Some("\0\r\n")].map(|it| it.map(String::from)));
    assert_eq!(client.incr("a", 41)?, 42);
    assert_eq!(client.append("a", "0")?, 3);
    assert_eq!(client.get_int("a")?, Some(420));
    assert_eq!(client.get_del("a")?.as_deref(), Some("420"));
    assert!(!client.exists("a")?);
    let error = client.incr("name", 1).expect_err("it is no number");
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
    assert_eq!(client.del(&["b", "nothing"])?, 1);
    Ok(())
}

fn pipelines(client: &mut redis::Connection) -> RedisResult<()> {
    let counted: (i64, String) =
        pipe().atomic().set("n", 1).ignore().incr("n", 1).get("n").query(client)?;
    assert_eq!(counted, (2, "2".to_string()));
    let keys: Vec<String> = (0..rounds(2_000)).map(|at| format!("key:{at}")).collect();
    let mut many = pipe();
    keys.iter().for_each(|key| {
        many.set(key, key).ignore().get(key);
    });
    assert_eq!(many.query::<Vec<String>>(client)?, keys);
    let seen: HashSet<String> = client.scan_match("key:*")?.collect::<RedisResult<_>>()?;
    assert_eq!(seen, keys.iter().cloned().collect());
    assert_eq!(client.del(&keys)?, keys.len());
    Ok(())
}

/// Watches, and begins again if somebody else was faster: here, nobody is.
fn transact(client: &mut redis::Connection) -> RedisResult<i64> {
    client.set("watched", 1)?;
    let (value,) = transaction(client, &["watched"], |client, pipe| {
        let seen = client.get_int("watched")?.unwrap_or_default();
        pipe.set("watched", seen + 1).ignore().incr("watched", 1).query(client)
    })?;
    Ok(value)
}
