//! Commands for when keys expire.

use crate::clock::Now;
use crate::protocol::Request;
use crate::protocol::resp::Writer;
use crate::server::keyspace::Keyspace;

pub fn expire(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn remaining(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}

pub fn persist(_: &mut Keyspace, _: &Request<'_>, reply: &mut Writer<'_>, _: Now) {
    reply.error("not yet");
}
