//! Runs a script on two servers at once and says where their replies differ first.

use super::reply::{are_alike, complaints, likeness};
use super::script::{MARKS, Request, Script, Step, Word, shown};
use super::wire::{Answer, Wire};
use crate::support::place::Place;
use crate::support::resp::Value;
use std::any::Any;
use std::fmt::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// How long `{soon}` is waited for: two milliseconds more than it is.
const PAUSE: Duration = Duration::from_millis(3);

/// A loop accepts a connection in one turn, reads it in the next and writes and closes by the end
/// of that; one to spare.
const TURNS: usize = 4;

/// The most that a server reads in a turn.
const READ: usize = 16 << 10;

/// Characters of a reply that are shown where replies differ, and where they do not.
const SHOWN: (usize, usize) = (200, 100);

/// As much as both have.
pub const ONE_DATABASE: &[&str] = &["--databases", "1"];

pub const REDIS: Place = Place::Redis(ONE_DATABASE);

struct Side {
    place: Place,
    address: SocketAddr,
    /// A connection of our own.
    own: Wire,
    wires: [Option<Wire>; 2],
    /// Killed when dropped.
    _program: Box<dyn Any>,
}

impl Side {
    fn start(place: Place) -> Side {
        let (address, program) = place.start();
        let own = Wire::connect(address);
        Side { place, address, own, wires: [None, None], _program: program }
    }

    /// Asks on our own connection.
    fn tell(&mut self, words: &[Word]) -> Answer {
        self.own.send(&Request { words: words.to_vec() }.encode());
        let replies = (0..10).find_map(|_| self.own.reply());
        replies.unwrap_or_else(|| self.own.what_came())
    }

    /// New clients, and no keys; a new server if this one has died or hangs.
    fn begin(&mut self) -> Answer {
        let flush = [b"FLUSHALL".to_vec()];
        self.wires = [None, None];
        let flushed = self.tell(&flush);
        if flushed.value().is_some() {
            return flushed;
        }
        *self = Side::start(self.place);
        self.tell(&flush)
    }

    /// Waits until all that was sent has been answered, as far as it is answered at all. Each
    /// request on our own connection takes a turn of the server's loop; it is one that a proxy
    /// sends on.
    fn settle(&mut self, turns: usize) -> Option<()> {
        for _ in 0..turns {
            self.tell(&[b"STRLEN".to_vec(), b"none".to_vec()]).value()?;
        }
        Some(())
    }

    fn wire(&mut self, by: usize) -> &mut Wire {
        let address = self.address;
        self.wires[by].get_or_insert_with(|| Wire::connect(address))
    }

    fn send(&mut self, group: &[Step]) {
        let mut bytes = Vec::new();
        for step in group {
            let words = step.request.words.iter().map(|word| self.expand(step.by, word));
            bytes.extend(Request { words: words.collect() }.encode());
        }
        self.wire(group[0].by).send(&bytes);
    }

    fn expand(&mut self, by: usize, word: &Word) -> Word {
        let text = match &word[..] {
            b"{soon}" => "1".to_string(),
            b"{id}" => self.id(by),
            b"{other-id}" => self.id(1 - by),
            b"{address}" => self.wire(by).local.map_or(String::new(), |it| it.to_string()),
            b"{other-address}" => return self.expand(1 - by, &b"{address}".to_vec()),
            _ => return word.clone(),
        };
        text.into_bytes()
    }

    fn id(&mut self, by: usize) -> String {
        let answer = self.wire(by).ask("CLIENT ID");
        String::from_utf8_lossy(&answer.bytes).trim().trim_start_matches(':').to_string()
    }

    /// The reply to one request, or, of a client whose replies may be off, all that came.
    fn answer(&mut self, by: usize, hushed: bool) -> Answer {
        if !hushed && let Some(answer) = self.wire(by).reply() {
            return answer;
        }
        let _ = self.settle(TURNS);
        let wire = self.wire(by);
        let whole = if hushed { None } else { wire.reply() };
        whole.unwrap_or_else(|| wire.what_came())
    }

