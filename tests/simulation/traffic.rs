//! What clients ask, as RESP or as lines, and what follows from the answers for each key.

use crate::support::history::Act;
pub use crate::support::resp::Reply;
use crate::support::resp::{resp_request, take_line};
use crate::support::world::Stamp;

/// A request. Keys are numbers, and so are values: no two writes have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Get(usize),
    Mget(Vec<usize>),
    Set(usize, u32),
    /// With a time to live in milliseconds.
    SetFor(usize, u32, u64),
    /// PUT, which is refused if there is the key.
    Put(usize, u32),
    /// PUT, which replaces what there is.
    Replace(usize, u32),
    Del(usize),
    ExpireIn(usize, u64),
    Mset(Vec<(usize, u32)>),
    /// From one key to another.
    Rename(usize, usize),
    Flush,
    /// `MULTI`, requests for keys that are all different, `EXEC`.
    Block(Vec<Command>),
    Dump,
    DumpPairs,
    Ping,
}

/// One request of one client, and its reply.
#[derive(Clone, Debug)]
pub struct Operation {
    pub command: Command,
    /// As a line of text, not as a RESP array.
    pub is_line: bool,
    pub client: usize,
    /// `None`: the server itself was asked.
    pub proxy: Option<usize>,
    pub sent: Stamp,
    pub answer: Option<(Stamp, Reply)>,
    /// It may take longer than the upstream's timeout: it stands behind a DUMP, its client does not
    /// read, or its proxy was frozen.
    pub is_excused: bool,
}

/// What an answer says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    pub key: usize,
    pub act: Act,
    pub from_server: bool,
}

/// The reply cannot be one to this request: it is somebody else's.
#[derive(Debug)]
pub struct Misplaced;

/// What is noted as the reply to a DUMP that broke off.
pub const BROKE_OFF: &str = "a DUMP broke off";

/// The value of keys that nobody writes.
pub const STAYING: &str = "same";

/// Returns the key of that number.
pub fn key(number: usize) -> String {
    format!("k{number}")
}

/// Returns the value of that name; those that [are long](is_long) have up to 3 KB.
pub fn value(id: u32) -> String {
    let length = if is_long(id) { id as usize * 611 % 3001 } else { id as usize % 11 };
    format!("v{id}.{}", "x".repeat(length))
}

/// Returns whether the value of that name is long.
pub fn is_long(id: u32) -> bool {
    id % 3 == 1
}

/// Returns the name of a value.
pub fn id_of(text: &str) -> Result<u32, Misplaced> {
    let id = text.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
    id.filter(|&id| value(id) == text).ok_or(Misplaced)
}

/// Returns a request as a RESP array.
pub fn encode(words: &[impl AsRef<[u8]>]) -> String {
    String::from_utf8(resp_request(words)).expect("keys and values are text")
}

impl Command {
    pub fn is_dump(&self) -> bool {
        matches!(self, Command::Dump | Command::DumpPairs)
    }

    /// Returns whether it may change anything.
    pub fn is_write(&self) -> bool {
        match self {
            Command::Get(_) | Command::Mget(_) | Command::Ping => false,
            Command::Block(commands) => commands.iter().any(Command::is_write),
            command => !command.is_dump(),
        }
    }

    /// Returns whether it can be said in a line of text.
    pub fn can_be_line(&self) -> bool {
        use Command::*;
        matches!(self, Get(_) | Set(..) | Put(..) | Replace(..) | Del(_) | Dump | DumpPairs | Ping)
    }

