//! The line protocol: lines to requests, replies to lines.
//!
//! Almost every line is plain, and is not copied from the input. A line that holds telnet commands,
//! backspaces or NUL goes through a [`LineEditor`] first.

use super::telnet::{TelnetEvent, TelnetState};
use super::{Decoded, Form, Refusal, Reply, Request, Span, Words, byte_search};
use crate::base::escape::escape;
pub use crate::base::escape::printable;
use crate::base::output::{Output, Value};
use crate::protocol::command::{Command, LineSyntax};
use crate::settings::limits::{self, Limits};

const NUL: u8 = 0;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;
const IAC: u8 = 255;

/// Returns the position at which a line stops being plain: its end, or a byte that only an
/// [`LineEditor`] can take.
#[inline]
pub fn stop(bytes: &[u8]) -> Option<usize> {
    let stops = |byte| matches!(byte, b'\n' | NUL | BACKSPACE | DELETE | IAC);
    byte_search::find(bytes, b'\n', stops)
}

/// Returns the line at the front of the input if it is whole, plain and not blank; and its length
/// with its end.
#[inline]
pub fn plain_line<'a>(input: &'a [u8], limits: &Limits) -> Option<(&'a [u8], usize)> {
    let end = stop(input).filter(|&end| input[end] == b'\n')?;
    let line = &input[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line.len() <= limits.max_line && !is_blank(line)).then_some((line, end + 1))
}

/// A line on its way through telnet commands and corrections.
#[derive(Debug, Default)]
pub struct LineEditor {
    /// The line so far; of a line that is too long, its last byte.
    pub line: Vec<u8>,
    telnet: TelnetState,
    /// The line was too long: the rest of it is dropped.
    skipping: bool,
}

/// The progress of a [`LineEditor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// More bytes are needed.
    Midway,
    /// The line is whole.
    Line,
    /// The line is empty: the next byte may begin a request.
    Empty,
    /// The line is too long; the rest of it is dropped.
    TooLong,
    /// A reply to be sent to the peer; then more bytes are needed.
    Answer([u8; 3]),
}

impl LineEditor {
    /// Returns an editor that drops the rest of a line that ends, so far, in `last`.
    pub fn skipping(last: u8) -> LineEditor {
        LineEditor { line: vec![last], skipping: true, ..LineEditor::default() }
    }

    /// Returns an editor with a whole line.
    pub fn holding(line: Vec<u8>) -> LineEditor {
        LineEditor { line, ..LineEditor::default() }
    }

    /// Takes bytes up to the next progress. Returns their number, and the progress.
    pub fn feed(&mut self, bytes: &[u8], max_line: usize) -> (usize, Edited) {
        for (at, &byte) in bytes.iter().enumerate() {
            let event = self.telnet.next(byte);
            let edited = match event {
                TelnetEvent::None => None,
                TelnetEvent::Answer(answer) => return (at + 1, Edited::Answer(answer)),
                TelnetEvent::EraseLine => {
                    self.line.clear();
                    None
                }
                TelnetEvent::Data(b'\n') => Some(self.end()),
                TelnetEvent::Data(NUL) if self.line.last() == Some(&b'\r') => Some(self.end()),
                TelnetEvent::Data(byte) if self.skipping => {
                    self.line[0] = byte;
                    None
                }
                TelnetEvent::EraseCharacter if self.skipping => None,
                TelnetEvent::EraseCharacter | TelnetEvent::Data(BACKSPACE | DELETE) => {
                    self.erase_character();
                    None
                }
                TelnetEvent::Data(byte) => {
                    self.line.push(byte);
                    self.is_too_long(max_line).then_some(Edited::TooLong)
                }
            };
            if let Some(edited) = edited {
                return (at + 1, edited);
            }
            if self.line.is_empty() && self.telnet == TelnetState::Data {
                return (at + 1, Edited::Empty);
            }
        }
        (bytes.len(), Edited::Midway)
    }

    /// Returns whether the line is too long, and then drops it but for its last byte. One more than
    /// the limit may still be the CR of its end.
    fn is_too_long(&mut self, max_line: usize) -> bool {
        let last = self.line.last().copied();
        self.skipping = self.line.len() > max_line + 1;
        if self.skipping {
            self.line = last.into_iter().collect();
        }
        self.skipping
    }

    fn end(&mut self) -> Edited {
        if self.skipping {
            return Edited::Empty;
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.line.is_empty() { Edited::Empty } else { Edited::Line }
    }

    /// Erases one character: of UTF-8, all its bytes.
    fn erase_character(&mut self) {
        while let Some(byte) = self.line.pop() {
            if byte & 0b1100_0000 != 0b1000_0000 {
                break;
            }
        }
    }
}

/// Returns whether a byte stands between words.
pub(super) fn separates(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Returns whether a line holds no word.
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&byte| separates(byte))
}