    /// Goes on with SCAN after its first reply; every key it has told, once each.
    fn scan(&mut self, by: usize, request: &Request, first: &Answer) -> Option<Vec<Word>> {
        let (mut answer, mut keys) = (first.clone(), Vec::new());
        for _ in 0..10_000 {
            let Some(Value::Array(_, parts)) = answer.value() else { return None };
            let [Value::Bulk(_, cursor), Value::Array(_, page)] = &parts[..] else { return None };
            keys.extend(page.iter().filter_map(|key| match key {
                Value::Bulk(_, key) => Some(key.to_vec()),
                _ => None,
            }));
            if *cursor == b"0" {
                keys.sort();
                keys.dedup();
                return Some(keys);
            }
            let mut words = request.words.clone();
            words[1] = cursor.to_vec();
            self.send(&[Step { by, request: Request { words } }]);
            answer = self.answer(by, false);
        }
        None
    }
}

/// Two servers, the first of which is right.
pub struct Pair {
    sides: [Side; 2],
}

impl Pair {
    pub fn start(right: Place, other: Place) -> Pair {
        Pair { sides: [right, other].map(Side::start) }
    }

    /// Runs the script from empty stores on.
    ///
    /// # Errors
    /// The script up to where the replies differ, and these.
    pub fn run(&mut self, script: &Script) -> Result<(), String> {
        let begun = self.sides.each_mut().map(Side::begin);
        let queues = [Vec::new(), Vec::new()];
        let mut run =
            Run { sides: &mut self.sides, queues, hushed: [false; 2], log: String::new() };
        if begun[0] != begun[1] {
            run.log.push_str("before all, FLUSHALL:\n");
            return run.differ(&begun);
        }
        for group in script.groups().into_iter().filter(|group| !group.is_empty()) {
            run.ask(group)?;
        }
        run.end()
    }

    /// Sends these bytes on new connections: what came back from each server, and what of it
    /// differs.
    ///
    /// # Errors
    /// The bytes, and both answers.
    pub fn run_raw(&mut self, bytes: &[u8]) -> Result<(), String> {
        let answers = self.sides.each_mut().map(|side| {
            side.begin();
            side.wire(0).send(bytes);
            let _ = side.settle(TURNS + bytes.len() / READ);
            side.wire(0).what_came()
        });
        if answers[0] == answers[1] {
            return Ok(());
        }
        let mut log = format!("{}\n", shown(bytes, SHOWN.0));
        show(&mut log, &self.sides, &answers);
        Err(log)
    }
}

struct Run<'a> {
    sides: &'a mut [Side; 2],
    /// What each client has queued in a transaction.
    queues: [Vec<Request>; 2],
    /// The clients that have used CLIENT REPLY.
    hushed: [bool; 2],
    log: String,
}

