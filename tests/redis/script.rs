//! Scripts: who asks what, and how that is read and shown as text.
//!
//! ```text
//! *> SET key value\x20with\x20spaces       the first client; "" is the empty word
//! other*> GET key                          the second client
//! ```
//!
//! The form is that of the transcripts, escapes included. Three words stand for what is known only
//! when a script runs: `{soon}` is a time to live that will be over before the next request,
//! `{id}` and `{other-id}` are the clients' numbers, `{address}` and `{other-address}` where they
//! connected from.

use crate::support::{resp::resp_request, transcript};
use std::fmt;

pub type Word = Vec<u8>;

/// The marks of the two clients.
pub const MARKS: [&str; 2] = ["*>", "other*>"];

/// Bytes of a word that are shown.
const SHOWN: usize = 100;

/// A command and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub words: Vec<Word>,
}

impl Request {
    /// Reads words as they are shown.
    pub fn of(text: &str) -> Request {
        Request { words: transcript::words(text).unwrap_or_else(|| panic!("no request: {text}")) }
    }

    pub fn encode(&self) -> Vec<u8> {
        resp_request(&self.words)
    }

    /// Whether its first words are these, in any case.
    pub fn starts_with(&self, text: &str) -> bool {
        let mut own = self.words.iter();
        text.split(' ')
            .all(|word| own.next().is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes())))
    }

    /// Whether it is exactly this, in any case.
    pub fn is(&self, text: &str) -> bool {
        self.starts_with(text) && self.words.len() == text.split(' ').count()
    }

    /// Whether it gives a key a time to live that is to be over before what follows.
    pub fn is_soon(&self) -> bool {
        self.words.iter().any(|word| word == b"{soon}")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.iter().map(|word| shown_word(word));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

fn shown_word(word: &[u8]) -> String {
    match word {
        [] => "\"\"".to_string(),
        b"\"\"" => "\\x22\\x22".to_string(),
        [first, ..] if word.len() > SHOWN && word.iter().all(|byte| byte == first) => {
            format!("\\{{{}*{}}}", word.len(), shown(&[*first], 1).replace(' ', "\\x20"))
        }
        word => shown(word, SHOWN).replace(' ', "\\x20"),
    }
}

/// Bytes as text, escaped and cut to about so many.
pub fn shown(bytes: &[u8], most: usize) -> String {
    let text = bytes[..bytes.len().min(most)].escape_ascii().to_string();
    // No quotes stand around it.
    let text = text.replace("\\'", "'").replace("\\\"", "\"");
    if bytes.len() > most { format!("{text}...({} bytes)", bytes.len()) } else { text }
}

/// A client asks something: 0 is the first client, 1 the other.
#[derive(Clone, Debug)]
pub struct Step {
    pub by: usize,
    pub request: Request,
}

/// What a test runs on both servers.
#[derive(Clone, Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    /// At most so many requests of one client are sent before their replies are read.
    pub pipeline: usize,
}

impl Script {
    /// Reads a script as it is shown: a request a line; `#` begins a comment.
    pub fn of(text: &str) -> Script {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let steps = lines.map(|line| {
            let (mark, words) = line.split_once(' ').unwrap_or((line, ""));
            let by = MARKS.iter().position(|it| *it == mark);
            let by = by.unwrap_or_else(|| panic!("not a request: {line}"));
            Step { by, request: Request::of(words) }
        });
        Script { steps: steps.collect(), pipeline: 1 }
    }

    /// The same after HELLO 3 of both clients.
    pub fn in_resp3(mut self) -> Script {
        let hello = |by| Step { by, request: Request::of("HELLO 3") };
        self.steps.splice(0..0, [hello(0), hello(1)]);
        self
    }

    /// What is sent before the replies to it are read: several requests of one client, or one that
    /// something has to be done about before the next.
    pub fn groups(&self) -> Vec<&[Step]> {
        let mut groups: Vec<&[Step]> = Vec::new();
        let mut begin = 0;
        for (at, step) in self.steps.iter().enumerate() {
            let before = &self.steps[begin..at];
            let ends = before.last().is_some_and(|last| {
                last.by != step.by || is_alone(&last.request) || is_alone(&step.request)
            });
            if ends || before.len() == self.pipeline {
                groups.push(before);
                begin = at;
            }
        }
        groups.push(&self.steps[begin..]);
        groups
    }
}

/// Whether the replies before and after a request cannot be told apart by their order alone, or
/// something has to follow at once.
fn is_alone(request: &Request) -> bool {
    ["SCAN", "RANDOMKEY", "EXEC", "CLIENT REPLY"].iter().any(|it| request.starts_with(it))
        || request.words.iter().any(|word| word.starts_with(b"{"))
}
