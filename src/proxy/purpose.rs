//! What a request to the upstream is for, and what its reply has to be.

use super::flight::{FlightId, Waiter};
use crate::handler::ConnId;
use crate::protocol::resp::{Element, Elements};
use crate::protocol::text::Reply;

/// What a request to the upstream is for.
#[derive(Debug)]
pub enum Purpose {
    /// A fetch whose value may be kept.
    Fetch(FlightId),
    /// A read for one client; its reply is given as `Shape` says.
    Read(Waiter, Shape),
    /// A write for one client, with the keys that it may change.
    Write(Waiter, Vec<Box<[u8]>>, Shape),
    /// A page of keys for a client's `DUMP`.
    DumpKeys(ConnId),
    /// The value of a key, for the same.
    DumpValue(ConnId),
}

/// What a reply of the upstream must be, and what it means to the client. Anything but this or an
/// error belongs to some other request.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A value, or null: not found.
    Value,
    /// OK, or null: not done.
    Done,
    /// OK, or null: the key was there already.
    Created,
    /// How many keys were deleted.
    Deleted,
    /// An array, passed on as it stands.
    Array,
}

/// A reply of the upstream that cannot belong to its request.
pub struct Nonsense;

impl Shape {
    /// Reads a reply as what it means to the client. `None`: it belongs to some other request.
    pub fn read(self, bytes: &[u8]) -> Option<Reply<'_>> {
        match (Elements::new(bytes).next()?, self) {
            (Element::Error(message), _) => Some(Reply::Failure(message)),
            (Element::Bulk(value), Shape::Value) => Some(Reply::Value(value)),
            (Element::Null, Shape::Value | Shape::Done) => Some(Reply::NotFound),
            (Element::Null, Shape::Created) => Some(Reply::Exists),
            (Element::Simple(b"OK"), Shape::Done | Shape::Created) => Some(Reply::Ok),
            (Element::Integer(count), Shape::Deleted) => {
                u64::try_from(count).ok().map(Reply::Deleted)
            }
            (Element::Array(_), Shape::Array) => Some(Reply::Raw(bytes)),
            _ => None,
        }
    }
}
