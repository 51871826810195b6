//! Foreign commands, which are in the reply to `COMMAND` of the upstream and not in our own table,
//! and whether a client's request for one is sent on.
//!
//! All clients share one connection. After a command that changes its state, or is answered late,
//! more than once or not at all, every later reply would go to a wrong client. So a command is sent
//! on only if the upstream flags it as reading or writing keys, and as none of `blocking`, `pubsub`
//! and `admin`.

use super::purpose::{Shape, UpstreamRequest};
use crate::protocol::command::{Access, KeyRange};
use crate::protocol::resp::{Element, Elements, ReplyRule};
use crate::protocol::{Form, Refusal, Words, text};
use crate::proxy::coherence::Writes;
use crate::session::RequestError;
use std::collections::HashMap;

/// The number of fields of an entry since Redis 7, which has the flag `blocking`. Before, a command
/// that is for keys and not for scripts blocks; in Redis 6 others do, too, which are in the
/// category `@blocking`.
const FIELDS_WITH_BLOCKING: usize = 10;
/// The field with the categories, since Redis 6.
const CATEGORIES: usize = 6;
/// The field with the entries of the subcommands.
const SUBCOMMANDS: usize = 9;
const MAX_NAME_LEN: usize = 64;

/// The commands of an upstream.
#[derive(Debug, Default)]
pub struct ForeignCommands {
    by_name: HashMap<Vec<u8>, ForeignCommand>,
}

#[derive(Debug)]
struct ForeignCommand {
    /// The upstream's name for it: `object|encoding`.
    name: String,
    arity: i64,
    /// Its effect on keys; `None`: it is not sent on.
    access: Option<Access>,
    keys: KeyRange,
    subcommands: ForeignCommands,
}

impl ForeignCommands {
    /// Reads the reply to `COMMAND`. An entry that is malformed is left out.
    pub fn read(reply: &[u8]) -> ForeignCommands {
        let mut elements = Elements::new(reply);
        let Some(Element::Array(count)) = elements.next() else {
            return ForeignCommands::default();
        };
        ForeignCommands::of(count, elements)
    }

    fn of(count: usize, mut entries: Elements<'_>) -> ForeignCommands {
        let rows =
            (0..count).filter_map(|_| ForeignCommand::read(Elements::new(entries.take_one())));
        ForeignCommands { by_name: rows.collect() }
    }

    /// Returns whether the upstream has transactions, as far as is known.
    pub fn has_transactions(&self) -> bool {
        self.by_name.is_empty() || [&b"multi"[..], b"exec"].iter().all(|it| self.find(it).is_some())
    }

    fn find(&self, name: &[u8]) -> Option<&ForeignCommand> {
        if name.len() > MAX_NAME_LEN {
            return None;
        }
        self.by_name.get(&name.to_ascii_lowercase())
    }

    /// Returns the upstream's request for a client's, whose command is not in our own table.
    ///
    /// # Errors
    /// It is not sent on.
    pub fn admit<'a>(&self, words: Words<'a>) -> Result<UpstreamRequest<'a>, RequestError> {
        let verb = words.get(0).unwrap_or_default();
        let Some(mut row) = self.find(verb) else {
            return Err(RequestError::from(&Refusal::Unknown(words, Form::Resp)));
        };
        if !row.subcommands.by_name.is_empty() {
            let Some(word) = words.get(1) else { return Err(row.wrong_arity()) };
            row = row.subcommands.find(word).ok_or_else(|| {
                let (word, verb) = (text::printable(word, 128), row.name.to_ascii_uppercase());
                format!("unknown subcommand '{word}'. Try {verb} HELP.")
            })?;
        }
        let Some(access) = row.access else {
            let name = &row.name;
            return Err(format!("command '{name}' is not available through the proxy").into());
        };
        let least = usize::try_from(row.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if words.len() < least || (row.arity > 0 && words.len() > least) {
            return Err(row.wrong_arity());
        }
        let keys = || words.keys(row.keys);
        let writes = match access {
            Access::Read => Writes::Nothing,
            Access::Write if keys().next().is_some() => {
                Writes::Keys(keys().map(Box::from).collect())
            }
            _ => Writes::Everything,
        };
        let shape = Shape::Any(ReplyRule::of(verb, words.len()));
        Ok(UpstreamRequest { words: words.iter().collect(), writes, shape })
    }
}

