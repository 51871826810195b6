//! Commands for values.

use super::arguments::{StoreOptions, TimeUnit, integer};
use super::{Call, too_large, value_too_large};
use crate::base::clock::Now;
use crate::base::output::Value;
use crate::protocol::command::Verb;
use crate::protocol::{Key, Refusal, Reply, Request};
use crate::server::keyspace::Keyspace;
use crate::server::store::Expiry;
use crate::session::RequestError;
use crate::settings::PutMode;
use crate::stats::Stat;
use std::ops::Range;

/// `PUT`.
pub fn put(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) -> Reply<'static> {
    let (key, value) = (request.key(), request.word(2));
    if keyspace.put_mode == PutMode::Replace {
        keyspace.set(key, value, Expiry::Never, now);
        return Reply::Ok;
    }
    if keyspace.put(key, value, now) { Reply::Ok } else { Reply::Exists }
}

/// Replies with the value of a key, or null, and returns whether there is one. Nothing may have
/// changed yet: it refuses what is too large, and then nothing may change.
fn reply_with_value(call: &mut Call<'_>, key: Key<'_>) -> Result<bool, RequestError> {
    let Call { keyspace, reply, stats, now, .. } = call;
    let most = keyspace.output_limit;
    match keyspace.get(key, stats, *now) {
        Some(value) if value.len() > most => return Err(value_too_large()),
        Some(value) => {
            reply.value(value);
            return Ok(true);
        }
        None => reply.null(),
    }
    Ok(false)
}

pub fn set(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (key, value, now) = (call.key(), call.word(2), call.now);
    let options = StoreOptions::of(&call.request)?;
    let expiry = options.expiry(&call.request, now)?.unwrap_or(Expiry::Never);
    let existed = if options.get { Some(reply_with_value(call, key)?) } else { None };
    let exists = || existed.unwrap_or_else(|| call.keyspace.store().get(key, now).is_some());
    let stores = options.only_if_exists.is_none_or(|wanted| wanted == exists());
    if stores {
        call.keyspace.set(key, value, expiry, now);
    }
    match (options.get, stores) {
        (true, _) => {}
        (false, true) => call.reply.simple("OK"),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

pub fn setnx(call: &mut Call<'_>) -> Result<(), RequestError> {
    let stored = call.keyspace.put(call.key(), call.word(2), call.now);
    call.reply.integer(stored.into());
    Ok(())
}

/// `SETEX`, `PSETEX`.
pub fn setex(call: &mut Call<'_>) -> Result<(), RequestError> {
    let in_seconds = call.request.command.verb == Verb::Setex;
    let unit = if in_seconds { TimeUnit::SECONDS } else { TimeUnit::MILLIS };
    let deadline = unit.deadline(call.word(2), &call.request, call.now)?;
    call.keyspace.set(call.key(), call.word(3), Expiry::At(deadline), call.now);
    call.reply.simple("OK");
    Ok(())
}

pub fn getset(call: &mut Call<'_>) -> Result<(), RequestError> {
    reply_with_value(call, call.key())?;
    call.keyspace.set(call.key(), call.word(2), Expiry::Never, call.now);
    Ok(())
}

pub fn getdel(call: &mut Call<'_>) -> Result<(), RequestError> {
    if reply_with_value(call, call.key())? {
        call.keyspace.remove(call.key(), call.now);
    }
    Ok(())
}

pub fn getex(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (key, now) = (call.key(), call.now);
    let options = StoreOptions::of(&call.request)?;
    let expiry = options.expiry(&call.request, now);
    if reply_with_value(call, key)? {
        match expiry? {
            Some(Expiry::At(deadline)) => _ = call.keyspace.set_deadline(key, deadline, now),
            Some(Expiry::Never) => _ = call.keyspace.persist(key, now),
            Some(Expiry::Keep) | None => {}
        }
    }
    Ok(())
}

pub fn mget(call: &mut Call<'_>) -> Result<(), RequestError> {
    let full = call.reply.len() + call.keyspace.output_limit;
    let keys = call.request.hashed_keys();
    call.reply.array(keys.len());
    for key in keys {
        reply_with_value(call, key)?;
        // A request may name a large value a million times.
        if call.reply.len() > full {
            return Err(too_large());
        }
    }
    Ok(())
}

pub fn mset(call: &mut Call<'_>) -> Result<(), RequestError> {
    for (key, value) in pairs(&call.request)? {
        call.keyspace.set(key, value, Expiry::Never, call.now);
    }
    call.reply.simple("OK");
    Ok(())
}

/// The most words of an `MSETNX`: 1,000 keys.
const MAX_MSETNX_WORDS: usize = 2001;

pub fn msetnx(call: &mut Call<'_>) -> Result<(), RequestError> {
    let pairs = pairs(&call.request)?;
    if call.request.len() > MAX_MSETNX_WORDS && !call.keyspace.work.is_in_transaction() {
        // It is all or nothing, and so cannot be done in parts.
        return Err(RequestError::counted(Stat::TooLargeRequests, "too many keys for MSETNX"));
    }
    let mut keys = call.request.hashed_keys();
    let stores = keys.all(|key| call.keyspace.store().get(key, call.now).is_none());
    if stores {
        for (key, value) in pairs {
            call.keyspace.set(key, value, Expiry::Never, call.now);
        }
    }
    call.reply.integer(stores.into());
    Ok(())
}

/// Returns the keys and values of a request.
///
/// # Errors
/// The last key has no value.
fn pairs<'a>(
    request: &Request<'a>,
) -> Result<impl Iterator<Item = (Key<'a>, &'a [u8])> + use<'a>, RequestError> {
    if request.len().is_multiple_of(2) {
        return Err(request.command.wrong_arity().into());
    }
    Ok(request.hashed_keys().zip(request.words().skip(2).step_by(2)))
}

