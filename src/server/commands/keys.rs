//! Commands for keys as such: whether they exist, what they are called, that they go.

use crate::clock::Now;
use crate::protocol::Request;
use crate::protocol::resp::Writer;
use crate::protocol::text::Reply;
use crate::server::keyspace::Keyspace;

/// `DEL`.
pub fn del(keyspace: &mut Keyspace, request: &Request<'_>, now: Now) -> Reply<'static> {
    let deleted = request.keys().filter(|key| keyspace.remove(key, now)).count();
    Reply::Deleted(deleted as u64)
}

pub fn unlink(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn exists(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn kind(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn rename(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn random(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn count(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn flush(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}
