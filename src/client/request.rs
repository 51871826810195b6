//! Lines to requests: the words that go to the server, and how each reply is shown.
//!
//! A line of PUT or SET is read by the rules of the text protocol, its value being the rest of the
//! line. Of all others the words are separated by blanks, and one between quotes is read as DUMP
//! shows a key. Our own verbs become those of Redis where the server is not Larder's.

use crate::base::buffer::Buffer;
use crate::base::escape::printable;
use crate::protocol::command::{Command, LineSyntax, Verb};
use crate::protocol::resp::push_request;
use crate::protocol::text;
use crate::session;
use std::borrow::Cow;

/// The most bytes of a word that an error shows.
const SHOWN: usize = 128;

/// The kind of a request, by its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reply is shown as it is.
    Plain,
    /// The value of a key: a null is `Key not found`.
    Value,
    /// `PUT`, or `SET` with `NX`: an error, or a null, is `Key already exists`.
    Put,
    /// `DEL` of one key: 0 is `Key not found`, and 1 `OK`.
    Delete,
    /// Lines of text.
    Lines,
    /// Lines of text, and `END`.
    LinesAndEnd,
    /// `ORIGIN ON` or `OFF`: later replies name their origin, or do not.
    Origin(bool),
    /// `AUTH`: the server may now accept a greeting that it refused.
    Login,
    /// The connection ends with the reply, which is shown as `Goodbye`.
    Farewell,
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// The line is blank.
    Nothing,
    /// The client itself answers, with this error.
    Wrong(String),
    /// The client itself answers: `HELP`.
    Help,
    /// All keys, or with `true` all pairs: by several requests.
    Dump(bool),
    /// A request, encoded.
    Request(&'a [u8], Kind),
}

/// Makes requests of lines; keeps its memory from one line to the next.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Buffer,
    /// The server is Larder's, and knows `PUT` and `STATS`.
    is_larder: bool,
}

impl Encoder {
    /// Returns an encoder for a server that is Larder's, or is not.
    pub fn new(is_larder: bool) -> Encoder {
        Encoder { is_larder, ..Encoder::default() }
    }

    /// Returns what a line asks for, which is given without its LF.
    pub fn encode(&mut self, line: &[u8]) -> Typed<'_> {
        let line = corrected(line.strip_suffix(b"\r").unwrap_or(line));
        let line = line.trim_ascii();
        if line.is_empty() {
            return Typed::Nothing;
        }
        let verb = line.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
        match Command::find(verb) {
            Some(command) if command.line == LineSyntax::KeyAndRest => {
                match text::key_and_value(line) {
                    Some((key, value)) => self.request(&[verb, key, value]),
                    None => Typed::Wrong(usage(command)),
                }
            }
            _ => match split(line) {
                Some(words) => {
                    let words: Vec<&[u8]> = words.iter().map(|word| word.as_ref()).collect();
                    self.request(&words)
                }
                None => Typed::Wrong("ERR a quoted word has no end, or a wrong escape".to_string()),
            },
        }
    }

    /// Returns what these words ask for.
    pub fn request(&mut self, words: &[&[u8]]) -> Typed<'_> {
        let Some((verb, arguments)) = words.split_first() else { return Typed::Nothing };
        let command = Command::find(verb);
        if let Some(command) = command
            && !fits(command, words)
        {
            return Typed::Wrong(usage(command));
        }
        if let Some(error) = unshowable(verb, arguments) {
            return Typed::Wrong(error);
        }
        let kind = match command.map(|command| command.verb) {
            Some(Verb::Help) => return Typed::Help,
            Some(Verb::Dump) => return Typed::Dump(is(arguments, b"PAIRS")),
            Some(verb) => kind(verb, arguments),
            None => kind_of_unknown(verb),
        };
        self.bytes.clear();
        match (command.map(|command| command.verb), self.is_larder) {
            (Some(Verb::Put), false) => {
                push_request(&mut self.bytes, &[b"SET", arguments[0], arguments[1], b"NX"]);
            }
            (Some(Verb::Stats), false) => push_request(&mut self.bytes, &[b"INFO"]),
            (Some(Verb::Bye | Verb::Exit), _) => push_request(&mut self.bytes, &[b"QUIT"]),
            _ => push_request(&mut self.bytes, words),
        }
        Typed::Request(self.bytes.bytes(), kind)
    }
}

/// Returns the kind of a request for a command of the table.
pub fn kind(verb: Verb, arguments: &[&[u8]]) -> Kind {
    match verb {
        Verb::Get | Verb::Getdel | Verb::Getex => Kind::Value,
        Verb::Put => Kind::Put,
        Verb::Del if arguments.len() == 1 => Kind::Delete,
        Verb::Stats => Kind::LinesAndEnd,
        Verb::Info | Verb::Client | Verb::Cluster => Kind::Lines,
        Verb::Origin => Kind::Origin(is(arguments, b"ON")),
        Verb::Auth => Kind::Login,
        Verb::Bye | Verb::Quit | Verb::Exit => Kind::Farewell,
        _ => Kind::Plain,
    }
}

