//! The one table of commands: their names, arguments, keys and effects.
//!
//! Dispatch, arity errors, `COMMAND`, `HELP`, the client's completion and the proxy's routing all
//! read this table. A new command is one row here, and one function that executes it.
//!
//! - `table.rs`: its rows
//! - `arguments.rs`: the arguments of a row as a tree

pub mod arguments;
mod table;

pub use table::TABLE;

/// A command, as handlers match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the rows of `TABLE` describe each
#[rustfmt::skip]
pub enum Verb {
    Get, Set, Put, Del, Dump,
    Mget, Mset, Msetnx, Setnx, Setex, Psetex, Getset, Getdel, Getex, Append, Strlen, Getrange, Setrange,
    Incr, Decr, Incrby, Decrby,
    Unlink, Exists, Touch, Type, Rename, Renamenx, Randomkey, Keys, Scan, Dbsize, Flushdb, Flushall,
    Expire, Pexpire, Expireat, Pexpireat, Ttl, Pttl, Expiretime, Pexpiretime, Persist,
    Multi, Exec, Discard, Watch, Unwatch,
    Ping, Echo, Hello, Auth, Select, Client, Reset,
    Command, Info, Config, Time, Role, Cluster,
    Slowlog, Latency, Module, Acl, Wait,
    Stats, Origin, Help, Bye, Quit, Exit,
    ClientCaching, ClientGetname, ClientGetredir, ClientHelp, ClientId, ClientInfo, ClientKill, ClientList, ClientReply, ClientSetinfo, ClientSetname,
    ClientTracking, ClientTrackinginfo,
    CommandCount, CommandDocs, CommandGetkeys, CommandGetkeysandflags, CommandHelp, CommandInfo, CommandList,
    ConfigGet, ConfigHelp, ConfigResetstat, ConfigSet,
    SlowlogGet, SlowlogHelp, SlowlogLen, SlowlogReset,
    LatencyDoctor, LatencyGraph, LatencyHelp, LatencyHistogram, LatencyHistory, LatencyLatest, LatencyReset,
    ModuleHelp, ModuleList,
    AclHelp, AclWhoami,
}

/// The first row of [`TABLE`] that is a subcommand; none but these stands after it.
const FIRST_SUBCOMMAND: usize = Verb::ClientCaching as usize;

/// The access of a command to the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks at keys.
    Read,
    /// May change the keys that it names.
    Write,
    /// May change every key.
    WriteAll,
    /// Concerns the connection or the program, not the keys.
    Connection,
    /// Belongs to a transaction.
    Transaction,
}

/// The memory that the store may take for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryEffect {
    /// None.
    None,
    /// A little, for a deadline or a longer key: it is refused only far above `--max-memory`.
    Grows,
    /// It takes memory for a value, and is refused at `--max-memory`.
    Stores,
}

/// The kind of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A key.
    Key,
    /// A whole number.
    Integer,
    /// A time, in seconds or milliseconds since 1970.
    UnixTime,
    /// A pattern, as `KEYS` takes it.
    Pattern,
    /// Any bytes.
    String,
}

impl ArgumentKind {
    /// Returns the kind's name in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentKind::Key => "key",
            ArgumentKind::Integer => "integer",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::String => "string",
        }
    }
}

/// The positions of the keys among a command's words, counted from the verb at 0, as Redis counts
/// them; all 0 without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key; 0: there is none.
    pub first: u8,
    /// The last key; negative: counted from the end, the last word at −1.
    pub last: i8,
    /// The distance from one key to the next.
    pub step: u8,
}

impl KeyRange {
    /// No keys.
    pub const NONE: KeyRange = KeyRange { first: 0, last: 0, step: 0 };
    const FIRST: KeyRange = KeyRange { first: 1, last: 1, step: 1 };
    const FIRST_TWO: KeyRange = KeyRange { first: 1, last: 2, step: 1 };
    const ALL: KeyRange = KeyRange { first: 1, last: -1, step: 1 };
    const EVERY_OTHER: KeyRange = KeyRange { first: 1, last: -1, step: 2 };

