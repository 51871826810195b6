//! The one table of commands: what each is called, what it takes, what it touches.
//!
//! Dispatch, arity errors, `COMMAND`, `HELP`, the client's completion and the proxy's routing all
//! read this table. Adding a command is one row here and one function where it is carried out.
//!
//! - `arguments.rs`: what a row says of the arguments, as a tree

pub mod arguments;

/// Which command a row describes; what handlers match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the rows of `TABLE` say what each one does
#[rustfmt::skip]
pub enum Verb {
    Get, Set, Put, Del, Dump,
    Mget, Mset, Msetnx, Setnx, Setex, Psetex, Getset, Getdel, Getex, Append, Strlen,
    Incr, Decr, Incrby, Decrby,
    Unlink, Exists, Touch, Type, Rename, Renamenx, Randomkey, Keys, Scan, Dbsize, Flushdb, Flushall,
    Expire, Pexpire, Expireat, Pexpireat, Ttl, Pttl, Expiretime, Pexpiretime, Persist,
    Multi, Exec, Discard, Watch, Unwatch,
    Ping, Echo, Hello, Auth, Select, Client, Reset,
    Command, Info, Config, Time, Role, Cluster,
    Stats, Origin, Help, Bye, Quit, Exit,
    ClientCaching, ClientGetname, ClientGetredir, ClientHelp, ClientId, ClientInfo, ClientKill, ClientList, ClientReply, ClientSetinfo, ClientSetname,
    ClientTracking, ClientTrackinginfo,
    CommandCount, CommandDocs, CommandGetkeys, CommandHelp, CommandInfo, CommandList,
    ConfigGet, ConfigHelp, ConfigResetstat, ConfigSet,
}

/// The first row of [`TABLE`] that is a subcommand; none but these stands after it.
const FIRST_SUBCOMMAND: usize = Verb::ClientCaching as usize;

/// What a command does to the keys.
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

/// Where the keys stand among a command's words, counted from the verb at 0: the first, the last
/// (−1: the last word), and from one to the next. As Redis counts them; all 0 without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key; 0: there is none.
    pub first: u8,
    /// The last key; negative: counted from the end, the last word at −1.
    pub last: i8,
    /// From one key to the next.
    pub step: u8,
}

impl KeyRange {
    /// There are no keys.
    pub const NONE: KeyRange = KeyRange { first: 0, last: 0, step: 0 };
    const FIRST: KeyRange = KeyRange { first: 1, last: 1, step: 1 };
    const FIRST_TWO: KeyRange = KeyRange { first: 1, last: 2, step: 1 };
    const ALL: KeyRange = KeyRange { first: 1, last: -1, step: 1 };
    const EVERY_OTHER: KeyRange = KeyRange { first: 1, last: -1, step: 2 };

    /// The keys among the words of a request, the verb included.
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

/// How a command's line is read in the text protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Not a text command: a text line with this verb is an unknown command.
    NotText,
    /// So many words after the verb, at least and at most.
    Words(usize, usize),
    /// A key, and the rest of the line as its value.
    KeyAndRest,
}

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// Which one it is.
    pub verb: Verb,
    /// Its name, in capitals; of a subcommand, after that of its container: `CLIENT|LIST`.
    pub name: &'static str,
    /// How its line is read in the text protocol.
    pub line: Line,
    /// How many words a RESP request has, the verb included; negative: so many or more.
    pub arity: i8,
    /// Where its keys stand.
    pub keys: KeyRange,
    /// What it does to them.
    pub access: Access,
    /// Its arguments, as `HELP` and usage errors show them.
    pub arguments: &'static str,
    /// The arguments that only a RESP request can have besides.
    pub options: &'static str,
    /// What it does, in one phrase.
    pub summary: &'static str,
}

