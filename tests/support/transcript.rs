//! Transcripts: what clients send and what must come back, as text that people read.
//!
//! ```text
//! # a comment                              flags: --put replace        for server and proxy
//! only: server                             proxy-flags: --ttl 2        for the proxy alone
//!
//! > PUT name Derek Moss                    a line, sent with CRLF
//! >> PUT a 1\nPUT b \xff\r\n               bytes, sent as they are
//! *> SET key value\x20with\x20spaces       words, sent as a RESP array; "" is the empty word
//! >!                                       the client sends its FIN
//!
//! < OK                                     a line, which comes with CRLF
//! << $1\r\nv\r\n                           bytes
//! <~ name age gender                       a line of these words, in any order
//! <| age = 18                              a line; those that stand together come in any order
//! <.. END                                  lines up to this one
//! <<~ *2\r\n $1\r\na\r\n $1\r\nb\r\n       bytes; the pieces after the first come in any order
//! <$ requests_get 1                        a RESP bulk string that holds this text
//! <!                                       the connection is closed, and nothing else came
//!
//! wait: 2.5                                seconds go by
//! ```
//!
//! A name before the mark is the client, which connects when it is first mentioned: `Anna> GET k`.
//! Escapes: `\r \n \t \\ \xHH`, and `\{3*ab}` for `ababab`. At the end of a transcript every client
//! sends its FIN; that nothing has come which was not expected is then seen.

mod expected;

use super::resp::resp_request;
use expected::{Expected, Match, shown};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Whom a transcript is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Server,
    Proxy,
}

/// A script with what it runs against.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The file it stands in.
    pub file: String,
    only: Option<Program>,
    /// Flags of server and proxy alike.
    pub flags: Vec<String>,
    /// Flags of the proxy alone.
    pub proxy_flags: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    line: usize,
    client: String,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Send(Vec<u8>),
    FinishSending,
    Expect(Expected),
    ExpectClose,
    Wait(Duration),
}

/// What has come from a program.
pub enum Received {
    Bytes(Vec<u8>),
    /// It closed the connection in order.
    Closed,
    /// Nothing came, and nothing will; or the connection broke. The text says which.
    Nothing(String),
}

/// Programs to run a transcript against, and its clients' connections to them, by name.
pub trait Stage {
    /// Sends bytes; the client connects if it has not yet.
    fn send(&mut self, client: &str, bytes: &[u8]);
    /// Sends the client's FIN.
    fn finish_sending(&mut self, client: &str);
    /// Waits for what comes next.
    fn receive(&mut self, client: &str) -> Received;
    /// Lets time go by.
    fn wait(&mut self, time: Duration);
}

/// How the bytes of the clients are cut.
#[derive(Clone, Debug)]
pub enum Cut {
    /// As the transcript has them.
    None,
    /// Those of one client in two, after so many of all that it sends.
    At(String, usize),
    /// Each byte comes alone.
    Bytes,
}

impl Transcript {
    /// All transcripts of a folder, by name.
    pub fn read_folder(folder: &Path) -> Vec<Transcript> {
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("it is read").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        let read = |path: &Path| std::fs::read_to_string(path).expect("UTF-8");
        let name = |path: &Path| path.file_name().expect("a file").to_string_lossy().into_owned();
        paths.iter().map(|path| Transcript::parse(&name(path), 1, &read(path))).collect()
    }

    /// The blocks ```` ```transcript ```` of a document.
    pub fn read_document(path: &Path) -> Vec<Transcript> {
        let text = std::fs::read_to_string(path).expect("the document is there");
        let name = path.file_name().expect("a file").to_string_lossy();
        let mut found = Vec::new();
        let mut block: Option<(usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            match (&mut block, line.starts_with("```")) {
                (None, true) if line == "```transcript" => block = Some((index + 2, String::new())),
                (Some((first, text)), true) => {
                    found.push(Transcript::parse(&name, *first, text));
                    block = None;
                }
                (Some((_, text)), false) => text.extend([line, "\n"]),
                (None, _) => {}
            }
        }
        found
    }

