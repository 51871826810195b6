//! The upstream's own commands, as its `COMMAND` tells them: what may be sent on for a client that
//! our table does not know.
//!
//! All clients share one connection. A command that changes its state, that is answered later, more
//! than once or not at all, would give every later reply to a wrong client; so what is sent on is
//! only what is known to be harmless there: what the upstream flags as reading or writing keys, and
//! neither as `blocking`, nor `pubsub`, nor `admin`.

use super::purpose::{Shape, UpstreamRequest};
use crate::protocol::command::{Access, KeyRange};
use crate::protocol::resp::{Element, Elements, ReplyRule};
use crate::protocol::{Form, Refusal, Words, text};
use crate::proxy::coherence::Writes;
use std::collections::HashMap;

/// How many fields an entry has since Redis 7, which is when `blocking` became a flag. In those
/// before, what is not for scripts and yet for keys is what blocks; in Redis 6 not all of it, but
/// there the categories tell.
const FIELDS_WITH_BLOCKING: usize = 10;
/// The field with the categories, since Redis 6.
const CATEGORIES: usize = 6;
/// The field with the entries of the subcommands.
const SUBCOMMANDS: usize = 9;
/// No name is longer.
const MAX_NAME_LEN: usize = 64;

/// The commands of an upstream.
#[derive(Debug, Default)]
pub struct ForeignCommands {
    by_name: HashMap<Vec<u8>, ForeignCommand>,
}

#[derive(Debug)]
struct ForeignCommand {
    /// As the upstream calls it: `object|encoding`.
    name: String,
    arity: i64,
    /// `None`: it is not sent on.
    access: Option<Access>,
    keys: KeyRange,
    subcommands: ForeignCommands,
}

impl ForeignCommands {
    /// Reads the reply to `COMMAND`. What is not understood of it is left out.
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

    /// Returns whether the upstream can carry out transactions, as far as it has told.
    pub fn has_transactions(&self) -> bool {
        self.by_name.is_empty() || [&b"multi"[..], b"exec"].iter().all(|it| self.find(it).is_some())
    }

    fn find(&self, name: &[u8]) -> Option<&ForeignCommand> {
        if name.len() > MAX_NAME_LEN {
            return None;
        }
        self.by_name.get(&name.to_ascii_lowercase())
    }

    /// Returns what becomes of a request that our table does not know.
    ///
    /// # Errors
    /// Why it is not sent on, in a whole message.
    pub fn admit<'a>(&self, words: Words<'a>) -> Result<UpstreamRequest<'a>, String> {
        let verb = words.get(0).unwrap_or_default();
        let Some(mut row) = self.find(verb) else {
            return Err(Refusal::Unknown(words, Form::Resp).to_string());
        };
        if !row.subcommands.by_name.is_empty() {
            let Some(word) = words.get(1) else { return Err(row.wrong_arity()) };
            row = row.subcommands.find(word).ok_or_else(|| {
                let (word, verb) = (text::printable(word, 128), row.name.to_ascii_uppercase());
                format!("ERR unknown subcommand '{word}'. Try {verb} HELP.")
            })?;
        }
        let Some(access) = row.access else {
            let name = &row.name;
            return Err(format!("ERR command '{name}' is not available through the proxy"));
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

    fn wrong_arity(&self) -> String {
        format!("ERR wrong number of arguments for '{}' command", self.name)
    }
}

fn name(element: Element<'_>) -> Option<&[u8]> {
    match element {
        Element::Bulk(name) | Element::Simple(name) if name.len() <= MAX_NAME_LEN => Some(name),
        _ => None,
    }
}

/// The flags that matter here.
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
        let Some(Element::Array(count) | Element::Set(count)) = elements.next() else {
            return None;
        };
        let mut flags = Flags { is_for_scripts: true, is_harmless: true, ..Flags::default() };
        for _ in 0..count {
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
        let Some(Element::Array(count) | Element::Set(count)) = elements.next() else {
            return None;
        };
        for _ in 0..count {
            self.is_harmless &= name(elements.next()?)? != b"@blocking";
        }
        Some(())
    }

    /// Returns what a command with these flags does, if it is sent on.
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
