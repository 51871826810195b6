//! What a client's request is upstream: its words there, what it may change, and what its reply has
//! to be and means to the client.

use crate::base::output::{Output, Value};
use crate::handler::ConnId;
use crate::protocol::Reply;
use crate::protocol::Request;
use crate::protocol::command::{Access, Verb};
use crate::protocol::resp::{self, Element, Elements, ReplyRule, Version};
use crate::proxy::coherence::Writes;
use crate::proxy::coherence::flight::{FlightId, Waiter};
use crate::session::{Origin, Style};
use crate::settings::PutMode;

/// What a request to the upstream is for.
#[derive(Debug)]
pub enum Purpose {
    /// The greeting of a new connection.
    Greeting(Question),
    /// Whether it is still there; the clients that wait for the answer.
    Confirmation(Vec<ConnId>),
    /// How long the key of a fetch still lives: asked before its value.
    Life(FlightId),
    /// The begin of a transaction that is sent whole.
    Multi,
    /// A fetch whose value may be kept.
    Fetch(FlightId),
    /// A request of one client.
    Request(Waiter, Writes, Shape),
    /// A page of keys for a client's `DUMP`.
    DumpKeys(DumpPart),
    /// The value of a key, for the same.
    DumpValue(DumpPart),
}

/// Names the `DUMP` that a part is for, so that the parts of one that has failed are not taken for
/// those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpPart {
    /// Whose it is.
    pub conn: ConnId,
    /// Which of the client's it is.
    pub dump: u32,
}

/// What the upstream is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it speaks RESP3, and lets us in.
    Hello,
    /// Whether it lets us in, where it does not know the other way.
    Auth,
    /// Whether it has our database.
    Select,
    /// Whether it tells of changes.
    Tracking,
    /// Its own commands.
    Commands,
}

/// A request as it is sent upstream.
#[derive(Debug)]
pub struct UpstreamRequest<'a> {
    /// The words of a standard Redis command.
    pub words: Vec<&'a [u8]>,
    /// What it may change.
    pub writes: Writes,
    /// What its reply has to be.
    pub shape: Shape,
}

impl<'a> UpstreamRequest<'a> {
    /// Returns what becomes of a request for keys that our table knows.
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

/// What a reply of the upstream must be, and what it means to the client. Anything but this or an
/// error belongs to some other request.
#[derive(Debug)]
pub enum Shape {
    /// A value, or null: not found.
    Value,
    /// OK, or null: not done.
    Done,
    /// OK, or null: the key was there already.
    Created,
    /// How many keys were deleted.
    Deleted,
    /// Passed on as it stands, but in the client's version of RESP.
    Any(ReplyRule),
    /// The replies to all requests of a transaction.
    Each(Box<[Shape]>),
}

/// Returns whether a request may read keys that it does not write.
pub fn reads(writes: &Writes, shape: &Shape) -> bool {
    !writes.is_some() || matches!(shape, Shape::Each(_))
}

impl Shape {
    /// Reads a reply as what it means to the client. `None`: it belongs to some other
    /// request.
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
            // No transaction is open but those that are sent whole.
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

    /// Appends a reply that was read, and came in version `from`, as its client wants it.
    pub fn write(&self, out: &mut Output, reply: Reply<'_>, from: Version, style: Style) {
        match (self, reply) {
            (Shape::Any(rule), Reply::Raw(bytes)) => {
                resp::convert(out, bytes, *rule, from, style.version);
            }
            (Shape::Each(shapes), Reply::Raw(bytes)) => {
                let mut elements = Elements::new(bytes.bytes());
                elements.next();
                resp::push_header(out.plain(), b'*', shapes.len() as u64);
                for shape in shapes {
                    if let Some(reply) = shape.read(Value::Short(elements.take_one())) {
                        shape.write(out, reply, from, style);
                    }
                }
            }
            _ => style.write(out, Origin::Server, reply),
        }
    }
}
