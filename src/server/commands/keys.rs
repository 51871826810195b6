//! Commands for keys as such: whether they exist, what they are called, that they go.

use super::Call;
use super::arguments::{Refused, SYNTAX_ERROR};
use crate::clock::Now;
use crate::command::Verb;
use crate::protocol::Request;
use crate::protocol::text::Reply;
use crate::server::keyspace::Keyspace;

/// `DEL`, `UNLINK`.
pub fn del(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) -> Reply<'static> {
    let deleted = request.keys().filter(|key| keyspace.remove(key, now)).count();
    Reply::Deleted(deleted as u64)
}

/// `EXISTS`, `TOUCH`.
pub fn exists(call: &mut Call<'_>) -> Result<(), Refused> {
    let (keys, now) = (call.request.keys(), call.now);
    let count = keys.filter(|key| call.keyspace.get(key, now).is_some()).count();
    call.reply.integer(count as i64);
    Ok(())
}

/// `TYPE`.
pub fn kind(call: &mut Call<'_>) -> Result<(), Refused> {
    let exists = call.keyspace.get(call.word(1), call.now).is_some();
    call.reply.simple(if exists { "string" } else { "none" });
    Ok(())
}

/// `RENAME`, `RENAMENX`.
pub fn rename(call: &mut Call<'_>) -> Result<(), Refused> {
    let (from, to, now) = (call.word(1), call.word(2), call.now);
    let exists = |key| call.keyspace.store().get(key, now).is_some();
    if !exists(from) {
        return Err("no such key".into());
    }
    let only_to_new_key = call.request.command.verb == Verb::Renamenx;
    let renames = from != to && !(only_to_new_key && exists(to));
    if renames {
        call.keyspace.rename(from, to, now);
    }
    if only_to_new_key {
        call.reply.integer(renames.into());
    } else {
        call.reply.simple("OK");
    }
    Ok(())
}

/// `RANDOMKEY`.
pub fn random(call: &mut Call<'_>) -> Result<(), Refused> {
    match call.keyspace.random(call.now) {
        Some(key) => call.reply.bulk(key),
        None => call.reply.null(),
    }
    Ok(())
}

/// `DBSIZE`.
pub fn count(call: &mut Call<'_>) -> Result<(), Refused> {
    call.reply.integer(call.keyspace.store().len() as i64);
    Ok(())
}

/// `FLUSHDB`, `FLUSHALL`.
pub fn flush(call: &mut Call<'_>) -> Result<(), Refused> {
    let mut words = call.request.arguments();
    let is_mode = |word: &[u8]| matches!(&word.to_ascii_uppercase()[..], b"SYNC" | b"ASYNC");
    if !words.next().is_none_or(is_mode) || words.next().is_some() {
        return Err(SYNTAX_ERROR.into());
    }
    call.keyspace.clear(call.now);
    call.reply.simple("OK");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stage, plays};
    use crate::protocol::resp::Version;

    #[test]
    fn keys_are_counted_as_often_as_they_are_named() {
        plays(&[
            ("MSET a 1 b 2 \"\" 3", "+OK"),
            ("EXISTS a a x b", ":3"),
            ("TOUCH a x", ":1"),
            ("EXISTS \"\"", ":1"),
            ("TYPE a", "+string"),
            ("TYPE x", "+none"),
            ("DBSIZE", ":3"),
            ("UNLINK a a x", ":1"),
            ("DEL b \"\" x", ":2"),
            ("DBSIZE", ":0"),
        ]);
    }

    #[test]
    fn a_value_moves_with_its_time() {
        plays(&[
            ("RENAME a b", "-ERR no such key"),
            ("RENAMENX a a", "-ERR no such key"),
            ("SETEX a 5 1", "+OK"),
            ("RENAME a a", "+OK"),
            ("RENAMENX a a", ":0"),
            ("RENAME a b", "+OK"),
            ("TTL b", ":5"),
            ("EXISTS a", ":0"),
            ("SET c 2", "+OK"),
            ("RENAMENX c b", ":0"),
            ("RENAME c b", "+OK"),
            ("GET b", "$1 2"),
            ("TTL b", ":-1"),
            ("RENAMENX b c", ":1"),
            ("KEYS *", "*1 $1 c"),
        ]);
    }

    #[test]
    fn every_key_is_drawn_sooner_or_later() {
        let mut stage = Stage::new();
        assert_eq!(stage.says("RANDOMKEY"), "$-1");
        stage.version = Version::Three;
        stage.plays(&[("RANDOMKEY", "_"), ("MSET a 1 b 2 c 3", "+OK")]);
        let mut drawn: Vec<String> = (0..200).map(|_| stage.says("RANDOMKEY")).collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn, ["$1 a", "$1 b", "$1 c"]);
    }

    #[test]
    fn all_keys_go() {
        for line in ["FLUSHALL", "FLUSHDB", "FLUSHALL sync", "FLUSHDB ASYNC"] {
            plays(&[("MSET a 1 b 2", "+OK"), (line, "+OK"), ("DBSIZE", ":0"), ("GET a", "$-1")]);
        }
        for line in ["FLUSHALL now", "FLUSHDB SYNC ASYNC", "FLUSHALL \"\""] {
            plays(&[("SET a 1", "+OK"), (line, "-ERR syntax error"), ("DBSIZE", ":1")]);
        }
    }
}
