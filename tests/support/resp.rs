//! RESP as the tests write and read it.

use Value::{Array, Bulk, Line};

/// Returns a request: an array of bulk strings.
pub fn resp_request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Returns a bulk string.
pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Takes the first line of `rest` off, and returns it without its end; `None` if it is not whole.
pub fn take_line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, after) = rest.split_once("\r\n")?;
    *rest = after;
    Some(line)
}

/// Takes the request at the front of `rest` off, an array or a line, and returns its words, in
/// which no line ends; `None` if it is not whole.
pub fn take_request<'a>(rest: &mut &'a str) -> Option<Vec<&'a str>> {
    let mut after = *rest;
    let head = take_line(&mut after)?;
    let words = match head.strip_prefix('*') {
        None => head.split(' ').collect(),
        Some(count) => {
            let words = (0..count.parse::<usize>().ok()?).map(|_| {
                take_line(&mut after)?;
                take_line(&mut after)
            });
            words.collect::<Option<Vec<_>>>()?
        }
    };
    *rest = after;
    Some(words)
}

/// A value of RESP2 or RESP3. What begins like none is a [`Value::Line`] too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'a> {
    /// A type and the rest of its line: `+OK`, `-ERR ...`, `:1`, `$-1`, `_`, `#t`, `,1.5`.
    Line(u8, &'a [u8]),
    /// `$`, `=` or `!`, and its bytes.
    Bulk(u8, &'a [u8]),
    /// `*`, `~`, `>` or `%` (a key and a value after the other), and what is in it.
    Array(u8, Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// Returns the value that `bytes` begin with, and its length; `None` if it is not whole.
    pub fn read(bytes: &'a [u8]) -> Option<(Value<'a>, usize)> {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let (&kind, line) = bytes[..end].split_first().unwrap_or((&b' ', b""));
        let mut at = end + 2;
        let count = std::str::from_utf8(line).ok().and_then(|line| line.parse::<usize>().ok());
        let value = match (kind, count) {
            (b'$' | b'=' | b'!', Some(count)) => {
                let inside = bytes.get(at..at + count)?;
                at += count + 2;
                bytes.get(..at)?;
                Bulk(kind, inside)
            }
            (b'*' | b'~' | b'>' | b'%', Some(count)) => {
                let count = if kind == b'%' { 2 * count } else { count };
                let mut inside = Vec::new();
                for _ in 0..count {
                    let (value, length) = Value::read(&bytes[at..])?;
                    inside.push(value);
                    at += length;
                }
                Array(kind, inside)
            }
            _ => Line(kind, line),
        };
        Some((value, at))
    }

    /// Returns all values that `bytes` begin with.
    pub fn read_all(mut bytes: &'a [u8]) -> impl Iterator<Item = Value<'a>> {
        std::iter::from_fn(move || {
            let (value, length) = Value::read(bytes)?;
            bytes = &bytes[length..];
            Some(value)
        })
    }

    /// Returns the text of a line or a string; none of an array.
    pub fn text(&self) -> String {
        match self {
            Line(_, text) | Bulk(_, text) => String::from_utf8_lossy(text).into_owned(),
            Array(..) => String::new(),
        }
    }

    /// Returns what is in an array; nothing of others.
    pub fn parts(&self) -> &[Value<'a>] {
        if let Array(_, parts) = self { parts } else { &[] }
    }
}

/// A reply in RESP2 of which all that counts is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Word(String),
    Error(String),
    Number(i64),
    Text(String),
    Null,
    List(Vec<Reply>),
}

/// These bytes are no reply in RESP2.
#[derive(Debug)]
pub struct Broken;

impl Reply {
    /// Takes the reply at the front of `rest` off, and returns it; `None` if it is not whole.
    ///
    /// # Errors
    /// It is none.
    pub fn read(rest: &mut &str) -> Result<Option<Reply>, Broken> {
        let Some((value, length)) = Value::read(rest.as_bytes()) else { return Ok(None) };
        *rest = rest.get(length..).ok_or(Broken)?;
        Reply::of(&value).map(Some)
    }

    fn of(value: &Value<'_>) -> Result<Reply, Broken> {
        Ok(match value {
            Line(b'+', _) => Reply::Word(value.text()),
            Line(b'-', _) => Reply::Error(value.text()),
            Line(b':', _) => Reply::Number(value.text().parse().map_err(|_| Broken)?),
            Line(b'$', b"-1") => Reply::Null,
            Bulk(b'$', _) => Reply::Text(value.text()),
            Array(b'*', parts) => {
                Reply::List(parts.iter().map(Reply::of).collect::<Result<_, _>>()?)
            }
            _ => return Err(Broken),
        })
    }
}