    /// Returns the keys among the words of a request, the verb included.
    #[inline]
    pub fn of<T>(self, words: &[T]) -> impl ExactSizeIterator<Item = &T> {
        let end = match usize::try_from(self.last) {
            Ok(last) => words.len().min(last + 1),
            Err(_) => words.len().saturating_sub(usize::from(self.last.unsigned_abs()) - 1),
        };
        let first = if self.first == 0 { end } else { usize::from(self.first) };
        let keys = words.get(first..end).unwrap_or_default();
        keys.iter().step_by(usize::from(self.step.max(1)))
    }
}

/// The syntax of a command's line in the text protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSyntax {
    /// Not a text command: a text line with this verb is an unknown command.
    NotText,
    /// The least and the most words after the verb.
    Words(usize, usize),
    /// A key, and the rest of the line as its value.
    KeyAndRest,
}

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// The command.
    pub verb: Verb,
    /// The name, in capitals; of a subcommand, after that of its container: `CLIENT|LIST`.
    pub name: &'static str,
    /// The version of Redis that had it first; of our own commands, that of Larder.
    pub since: &'static str,
    /// The heading under which Redis's tools show it: `string`, `generic`, `transactions`,
    /// `connection` or `server`.
    pub group: &'static str,
    /// The syntax of its line in the text protocol.
    pub line: LineSyntax,
    /// The number of words of a RESP request, the verb included; negative: so many or more.
    pub arity: i8,
    /// The positions of its keys.
    pub keys: KeyRange,
    /// Its access to them.
    pub access: Access,
    /// The memory that it may take.
    pub memory: MemoryEffect,
    /// Its arguments, as `HELP` and usage errors show them.
    pub arguments: &'static str,
    /// The arguments that only a RESP request can have besides.
    pub options: &'static str,
    /// The arguments, by name, that are no strings.
    pub kinds: &'static [(&'static str, ArgumentKind)],
    /// Its effect, in one phrase.
    pub summary: &'static str,
}

/// Slots of [`BY_NAME`]; several times the commands, so that few names meet.
const SLOTS: usize = 512;

/// No command.
const NONE: u8 = u8::MAX;

