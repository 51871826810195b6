//! The upstream's own commands, as its `COMMAND` tells them: what may be sent on for a client that
//! our table does not know.
//!
//! All clients share one connection. A command that changes its state, that is answered later, more
//! than once or not at all, would give every later reply to a wrong client; so what is sent on is
//! only what is known to be harmless there: what the upstream flags as reading or writing keys, and
//! neither as `blocking`, nor `pubsub`, nor `admin`.

use super::purpose::{Sent, Shape, Writes};
use crate::command::{Access, KeyRange};
use crate::protocol::resp::{Element, Elements, Rule};
use crate::protocol::{Form, Refusal, Words, text};
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
const LONGEST_NAME: usize = 64;

/// The commands of an upstream.
#[derive(Debug, Default)]
pub struct Commands {
    by_name: HashMap<Vec<u8>, Row>,
}

#[derive(Debug)]
struct Row {
    /// As the upstream calls it: `object|encoding`.
    name: String,
    arity: i64,
    /// `None`: it is not sent on.
    access: Option<Access>,
    keys: KeyRange,
    subcommands: Commands,
}

impl Commands {
    /// Reads the reply to `COMMAND`. What is not understood of it is left out.
    pub fn read(reply: &[u8]) -> Commands {
        let mut elements = Elements::new(reply);
        let Some(Element::Array(count)) = elements.next() else { return Commands::default() };
        Commands::of(count, elements)
    }

    fn of(count: usize, mut entries: Elements<'_>) -> Commands {
        let rows = (0..count).filter_map(|_| Row::read(Elements::new(entries.take_one())));
        Commands { by_name: rows.collect() }
    }

    /// Whether the upstream can carry out transactions, as far as it has told.
    pub fn has_transactions(&self) -> bool {
        self.by_name.is_empty() || [&b"multi"[..], b"exec"].iter().all(|it| self.find(it).is_some())
    }

    fn find(&self, name: &[u8]) -> Option<&Row> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        self.by_name.get(&name.to_ascii_lowercase())
    }

    /// What becomes of a request that our table does not know.
    ///
    /// # Errors
    /// Why it is not sent on, in a whole message.
    pub fn admit<'a>(&self, words: Words<'a>) -> Result<Sent<'a>, String> {
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
        let shape = Shape::Any(Rule::of(verb, words.len()));
        Ok(Sent { words: words.iter().collect(), writes, shape })
    }
}

