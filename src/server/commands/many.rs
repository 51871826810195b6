//! Requests that name many keys: `MGET`, `MSET`, `DEL`, `UNLINK`, `EXISTS` and `TOUCH` of more than
//! `MANY_WORDS` (`long.rs`), a part of the keys at a time.
//!
//! They are not atomic: other clients see what is done so far.

use super::collect::{ReplyHead, ReplyPieces};
use super::value_too_large;
use crate::base::clock::Now;
use crate::base::output::Value;
use crate::protocol::command::Verb;
use crate::protocol::{Key, KeyLookup, MAX_TOUCHED, OwnedRequest, Request};
use crate::server::keyspace::Keyspace;
use crate::server::store::Expiry;
use crate::session::work;
use crate::session::{RequestError, Style};
use crate::stats::Stats;

/// Checks a request that names many keys.
///
/// # Errors
/// The last key has no value.
pub fn check(request: &Request<'_>) -> Result<(), RequestError> {
    if request.command.verb == Verb::Mset && request.len().is_multiple_of(2) {
        return Err(request.command.wrong_arity().into());
    }
    Ok(())
}

/// A request that names many keys, under way.
#[derive(Debug)]
pub struct ManyKeys {
    request: OwnedRequest,
    /// The number of keys that are done.
    done: usize,
    /// The number of those that existed.
    found: u64,
}

impl ManyKeys {
    /// Returns a request of which nothing is done.
    pub fn new(request: OwnedRequest) -> ManyKeys {
        ManyKeys { request, done: 0, found: 0 }
    }

    /// Executes a part of the request. Returns what the reply begins with after the last; `read` is
    /// called with each key that was read.
    pub fn step(
        &mut self,
        keyspace: &mut Keyspace,
        style: Style,
        reply: &mut ReplyPieces,
        stats: &mut Stats,
        now: Now,
        mut read: impl FnMut(&mut Keyspace, &[u8]),
    ) -> Result<Option<ReplyHead>, RequestError> {
        let ManyKeys { request, done, found } = self;
        let request = request.request();
        let verb = request.command.verb;
        let (first, step) = if verb == Verb::Mset { (1, 2) } else { (1, 1) };
        let count = (request.len() - first) / step;
        while *done < count && !keyspace.work.is_over() {
            let numbers = *done..(*done + MAX_TOUCHED).min(count);
            let mut hashes = [0; MAX_TOUCHED];
            for (hash, number) in hashes.iter_mut().zip(numbers.clone()) {
                *hash = keyspace.hash(request.word(first + number * step));
            }
            keyspace.touch(&hashes[..numbers.len()]);
            for (number, hash) in numbers.zip(hashes) {
                let word = first + number * step;
                let key = Key::hashed(request.word(word), hash);
                let mut bytes = key.bytes.len();
                match verb {
                    Verb::Mset => {
                        let value = request.word(word + 1);
                        bytes += value.len();
                        keyspace.set(key, value, Expiry::Never, now);
                    }
                    Verb::Mget => {
                        let value = keyspace.get(key, stats, now);
                        let length = value.map_or(0, Value::len);
                        if length > keyspace.output_limit {
                            return Err(value_too_large());
                        }
                        bytes += length;
                        reply.write(|out| match value {
                            Some(value) => style.writer(out).value(value),
                            None => style.writer(out).null(),
                        });
                    }
                    Verb::Exists | Verb::Touch => {
                        *found += u64::from(keyspace.get(key, stats, now).is_some());
                    }
                    _ => *found += u64::from(keyspace.remove(key, now)),
                }
                read(keyspace, key.bytes);
                keyspace.work.add(work::KEY + bytes / work::BYTES);
                *done += 1;
            }
            if reply.bytes() > keyspace.output_limit {
                break;
            }
        }
        Ok((*done == count).then_some(match verb {
            Verb::Mset => ReplyHead::Ok,
            Verb::Mget => ReplyHead::Array(count),
            _ => ReplyHead::Integer(*found),
        }))
    }

    /// Returns the memory in pieces, as their sizes, each of which is freed as it is taken.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> + Send + 'static {
        self.request.into_pieces()
    }
}