/// The place of each command in [`TABLE`], by the hash of its name; where that slot is taken, in
/// the next free one.
static BY_NAME: [u8; SLOTS] = {
    let mut slots = [NONE; SLOTS];
    let mut index = 0;
    while index < FIRST_SUBCOMMAND {
        let mut slot = hash(TABLE[index].name.as_bytes());
        while slots[slot] != NONE {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = index as u8;
        index += 1;
    }
    slots
};

/// Returns a slot by the length of the name and three of its letters, in any case: spread well
/// enough for the names there are. Names that are made to collide take a longer walk in a small
/// table, no more.
#[inline]
const fn hash(name: &[u8]) -> usize {
    if name.is_empty() {
        return 0;
    }
    let letters = [name[0], name[name.len() / 2], name[name.len() - 1]];
    let [first, middle, last] =
        [(letters[0] | 0x20) as usize, (letters[1] | 0x20) as usize, (letters[2] | 0x20) as usize];
    (first * 7 + middle * 31 + last * 97 + name.len() * 211) % SLOTS
}

/// For each row of [`TABLE`], whether it has subcommands.
static CONTAINERS: [bool; TABLE.len()] = {
    let mut have = [false; TABLE.len()];
    let mut row = FIRST_SUBCOMMAND;
    while row < TABLE.len() {
        have[container_of(TABLE[row].name)] = true;
        row += 1;
    }
    have
};

/// Returns the place in [`TABLE`] of the command whose subcommand has this name.
const fn container_of(subcommand: &str) -> usize {
    let (name, mut row) = (subcommand.as_bytes(), 0);
    while row < FIRST_SUBCOMMAND {
        let container = TABLE[row].name.as_bytes();
        let mut at = 0;
        while at < container.len() && at < name.len() && container[at] == name[at] {
            at += 1;
        }
        if at == container.len() && name[at] == b'|' {
            return row;
        }
        row += 1;
    }
    // The table has no row for the container of this one.
    panic!("{}", subcommand)
}

impl Command {
    /// Finds a command by its name, in any case; `None` if there is no such command.
    #[inline]
    pub fn find(name: &[u8]) -> Option<&'static Command> {
        if let [a, b, c] = name {
            // Most requests are one of these. Without the bit that letters in lower case have.
            match &[a & !0x20, b & !0x20, c & !0x20] {
                b"GET" => return Some(&TABLE[Verb::Get as usize]),
                b"SET" => return Some(&TABLE[Verb::Set as usize]),
                _ => {}
            }
        }
        let mut slot = hash(name);
        while BY_NAME[slot] != NONE {
            let command = &TABLE[usize::from(BY_NAME[slot])];
            if command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(command);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }

    /// Returns `SET`.
    pub fn set() -> &'static Command {
        &TABLE[Verb::Set as usize]
    }

    /// Returns its name and arguments, as a user types them.
    pub fn usage(&self) -> String {
        let name = self.name.replace('|', " ");
        format!("{name} {}", self.arguments).trim_end().to_string()
    }

    /// Returns every command but the subcommands.
    pub fn all() -> &'static [Command] {
        &TABLE[..FIRST_SUBCOMMAND]
    }

    /// Returns whether its second word names one of its subcommands.
    #[inline]
    pub const fn is_container(&self) -> bool {
        CONTAINERS[self.index()]
    }

    /// Returns its subcommands.
    pub fn subcommands(&self) -> impl Iterator<Item = &'static Command> + Clone + use<> {
        let name = self.name;
        TABLE[FIRST_SUBCOMMAND..].iter().filter(move |row| row.split_name().0 == name)
    }

    /// Finds one of its subcommands, in any case: `list`.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands().find(|row| row.split_name().1.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Returns the name of the command, and that of the subcommand, if it is one.
    pub fn split_name(&self) -> (&'static str, &'static str) {
        self.name.split_once('|').unwrap_or((self.name, ""))
    }

    /// Returns whether it concerns the keys only; of a container, whether its subcommands do.
    #[inline]
    pub const fn is_for_keys(&self) -> bool {
        matches!(self.access, Access::Read | Access::Write | Access::WriteAll)
    }

    /// Returns whether it stores a value.
    pub fn stores(&self) -> bool {
        self.memory == MemoryEffect::Stores
    }

    /// Returns whether more memory may be taken after it than before.
    #[inline]
    pub fn may_grow(&self) -> bool {
        self.memory != MemoryEffect::None
    }

    /// Returns the kind of an argument.
    pub fn kind_of(&self, argument: &str) -> ArgumentKind {
        let found = self.kinds.iter().find(|(name, _)| *name == argument);
        found.map_or(ArgumentKind::String, |(_, kind)| *kind)
    }

    /// Returns whether a line of text can carry it.
    pub fn is_text(&self) -> bool {
        self.line != LineSyntax::NotText
    }

    /// Returns whether a RESP request for it may have this number of words.
    #[inline]
    pub fn takes(&self, words: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        words == least || (self.arity < 0 && words > least)
    }

    /// Returns the error message for a RESP request with a wrong number of words.
    pub fn wrong_arity(&self) -> String {
        format!("wrong number of arguments for '{}' command", self.name.to_ascii_lowercase())
    }

    /// Returns the position of this command in `TABLE`.
    #[inline]
    pub const fn index(&self) -> usize {
        self.verb as usize
    }
}

#[cfg(test)]
mod tests;