impl Row {
    /// Reads an entry: name, arity, flags, first key, last key, step, and more in newer servers.
    fn read(mut elements: Elements<'_>) -> Option<(Vec<u8>, Row)> {
        let Some(Element::Array(fields @ 6..)) = elements.next() else { return None };
        let name = name(elements.next()?)?.to_ascii_lowercase();
        let Some(Element::Integer(arity)) = elements.next() else { return None };
        let mut flags = Flags::read(&mut elements)?;
        let mut number = || match elements.next() {
            Some(Element::Integer(number)) => Some(number),
            _ => None,
        };
        let (first, last, step) = (number()?, number()?, number()?);
        let mut subcommands = Commands::default();
        if fields > CATEGORIES {
            flags.read_categories(&mut elements)?;
        }
        if fields > SUBCOMMANDS {
            elements.pass_over(SUBCOMMANDS - CATEGORIES - 1);
            if let Some(Element::Array(count)) = elements.next() {
                subcommands = Commands::of(count, elements);
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
        let shown = text::printable(&name, LONGEST_NAME).to_string();
        // A subcommand is called `object|encoding`, and is looked for among those of `object`.
        let own = name.rsplit(|&byte| byte == b'|').next().unwrap_or_default().to_vec();
        Some((own, Row { name: shown, arity, access, keys, subcommands }))
    }

    fn wrong_arity(&self) -> String {
        format!("ERR wrong number of arguments for '{}' command", self.name)
    }
}

fn name(element: Element<'_>) -> Option<&[u8]> {
    match element {
        Element::Bulk(name) | Element::Simple(name) if name.len() <= LONGEST_NAME => Some(name),
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

    /// What a command with these flags does, if it is sent on.
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
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use crate::limits::Limits;
    use crate::protocol::{Decoded, Decoder, Scratch, resp};

    /// An entry with so many fields: name, arity, flags, keys, subcommands.
    fn entry(resp3: bool, fields: usize, start: &str, subcommands: &[String]) -> String {
        let [name, arity, flags, first, last, step] =
            start.split_whitespace().collect::<Vec<_>>().try_into().expect("six words");
        let flags: Vec<_> = flags.split(',').filter(|flag| *flag != "-").collect();
        let set = if resp3 { '~' } else { '*' };
        let category = if name == "xread" { "@blocking" } else { "@all" };
        let mut entry = format!("*{fields}\r\n${}\r\n{name}\r\n:{arity}\r\n", name.len());
        entry += &format!("{set}{}\r\n", flags.len());
        entry.extend(flags.iter().map(|flag| format!("+{flag}\r\n")));
        entry += &format!(":{first}\r\n:{last}\r\n:{step}\r\n");
        for field in CATEGORIES..fields {
            match field {
                CATEGORIES => entry += &format!("{set}1\r\n+{category}\r\n"),
                SUBCOMMANDS => {
                    entry += &format!("*{}\r\n{}", subcommands.len(), subcommands.concat());
                }
                _ => entry += &format!("{set}1\r\n+@all\r\n"),
            }
        }
        entry
    }

    fn commands(resp3: bool, fields: usize) -> Commands {
        let entry = |start: &str, subcommands: &[String]| entry(resp3, fields, start, subcommands);
        let no_subcommands = |start: &str| entry(start, &[]);
        let subcommands = [
            no_subcommands("object|encoding 3 readonly 2 2 1"),
            no_subcommands("object|help 2 loading 0 0 0"),
        ];
        let entries = [
            no_subcommands("hget 3 readonly,fast 1 1 1"),
            no_subcommands("hset -4 write,denyoom,fast 1 1 1"),
            no_subcommands("bitop -4 write,denyoom 2 -1 1"),
            no_subcommands("zunionstore -4 write,movablekeys 1 1 1"),
            no_subcommands("sintercard -3 readonly,movablekeys 0 0 0"),
            no_subcommands("swapdb 3 write 0 0 0"),
            no_subcommands("huge -1 write 300 300 1"),
            no_subcommands("blpop -3 write,noscript 1 -2 1"),
            no_subcommands("bzpopmin -3 write,blocking 1 -2 1"),
            no_subcommands("eval_ro -3 readonly,noscript 0 0 0"),
            no_subcommands("xread -4 readonly 1 1 1"),
            no_subcommands("pfdebug -3 write,admin 2 2 1"),
            no_subcommands("publish 3 pubsub,fast 0 0 0"),
            no_subcommands("ASKING 1 - 0 0 0"),
            entry("object -2 - 0 0 0", &subcommands),
        ];
        Commands::read(format!("*{}\r\n$-1\r\n{}", entries.len() + 1, entries.concat()).as_bytes())
    }

    /// What becomes of a request: what it may change, or why it is refused.
    fn admit(commands: &Commands, request: &str) -> String {
        let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        let (mut bytes, mut scratch) = (Buffer::new(), Scratch::default());
        resp::push_request(&mut bytes, &words);
        let limits = Limits::default();
        let (_, decoded) = Decoder::default().decode(bytes.bytes(), &mut scratch, &limits);
        let Decoded::Refused(_, Refusal::Unknown(words, _)) = decoded else {
            panic!("{request} is in our table");
        };
        match commands.admit(words) {
            Err(message) => message,
            Ok(sent) => {
                assert_eq!(sent.words, words.iter().collect::<Vec<_>>());
                match sent.writes {
                    Writes::Nothing => "nothing".to_string(),
                    Writes::Everything => "everything".to_string(),
                    Writes::Keys(keys) => {
                        String::from_utf8(keys.join(&b' ')).expect("keys of text")
                    }
                }
            }
        }
    }

    #[test]
    fn what_reads_or_writes_keys_is_sent_on_with_the_keys_that_it_may_change() {
        for (resp3, fields) in
            [(false, 6), (false, 7), (false, 10), (true, 7), (true, 10), (true, 11)]
        {
            let commands = commands(resp3, fields);
            let check = |request: &str, expected: &str| {
                assert_eq!(admit(&commands, request), expected, "{request}, {fields} fields");
            };
            check("HGET h f", "nothing");
            check("hSeT h f v", "h");
            check("BITOP AND to a b", "to a b");
            check("ZUNIONSTORE to 1 a", "everything");
            check("SINTERCARD 1 a", "nothing");
            check("SWAPDB 0 1", "everything");
            check("HUGE", "everything");
            check("HGET h", "ERR wrong number of arguments for 'hget' command");
            check("HGET h f g", "ERR wrong number of arguments for 'hget' command");
            check("HSET h f", "ERR wrong number of arguments for 'hset' command");
            check("NOSUCH a", "ERR unknown command 'NOSUCH', with args beginning with: 'a' ");
            check(
                "hget\r\n h f",
                r"ERR unknown command 'hget\r\n', with args beginning with: 'h' 'f' ",
            );
        }
    }

    #[test]
    fn what_could_harm_others_is_refused() {
        for fields in [6, 7, 10] {
            let commands = commands(true, fields);
            let check = |request: &str, name: &str| {
                let expected = format!("ERR command '{name}' is not available through the proxy");
                assert_eq!(admit(&commands, request), expected);
            };
            check("BZPOPMIN k 0", "bzpopmin");
            check("pfdebug a b", "pfdebug");
            check("Publish c m", "publish");
            check("ASKING", "asking");
            if fields > CATEGORIES {
                check("XREAD BLOCK 0 s", "xread");
            }
            match fields {
                // Nobody said which commands block.
                6 | 7 => {
                    check("BLPOP k 0", "blpop");
                    check("EVAL_RO x 0", "eval_ro");
                }
                _ => {
                    assert_eq!(admit(&commands, "BLPOP k 0"), "k");
                    assert_eq!(admit(&commands, "EVAL_RO x 0"), "nothing");
                }
            }
        }
    }

    #[test]
    fn of_a_container_the_subcommand_counts() {
        let commands = commands(true, 10);
        assert_eq!(admit(&commands, "Object enCoding k"), "nothing");
        let wrong = "ERR wrong number of arguments for 'object|encoding' command";
        assert_eq!(admit(&commands, "OBJECT ENCODING"), wrong);
        assert_eq!(
            admit(&commands, "OBJECT"),
            "ERR wrong number of arguments for 'object' command"
        );
        assert_eq!(admit(&commands, "OBJECT a b"), "ERR unknown subcommand 'a'. Try OBJECT HELP.");
        let refused = "ERR command 'object|help' is not available through the proxy";
        assert_eq!(admit(&commands, "OBJECT HELP"), refused);
        let unknown = "ERR unknown command 'object|encoding', with args beginning with: 'k' 'k' ";
        assert_eq!(admit(&commands, "object|encoding k k"), unknown);
    }

    #[test]
    fn a_reply_that_is_no_table_is_one_without_commands() {
        for reply in [
            "*0\r\n",
            "*1\r\n+a\r\n",
            "*2\r\n*1\r\n$1\r\na\r\n*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
            "+OK\r\n",
        ] {
            assert!(Commands::read(reply.as_bytes()).by_name.is_empty(), "{reply:?}");
        }
    }
}
