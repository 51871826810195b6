//! The commands for the keys: one function for each, and here the way to it.
//!
//! - `strings.rs`: values      - `expiry.rs`: when keys expire      - `keys.rs`: keys as such
//! - `scan.rs`: what goes over all keys, `DUMP` among them
//! - `long.rs`: what takes long, a step at a time      - `many.rs`: requests with many keys
//! - `collect.rs`: their replies
//! - `arguments.rs`: how words become numbers, times and options

mod arguments;
mod collect;
mod expiry;
mod keys;
pub mod long;
mod many;
mod scan;
mod strings;

pub use scan::STREAM_CHUNK;

use super::keyspace::Keyspace;
use super::store::Expiry;
use crate::base::clock::Now;
use crate::base::output::{Output, Value};
use crate::protocol::command::{TABLE, Verb};
use crate::protocol::resp::Writer;
use crate::protocol::{Form, Key, Reply, Request};
use crate::session::{Origin, RequestError, Style};
use crate::stats::{Stat, Stats};
use long::LongCommand;

/// Returns the error in place of a reply over the output limit.
pub fn too_large() -> RequestError {
    RequestError::counted(Stat::TooLargeReplies, "reply too large, use SCAN")
}

/// Returns the error in place of a single value over the output limit.
fn value_too_large() -> RequestError {
    RequestError::counted(Stat::TooLargeReplies, "reply too large")
}

/// A request that is executed, with the keys and the reply.
struct Call<'a> {
    keyspace: &'a mut Keyspace,
    request: Request<'a>,
    reply: Writer<'a>,
    stats: &'a mut Stats,
    now: Now,
}

impl<'a> Call<'a> {
    fn word(&self, index: usize) -> &'a [u8] {
        self.request.word(index)
    }

    fn key(&self) -> Key<'a> {
        self.request.key()
    }

    /// Returns the value of the first key, and counts a hit or a miss.
    fn value(&mut self) -> Option<Value<'_>> {
        self.keyspace.get(self.request.key(), self.stats, self.now)
    }
}

/// Executes a command and writes its reply, in RESP. If it fails, what it has written is taken
/// back.
type Function = fn(&mut Call<'_>) -> Result<(), RequestError>;

/// Executes a request for the keys, and writes its reply to `out`; but one that takes long is only
/// begun, and returned.
#[inline]
pub fn execute(
    keyspace: &mut Keyspace,
    request: &Request<'_>,
    style: Style,
    out: &mut Output,
    stats: &mut Stats,
    now: Now,
) -> Option<LongCommand> {
    let mark = out.len();
    match request.command.verb {
        // The commands of the text protocol reply in either form.
        Verb::Get => {
            let value = keyspace.get(request.key(), stats, now);
            style.write(out, Origin::Server, value.map_or(Reply::NotFound, Reply::Value));
        }
        Verb::Set if request.len() == 3 => {
            keyspace.set(request.key(), request.word(2), Expiry::Never, now);
            style.write(out, Origin::Server, Reply::Ok);
        }
        Verb::Put => {
            let reply = strings::put(keyspace, request, now);
            if reply == Reply::Exists && style.form == Form::Resp {
                stats.count_error(b"ERR", style.verb);
            }
            style.write(out, Origin::Server, reply);
        }
        Verb::Del | Verb::Unlink | Verb::Exists | Verb::Touch | Verb::Mget | Verb::Mset
            if long::has_many_keys(request) && !keyspace.work.is_in_transaction() =>
        {
            return begin(keyspace, request, style, out, stats);
        }
        Verb::Del | Verb::Unlink => {
            style.write(out, Origin::Server, keys::del(keyspace, request, now));
        }
        Verb::Dump | Verb::Keys | Verb::Randomkey => {
            return begin(keyspace, request, style, out, stats);
        }
        verb => {
            let function = function(verb).expect("it is for the keys");
            let reply = style.writer(out);
            if let Err(why) = function(&mut Call { keyspace, request: *request, reply, stats, now })
            {
                out.truncate(mark);
                why.write(style, out, stats);
            }
        }
    }
    if out.len() - mark > keyspace.output_limit {
        out.truncate(mark);
        too_large().write(style, out, stats);
    }
    None
}

/// Begins a request that takes long, and returns it, or writes why it has not begun.
#[cold]
fn begin(
    keyspace: &mut Keyspace,
    request: &Request<'_>,
    style: Style,
    out: &mut Output,
    stats: &mut Stats,
) -> Option<LongCommand> {
    let begun = LongCommand::begin(keyspace, request, style);
    begun.map_err(|why| why.write(style, out, stats)).ok()
}

/// Returns the function of a command for the keys.
const fn function(verb: Verb) -> Option<Function> {
    let function: Function = match verb {
        Verb::Set => strings::set,
        Verb::Mget => strings::mget,
        Verb::Mset => strings::mset,
        Verb::Msetnx => strings::msetnx,
        Verb::Setnx => strings::setnx,
        Verb::Setex | Verb::Psetex => strings::setex,
        Verb::Getset => strings::getset,
        Verb::Getdel => strings::getdel,
        Verb::Getex => strings::getex,
        Verb::Append => strings::append,
        Verb::Strlen => strings::strlen,
        Verb::Getrange => strings::getrange,
        Verb::Setrange => strings::setrange,
        Verb::Incr | Verb::Decr | Verb::Incrby | Verb::Decrby => strings::increment,
        Verb::Exists | Verb::Touch => keys::exists,
        Verb::Type => keys::kind,
        Verb::Rename | Verb::Renamenx => keys::rename,
        Verb::Dbsize => keys::count,
        Verb::Flushdb | Verb::Flushall => keys::flush,
        Verb::Expire | Verb::Pexpire | Verb::Expireat | Verb::Pexpireat => expiry::set_expiry,
        Verb::Ttl | Verb::Pttl | Verb::Expiretime | Verb::Pexpiretime => expiry::remaining,
        Verb::Persist => expiry::persist,
        Verb::Scan => scan::scan,
        _ => return None,
    };
    Some(function)
}

const _: () = {
    let mut row = 0;
    while row < TABLE.len() {
        let command = &TABLE[row];
        let is_above = matches!(command.verb, Verb::Get | Verb::Put | Verb::Del | Verb::Unlink);
        let is_begun = matches!(command.verb, Verb::Dump | Verb::Keys | Verb::Randomkey);
        let is_elsewhere = is_above || is_begun || command.is_container() || !command.is_for_keys();
        if !is_elsewhere && function(command.verb).is_none() {
            // This command has no arm in `function`.
            panic!("{}", command.name);
        }
        row += 1;
    }
};

#[cfg(test)]
mod tests;
