//! What becomes of each key of a request, in the words of Redis's key specifications.

use crate::protocol::command::{Access, Command, Verb};

/// Returns the flags of the key at this place among those of a request: how the key itself is
/// accessed, and what becomes of its value.
pub(super) fn of(command: &Command, place: usize, words: &[&[u8]]) -> &'static [&'static str] {
    let is_set_with_get = || words.iter().skip(3).any(|it| it.eq_ignore_ascii_case(b"GET"));
    match command.verb {
        Verb::Exists | Verb::Touch | Verb::Type | Verb::Strlen | Verb::Watch => &["RO"],
        Verb::Ttl | Verb::Pttl | Verb::Expiretime | Verb::Pexpiretime => &["RO", "access"],
        Verb::Set if is_set_with_get() => &["RW", "access", "update"],
        Verb::Set | Verb::Setex | Verb::Psetex | Verb::Mset => &["OW", "update"],
        Verb::Setnx | Verb::Msetnx | Verb::Put => &["OW", "insert"],
        Verb::Append => &["RW", "insert"],
        Verb::Del | Verb::Unlink => &["RM", "delete"],
        Verb::Getdel | Verb::Rename | Verb::Renamenx if place == 0 => &["RW", "access", "delete"],
        Verb::Rename => &["OW", "update"],
        Verb::Renamenx => &["OW", "insert"],
        Verb::Setrange | Verb::Persist => &["RW", "update"],
        Verb::Expire | Verb::Pexpire | Verb::Expireat | Verb::Pexpireat => &["RW", "update"],
        _ if command.access == Access::Read => &["RO", "access"],
        _ => &["RW", "access", "update"],
    }
}
