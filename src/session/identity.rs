//! The server that `HELLO` and `INFO` name, by which libraries choose their commands.

use crate::protocol::resp::{Element, Elements};
use std::borrow::Cow;

/// The longest name, or version, that is taken from an upstream, in bytes.
const MAX_LEN: usize = 64;

/// A kind of server, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The kind: `redis`, `valkey`.
    pub server: Cow<'static, str>,
    /// The version: `7.4.0`.
    pub version: Cow<'static, str>,
}

impl Default for Identity {
    /// Returns that of our server, and of an upstream that is not known: the version of Redis whose
    /// commands for strings and whose invalidations we have. Older ones are refused client-side
    /// caching by some libraries.
    fn default() -> Identity {
        Identity { server: "redis".into(), version: "7.4.0".into() }
    }
}

impl Identity {
    /// Returns the one that a reply to `HELLO` names; `None` if it names none.
    pub fn of_hello(reply: &[u8]) -> Option<Identity> {
        let field = |name: &[u8]| {
            let mut elements = Elements::new(reply);
            elements.find(|element| *element == Element::Bulk(name))?;
            let Some(Element::Bulk(value)) = elements.next() else { return None };
            let is_fit = value.len() <= MAX_LEN && value.iter().all(u8::is_ascii_graphic);
            std::str::from_utf8(value).ok().filter(|_| is_fit && !value.is_empty())
        };
        let [server, version] = [field(b"server")?, field(b"version")?].map(str::to_string);
        Some(Identity { server: server.into(), version: version.into() })
    }
}

#[cfg(test)]
mod tests;