impl Run<'_> {
    /// Sends some requests of one client, and judges the answers.
    fn ask(&mut self, group: &[Step]) -> Result<(), String> {
        let by = group[0].by;
        if group[0].request.starts_with("CLIENT REPLY") {
            self.hushed[by] = true;
        }
        if self.hushed[by] && group.len() > 1 {
            return group.iter().try_for_each(|step| self.ask(std::slice::from_ref(step)));
        }
        self.sides.iter_mut().for_each(|side| side.send(group));
        for Step { request, .. } in group {
            let hushed = self.hushed[by];
            let answers = self.sides.each_mut().map(|side| side.answer(by, hushed));
            self.judge(by, request, &answers)?;
            self.follow(by, request, &answers)?;
        }
        Ok(())
    }

    fn judge(&mut self, by: usize, request: &Request, answers: &[Answer; 2]) -> Result<(), String> {
        let _ = writeln!(self.log, "{} {request:?}", MARKS[by]);
        let alike = answers[0] == answers[1]
            || answers[0].closed == answers[1].closed
                && answers[0].pushes == answers[1].pushes
                && match (answers[0].value(), answers[1].value()) {
                    (Some(right), Some(other)) => {
                        are_alike(request, &self.queues[by], &right, &other)
                    }
                    _ => false,
                };
        if !alike {
            if let (Some(right), Some(other)) = (answers[0].value(), answers[1].value()) {
                for complaint in complaints(likeness(request), &right, &other) {
                    let _ = writeln!(self.log, "    {complaint}");
                }
            }
            return self.differ(answers);
        }
        let _ = writeln!(self.log, "    {}", shown_answer(&answers[0], SHOWN.1));
        Ok(())
    }

    /// What an answer entails: requests are queued or carried out, time has to go by, and where
    /// order is free there is more to ask.
    fn follow(
        &mut self,
        by: usize,
        request: &Request,
        answers: &[Answer; 2],
    ) -> Result<(), String> {
        if answers[0].bytes == b"+QUEUED\r\n" {
            self.queues[by].push(request.clone());
            return Ok(());
        }
        let ended = ["EXEC", "DISCARD", "RESET"].iter().any(|it| request.is(it))
            || answers[0].bytes.starts_with(b"-EXECABORT");
        let queue = if ended { std::mem::take(&mut self.queues[by]) } else { Vec::new() };
        if request.is_soon() || queue.iter().any(Request::is_soon) {
            // Time is what is waited for, and nothing tells when it has gone by.
            thread::sleep(PAUSE);
        }
        if request.starts_with("SCAN 0") && answers[0].bytes.starts_with(b"*") {
            let scan = |(side, first): (&mut Side, &Answer)| side.scan(by, request, first);
            let mut keys = self.sides.iter_mut().zip(answers).map(scan);
            let (right, other) = (keys.next().flatten(), keys.next().flatten());
            if right.is_none() || right != other {
                let _ = writeln!(self.log, "    all keys, to the end of the scan:");
                let shown = |keys: Option<Vec<Word>>| {
                    let words = keys.map(|words| format!("{:?}", Request { words }));
                    let bytes = words.unwrap_or_else(|| "no end".to_string()).into_bytes();
                    Answer { pushes: Vec::new(), bytes, closed: false }
                };
                return self.differ(&[shown(right), shown(other)]);
            }
        }
        if request.is("RANDOMKEY") {
            for (side, answer) in self.sides.iter_mut().zip(answers) {
                if let Some(Value::Bulk(_, key)) = answer.value() {
                    let exists = side.tell(&[b"EXISTS".to_vec(), key.to_vec()]);
                    if exists.bytes != b":1\r\n" {
                        let _ = writeln!(self.log, "    EXISTS says {}", shown_answer(&exists, 9));
                        return self.differ(answers);
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing more has come, and both have closed the same connections.
    fn end(mut self) -> Result<(), String> {
        for side in self.sides.iter_mut() {
            let _ = side.settle(TURNS);
        }
        for (by, mark) in MARKS.iter().enumerate() {
            let rest =
                self.sides.each_mut().map(|side| side.wires[by].as_mut().map(Wire::what_came));
            if let [Some(right), Some(other)] = rest
                && right != other
            {
                let _ = writeln!(self.log, "{mark} at the end:");
                return self.differ(&[right, other]);
            }
        }
        Ok(())
    }

    fn differ(&mut self, answers: &[Answer; 2]) -> Result<(), String> {
        show(&mut self.log, self.sides, answers);
        Err(std::mem::take(&mut self.log))
    }
}

fn show(log: &mut String, sides: &[Side; 2], answers: &[Answer; 2]) {
    for (side, answer) in sides.iter().zip(answers) {
        let _ = writeln!(log, "    {:>6}: {}", side.place.name(), shown_answer(answer, SHOWN.0));
    }
}

fn shown_answer(answer: &Answer, most: usize) -> String {
    let text = match &[&answer.pushes[..], &answer.bytes[..]].concat()[..] {
        [] => "(nothing)".to_string(),
        bytes => shown(bytes, most),
    };
    if answer.closed { format!("{text} (and closed)") } else { text }
}
