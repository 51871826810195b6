//! Bytes ↔ requests and replies. Two protocols share a port and are distinguished per request by
//! its first byte: `*` begins a RESP array, anything else a line of text.
//!
//! Everything here is a pure function or a state machine over bytes: no socket, no clock, no store.
//! [`Decoder`] gives the same requests however the bytes are split.
//!
//! - `command.rs`: the one table of commands
//! - `request.rs`: a decoded request · `reply.rs`: a reply before it is encoded
//! - `decoder.rs`: a stream of bytes to requests · `plain.rs`: requests that need no state for it
//! - `inline.rs`: lines as Redis reads them
//! - `lookahead.rs`: requests decoded before their turn · `refusal.rs`: why one is refused
//! - `text.rs`: lines and text replies · `telnet.rs`: telnet commands between them
//! - `byte_search.rs`: a search for rare bytes
//! - `resp.rs`: RESP requests and replies, for clients of ours and for the proxy as a client

mod byte_search;
pub mod command;
mod decoder;
mod inline;
mod lookahead;
mod owned;
mod plain;
mod refusal;
mod reply;
mod request;
pub mod resp;
pub mod telnet;
pub mod text;

pub use decoder::{Decoder, Midway, Scratch};
pub use lookahead::{KeyLookup, MAX_TOUCHED};
pub use owned::{OwnedRequest, RequestDraft};
pub use refusal::Refusal;
pub use reply::Reply;
pub use request::{Decoded, Form, Key, Request, Words};

use request::Span;
