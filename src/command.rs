//! The one table of commands: what each is called, what it takes, what it touches.
//!
//! Dispatch, arity errors, `HELP`, the client's completion and the proxy's routing all read this
//! table. Adding a command is one row here and one function where it is carried out. Order matters
//! only in that the table is searched from the top: the commands asked for most stand first.

/// Which command a row describes; what handlers match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the rows of `TABLE` say what each one does
pub enum Verb {
    Get,
    Set,
    Put,
    Del,
    Scan,
    Dump,
    Ping,
    Stats,
    Origin,
    Help,
    Bye,
    Quit,
    Exit,
}

/// What a command does to the keys it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks at keys.
    Read,
    /// May change keys.
    Write,
    /// Concerns the connection or the program, not the keys.
    Connection,
}

/// Where the keys stand among a command's words, counted from the verb at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The command names no key.
    None,
    /// The word after the verb.
    First,
    /// Every word after the verb.
    All,
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

/// What PUT does to a key that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// It is refused.
    Create,
    /// The value is replaced.
    Replace,
}

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// Which one it is.
    pub verb: Verb,
    /// Its name, in capitals.
    pub name: &'static str,
    /// How its line is read in the text protocol.
    pub line: Line,
    /// How many words a RESP request has, the verb included: at least and at most.
    pub words: (usize, usize),
    /// Where its keys stand.
    pub keys: Keys,
    /// What it does to them.
    pub access: Access,
    /// Its arguments, as `HELP` and usage errors show them.
    pub arguments: &'static str,
    /// What it does, in one phrase.
    pub summary: &'static str,
}

/// Any number of words.
const MANY: usize = usize::MAX;

/// Every command, the most frequent first.
#[rustfmt::skip]
pub static TABLE: &[Command] = &[
    row(Verb::Get, "GET", Line::Words(1, 1), (2, 2), Keys::First, Access::Read, "<key>", "the value of a key"),
    row(Verb::Set, "SET", Line::KeyAndRest, (3, MANY), Keys::First, Access::Write, "<key> <value>", "store a value, replacing what was there"),
    row(Verb::Put, "PUT", Line::KeyAndRest, (3, 3), Keys::First, Access::Write, "<key> <value>", "store a value under a new key"),
    row(Verb::Del, "DEL", Line::Words(1, 1), (2, MANY), Keys::All, Access::Write, "<key>", "delete a key"),
    row(Verb::Scan, "SCAN", Line::NotText, (2, MANY), Keys::None, Access::Read, "<cursor> [COUNT <n>]", "some of the keys, and where to go on"),
    row(Verb::Dump, "DUMP", Line::Words(0, 1), (1, 2), Keys::None, Access::Read, "[KEYS|PAIRS]", "all keys on one line, or all pairs, one a line"),
    row(Verb::Ping, "PING", Line::Words(0, 0), (1, 2), Keys::None, Access::Connection, "", "answers PONG"),
    row(Verb::Stats, "STATS", Line::Words(0, 0), (1, 1), Keys::None, Access::Connection, "", "counters, one a line"),
    row(Verb::Origin, "ORIGIN", Line::Words(1, 1), (2, 2), Keys::None, Access::Connection, "ON|OFF", "say with each reply where it came from"),
    row(Verb::Help, "HELP", Line::Words(0, 0), (1, 1), Keys::None, Access::Connection, "", "this list"),
    row(Verb::Bye, "BYE", Line::Words(0, 0), (1, 1), Keys::None, Access::Connection, "", "close the connection"),
    row(Verb::Quit, "QUIT", Line::Words(0, 0), (1, MANY), Keys::None, Access::Connection, "", "the same as BYE"),
    row(Verb::Exit, "EXIT", Line::Words(0, 0), (1, 1), Keys::None, Access::Connection, "", "the same as BYE"),
];

#[allow(clippy::too_many_arguments)] // a table row, written as one
const fn row(
    verb: Verb,
    name: &'static str,
    line: Line,
    words: (usize, usize),
    keys: Keys,
    access: Access,
    arguments: &'static str,
    summary: &'static str,
) -> Command {
    Command { verb, name, line, words, keys, access, arguments, summary }
}

impl Command {
    /// Finds a command by its name, in any case; `None` if there is no such command.
    pub fn find(name: &[u8]) -> Option<&'static Command> {
        TABLE.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Its name and arguments, as a user types them.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_string()
    }

    /// Whether a line of text can carry it.
    pub fn is_text(&self) -> bool {
        self.line != Line::NotText
    }

    /// Where this command stands in `TABLE`.
    pub fn index(&self) -> usize {
        self.verb as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_verbs() {
        for (index, command) in TABLE.iter().enumerate() {
            assert_eq!(command.index(), index, "{}", command.name);
        }
    }

    #[test]
    fn a_name_is_found_in_any_case() {
        for command in TABLE {
            let lower = command.name.to_ascii_lowercase();
            assert_eq!(Command::find(lower.as_bytes()).map(|c| c.verb), Some(command.verb));
        }
        assert!(Command::find(b"FOO").is_none());
        assert!(Command::find(b"").is_none());
    }
}