fn kind_of_unknown(verb: &[u8]) -> Kind {
    const LINES: [&[u8]; 4] = [b"MEMORY", b"LATENCY", b"LOLWUT", b"MODULE"];
    let is_lines = LINES.iter().any(|name| name.eq_ignore_ascii_case(verb));
    if is_lines { Kind::Lines } else { Kind::Plain }
}

fn is(arguments: &[&[u8]], word: &[u8]) -> bool {
    arguments.first().is_some_and(|first| first.eq_ignore_ascii_case(word))
}

/// Returns whether a command of the text protocol has the words that it needs. Of the others the
/// server is the judge.
fn fits(command: &Command, words: &[&[u8]]) -> bool {
    let first = words.get(1).copied().unwrap_or_default();
    let one_of = |names: [&[u8]; 2]| names.iter().any(|name| first.eq_ignore_ascii_case(name));
    match (command.verb, command.line) {
        (Verb::Dump, _) => words.len() == 1 || words.len() == 2 && one_of([b"KEYS", b"PAIRS"]),
        (Verb::Origin, _) => words.len() == 2 && one_of([b"ON", b"OFF"]),
        (Verb::Del | Verb::Ping, _) => command.takes(words.len()),
        (Verb::Put, LineSyntax::KeyAndRest) => words.len() == 3,
        (_, LineSyntax::Words(least, most)) => (least..=most).contains(&(words.len() - 1)),
        _ => true,
    }
}

fn usage(command: &Command) -> String {
    format!("ERR usage: {}", command.usage())
}

/// Returns the error for a command whose replies are not one for each request.
fn unshowable(verb: &[u8], arguments: &[&[u8]]) -> Option<String> {
    const STREAMS: [&[u8]; 9] = [
        b"SUBSCRIBE",
        b"PSUBSCRIBE",
        b"SSUBSCRIBE",
        b"UNSUBSCRIBE",
        b"PUNSUBSCRIBE",
        b"SUNSUBSCRIBE",
        b"MONITOR",
        b"SYNC",
        b"PSYNC",
    ];
    let is_stream = STREAMS.iter().any(|name| name.eq_ignore_ascii_case(verb));
    let no_reply = verb.eq_ignore_ascii_case(b"CLIENT") && is(arguments, b"REPLY");
    let shown = printable(verb, SHOWN);
    (is_stream || no_reply).then(|| format!("ERR this client cannot show what {shown} replies"))
}

/// Returns a line as it is after its backspaces.
fn corrected(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.iter().any(|byte| matches!(byte, 8 | 127)) {
        return Cow::Borrowed(line);
    }
    let mut kept = Vec::with_capacity(line.len());
    for &byte in line {
        if matches!(byte, 8 | 127) {
            // Of UTF-8, all bytes of a character.
            while kept.pop().is_some_and(|byte: u8| byte & 0b1100_0000 == 0b1000_0000) {}
        } else {
            kept.push(byte);
        }
    }
    Cow::Owned(kept)
}

/// Returns the words of a line; `None` if a quoted one does not end in a quote and a blank.
fn split(line: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let (mut words, mut rest) = (Vec::new(), line.trim_ascii_start());
    while let Some(&first) = rest.first() {
        let length = if first == b'"' {
            let (word, length) = unquote(rest)?;
            words.push(Cow::Owned(word));
            length
        } else {
            let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\t'));
            let end = end.unwrap_or(rest.len());
            words.push(Cow::Borrowed(&rest[..end]));
            end
        };
        rest = &rest[length..];
        if !matches!(rest.first(), None | Some(b' ' | b'\t')) {
            return None;
        }
        rest = rest.trim_ascii_start();
    }
    Some(words)
}

/// Returns the word between the quotes at the front of `text`, and its length with them.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut word, mut at) = (Vec::new(), 1);
    loop {
        let (byte, length) = match (*text.get(at)?, text.get(at + 1)) {
            (b'"', _) => return Some((word, at + 1)),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(&byte @ (b'\\' | b'"'))) => (byte, 2),
            (b'\\', Some(b'x')) => {
                let digits = std::str::from_utf8(text.get(at + 2..at + 4)?).ok()?;
                (u8::from_str_radix(digits, 16).ok()?, 4)
            }
            (b'\\', _) => return None,
            (byte, _) => (byte, 1),
        };
        word.push(byte);
        at += length;
    }
}

/// Returns the list of commands, as lines ended by LF: those of the text protocol, then all others.
pub fn help() -> Vec<u8> {
    let mut lines = session::help();
    for command in Command::all().iter().filter(|command| !command.is_text()) {
        lines.extend(format!("{:<22} {}\n", command.usage(), command.summary).into_bytes());
    }
    lines
}

/// Returns the line of a command whose words a shell has separated: that of PUT and SET, and one
/// that is a single word. `None`: the words are to be sent as they are.
pub fn as_line(words: &[Vec<u8>]) -> Option<Vec<u8>> {
    let is_line = |verb: &[u8]| {
        Command::find(verb).is_some_and(|command| command.line == LineSyntax::KeyAndRest)
    };
    (words.len() == 1 || is_line(&words[0])).then(|| words.join(&b' '))
}

#[cfg(test)]
mod tests;
