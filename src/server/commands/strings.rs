//! Commands for values.

use crate::clock::Now;
use crate::command::PutMode;
use crate::protocol::Request;
use crate::protocol::resp::Writer;
use crate::protocol::text::Reply;
use crate::server::keyspace::Keyspace;
use crate::server::store::Expiry;

/// `SET` without options.
#[inline]
pub fn plain_set(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) {
    keyspace.set(request.word(1), request.word(2), Expiry::Never, now);
}

/// `PUT`.
pub fn put(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) -> Reply<'static> {
    let (key, value) = (request.word(1), request.word(2));
    if keyspace.put_mode == PutMode::Replace {
        keyspace.set(key, value, Expiry::Never, now);
        return Reply::Ok;
    }
    if keyspace.put(key, value, now) { Reply::Ok } else { Reply::Exists }
}

pub fn set(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn mget(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn mset(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn msetnx(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn setnx(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn setex(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn getset(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn getdel(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn getex(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn append(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn strlen(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn increment(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}