/// Every command, then every subcommand, in the order of [`Verb`].
#[rustfmt::skip]
pub static TABLE: &[Command] = {
    use Access::{Connection, Read, Transaction, Write, WriteAll};
    use Line::{KeyAndRest, NotText, Words};
    const NONE: KeyRange = KeyRange::NONE;
    const FIRST: KeyRange = KeyRange::FIRST;
    const ALL: KeyRange = KeyRange::ALL;
    const EXPIRY: &str = "[EX <seconds>|PX <milliseconds>|EXAT <unix-seconds>|PXAT <unix-milliseconds>|PERSIST]";
    const WHEN: &str = "[NX|XX|GT|LT]";
    &[
        row(Verb::Get, "GET", Words(1, 1), 2, FIRST, Read, "<key>", "", "the value of a key"),
        row(Verb::Set, "SET", KeyAndRest, -3, FIRST, Write, "<key> <value>", "[NX|XX] [GET] [EX <seconds>|PX <milliseconds>|EXAT <unix-seconds>|PXAT <unix-milliseconds>|KEEPTTL]", "store a value, replacing what was there"),
        row(Verb::Put, "PUT", KeyAndRest, 3, FIRST, Write, "<key> <value>", "", "store a value under a new key"),
        row(Verb::Del, "DEL", Words(1, 1), -2, ALL, Write, "<key>", "[<key> ...]", "delete a key"),
        row(Verb::Dump, "DUMP", Words(0, 1), -1, NONE, Read, "[KEYS|PAIRS]", "", "all keys on one line, or all pairs, one a line"),

        row(Verb::Mget, "MGET", NotText, -2, ALL, Read, "<key> [<key> ...]", "", "the values of several keys"),
        row(Verb::Mset, "MSET", NotText, -3, KeyRange::EVERY_OTHER, Write, "<key> <value> [<key> <value> ...]", "", "store several values"),
        row(Verb::Msetnx, "MSETNX", NotText, -3, KeyRange::EVERY_OTHER, Write, "<key> <value> [<key> <value> ...]", "", "store several values, if none of the keys exists"),
        row(Verb::Setnx, "SETNX", NotText, 3, FIRST, Write, "<key> <value>", "", "store a value, if the key does not exist"),
        row(Verb::Setex, "SETEX", NotText, 4, FIRST, Write, "<key> <seconds> <value>", "", "store a value that expires"),
        row(Verb::Psetex, "PSETEX", NotText, 4, FIRST, Write, "<key> <milliseconds> <value>", "", "store a value that expires"),
        row(Verb::Getset, "GETSET", NotText, 3, FIRST, Write, "<key> <value>", "", "store a value, and get the one before"),
        row(Verb::Getdel, "GETDEL", NotText, 2, FIRST, Write, "<key>", "", "the value of a key, which is deleted"),
        row(Verb::Getex, "GETEX", NotText, -2, FIRST, Write, "<key>", EXPIRY, "the value of a key, whose expiry is set"),
        row(Verb::Append, "APPEND", NotText, 3, FIRST, Write, "<key> <tail>", "", "add to the end of a value"),
        row(Verb::Strlen, "STRLEN", NotText, 2, FIRST, Read, "<key>", "", "how long a value is"),
        row(Verb::Incr, "INCR", NotText, 2, FIRST, Write, "<key>", "", "add 1 to a number"),
        row(Verb::Decr, "DECR", NotText, 2, FIRST, Write, "<key>", "", "take 1 from a number"),
        row(Verb::Incrby, "INCRBY", NotText, 3, FIRST, Write, "<key> <amount>", "", "add to a number"),
        row(Verb::Decrby, "DECRBY", NotText, 3, FIRST, Write, "<key> <amount>", "", "take from a number"),

        row(Verb::Unlink, "UNLINK", NotText, -2, ALL, Write, "<key> [<key> ...]", "", "the same as DEL"),
        row(Verb::Exists, "EXISTS", NotText, -2, ALL, Read, "<key> [<key> ...]", "", "how many of the keys exist"),
        row(Verb::Touch, "TOUCH", NotText, -2, ALL, Read, "<key> [<key> ...]", "", "the same as EXISTS"),
        row(Verb::Type, "TYPE", NotText, 2, FIRST, Read, "<key>", "", "string, or none"),
        row(Verb::Rename, "RENAME", NotText, 3, KeyRange::FIRST_TWO, Write, "<key> <new-key>", "", "give a value another key"),
        row(Verb::Renamenx, "RENAMENX", NotText, 3, KeyRange::FIRST_TWO, Write, "<key> <new-key>", "", "the same, if that key does not exist"),
        row(Verb::Randomkey, "RANDOMKEY", NotText, 1, NONE, Read, "", "", "one of the keys"),
        row(Verb::Keys, "KEYS", NotText, 2, NONE, Read, "<pattern>", "", "the keys that match a pattern"),
        row(Verb::Scan, "SCAN", NotText, -2, NONE, Read, "<cursor> [MATCH <pattern>] [COUNT <n>] [TYPE <type>]", "", "some of the keys, and where to go on"),
        row(Verb::Dbsize, "DBSIZE", NotText, 1, NONE, Read, "", "", "how many keys there are"),
        row(Verb::Flushdb, "FLUSHDB", NotText, -1, NONE, WriteAll, "[ASYNC|SYNC]", "", "delete all keys"),
        row(Verb::Flushall, "FLUSHALL", NotText, -1, NONE, WriteAll, "[ASYNC|SYNC]", "", "delete all keys"),

        row(Verb::Expire, "EXPIRE", NotText, -3, FIRST, Write, "<key> <seconds>", WHEN, "have a key expire"),
        row(Verb::Pexpire, "PEXPIRE", NotText, -3, FIRST, Write, "<key> <milliseconds>", WHEN, "have a key expire"),
        row(Verb::Expireat, "EXPIREAT", NotText, -3, FIRST, Write, "<key> <unix-seconds>", WHEN, "have a key expire at a time"),
        row(Verb::Pexpireat, "PEXPIREAT", NotText, -3, FIRST, Write, "<key> <unix-milliseconds>", WHEN, "have a key expire at a time"),
        row(Verb::Ttl, "TTL", NotText, 2, FIRST, Read, "<key>", "", "seconds until a key expires; -1: never, -2: no such key"),
        row(Verb::Pttl, "PTTL", NotText, 2, FIRST, Read, "<key>", "", "the same in milliseconds"),
        row(Verb::Expiretime, "EXPIRETIME", NotText, 2, FIRST, Read, "<key>", "", "when a key expires, in Unix seconds; -1: never, -2: no such key"),
        row(Verb::Pexpiretime, "PEXPIRETIME", NotText, 2, FIRST, Read, "<key>", "", "the same in milliseconds"),
        row(Verb::Persist, "PERSIST", NotText, 2, FIRST, Write, "<key>", "", "have a key not expire"),

        row(Verb::Multi, "MULTI", NotText, 1, NONE, Transaction, "", "", "begin a transaction"),
        row(Verb::Exec, "EXEC", NotText, 1, NONE, Transaction, "", "", "carry out what was said since MULTI"),
        row(Verb::Discard, "DISCARD", NotText, 1, NONE, Transaction, "", "", "forget what was said since MULTI"),
        row(Verb::Watch, "WATCH", NotText, -2, ALL, Transaction, "<key> [<key> ...]", "", "have EXEC do nothing if one of the keys has changed"),
        row(Verb::Unwatch, "UNWATCH", NotText, 1, NONE, Transaction, "", "", "forget the keys of WATCH"),

        row(Verb::Ping, "PING", Words(0, 0), -1, NONE, Connection, "", "[<message>]", "answers PONG"),
        row(Verb::Echo, "ECHO", NotText, 2, NONE, Connection, "<message>", "", "answers the message"),
        row(Verb::Hello, "HELLO", NotText, -1, NONE, Connection, "[<version> [AUTH <user> <password>] [SETNAME <name>]]", "", "choose RESP2 or RESP3"),
        row(Verb::Auth, "AUTH", NotText, -2, NONE, Connection, "[<user>] <password>", "", "for clients that send it; there are no passwords"),
        row(Verb::Select, "SELECT", NotText, 2, NONE, Connection, "<database>", "", "there is database 0 only"),
        row(Verb::Client, "CLIENT", NotText, -2, NONE, Connection, "<subcommand> [<argument> ...]", "", "about the connections"),
        row(Verb::Reset, "RESET", NotText, 1, NONE, Connection, "", "", "have the connection as new"),
        row(Verb::Command, "COMMAND", NotText, -1, NONE, Connection, "[<subcommand> [<argument> ...]]", "", "about the commands"),
        row(Verb::Info, "INFO", NotText, -1, NONE, Connection, "[<section> ...]", "", "about the program, as Redis tells it"),
        row(Verb::Config, "CONFIG", NotText, -2, NONE, Connection, "<subcommand> [<argument> ...]", "", "the settings"),
        row(Verb::Time, "TIME", NotText, 1, NONE, Connection, "", "", "Unix seconds and microseconds"),
        row(Verb::Role, "ROLE", NotText, 1, NONE, Connection, "", "", "a master without replicas"),
        row(Verb::Cluster, "CLUSTER", NotText, -2, NONE, Connection, "<subcommand> [<argument> ...]", "", "refused: there is no cluster"),
        row(Verb::Stats, "STATS", Words(0, 0), 1, NONE, Connection, "", "", "counters, one a line"),
        row(Verb::Origin, "ORIGIN", Words(1, 1), 2, NONE, Connection, "ON|OFF", "", "say with each reply where it came from"),
        row(Verb::Help, "HELP", Words(0, 0), 1, NONE, Connection, "", "", "this list"),
        row(Verb::Bye, "BYE", Words(0, 0), 1, NONE, Connection, "", "", "close the connection"),
        row(Verb::Quit, "QUIT", Words(0, 0), -1, NONE, Connection, "", "", "the same as BYE"),
        row(Verb::Exit, "EXIT", Words(0, 0), 1, NONE, Connection, "", "", "the same as BYE"),

        row(Verb::ClientCaching, "CLIENT|CACHING", NotText, 3, NONE, Connection, "YES|NO", "", "under CLIENT TRACKING: whether the next request's keys are remembered"),
        row(Verb::ClientGetname, "CLIENT|GETNAME", NotText, 2, NONE, Connection, "", "", "this connection's name"),
        row(Verb::ClientGetredir, "CLIENT|GETREDIR", NotText, 2, NONE, Connection, "", "", "0 if this connection is told of changes, else -1"),
        row(Verb::ClientHelp, "CLIENT|HELP", NotText, 2, NONE, Connection, "", "", "this list"),
        row(Verb::ClientId, "CLIENT|ID", NotText, 2, NONE, Connection, "", "", "this connection's number"),
        row(Verb::ClientInfo, "CLIENT|INFO", NotText, 2, NONE, Connection, "", "", "what is known of this connection"),
        row(Verb::ClientKill, "CLIENT|KILL", NotText, -3, NONE, Connection, "<address>|<filter> <value> [<filter> <value> ...]", "", "close connections; filters: ID, ADDR, TYPE, USER, SKIPME"),
        row(Verb::ClientList, "CLIENT|LIST", NotText, -2, NONE, Connection, "[TYPE <type>|ID <id> [<id> ...]]", "", "what is known of all connections"),
        row(Verb::ClientReply, "CLIENT|REPLY", NotText, 3, NONE, Connection, "ON|OFF|SKIP", "", "which requests of this connection are answered"),
        row(Verb::ClientSetinfo, "CLIENT|SETINFO", NotText, 4, NONE, Connection, "LIB-NAME <name>|LIB-VER <name>", "", "tell which library the client uses"),
        row(Verb::ClientSetname, "CLIENT|SETNAME", NotText, 3, NONE, Connection, "<name>", "", "give this connection a name"),
        row(Verb::ClientTracking, "CLIENT|TRACKING", NotText, -3, NONE, Connection, "ON|OFF", "[OPTIN|OPTOUT] [NOLOOP]", "be told of changes to keys that were read on this connection"),
        row(Verb::ClientTrackinginfo, "CLIENT|TRACKINGINFO", NotText, 2, NONE, Connection, "", "", "what was chosen with CLIENT TRACKING"),
        row(Verb::CommandCount, "COMMAND|COUNT", NotText, 2, NONE, Connection, "", "", "how many commands there are"),
        row(Verb::CommandDocs, "COMMAND|DOCS", NotText, -2, NONE, Connection, "[<name> ...]", "", "what commands do and take"),
        row(Verb::CommandGetkeys, "COMMAND|GETKEYS", NotText, -4, NONE, Connection, "<command> <argument> [<argument> ...]", "", "the keys in a request"),
        row(Verb::CommandHelp, "COMMAND|HELP", NotText, 2, NONE, Connection, "", "", "this list"),
        row(Verb::CommandInfo, "COMMAND|INFO", NotText, -2, NONE, Connection, "[<name> ...]", "", "arity, flags and places of keys"),
        row(Verb::CommandList, "COMMAND|LIST", NotText, -2, NONE, Connection, "[FILTERBY <what> <value>]", "", "the names of the commands"),
        row(Verb::ConfigGet, "CONFIG|GET", NotText, -3, NONE, Connection, "<pattern> [<pattern> ...]", "", "the settings whose names match"),
        row(Verb::ConfigHelp, "CONFIG|HELP", NotText, 2, NONE, Connection, "", "", "this list"),
        row(Verb::ConfigResetstat, "CONFIG|RESETSTAT", NotText, 2, NONE, Connection, "", "", "count from 0 again"),
        row(Verb::ConfigSet, "CONFIG|SET", NotText, -4, NONE, Connection, "<name> <value> [<name> <value> ...]", "", "change settings: all of them, or none"),
    ]
};

