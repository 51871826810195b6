//! What clients ask, over RESP, and what follows from the answers for each key.

use crate::support::history::Act;
pub use crate::support::resp::Reply;
use crate::support::resp::resp_request;
use crate::support::world::Stamp;

/// A request. Keys are numbers, and so are values: no two writes have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Get(usize),
    Mget(Vec<usize>),
    Set(usize, u32),
    /// With a time to live in milliseconds.
    SetFor(usize, u32, u64),
    Put(usize, u32),
    Del(usize),
    ExpireIn(usize, u64),
    Mset(Vec<(usize, u32)>),
    /// From one key to another.
    Rename(usize, usize),
    Flush,
    /// `MULTI`, requests for keys that are all different, `EXEC`.
    Block(Vec<Command>),
}

/// One request of one client, and its reply.
#[derive(Clone, Debug)]
pub struct Operation {
    pub command: Command,
    pub client: usize,
    /// `None`: the server itself was asked.
    pub proxy: Option<usize>,
    pub sent: Stamp,
    pub answer: Option<(Stamp, Reply)>,
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

/// The key of that number.
pub fn key(number: usize) -> String {
    format!("k{number}")
}

/// The value of that name.
pub fn value(id: u32) -> String {
    format!("v{id}.{}", "x".repeat(id as usize % 11))
}

/// The name of a value.
pub fn id_of(text: &str) -> Result<u32, Misplaced> {
    let id = text.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
    id.filter(|&id| value(id) == text).ok_or(Misplaced)
}

/// A request as a RESP array.
pub fn encode(words: &[&str]) -> String {
    String::from_utf8(resp_request(words)).expect("keys and values are text")
}

impl Command {
    pub fn encode(&self) -> String {
        match self {
            Command::Get(at) => encode(&["GET", &key(*at)]),
            Command::Set(at, id) => encode(&["SET", &key(*at), &value(*id)]),
            Command::SetFor(at, id, life) => {
                encode(&["SET", &key(*at), &value(*id), "PX", &life.to_string()])
            }
            Command::Put(at, id) => encode(&["PUT", &key(*at), &value(*id)]),
            Command::Del(at) => encode(&["DEL", &key(*at)]),
            Command::ExpireIn(at, life) => encode(&["PEXPIRE", &key(*at), &life.to_string()]),
            Command::Rename(from, to) => encode(&["RENAME", &key(*from), &key(*to)]),
            Command::Flush => encode(&["FLUSHALL"]),
            Command::Mget(keys) => {
                let keys: Vec<String> = keys.iter().map(|&at| key(at)).collect();
                let words: Vec<&str> =
                    std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
                encode(&words)
            }
            Command::Mset(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().flat_map(|&(at, id)| [key(at), value(id)]).collect();
                let words: Vec<&str> =
                    std::iter::once("MSET").chain(pairs.iter().map(String::as_str)).collect();
                encode(&words)
            }
            Command::Block(commands) => {
                let inside: String = commands.iter().map(Command::encode).collect();
                encode(&["MULTI"]) + &inside + &encode(&["EXEC"])
            }
        }
    }

    /// How many replies it has: only the last counts.
    fn replies(&self) -> usize {
        if let Command::Block(commands) = self { commands.len() + 2 } else { 1 }
    }

    /// The reply at the front of `bytes`, and its length. `None`: it is not whole.
    pub fn read_reply(&self, bytes: &[u8]) -> Result<Option<(usize, Reply)>, Misplaced> {
        let text = std::str::from_utf8(bytes).map_err(|_| Misplaced)?;
        let (mut rest, mut last) = (text, None);
        for place in 0..self.replies() {
            let Some(reply) = Reply::read(&mut rest).map_err(|_| Misplaced)? else {
                return Ok(None);
            };
            let expected = match place {
                _ if place + 1 == self.replies() => None,
                0 => Some("OK"),
                _ => Some("QUEUED"),
            };
            if expected.is_some_and(|word| reply != Reply::Word(word.to_string())) {
                return Err(Misplaced);
            }
            last = Some(reply);
        }
        Ok(last.map(|reply| (text.len() - rest.len(), reply)))
    }

    /// What follows from the reply. Errors tell nothing.
    pub fn facts(&self, reply: &Reply, keys: usize) -> Result<Vec<Fact>, Misplaced> {
        let ok = Reply::Word("OK".to_string());
        let fact = |key: usize, act: Act| Fact { key, act, from_server: true };
        Ok(match (self, reply) {
            (Command::Rename(from, _), Reply::Error(message)) if message == "ERR no such key" => {
                vec![fact(*from, Act::Saw(None))]
            }
            (Command::Put(at, _), Reply::Error(message)) if message == "ERR Key already exists" => {
                vec![fact(*at, Act::SawSome)]
            }
            (_, Reply::Error(_)) => Vec::new(),
            (Command::Get(at), reply) => {
                vec![Fact { key: *at, act: Act::Saw(reply.value()?), from_server: false }]
            }
            (Command::Mget(keys), Reply::List(values)) if keys.len() == values.len() => {
                let pairs = keys.iter().zip(values);
                let facts = pairs.map(|(&key, value)| {
                    Ok(Fact { key, act: Act::Saw(value.value()?), from_server: false })
                });
                facts.collect::<Result<_, _>>()?
            }
            (Command::Set(at, id) | Command::SetFor(at, id, _) | Command::Put(at, id), reply)
                if *reply == ok =>
            {
                vec![fact(*at, Act::Wrote(Some(*id)))]
            }
            (Command::Del(at), Reply::Number(1)) => vec![fact(*at, Act::Wrote(None))],
            (Command::Del(at) | Command::ExpireIn(at, _), Reply::Number(0)) => {
                vec![fact(*at, Act::Saw(None))]
            }
            (Command::ExpireIn(at, _), Reply::Number(1)) => vec![fact(*at, Act::SawSome)],
            (Command::Mset(pairs), reply) if *reply == ok => {
                pairs.iter().map(|&(at, id)| fact(at, Act::Wrote(Some(id)))).collect()
            }
            (Command::Rename(from, to), reply) if *reply == ok => {
                vec![fact(*from, Act::Wrote(None)), fact(*to, Act::WroteSome)]
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
            _ => return Err(Misplaced),
        })
    }
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
