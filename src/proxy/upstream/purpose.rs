//! Requests to the upstream: the purpose and the words of each, the keys that it may change, and
//! the shape of its reply.

use crate::base::output::{Output, Value};
use crate::handler::ConnId;
use crate::protocol::command::{Access, Verb};
use crate::protocol::resp::{self, Element, Elements, ReplyRule, Version};
use crate::protocol::{Reply, Request};
use crate::proxy::client::dump::DumpRequest;
use crate::proxy::coherence::Writes;
use crate::proxy::coherence::flight::{FlightId, Waiter};
use crate::session::{Origin, Style};
use crate::settings::PutMode;

/// The purpose of a request to the upstream.
#[derive(Debug)]
pub enum Purpose {
    /// Part of the greeting of a new connection.
    Greeting(GreetingStep),
    /// A `PING`, with the clients that wait for its answer, behind which no earlier invalidation is
    /// missing.
    Ping(Vec<ConnId>),
    /// The `PTTL` of a flight, sent before its `GET`.
    Life(FlightId),
    /// The `MULTI` before a block.
    Multi,
    /// The `GET` of a flight.
    Fetch(FlightId),
    /// A request of one client, or the block of its transaction.
    Request(Waiter, Writes, Shape),
    /// A request for a client's `DUMP`.
    Dump(DumpPart),
}

/// A request for a `DUMP`, with the number of that: replies to one that has failed are not taken
/// for those to the next.
#[derive(Clone, Copy, Debug)]
pub struct DumpPart {
    /// The connection of the client.
    pub conn: ConnId,
    /// The number of the `DUMP` among the client's.
    pub dump: u32,
    /// The request.
    pub request: DumpRequest,
}

/// A request of the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GreetingStep {
    /// `HELLO 3`, with the credentials.
    Hello,
    /// `AUTH`, where `HELLO` is not known.
    Auth,
    /// `SELECT`.
    Select,
    /// `CLIENT TRACKING ON`.
    Tracking,
    /// `COMMAND`.
    Commands,
}

/// A client's request as it is sent upstream.
#[derive(Debug)]
pub struct UpstreamRequest<'a> {
    /// The words of a standard Redis command.
    pub words: Vec<&'a [u8]>,
    /// The keys that it may change.
    pub writes: Writes,
    /// The shape of its reply.
    pub shape: Shape,
}

impl<'a> UpstreamRequest<'a> {
    /// Returns the upstream's request for a client's, whose command is in our table and is for
    /// keys.
    pub fn new(request: &Request<'a>, put_mode: PutMode) -> UpstreamRequest<'a> {
        let writes = match request.command.access {
            Access::WriteAll => Writes::Everything,
            Access::Write => Writes::Keys(request.keys().map(Box::from).collect()),
            Access::Read | Access::Connection | Access::Transaction => Writes::Nothing,
        };
        let (words, shape) = match request.command.verb {
            Verb::Put if put_mode == PutMode::Create => {
                (vec![&b"SET"[..], request.word(1), request.word(2), b"NX"], Shape::Created)
            }
            Verb::Put => (vec![&b"SET"[..], request.word(1), request.word(2)], Shape::Done),
            verb => {
                let shape = match verb {
                    Verb::Get => Shape::Value,
                    Verb::Set if request.len() == 3 => Shape::Done,
                    Verb::Del => Shape::Deleted,
                    _ => Shape::Any(ReplyRule::Plain),
                };
                (request.words().collect(), shape)
            }
        };
        UpstreamRequest { words, writes, shape }
    }
}

/// The shape of a reply of the upstream, and its meaning to the client. A reply of another shape
/// belongs to another request, unless it is an error.
#[derive(Debug)]
pub enum Shape {
    /// A value; null: the key is not found.
    Value,
    /// `OK`; null: nothing was done.
    Done,
    /// `OK`; null: the key existed.
    Created,
    /// The number of keys that were deleted.
    Deleted,
    /// Any reply, which is passed on in the client's version of RESP.
    Any(ReplyRule),
    /// An array of the replies to all requests of a transaction.
    Each(Box<[Shape]>),
}

/// Returns whether a request may read keys that it does not write.
pub fn reads(writes: &Writes, shape: &Shape) -> bool {
    !writes.is_some() || matches!(shape, Shape::Each(_))
}

impl Shape {
    /// Returns a reply as the client is to see it; `None`: it belongs to another request.
    pub fn read<'a>(&self, reply: Value<'a>) -> Option<Reply<'a>> {
        let mut elements = Elements::new(reply.bytes());
        match (elements.next()?, self) {
            (Element::Error(message), _) => Some(Reply::Failure(message)),
            (Element::Bulk(value), Shape::Value) => {
                let end = reply.len() - b"\r\n".len();
                Some(Reply::Value(reply.part(end - value.len()..end)))
            }
            (Element::Null, Shape::Value | Shape::Done) => Some(Reply::NotFound),
            (Element::Null, Shape::Created) => Some(Reply::Exists),
            (Element::Simple(b"OK"), Shape::Done | Shape::Created) => Some(Reply::Ok),
            (Element::Integer(count), Shape::Deleted) => {
                u64::try_from(count).ok().map(Reply::Deleted)
            }
            // Outside a block, no transaction is open.
            (Element::Simple(b"QUEUED"), _) => None,
            (_, Shape::Any(_)) => Some(Reply::Raw(reply)),
            (Element::Array(count), Shape::Each(shapes)) if count == shapes.len() => {
                let mut all =
                    shapes.iter().map(|shape| shape.read(Value::Short(elements.take_one())));
                all.all(|reply| reply.is_some()).then_some(Reply::Raw(reply))
            }
            _ => None,
        }
    }

    /// Appends a reply that [`read`](Self::read) has returned, and that came in version `from`.
    pub fn write(&self, out: &mut Output, reply: Reply<'_>, from: Version, style: Style) {
        match (self, reply) {
            (Shape::Any(rule), Reply::Raw(bytes)) => {
                style.write_origin(out, Origin::Server);
                resp::convert(out, bytes, *rule, from, style.version);
            }
            (Shape::Each(shapes), Reply::Raw(bytes)) => {
                let mut elements = Elements::new(bytes.bytes());
                elements.next();
                style.writer(out).array(shapes.len());
                for shape in shapes {
                    if let Some(reply) = shape.read(Value::Short(elements.take_one())) {
                        shape.write(out, reply, from, style.part());
                    }
                }
            }
            _ => style.write(out, Origin::Server, reply),
        }
    }
}