impl ForeignCommand {
    /// Reads an entry: name, arity, flags, first key, last key, step, and more in newer servers.
    fn read(mut elements: Elements<'_>) -> Option<(Vec<u8>, ForeignCommand)> {
        let Some(Element::Array(fields @ 6..)) = elements.next() else { return None };
        let name = name(elements.next()?)?.to_ascii_lowercase();
        let Some(Element::Integer(arity)) = elements.next() else { return None };
        let mut flags = Flags::read(&mut elements)?;
        let mut number = || match elements.next() {
            Some(Element::Integer(number)) => Some(number),
            _ => None,
        };
        let (first, last, step) = (number()?, number()?, number()?);
        let mut subcommands = ForeignCommands::default();
        if fields > CATEGORIES {
            flags.read_categories(&mut elements)?;
        }
        if fields > SUBCOMMANDS {
            elements.pass_over(SUBCOMMANDS - CATEGORIES - 1);
            if let Some(Element::Array(count)) = elements.next() {
                subcommands = ForeignCommands::of(count, elements);
            }
        }
        let keys = (u8::try_from(first), i8::try_from(last), u8::try_from(step));
        let (access, keys) = match (flags.access(fields), keys) {
            (Some(Access::Write), (Ok(first @ 1..), Ok(last), Ok(step @ 1..))) => {
                (Some(Access::Write), KeyRange { first, last, step })
            }
            (Some(Access::Write), _) => (Some(Access::WriteAll), KeyRange::NONE),
            (access, _) => (access, KeyRange::NONE),
        };
        let shown = text::printable(&name, MAX_NAME_LEN).to_string();
        // A subcommand is called `object|encoding`, and is looked for among those of `object`.
        let own = name.rsplit(|&byte| byte == b'|').next().unwrap_or_default().to_vec();
        Some((own, ForeignCommand { name: shown, arity, access, keys, subcommands }))
    }

    fn wrong_arity(&self) -> RequestError {
        format!("wrong number of arguments for '{}' command", self.name).into()
    }
}

fn count(element: Element<'_>) -> Option<usize> {
    match element {
        Element::Array(count) | Element::Set(count) => Some(count),
        _ => None,
    }
}

fn name(element: Element<'_>) -> Option<&[u8]> {
    match element {
        Element::Bulk(name) | Element::Simple(name) if name.len() <= MAX_NAME_LEN => Some(name),
        _ => None,
    }
}

/// The flags and categories that decide whether a command is sent on.
#[derive(Debug, Default)]
struct Flags {
    reads: bool,
    writes: bool,
    keys_move: bool,
    is_for_scripts: bool,
    is_harmless: bool,
}

impl Flags {
    fn read(elements: &mut Elements<'_>) -> Option<Flags> {
        let mut flags = Flags { is_for_scripts: true, is_harmless: true, ..Flags::default() };
        for _ in 0..count(elements.next()?)? {
            match name(elements.next()?)? {
                b"readonly" => flags.reads = true,
                b"write" => flags.writes = true,
                b"movablekeys" => flags.keys_move = true,
                b"noscript" => flags.is_for_scripts = false,
                b"blocking" | b"pubsub" | b"admin" => flags.is_harmless = false,
                _ => {}
            }
        }
        Some(flags)
    }

    fn read_categories(&mut self, elements: &mut Elements<'_>) -> Option<()> {
        for _ in 0..count(elements.next()?)? {
            self.is_harmless &= name(elements.next()?)? != b"@blocking";
        }
        Some(())
    }

    /// Returns the effect on keys of a command with these flags; `None`: it is not sent on.
    fn access(&self, fields: usize) -> Option<Access> {
        let may_block = !self.is_for_scripts && fields < FIELDS_WITH_BLOCKING;
        match (self.reads, self.writes) {
            _ if !self.is_harmless || may_block => None,
            (_, true) if self.keys_move => Some(Access::WriteAll),
            (_, true) => Some(Access::Write),
            (true, false) => Some(Access::Read),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests;
