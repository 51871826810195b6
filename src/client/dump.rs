//! `DUMP`, by `SCAN` and `GET`: so it holds up no server, needs no memory for more than a part of
//! the keys, and is the same before Larder, Redis and Valkey.

use super::connection::{ReplyOrigin, ServerConnection};
use super::failure::{Failure, Verdict};
use super::output::{ClientOutput, quoted};
use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::protocol::resp::{Element, push_request};
use crate::protocol::text::{is_one_line, push_key};

/// The keys of one part, of which each is kept until it is shown.
const KEYS: &[u8] = b"500";

/// The bytes of `GET`s that are sent before their replies are read: no more than fit between, so
/// that neither side waits for the other.
const GET_BYTES: usize = 16 * 1024;

/// The reply to one `SCAN`.
enum Part {
    Keys {
        cursor: Vec<u8>,
        keys: Vec<Vec<u8>>,
    },
    /// Another reply, such as an error, or `QUEUED` in a transaction.
    Other(Vec<u8>, Verdict),
}

/// Writes all keys on one line, or all pairs, one a line, and `END`. Returns the outcome.
///
/// # Errors
/// [`Failure::BrokenOff`] when an error comes in the middle.
pub fn run(
    connection: &mut ServerConnection,
    output: &mut ClientOutput,
    pairs: bool,
) -> Result<Verdict, Failure> {
    output.begin(ReplyOrigin::Server);
    let (mut cursor, mut begun, mut scratch) = (b"0".to_vec(), false, Output::new());
    loop {
        let keys = match scan(connection, &cursor)? {
            Part::Keys { cursor: next, keys } => {
                cursor = next;
                keys
            }
            Part::Other(text, verdict) if !begun => {
                match verdict {
                    Verdict::Error => output.error(&text)?,
                    _ => output.line(&text)?,
                }
                return Ok(verdict);
            }
            Part::Other(text, _) => return broken_off(output, pairs, &text),
        };
        if pairs {
            if let Some(error) = show_pairs(connection, output, &keys, &mut scratch)? {
                return broken_off(output, pairs, &error);
            }
            begun |= !keys.is_empty();
        } else {
            for key in &keys {
                scratch.clear();
                push_key(&mut scratch, key);
                if begun {
                    output.part(b" ")?;
                }
                output.part(&scratch.to_vec())?;
                begun = true;
            }
        }
        if cursor == b"0" {
            output.line(if pairs { b"END" } else { b"" })?;
            return Ok(Verdict::Done);
        }
    }
}

fn broken_off(output: &mut ClientOutput, pairs: bool, error: &[u8]) -> Result<Verdict, Failure> {
    if !pairs {
        output.line(b"")?;
    }
    output.flush()?;
    Err(Failure::BrokenOff(String::from_utf8_lossy(error).into_owned()))
}

fn scan(connection: &mut ServerConnection, cursor: &[u8]) -> Result<Part, Failure> {
    connection.send_words(&[b"SCAN", cursor, b"COUNT", KEYS]);
    connection.next_reply()?;
    match connection.element()? {
        Element::Array(2) => {}
        Element::Error(text) => return Ok(Part::Other(text.to_vec(), Verdict::Error)),
        Element::Simple(text) => return Ok(Part::Other(text.to_vec(), Verdict::Done)),
        _ => return Err(Failure::Garbled(connection.peer().to_string())),
    }
    let cursor = match connection.element()? {
        Element::Bulk(cursor) => cursor.to_vec(),
        _ => return Err(Failure::Garbled(connection.peer().to_string())),
    };
    let count = match connection.element()? {
        Element::Array(count) => count,
        _ => return Err(Failure::Garbled(connection.peer().to_string())),
    };
    let mut keys = Vec::new();
    for _ in 0..count {
        if let Element::Bulk(key) = connection.element()? {
            keys.push(key.to_vec());
        }
    }
    Ok(Part::Keys { cursor, keys })
}

/// Writes the pairs of these keys, but for those that are gone or hold no string. Returns an error
/// of the server.
fn show_pairs(
    connection: &mut ServerConnection,
    output: &mut ClientOutput,
    keys: &[Vec<u8>],
    scratch: &mut Output,
) -> Result<Option<Vec<u8>>, Failure> {
    let (mut at, mut failed) = (0, None);
    while at < keys.len() && failed.is_none() {
        let (mut requests, from) = (Buffer::new(), at);
        while at < keys.len() && (at == from || requests.len() < GET_BYTES) {
            push_request(&mut requests, &[b"GET", &keys[at]]);
            at += 1;
        }
        connection.send(requests.bytes());
        for key in &keys[from..at] {
            connection.next_reply()?;
            match connection.element()? {
                Element::Bulk(value) => {
                    scratch.clear();
                    push_key(scratch, key);
                    output.part(&scratch.to_vec())?;
                    output.part(b" = ")?;
                    match is_one_line(value) {
                        true => output.line(value)?,
                        false => output.line(&quoted(value))?,
                    }
                }
                Element::Error(error) if !error.starts_with(b"WRONGTYPE") => {
                    failed = Some(error.to_vec());
                }
                _ => {}
            }
        }
    }
    Ok(failed)
}