    fn words(&self) -> Vec<String> {
        let (name, arguments) = match self {
            Command::Get(at) => ("GET", vec![key(*at)]),
            Command::Mget(keys) => ("MGET", keys.iter().map(|&at| key(at)).collect()),
            Command::Set(at, id) => ("SET", vec![key(*at), value(*id)]),
            Command::SetFor(at, id, life) => {
                ("SET", vec![key(*at), value(*id), "PX".to_string(), life.to_string()])
            }
            Command::Put(at, id) | Command::Replace(at, id) => ("PUT", vec![key(*at), value(*id)]),
            Command::Del(at) => ("DEL", vec![key(*at)]),
            Command::ExpireIn(at, life) => ("PEXPIRE", vec![key(*at), life.to_string()]),
            Command::Mset(pairs) => {
                ("MSET", pairs.iter().flat_map(|&(at, id)| [key(at), value(id)]).collect())
            }
            Command::Rename(from, to) => ("RENAME", vec![key(*from), key(*to)]),
            Command::Flush => ("FLUSHALL", Vec::new()),
            Command::Block(_) => ("EXEC", Vec::new()),
            Command::Dump => ("DUMP", Vec::new()),
            Command::DumpPairs => ("DUMP", vec!["PAIRS".to_string()]),
            Command::Ping => ("PING", Vec::new()),
        };
        [vec![name.to_string()], arguments].concat()
    }

    pub fn encode(&self, is_line: bool) -> String {
        match self {
            _ if is_line => self.words().join(" ") + "\r\n",
            Command::Block(commands) => {
                let inside: String = commands.iter().map(|it| it.encode(false)).collect();
                encode(&["MULTI"]) + &inside + &encode(&self.words())
            }
            _ => encode(&self.words()),
        }
    }

    /// Takes the reply at the front of `rest` off, and returns it. `None`: it is not whole.
    ///
    /// # Errors
    /// It is not one to this request.
    pub fn read_reply(&self, is_line: bool, rest: &mut &str) -> Result<Option<Reply>, Misplaced> {
        if is_line {
            return self.read_lines(rest);
        }
        if let Command::Block(commands) = self {
            for place in 0..=commands.len() {
                let expected = if place == 0 { "OK" } else { "QUEUED" };
                match Reply::read(rest).map_err(|_| Misplaced)? {
                    Some(Reply::Word(word)) if word == expected => {}
                    Some(_) => return Err(Misplaced),
                    None => return Ok(None),
                }
            }
        }
        Reply::read(rest).map_err(|_| Misplaced)
    }

    /// The same of the reply to a line, which is returned as if it were RESP.
    fn read_lines(&self, rest: &mut &str) -> Result<Option<Reply>, Misplaced> {
        let mut words = Vec::new();
        while let Some(line) = take_line(rest) {
            let reply = match (self, line) {
                (Command::DumpPairs, "END") => Reply::List(words),
                (_, error) if error.starts_with("ERR ") => {
                    let is_midway = !words.is_empty();
                    Reply::Error(if is_midway { BROKE_OFF } else { error }.to_string())
                }
                (Command::DumpPairs, pair) => {
                    let (key, value) = pair.split_once(" = ").ok_or(Misplaced)?;
                    words.extend([key, value].map(|word| Reply::Text(word.to_string())));
                    continue;
                }
                (Command::Dump, keys) => {
                    let keys = keys.split(' ').filter(|word| !word.is_empty());
                    Reply::List(keys.map(|word| Reply::Text(word.to_string())).collect())
                }
                (Command::Get(_), "Key not found") => Reply::Null,
                (Command::Get(_), value) => Reply::Text(value.to_string()),
                (Command::Del(_), "OK") => Reply::Number(1),
                (Command::Del(_), "Key not found") => Reply::Number(0),
                (Command::Put(..), "Key already exists") => {
                    Reply::Error("ERR Key already exists".to_string())
                }
                (_, word) => Reply::Word(word.to_string()),
            };
            return Ok(Some(reply));
        }
        Ok(None)
    }