#[allow(clippy::too_many_arguments)] // a table row, written as one
const fn row(
    verb: Verb,
    name: &'static str,
    line: Line,
    arity: i8,
    keys: KeyRange,
    access: Access,
    arguments: &'static str,
    options: &'static str,
    summary: &'static str,
) -> Command {
    Command { verb, name, line, arity, keys, access, arguments, options, summary }
}

/// Slots of [`BY_NAME`]; several times the commands, so that few names meet.
const SLOTS: usize = 512;

/// No command.
const NONE: u8 = u8::MAX;

/// The place of each command in [`TABLE`], by the hash of its name; a name whose slot is taken
/// stands in the next free one.
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

/// A slot by the length of the name and three of its letters, in any case: spread well enough for
/// the names there are. Whoever makes names collide finds a longer walk in a small table, no more.
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

/// The longest name.
const MAX_NAME_LEN: usize = 11;

impl Command {
    /// Finds a command by its name, in any case; `None` if there is no such command.
    #[inline]
    pub fn find(name: &[u8]) -> Option<&'static Command> {
        if let [a, b, c] = name {
            // What most requests are. Without the bit that letters in lower case have.
            match &[a & !0x20, b & !0x20, c & !0x20] {
                b"GET" => return Some(&TABLE[Verb::Get as usize]),
                b"SET" => return Some(&TABLE[Verb::Set as usize]),
                _ => {}
            }
        }
        if name.len() > MAX_NAME_LEN {
            return None;
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

    /// `SET`.
    pub fn set() -> &'static Command {
        &TABLE[Verb::Set as usize]
    }

