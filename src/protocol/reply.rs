//! A reply, before it is encoded as text or as RESP.

use crate::base::output::Value;

/// A reply in the terms that both protocols share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Done.
    Ok,
    /// The key of a PUT exists.
    Exists,
    /// No such key.
    NotFound,
    /// A value.
    Value(Value<'a>),
    /// The number of keys that were deleted.
    Deleted(u64),
    /// PING without a message.
    Pong,
    /// BYE and EXIT.
    Goodbye,
    /// Several lines, each ended by LF.
    Lines(&'a [u8]),
    /// The message, without a leading `ERR `.
    Error(&'a str),
    /// An error whose message begins with its own prefix, such as `ERR`.
    Failure(&'a [u8]),
    /// A whole RESP reply, for a command that only RESP has.
    Raw(Value<'a>),
}
