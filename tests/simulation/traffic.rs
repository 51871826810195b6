//! What clients ask, and what they are told: requests with values that can be told apart, and a
//! parser that accepts only what may come in reply to each.

use crate::support::resp::resp_request;
use crate::support::world::Stamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Get,
    Set,
    Put,
    Del,
    Dump,
    DumpPairs,
    Ping,
}

impl Command {
    pub fn is_write(self) -> bool {
        matches!(self, Command::Set | Command::Put | Command::Del)
    }

    pub fn is_dump(self) -> bool {
        matches!(self, Command::Dump | Command::DumpPairs)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Value(u32),
    NotFound,
    Done,
    Exists,
    Deleted,
    Keys(Vec<String>),
    Pong,
    Error(String),
    /// A DUMP that broke off.
    Broken,
}

/// One request of one client, and its reply.
#[derive(Clone, Debug)]
pub struct Operation {
    pub command: Command,
    /// As a RESP array, not a line.
    pub resp: bool,
    pub key: usize,
    /// Names the value that is written, and the operation.
    pub id: u32,
    pub client: usize,
    pub via_proxy: bool,
    pub sent: Stamp,
    pub answer: Option<(Stamp, Answer)>,
    /// It may take longer than the upstream's timeout: it stands behind a DUMP, or its client
    /// does not read.
    pub excused: bool,
}

/// The key of that number.
pub fn key(number: usize) -> String {
    format!("k{number}")
}

/// The value of that name: no other key, client or request has the same, and some are long.
pub fn value(key: usize, id: u32) -> String {
    let length = if id % 7 == 3 { id as usize % 3001 } else { id as usize % 13 };
    format!("{key}.{id}.{}", "v".repeat(length))
}

/// The name of a value that belongs to `key`.
fn read_value(key: usize, text: &str) -> u32 {
    let id = text.split('.').nth(1).and_then(|id| id.parse().ok());
    let id = id.unwrap_or_else(|| panic!("no value of ours: {text:.80}"));
    assert_eq!(text, value(key, id), "a value of {} was asked for", self::key(key));
    id
}

impl Operation {
    pub fn encode(&self) -> Vec<u8> {
        let (key, value) = (key(self.key), value(self.key, self.id));
        let words: Vec<&str> = match self.command {
            Command::Get => vec!["GET", &key],
            Command::Set => vec!["SET", &key, &value],
            Command::Put => vec!["PUT", &key, &value],
            Command::Del => vec!["DEL", &key],
            Command::Dump => vec!["DUMP"],
            Command::DumpPairs => vec!["DUMP", "PAIRS"],
            Command::Ping => vec!["PING"],
        };
        if !self.resp {
            return format!("{}\r\n", words.join(" ")).into_bytes();
        }
        resp_request(&words)
    }

    /// The reply at the front of `bytes`, and its length. `None`: it is not whole.
    pub fn decode(&self, bytes: &[u8]) -> Option<(usize, Answer)> {
        let text = std::str::from_utf8(bytes).expect("everything here is ASCII");
        let mut rest = text;
        let answer = match (self.resp, self.command) {
            (true, _) => self.read_resp(&mut rest)?,
            (false, Command::DumpPairs) => self.read_pairs(&mut rest)?,
            (false, _) => self.read_line(line(&mut rest)?),
        };
        Some((text.len() - rest.len(), answer))
    }

    fn read_line(&self, line: &str) -> Answer {
        if let Some(message) = line.strip_prefix("ERR ") {
            return Answer::Error(message.to_string());
        }
        match (self.command, line) {
            (Command::Dump, _) => {
                let words = line.split(' ').filter(|word| !word.is_empty());
                Answer::Keys(words.map(str::to_string).collect())
            }
            (Command::Get | Command::Del, "Key not found") => Answer::NotFound,
            (Command::Get, value) => Answer::Value(read_value(self.key, value)),
            (Command::Set | Command::Put, "OK") => Answer::Done,
            (Command::Put, "Key already exists") => Answer::Exists,
            (Command::Del, "OK") => Answer::Deleted,
            (Command::Ping, "PONG") => Answer::Pong,
            _ => panic!("{line:.80?} in reply to {self:?}"),
        }
    }

    fn read_pairs(&self, rest: &mut &str) -> Option<Answer> {
        let mut keys = Vec::new();
        loop {
            match line(rest)? {
                "END" => return Some(Answer::Keys(keys)),
                error if error.starts_with("ERR ") && keys.is_empty() => {
                    return Some(self.read_line(error));
                }
                error if error.starts_with("ERR ") => return Some(Answer::Broken),
                pair => {
                    let (key, value) = pair.split_once(" = ").expect("a pair");
                    check_pair(key, value);
                    keys.push(key.to_string());
                }
            }
        }
    }

    fn read_resp(&self, rest: &mut &str) -> Option<Answer> {
        let head = line(rest)?;
        let (kind, head) = head.split_at(1);
        let answer = match (kind, self.command, head) {
            ("-", Command::Put, "ERR Key already exists") => Answer::Exists,
            ("-", _, message) => {
                let message = message.strip_prefix("ERR ").expect("an error of the proxy's own");
                Answer::Error(message.to_string())
            }
            ("$", Command::Get, "-1") => Answer::NotFound,
            ("$", Command::Get, length) => Answer::Value(read_value(self.key, bulk(length, rest)?)),
            ("+", Command::Set | Command::Put, "OK") => Answer::Done,
            ("+", Command::Ping, "PONG") => Answer::Pong,
            (":", Command::Del, "1") => Answer::Deleted,
            (":", Command::Del, "0") => Answer::NotFound,
            ("*", Command::Dump | Command::DumpPairs, count) => {
                let mut words = Vec::new();
                for _ in 0..count.parse().expect("a number of elements") {
                    let length = line(rest)?.strip_prefix('$').expect("a bulk string");
                    words.push(bulk(length, rest)?.to_string());
                }
                if self.command == Command::DumpPairs {
                    words.chunks(2).for_each(|pair| check_pair(&pair[0], &pair[1]));
                    words = words.into_iter().step_by(2).collect();
                }
                Answer::Keys(words)
            }
            _ => panic!("{kind}{head:.80} in reply to {self:?}"),
        };
        Some(answer)
    }
}

/// Keys that clients write have their own values, others the value `same`.
fn check_pair(key: &str, found: &str) {
    match key.strip_prefix('k').and_then(|number| number.parse().ok()) {
        Some(number) => _ = read_value(number, found),
        None => assert_eq!(found, "same"),
    }
}

fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, after) = rest.split_once("\r\n")?;
    *rest = after;
    Some(line)
}

fn bulk<'a>(length: &str, rest: &mut &'a str) -> Option<&'a str> {
    let length: usize = length.parse().expect("a length");
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after.strip_prefix("\r\n").or_else(|| {
        assert!(after.len() < 2, "a bulk string ends in CRLF");
        None
    })?;
    Some(text)
}