    /// Its name and arguments, as a user types them.
    pub fn usage(&self) -> String {
        let name = self.name.replace('|', " ");
        format!("{name} {}", self.arguments).trim_end().to_string()
    }

    /// Every command but the subcommands.
    pub fn all() -> &'static [Command] {
        &TABLE[..FIRST_SUBCOMMAND]
    }

    /// Whether its second word names one of its subcommands.
    #[inline]
    pub fn is_container(&self) -> bool {
        matches!(self.verb, Verb::Client | Verb::Command | Verb::Config)
    }

    /// Its subcommands, by name.
    pub fn subcommands(&self) -> impl Iterator<Item = &'static Command> + Clone + use<> {
        let name = self.name;
        TABLE[FIRST_SUBCOMMAND..].iter().filter(move |row| row.split_name().0 == name)
    }

    /// Finds one of its subcommands, in any case: `list`.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands().find(|row| row.split_name().1.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Its name, and that of the subcommand, if it is one.
    pub fn split_name(&self) -> (&'static str, &'static str) {
        self.name.split_once('|').unwrap_or((self.name, ""))
    }

    /// Whether it concerns the keys and nothing else.
    #[inline]
    pub fn is_for_keys(&self) -> bool {
        matches!(self.access, Access::Read | Access::Write | Access::WriteAll)
    }

    /// Whether it is there to store something. For want of memory it is refused.
    #[inline]
    pub fn stores(&self) -> bool {
        use Verb::*;
        matches!(self.verb, Set | Put | Setnx | Setex | Psetex | Getset | Append | Mset | Msetnx)
            || matches!(self.verb, Incr | Decr | Incrby | Decrby)
    }

    /// Whether more memory may be taken after it than before: by those that store, and by a little
    /// also by a deadline or a longer key.
    #[inline]
    pub fn may_grow(&self) -> bool {
        use Verb::*;
        self.stores()
            || matches!(self.verb, Expire | Pexpire | Expireat | Pexpireat | Getex)
            || matches!(self.verb, Rename | Renamenx)
    }

    /// Whether a line of text can carry it.
    pub fn is_text(&self) -> bool {
        self.line != Line::NotText
    }

    /// Whether a RESP request for it may have so many words.
    #[inline]
    pub fn takes(&self, words: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        words == least || (self.arity < 0 && words > least)
    }

    /// What is said in RESP to a request that it does not take.
    pub fn wrong_arity(&self) -> String {
        format!("wrong number of arguments for '{}' command", self.name.to_ascii_lowercase())
    }

    /// Where this command stands in `TABLE`.
    #[inline]
    pub fn index(&self) -> usize {
        self.verb as usize
    }
}

#[cfg(test)]
mod tests;