/// Returns whether a line is a `HELLO`, which makes it and all lines after it inline commands.
#[inline]
pub(super) fn is_hello(line: &[u8]) -> bool {
    // Nearly no line begins with this letter.
    let start = line.iter().position(|&byte| !separates(byte)).unwrap_or(line.len());
    line.get(start).is_some_and(|first| first.eq_ignore_ascii_case(&b'H'))
        && line[start..]
            .split(|&byte| separates(byte))
            .next()
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"HELLO"))
}

/// Returns the start and the end of the next word of `line` from `from` on. If there is none, both
/// are the line's length.
#[inline]
fn next_word(line: &[u8], from: usize) -> (usize, usize) {
    let start = from + line[from..].iter().take_while(|&&byte| separates(byte)).count();
    let end =
        byte_search::find(&line[start..], b' ', separates).map_or(line.len(), |at| start + at);
    (start, end)
}

/// Returns the request of a line without its end, which is not blank.
pub fn parse<'a>(line: &'a [u8], words: &'a mut Vec<Span>, limits: &Limits) -> Decoded<'a> {
    words.clear();
    let (start, end) = next_word(line, 0);
    words.push(Span::new(start, end));
    let verb = &line[start..end];
    if is_http(verb, line) {
        return Decoded::Broken(Refusal::Http);
    }
    let Some(command) = Command::find(verb).filter(|command| command.is_text()) else {
        let words = Words { spans: words, bytes: line };
        // A replica sends these as lines, and reads RESP.
        let is_replicas = [&b"SYNC"[..], b"PSYNC"].iter().any(|it| verb.eq_ignore_ascii_case(it));
        let form = if is_replicas { Form::Resp } else { Form::Text };
        return Decoded::Refused(form, Refusal::Unknown(words, form));
    };
    let understood = match command.line {
        LineSyntax::KeyAndRest => key_and_rest(line, end, words),
        LineSyntax::Words(least, most) => {
            collect_words(line, end, words, most) && words.len() > least
        }
        LineSyntax::NotText => false,
    };
    if !understood {
        return Decoded::Refused(Form::Text, Refusal::Usage(command, Form::Text));
    }
    let words = Words { spans: words, bytes: line };
    let request = Request { command, form: Form::Text, words, key_hash: None };
    if line.len() > limits::MAX_KEY && request.keys().any(|key| key.len() > limits::MAX_KEY) {
        return Decoded::Refused(Form::Text, Refusal::KeyTooLong);
    }
    if command.line == LineSyntax::KeyAndRest && request.word(2).len() > limits.max_value {
        return Decoded::Refused(Form::Text, Refusal::ValueTooLong(limits.max_value));
    }
    Decoded::Request(request)
}

/// Adds the words after the verb. Returns whether there are no more than `most`.
fn collect_words(line: &[u8], mut from: usize, words: &mut Vec<Span>, most: usize) -> bool {
    while from < line.len() {
        let (start, end) = next_word(line, from);
        if start < end {
            if words.len() > most {
                return false;
            }
            words.push(Span::new(start, end));
        }
        from = end;
    }
    true
}

/// Adds a key and its value, of `k v`, `k = v` or `k=v`. Returns whether both are there.
fn key_and_rest(line: &[u8], from: usize, words: &mut Vec<Span>) -> bool {
    let (key_start, key_end) = next_word(line, from);
    let (mut value_start, word_end) = next_word(line, key_end);
    let mut value_end = line.len();
    while value_end > value_start && separates(line[value_end - 1]) {
        value_end -= 1;
    }
    if value_start == word_end {
        // One word only: `k=v`.
        let word = &line[key_start..key_end];
        let Some(equals) = memchr::memchr(b'=', word) else { return false };
        words.push(Span::new(key_start, key_start + equals));
        words.push(Span::new(key_start + equals + 1, key_end));
        return equals > 0 && equals + 1 < word.len();
    }
    if &line[value_start..word_end] == b"=" {
        (value_start, _) = next_word(line, word_end);
        if value_start >= value_end {
            return false;
        }
    }
    words.push(Span::new(key_start, key_end));
    words.push(Span::new(value_start, value_end));
    true
}

/// Returns the key and the value in a line of PUT or SET; `None` if one of them is missing.
pub fn key_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, verb_end) = next_word(line, 0);
    let mut words = Vec::new();
    key_and_rest(line, verb_end, &mut words).then(|| (words[0].of(line), words[1].of(line)))
}

