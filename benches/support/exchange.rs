//! What goes over a connection: a request for a key, and the reply that is expected.

use super::write_digits;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Larder's lines of text.
    Text,
    /// Arrays, as Redis has them.
    Resp,
    /// The text protocol of memcached.
    Memcached,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verb {
    Get,
    Set,
}

impl Verb {
    pub const BOTH: [Verb; 2] = [Verb::Get, Verb::Set];

    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Set => "SET",
        }
    }
}

/// Requests of one kind, some in a row, and their replies. They differ in the numbers of their keys
/// only, so that making one more means to write some digits.
#[derive(Clone)]
pub struct Exchange {
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
    /// How many there are, and how long the first of each is.
    pipeline: usize,
    request_bytes: usize,
    reply_bytes: usize,
    /// Where the digits of the key stand in each.
    in_request: usize,
    in_reply: Option<usize>,
}

/// As [`key`](super::key) makes them.
const KEY: &str = "key:000000000000";
const DIGITS: usize = 12;

impl Exchange {
    /// With values of this many bytes.
    pub fn new(form: Form, verb: Verb, value_bytes: usize, pipeline: usize) -> Exchange {
        let value = "v".repeat(value_bytes);
        let (request, reply) = match (form, verb) {
            (Form::Text, Verb::Get) => (format!("GET {KEY}\r\n"), format!("{value}\r\n")),
            (Form::Text, Verb::Set) => (format!("SET {KEY} {value}\r\n"), "OK\r\n".to_string()),
            (Form::Resp, Verb::Get) => (
                format!("*2\r\n$3\r\nGET\r\n$16\r\n{KEY}\r\n"),
                format!("${value_bytes}\r\n{value}\r\n"),
            ),
            (Form::Resp, Verb::Set) => (
                format!("*3\r\n$3\r\nSET\r\n$16\r\n{KEY}\r\n${value_bytes}\r\n{value}\r\n"),
                "+OK\r\n".to_string(),
            ),
            (Form::Memcached, Verb::Get) => (
                format!("get {KEY}\r\n"),
                format!("VALUE {KEY} 0 {value_bytes}\r\n{value}\r\nEND\r\n"),
            ),
            (Form::Memcached, Verb::Set) => {
                (format!("set {KEY} 0 0 {value_bytes}\r\n{value}\r\n"), "STORED\r\n".to_string())
            }
        };
        let digits = |text: &str| text.find(KEY).map(|at| at + KEY.len() - DIGITS);
        Exchange {
            pipeline,
            request_bytes: request.len(),
            reply_bytes: reply.len(),
            in_request: digits(&request).expect("every request names its key"),
            in_reply: digits(&reply),
            request: request.repeat(pipeline).into_bytes(),
            reply: reply.repeat(pipeline).into_bytes(),
        }
    }

    /// Makes it about other keys.
    pub fn set_keys(&mut self, mut number: impl FnMut() -> usize) {
        for turn in 0..self.pipeline {
            let number = number();
            let at = turn * self.request_bytes + self.in_request;
            write_digits(&mut self.request[at..at + DIGITS], number);
            if let Some(in_reply) = self.in_reply {
                let at = turn * self.reply_bytes + in_reply;
                write_digits(&mut self.reply[at..at + DIGITS], number);
            }
        }
    }
}
