//! What must hold of a history, looked at when it is over.

use crate::linearizable::{self, Act, Event, Verdict};
use crate::support::world::{NodeId, World};
use crate::traffic::{self, Answer, Command, Operation};
use larder::settings::PutMode;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What the server held, from when on: seen by asking it after every step.
#[derive(Debug)]
pub struct Truth {
    pub held: Vec<Vec<(Instant, Option<u32>)>>,
    ticks: u64,
}

impl Truth {
    pub fn new(initial: &[Option<u32>], now: Instant) -> Truth {
        let held = initial.iter().map(|&value| vec![(now, value)]).collect();
        Truth { held, ticks: 0 }
    }

    /// What the server holds now, or held last.
    pub fn now(&self) -> Vec<Option<u32>> {
        self.held.iter().map(|held| held.last().expect("there is a first").1).collect()
    }

    /// Looks at the server, if it has done anything.
    pub fn observe(&mut self, world: &mut World, server: NodeId) {
        let ticks = world.ticks(server);
        if ticks != self.ticks {
            self.ticks = ticks;
            let keys = 0..self.held.len();
            let lines: String = keys.map(|key| format!("GET {}\r\n", traffic::key(key))).collect();
            let replies = String::from_utf8(world.probe(server, lines.as_bytes())).expect("ASCII");
            for (key, (held, reply)) in self.held.iter_mut().zip(replies.lines()).enumerate() {
                let id = reply.split('.').nth(1).map(|id| id.parse().expect("a value of ours"));
                assert!(id.is_some() || reply == "Key not found", "{key}: {reply}");
                if held.last().is_none_or(|&(_, last)| last != id) {
                    held.push((world.now(), id));
                }
            }
        }
    }

    /// The server lost everything.
    pub fn lost(&mut self, now: Instant) {
        self.held.iter_mut().for_each(|held| held.push((now, None)));
        self.ticks = 0;
    }

    /// Whether the server was seen holding that at some time within.
    fn held_within(&self, key: usize, value: Option<u32>, from: Instant, to: Instant) -> bool {
        let held = &self.held[key];
        (0..held.len()).any(|index| {
            let ends = held.get(index + 1).map(|&(at, _)| at);
            held[index].1 == value && held[index].0 <= to && ends.is_none_or(|at| at >= from)
        })
    }

    fn ever_held(&self, key: usize, value: Option<u32>) -> bool {
        self.held[key].iter().any(|&(_, held)| held == value)
    }
}

/// Every GET through the proxy returned what was current less than the time to live before it
/// began.
pub fn check_time_to_live(operations: &[Operation], truth: &Truth, ttl: Duration, first: Instant) {
    let gets = operations.iter().filter(|it| it.via_proxy && it.command == Command::Get);
    for get in gets {
        let value = match &get.answer {
            Some((_, Answer::Value(id))) => Some(*id),
            Some((_, Answer::NotFound)) => None,
            _ => continue,
        };
        let from = get.sent.at.checked_sub(ttl).unwrap_or(first);
        let to = get.answer.as_ref().expect("it is answered").0.at;
        // Two writes in one step hide the first from the truth; then what their client knows must
        // do.
        let may_be_hidden = |write: &Operation| {
            let fits = match value {
                Some(id) => write.id == id && !truth.ever_held(get.key, value),
                None => write.command == Command::Del,
            };
            let ended = write.answer.as_ref().map(|(stamp, _)| stamp.at);
            fits && write.key == get.key
                && write.sent.at <= to
                && ended.is_none_or(|ended| ended >= from)
        };
        assert!(
            truth.held_within(get.key, value, from, to) || operations.iter().any(may_be_hidden),
            "{get:?} returned what was not current within {ttl:?} before it\n{:?}",
            truth.held[get.key],
        );
    }
}

/// The history of every key of `keys` through the proxy is linearizable; how many were too long to
/// tell.
pub fn check_linearizable(
    operations: &[Operation],
    initial: &[Option<u32>],
    keys: std::ops::Range<usize>,
    put_mode: PutMode,
) -> usize {
    let mut unknown = 0;
    for key in keys {
        let on_key = operations.iter().enumerate().filter(|(_, it)| it.via_proxy && it.key == key);
        let events: Vec<Event> =
            on_key.filter_map(|(place, operation)| event(place, operation, put_mode)).collect();
        match linearizable::judge(initial[key], events.clone()) {
            Verdict::Linearizable => {}
            Verdict::Unknown => unknown += 1,
            Verdict::Not => {
                let lines = events.iter().map(|event| format!("{event:?}\n"));
                panic!("{:?}, then\n{}", initial[key], lines.collect::<String>());
            }
        }
    }
    unknown
}

/// `None`: it cannot have had an effect, and tells nothing.
fn event(place: usize, operation: &Operation, put_mode: PutMode) -> Option<Event> {
    let id = operation.id;
    let command = match (operation.command, put_mode) {
        (Command::Put, PutMode::Replace) => Command::Set,
        (command, _) => command,
    };
    let maybe = match command {
        Command::Set => Act::MaybeWrite(id),
        Command::Put => Act::MaybeCreate(id),
        Command::Del => Act::MaybeRemove,
        _ => Act::Refused,
    };
    let act = match (command, operation.answer.as_ref().map(|(_, answer)| answer)) {
        (Command::Get, Some(Answer::Value(id))) => Act::Read(Some(*id)),
        (Command::Get, Some(Answer::NotFound)) => Act::Read(None),
        (Command::Set, Some(Answer::Done)) => Act::Write(id),
        (Command::Put, Some(Answer::Done)) => Act::Create(id),
        (Command::Put, Some(Answer::Exists)) => Act::Refused,
        (Command::Del, Some(Answer::Deleted)) => Act::Remove,
        (Command::Del, Some(Answer::NotFound)) => Act::RemoveNothing,
        // It was never sent.
        (_, Some(Answer::Error(message))) if message == "upstream unavailable" => return None,
        (command, _) if command.is_write() => maybe,
        _ => return None,
    };
    let answered = operation.answer.as_ref().filter(|_| act.is_certain());
    let (began, client) = (operation.sent.step, operation.client);
    let ended = answered.map_or(u64::MAX, |(stamp, _)| stamp.step);
    Some(Event { act, began, ended, client, place })
}

/// Errors are those that fit the command, and every reply came in time.
pub fn check_errors(operations: &[Operation], most: Duration) {
    for operation in operations {
        let Some((stamp, answer)) = &operation.answer else { continue };
        if let Answer::Error(message) = answer {
            assert!(operation.via_proxy, "the server has no errors: {operation:?}");
            let fits = match message.as_str() {
                "upstream unavailable" => true,
                "upstream lost" | "upstream timed out" => !operation.command.is_write(),
                "upstream lost, the write may or may not have happened" => {
                    operation.command.is_write()
                }
                _ => false,
            };
            assert!(fits && operation.command != Command::Ping, "{operation:?}");
        }
        if operation.via_proxy && !operation.excused {
            let took = stamp.at - operation.sent.at;
            assert!(took <= most, "{operation:?} took {took:?}, not at most {most:?}");
        }
    }
}

/// Every whole DUMP has each key that stays exactly once.
pub fn check_dumps(operations: &[Operation], staying: &[String]) {
    for operation in operations {
        if let Some((_, Answer::Keys(keys))) = &operation.answer {
            let mut times: HashMap<&str, usize> = HashMap::new();
            keys.iter().for_each(|key| *times.entry(key).or_default() += 1);
            for key in staying {
                assert_eq!(times.get(key.as_str()), Some(&1), "{key} in {operation:?}");
            }
        }
    }
}