    /// Reads a script whose first line is number `first` of `file`.
    pub fn parse(file: &str, first: usize, text: &str) -> Transcript {
        let mut transcript = Transcript {
            file: file.to_string(),
            only: None,
            flags: Vec::new(),
            proxy_flags: Vec::new(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let number = first + index;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = transcript.read_line(number, line);
            read.unwrap_or_else(|| panic!("{file}:{number}: not a line of a transcript: {line}"));
        }
        transcript
    }

    fn read_line(&mut self, number: usize, line: &str) -> Option<()> {
        if let Some((name, rest)) = line.split_once(": ")
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        {
            let words = rest.split(' ').map(str::to_string);
            match name {
                "only" if rest == "server" => self.only = Some(Program::Server),
                "only" if rest == "proxy" => self.only = Some(Program::Proxy),
                "flags" => self.flags.extend(words),
                "proxy-flags" => self.proxy_flags.extend(words),
                "wait" => {
                    let time = Duration::from_secs_f64(rest.parse().ok()?);
                    let action = Action::Wait(time);
                    self.steps.push(Step { line: number, client: String::new(), action });
                }
                _ => return None,
            }
            return Some(());
        }
        let name_end = line.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (client, rest) = line.split_at(name_end);
        let (mark, text) = rest.split_once(' ').unwrap_or((rest, ""));
        if mark == "<|"
            && let Some(Step { client: last, action, .. }) = self.steps.last_mut()
            && last == client
            && let Action::Expect(Expected::Lines(lines)) = action
        {
            lines.push(unescape(text)?);
            return Some(());
        }
        let action = action(mark, text)?;
        self.steps.push(Step { line: number, client: client.to_string(), action });
        Some(())
    }

    /// Whether it is to be run against this program.
    pub fn is_for(&self, program: Program) -> bool {
        self.only.is_none_or(|only| only == program)
    }

    /// How many bytes each client sends.
    pub fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for step in &self.steps {
            if let Action::Send(bytes) = &step.action {
                *sent.entry(step.client.clone()).or_default() += bytes.len();
            }
        }
        sent
    }

    /// Whether time goes by in it.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Wait(_)))
    }

    /// The same with all requests sent before the first reply is read; `None` if the order of
    /// requests among several clients, or in time, matters.
    pub fn pipelined(&self) -> Option<Transcript> {
        if self.sent().len() != 1 || self.waits() {
            return None;
        }
        let first = self.steps.first()?.clone();
        let (mut bytes, mut rest) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match &step.action {
                Action::Send(more) => bytes.extend_from_slice(more),
                Action::FinishSending => rest.insert(0, step.clone()),
                _ => rest.push(step.clone()),
            }
        }
        rest.insert(0, Step { action: Action::Send(bytes), ..first });
        Some(Transcript { steps: rest, ..self.clone() })
    }

    /// Runs it.
    ///
    /// # Errors
    /// File, line, what was expected and what came.
    pub fn run(&self, stage: &mut dyn Stage, cut: &Cut) -> Result<(), String> {
        let mut clients = BTreeMap::<&str, ClientState>::new();
        for step in &self.steps {
            let client = clients.entry(&step.client).or_default();
            self.take_step(step, client, stage, cut)?;
        }
        clients.retain(|name, client| !client.closed && self.sent().contains_key(*name));
        for (name, client) in &mut clients {
            if !client.finished {
                stage.finish_sending(name);
            }
            if let Err(trouble) = client.expect_close(stage, name) {
                let after = if name.is_empty() { "the end" } else { name };
                return Err(format!("{}: after {after}: {trouble}", self.file));
            }
        }
        Ok(())
    }

    fn take_step(
        &self,
        step: &Step,
        client: &mut ClientState,
        stage: &mut dyn Stage,
        cut: &Cut,
    ) -> Result<(), String> {
        let name = step.client.as_str();
        let result = match &step.action {
            Action::Wait(time) => {
                stage.wait(*time);
                Ok(())
            }
            Action::Send(bytes) => {
                for piece in pieces(bytes, client.sent, name, cut) {
                    stage.send(name, piece);
                }
                client.sent += bytes.len();
                Ok(())
            }
            Action::FinishSending => {
                client.finished = true;
                stage.finish_sending(name);
                Ok(())
            }
            Action::Expect(expected) => client.expect(stage, name, expected),
            Action::ExpectClose => client.expect_close(stage, name),
        };
        result.map_err(|trouble| format!("{}:{}: {trouble}", self.file, step.line))
    }
}

