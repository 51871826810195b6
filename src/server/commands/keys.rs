//! Commands for keys as such: whether they exist, what they are called, that they go.

use super::Call;
use crate::base::clock::Now;
use crate::protocol::command::Verb;
use crate::protocol::{Reply, Request};
use crate::server::keyspace::Keyspace;
use crate::session::RequestError;

/// `DEL`, `UNLINK`.
pub fn del(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) -> Reply<'static> {
    let deleted = request.hashed_keys().filter(|key| keyspace.remove(*key, now)).count();
    Reply::Deleted(deleted as u64)
}

/// `EXISTS`, `TOUCH`.
pub fn exists(call: &mut Call<'_>) -> Result<(), RequestError> {
    let Call { keyspace, request, stats, now, .. } = call;
    let count =
        request.hashed_keys().filter(|key| keyspace.get(*key, stats, *now).is_some()).count();
    call.reply.integer(count as i64);
    Ok(())
}

/// `TYPE`.
pub fn kind(call: &mut Call<'_>) -> Result<(), RequestError> {
    let exists = call.value().is_some();
    call.reply.simple(if exists { "string" } else { "none" });
    Ok(())
}

/// `RENAME`, `RENAMENX`.
pub fn rename(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (from, to, now) = (call.word(1), call.word(2), call.now);
    let exists = |key: &[u8]| call.keyspace.store().get(key, now).is_some();
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

/// `DBSIZE`.
pub fn count(call: &mut Call<'_>) -> Result<(), RequestError> {
    call.reply.integer(call.keyspace.store().len() as i64);
    Ok(())
}

/// `FLUSHDB`, `FLUSHALL`.
pub fn flush(call: &mut Call<'_>) -> Result<(), RequestError> {
    let mut words = call.request.arguments();
    let is_mode = |word: &[u8]| matches!(&word.to_ascii_uppercase()[..], b"SYNC" | b"ASYNC");
    if !words.next().is_none_or(is_mode) || words.next().is_some() {
        return Err(RequestError::SYNTAX);
    }
    call.keyspace.clear(call.now);
    call.reply.simple("OK");
    Ok(())
}

#[cfg(test)]
mod tests;