    /// Returns what follows from the reply. Errors tell nothing.
    ///
    /// # Errors
    /// It is not one to this request.
    pub fn facts(&self, reply: &Reply, keys: usize) -> Result<Vec<Fact>, Misplaced> {
        let ok = Reply::Word("OK".to_string());
        let fact = |key: usize, act: Act| Fact { key, act, from_server: true };
        let kept = |key: usize, value: &Reply| {
            Ok(Fact { key, act: Act::Saw(value.value()?), from_server: false })
        };
        Ok(match (self, reply) {
            (Command::Rename(from, _), Reply::Error(message)) if message == "ERR no such key" => {
                vec![fact(*from, Act::Saw(None))]
            }
            (Command::Put(at, _), Reply::Error(message)) if message == "ERR Key already exists" => {
                vec![fact(*at, Act::SawSome)]
            }
            (_, Reply::Error(_)) => Vec::new(),
            (Command::Ping, Reply::Word(word)) if word == "PONG" => Vec::new(),
            (Command::Get(at), reply) => vec![kept(*at, reply)?],
            (Command::Mget(keys), Reply::List(values)) if keys.len() == values.len() => keys
                .iter()
                .zip(values)
                .map(|(&key, value)| kept(key, value))
                .collect::<Result<_, _>>()?,
            (Command::Put(at, id), reply) if *reply == ok => vec![fact(*at, Act::Created(*id))],
            (
                Command::Set(at, id) | Command::SetFor(at, id, _) | Command::Replace(at, id),
                reply,
            ) if *reply == ok => {
                vec![fact(*at, Act::Wrote(Some(*id)))]
            }
            (Command::Del(at), Reply::Number(1)) => vec![fact(*at, Act::Removed)],
            (Command::Del(at) | Command::ExpireIn(at, _), Reply::Number(0)) => {
                vec![fact(*at, Act::Saw(None))]
            }
            (Command::ExpireIn(at, _), Reply::Number(1)) => vec![fact(*at, Act::SawSome)],
            (Command::Mset(pairs), reply) if *reply == ok => {
                pairs.iter().map(|&(at, id)| fact(at, Act::Wrote(Some(id)))).collect()
            }
            (Command::Rename(from, to), reply) if *reply == ok => {
                vec![fact(*from, Act::Removed), fact(*to, Act::WroteSome)]
            }
            (Command::Flush, reply) if *reply == ok => {
                (0..keys).map(|at| fact(at, Act::Wrote(None))).collect()
            }
            (Command::Block(commands), Reply::List(replies)) if commands.len() == replies.len() => {
                let mut all = Vec::new();
                for (command, reply) in commands.iter().zip(replies) {
                    all.extend(command.facts(reply, keys)?);
                }
                all.iter_mut().for_each(|fact| fact.from_server = true);
                all
            }
            (Command::Dump | Command::DumpPairs, reply) => {
                let mut facts = Vec::new();
                for (name, value) in self.dumped(reply)? {
                    if let (Some(at), Some(value)) = (number_of(name), value) {
                        facts.push(fact(at, Act::Saw(Some(id_of(value)?))));
                    } else if value.is_some_and(|value| value != STAYING) {
                        return Err(Misplaced);
                    }
                }
                facts
            }
            _ => return Err(Misplaced),
        })
    }

    /// Returns the keys of a whole DUMP, with their values if it tells these.
    ///
    /// # Errors
    /// It is none.
    pub fn dumped<'a>(
        &self,
        reply: &'a Reply,
    ) -> Result<Vec<(&'a str, Option<&'a str>)>, Misplaced> {
        let Reply::List(list) = reply else { return Err(Misplaced) };
        let text = |it: &'a Reply| match it {
            Reply::Text(text) => Ok(text.as_str()),
            _ => Err(Misplaced),
        };
        let words = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        Ok(match self {
            Command::DumpPairs => words.chunks(2).map(|it| (it[0], it.get(1).copied())).collect(),
            _ => words.into_iter().map(|it| (it, None)).collect(),
        })
    }
}

fn number_of(key: &str) -> Option<usize> {
    key.strip_prefix('k')?.parse().ok()
}

impl Reply {
    /// What GET says.
    pub fn value(&self) -> Result<Option<u32>, Misplaced> {
        match self {
            Reply::Null => Ok(None),
            Reply::Text(text) => id_of(text).map(Some),
            _ => Err(Misplaced),
        }
    }
}