/// Returns whether a line is of HTTP: a web page must not be able to make a browser write keys. A
/// request line has three words.
pub(super) fn is_http(verb: &[u8], line: &[u8]) -> bool {
    let is_request_line = || {
        let mut words = line.split(|&byte| separates(byte)).filter(|word| !word.is_empty());
        matches!(words.nth(2), Some(b"HTTP/1.0" | b"HTTP/1.1")) && words.next().is_none()
    };
    (verb.eq_ignore_ascii_case(b"POST") && line.len() > verb.len())
        || verb.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"Host:"))
        || ends_in_http(line) && is_request_line()
}

/// Returns whether the last word of a line ends as the version of HTTP does.
fn ends_in_http(line: &[u8]) -> bool {
    let end = line.iter().rposition(|&byte| !separates(byte)).map_or(0, |last| last + 1);
    line[..end].ends_with(b"HTTP/1.1") || line[..end].ends_with(b"HTTP/1.0")
}

/// The origin before each line of a text reply, if the client has chosen that; else empty.
pub type Prefix = &'static [u8];

/// Appends a reply as lines of text, each after `prefix`.
#[inline]
pub fn reply(out: &mut Output, prefix: Prefix, reply: Reply<'_>) {
    match reply {
        Reply::Value(Value::Short(value)) if is_one_line(value) => {
            let line = out.plain().append(prefix.len() + value.len() + 2);
            let (start, rest) = line.split_at_mut(prefix.len());
            let (middle, end) = rest.split_at_mut(value.len());
            start.copy_from_slice(prefix);
            middle.copy_from_slice(value);
            end.copy_from_slice(b"\r\n");
        }
        Reply::Value(value) if is_one_line(value.bytes()) => {
            out.push(prefix);
            out.push_value(value);
            out.push(b"\r\n");
        }
        Reply::Value(_) => error(out, prefix, b"value is not one line of text, read it over RESP"),
        Reply::Ok => write_line(out, prefix, b"OK"),
        Reply::Exists => write_line(out, prefix, b"Key already exists"),
        Reply::NotFound | Reply::Deleted(0) => write_line(out, prefix, b"Key not found"),
        Reply::Deleted(_) => write_line(out, prefix, b"OK"),
        Reply::Pong => write_line(out, prefix, b"PONG"),
        Reply::Goodbye => write_line(out, prefix, b"Goodbye"),
        Reply::Lines(lines) => {
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                write_line(out, prefix, line.strip_suffix(b"\n").unwrap_or(line));
            }
            write_line(out, prefix, b"END");
        }
        Reply::Error(message) => error(out, prefix, message.as_bytes()),
        Reply::Failure(message) => {
            // People need no error code.
            let bare = [&b"ERR "[..], b"OOM "].iter().find_map(|code| message.strip_prefix(*code));
            let message = bare.unwrap_or(message);
            if is_one_line(message) {
                error(out, prefix, message);
            } else {
                error(out, prefix, printable(message, message.len()).to_string().as_bytes());
            }
        }
        Reply::Raw(_) => error(out, prefix, b"RESP only"),
    }
}

fn write_line(out: &mut Output, prefix: Prefix, line: &[u8]) {
    out.push(prefix);
    out.push(line);
    out.push(b"\r\n");
}

fn error(out: &mut Output, prefix: Prefix, message: &[u8]) {
    out.push(prefix);
    write_line(out, b"ERR ", message);
}

/// Returns whether a value can stand in a line as it is: it neither ends the line nor holds a
/// telnet command.
#[inline]
pub fn is_one_line(value: &[u8]) -> bool {
    byte_search::find(value, b'\r', |byte| matches!(byte, b'\n' | b'\r' | NUL | IAC)).is_none()
}

/// Appends a key as `DUMP` shows it: bare if it is one printable word of UTF-8, else quoted.
pub fn push_key(out: &mut Output, key: &[u8]) {
    let bare = !key.is_empty()
        && key[0] != b'"'
        && std::str::from_utf8(key)
            .is_ok_and(|key| !key.chars().any(|c| c.is_whitespace() || c.is_control()));
    if bare { out.push(key) } else { push_quoted(out, key) }
}

/// Appends `k = v` as `DUMP PAIRS` shows it, with the end of the line.
pub fn push_pair(out: &mut Output, prefix: Prefix, key: &[u8], value: &[u8]) {
    out.push(prefix);
    push_key(out, key);
    out.push(b" = ");
    if is_one_line(value) {
        out.push(value);
    } else {
        push_quoted(out, value);
    }
    out.push(b"\r\n");
}

/// Appends `bytes` between quotes, with `\\ \" \n \r \t \xHH` for what is not printable.
pub fn push_quoted(out: &mut Output, bytes: &[u8]) {
    out.push(b"\"");
    escape(bytes, |piece| out.push(piece));
    out.push(b"\"");
}