pub fn append(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (key, tail, now) = (call.key(), call.word(2), call.now);
    let length = call.keyspace.store().get(key, now).map_or(0, Value::len);
    check_length(call, key, length + tail.len())?;
    let length = call.keyspace.write_at(key, None, tail, now);
    call.reply.integer(length as i64);
    Ok(())
}

pub fn strlen(call: &mut Call<'_>) -> Result<(), RequestError> {
    let length = call.value().map_or(0, Value::len);
    call.reply.integer(length as i64);
    Ok(())
}

pub fn getrange(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (start, end) = (integer(call.word(2))?, integer(call.word(3))?);
    let key = call.key();
    let Call { keyspace, reply, stats, now, .. } = call;
    let most = keyspace.output_limit;
    let value = keyspace.get(key, stats, *now).unwrap_or(Value::Short(b""));
    let range = range_of(start, end, value.len());
    if range.len() > most {
        return Err(value_too_large());
    }
    // A part that is shared holds all of the value in memory.
    if range.len() * 2 > value.len() {
        reply.value(value.part(range));
    } else {
        reply.bulk(&value.bytes()[range]);
    }
    Ok(())
}

/// Returns the bytes from `start` to `end`, that one included, of a value of this length; a
/// negative number counts from the end of the value.
fn range_of(start: i64, end: i64, length: usize) -> Range<usize> {
    // Up to the limit for values: nothing overflows.
    let length = length as i64;
    let from_front = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let is_reversed = start < 0 && end < 0 && start > end;
    let (start, end) = (from_front(start), from_front(end).min(length - 1) + 1);
    if is_reversed || start >= end { 0..0 } else { start as usize..end as usize }
}

pub fn setrange(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (key, piece, now) = (call.key(), call.word(3), call.now);
    let offset = integer(call.word(2))?;
    let offset = usize::try_from(offset).map_err(|_| "offset is out of range")?;
    let length = if piece.is_empty() {
        call.keyspace.store().get(key, now).map_or(0, Value::len)
    } else {
        check_length(call, key, offset.saturating_add(piece.len()))?;
        call.keyspace.write_at(key, Some(offset), piece, now)
    };
    call.reply.integer(length as i64);
    Ok(())
}

/// Checks that the value of a key may be extended to `length` bytes, or written over.
///
/// # Errors
/// The length is over `--max-value`, or there is no memory.
fn check_length(call: &mut Call<'_>, key: Key<'_>, length: usize) -> Result<(), RequestError> {
    if length > call.keyspace.value_limit {
        let message = "string exceeds maximum allowed size (proto-max-bulk-len)";
        return Err(RequestError::counted(Stat::TooLargeRequests, message));
    }
    let growth = call.keyspace.store().growth(key, length, call.now);
    if !call.keyspace.make_memory_to_grow(growth) {
        return Err(RequestError::from(&Refusal::OutOfMemory));
    }
    Ok(())
}

/// `INCR`, `DECR`, `INCRBY`, `DECRBY`.
pub fn increment(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (key, now) = (call.key(), call.now);
    let amount = match call.request.command.verb {
        Verb::Incr => 1,
        Verb::Decr => -1,
        Verb::Incrby => integer(call.word(2))?,
        _ => integer(call.word(2))?.checked_neg().ok_or("decrement would overflow")?,
    };
    let old = call.keyspace.store().get(key, now);
    let old = old.map_or(Ok(0), |value| integer(value.bytes()))?;
    let sum = old.checked_add(amount).ok_or("increment or decrement would overflow")?;
    call.keyspace.set(key, sum.to_string().as_bytes(), Expiry::Keep, now);
    call.reply.integer(sum);
    Ok(())
}

#[cfg(test)]
mod tests;