fn action(mark: &str, text: &str) -> Option<Action> {
    let line = |text| Some([unescape(text)?, b"\r\n".to_vec()].concat());
    Some(match mark {
        ">" => Action::Send(line(text)?),
        ">>" => Action::Send(unescape(text)?),
        "*>" => Action::Send(resp_request(&words(text)?)),
        ">!" => Action::FinishSending,
        "<" => Action::Expect(Expected::Bytes(line(text)?)),
        "<<" => Action::Expect(Expected::Bytes(unescape(text)?)),
        "<~" => Action::Expect(Expected::Words(line(text)?)),
        "<|" => Action::Expect(Expected::Lines(vec![unescape(text)?])),
        "<.." => Action::Expect(Expected::LinesThrough(line(text)?)),
        "<<~" => {
            let mut pieces = words(text)?;
            Action::Expect(Expected::Pieces(pieces.remove(0), pieces))
        }
        "<$" => Action::Expect(Expected::BulkWith(unescape(text)?)),
        "<!" => Action::ExpectClose,
        _ => return None,
    })
}

/// Returns the words of a line, in which `""` is the empty word.
pub fn words(text: &str) -> Option<Vec<Vec<u8>>> {
    let words = text.split_whitespace().map(|word| if word == "\"\"" { "" } else { word });
    words.map(unescape).collect()
}

pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let kind = escaped.chars().next()?;
        rest = &escaped[kind.len_utf8()..];
        match kind {
            '\\' => bytes.push(b'\\'),
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'x' => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = &rest[2..];
            }
            '{' => {
                let (inner, after) = rest.split_once('}')?;
                let (count, repeated) = inner.split_once('*')?;
                let repeated = unescape(repeated)?;
                bytes.extend(repeated.repeat(count.parse().ok()?));
                rest = after;
            }
            _ => return None,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// `bytes`, which follow `sent` others of this client, as they are to be sent.
fn pieces<'a>(bytes: &'a [u8], sent: usize, client: &str, cut: &Cut) -> Vec<&'a [u8]> {
    match cut {
        Cut::At(whose, at) if whose == client && (sent + 1..sent + bytes.len()).contains(at) => {
            let (first, second) = bytes.split_at(at - sent);
            vec![first, second]
        }
        Cut::None | Cut::At(..) => vec![bytes],
        Cut::Bytes => bytes.chunks(1).collect(),
    }
}

#[derive(Default)]
struct ClientState {
    sent: usize,
    finished: bool,
    closed: bool,
    /// What came and was not expected yet.
    received: Vec<u8>,
}

impl ClientState {
    fn expect(
        &mut self,
        stage: &mut dyn Stage,
        name: &str,
        expected: &Expected,
    ) -> Result<(), String> {
        loop {
            let trouble = match expected.compare(&self.received) {
                Match::Whole(count) => {
                    self.received.drain(..count);
                    return Ok(());
                }
                Match::Differs => String::new(),
                Match::NeedsMore => match stage.receive(name) {
                    Received::Bytes(bytes) => {
                        self.received.extend_from_slice(&bytes);
                        continue;
                    }
                    Received::Closed => "; then the connection was closed".to_string(),
                    Received::Nothing(why) => format!("; then {why}"),
                },
            };
            let got = shown(&self.received);
            return Err(format!("\n  expected {}\n  got      {got}{trouble}", expected.describe()));
        }
    }

    fn expect_close(&mut self, stage: &mut dyn Stage, name: &str) -> Result<(), String> {
        while self.received.is_empty() {
            match stage.receive(name) {
                Received::Bytes(bytes) => self.received = bytes,
                Received::Closed => {
                    self.closed = true;
                    return Ok(());
                }
                Received::Nothing(why) => return Err(format!("expected a close, but {why}")),
            }
        }
        Err(format!("expected a close and nothing else, got {}", shown(&self.received)))
    }
}
