//! Commands for when keys expire.

use super::Call;
use super::arguments::{TimeUnit, integer};
use crate::protocol::command::Verb;
use crate::protocol::text;
use crate::session::RequestError;

/// `NX`, `XX`, `GT`, `LT`: the deadlines in place of which a new one is set.
#[derive(Debug, Default)]
struct Conditions {
    only_if_none: bool,
    only_if_one: bool,
    only_if_later: bool,
    only_if_sooner: bool,
}

impl Conditions {
    fn of<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Conditions, RequestError> {
        let mut conditions = Conditions::default();
        for word in words {
            match &word.to_ascii_uppercase()[..] {
                b"NX" => conditions.only_if_none = true,
                b"XX" => conditions.only_if_one = true,
                b"GT" => conditions.only_if_later = true,
                b"LT" => conditions.only_if_sooner = true,
                _ => {
                    return Err(format!("Unsupported option {}", text::printable(word, 128)).into());
                }
            }
        }
        let Conditions { only_if_none, only_if_one, only_if_later, only_if_sooner } = conditions;
        if only_if_none && (only_if_one || only_if_later || only_if_sooner) {
            return Err("NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if only_if_later && only_if_sooner {
            return Err("GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    /// Returns whether a new deadline may take the place of the old one. No deadline is later than
    /// any.
    fn allow(&self, new: u64, old: Option<u64>) -> bool {
        let refused = self.only_if_none && old.is_some()
            || self.only_if_one && old.is_none()
            || self.only_if_later && old.is_none_or(|old| new <= old)
            || self.only_if_sooner && old.is_some_and(|old| new >= old);
        !refused
    }
}

/// `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`.
pub fn set_expiry(call: &mut Call<'_>) -> Result<(), RequestError> {
    let conditions = Conditions::of(call.request.words().skip(3))?;
    let unit = match call.request.command.verb {
        Verb::Expire => TimeUnit::SECONDS,
        Verb::Pexpire => TimeUnit::MILLIS,
        Verb::Expireat => TimeUnit::UNIX_SECONDS,
        _ => TimeUnit::UNIX_MILLIS,
    };
    let (key, now) = (call.key(), call.now);
    let new = unit.unix_millis(integer(call.word(2))?, &call.request, now)?;
    let old = call.keyspace.store().deadline(key, now);
    let set = old.is_some_and(|old| conditions.allow(new, old));
    if set {
        call.keyspace.set_deadline(key, new, now);
    }
    call.reply.integer(set.into());
    Ok(())
}

/// `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`.
pub fn remaining(call: &mut Call<'_>) -> Result<(), RequestError> {
    let verb = call.request.command.verb;
    let number = match call.keyspace.deadline(call.key(), call.stats, call.now) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => {
            let from_now = matches!(verb, Verb::Ttl | Verb::Pttl);
            let since = if from_now { call.now.unix_millis } else { 0 };
            let millis = deadline.saturating_sub(since) as i64;
            let in_seconds = matches!(verb, Verb::Ttl | Verb::Expiretime);
            if in_seconds { millis / 1000 + i64::from(millis % 1000 >= 500) } else { millis }
        }
    };
    call.reply.integer(number);
    Ok(())
}

pub fn persist(call: &mut Call<'_>) -> Result<(), RequestError> {
    let had_deadline = call.keyspace.persist(call.key(), call.now);
    call.reply.integer(had_deadline.into());
    Ok(())
}

#[cfg(test)]
mod tests;
