//! `DUMP` through the proxy: pages of keys by `SCAN`, and for `PAIRS` their values by `GET`, a
//! batch at a time. The next batch is requested once the client has taken the last.
//!
//! It begins when every earlier request of its client is answered, and no later one is read before
//! it has ended; so its replies need no place among others.

use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::protocol::resp::{self, Element, Elements};
use crate::protocol::{Form, Reply, Request, text};
use crate::session::{Origin, Style, TextDump};
use std::collections::VecDeque;

/// The number of keys that a `SCAN` requests.
const PAGE: &[u8] = b"500";
/// The bytes that a batch of values should have, by the size of the last batch.
const BATCH_BYTES: usize = 128 * 1024;
const MAX_BATCH: usize = 16;

/// A request to the upstream for a `DUMP`.
#[derive(Clone, Copy, Debug)]
pub enum DumpRequest {
    /// A page of keys.
    Keys,
    /// The value of a key.
    Value,
}

/// The progress of a `DUMP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpProgress {
    /// The next requests were sent.
    All,
    /// There is no upstream to send them to.
    Unavailable,
    /// Everything has come: the reply can be ended.
    Nothing,
}

/// A `DUMP` under way.
#[derive(Debug)]
pub struct ProxyDump {
    number: u32,
    style: Style,
    text: TextDump,
    /// The cursor of the next `SCAN`; `None`: all keys have come.
    cursor: Option<Box<[u8]>>,
    /// The keys whose values have not come, those that were requested first.
    keys: VecDeque<Box<[u8]>>,
    unanswered: usize,
    /// The number of values to request at a time.
    batch: usize,
    /// The bytes of this batch that have come.
    batch_bytes: usize,
    /// The body of a reply in RESP, gathered until the number of entries is known.
    body: Buffer,
    entries: usize,
}

impl ProxyDump {
    /// Returns a `DUMP` that has not begun.
    ///
    /// # Errors
    /// The request is wrong: returns the usage.
    pub fn new(
        number: u32,
        style: Style,
        request: &Request<'_>,
    ) -> Result<ProxyDump, &'static str> {
        Ok(ProxyDump {
            number,
            style,
            text: TextDump::new(style, request)?,
            cursor: Some(b"0".as_slice().into()),
            keys: VecDeque::new(),
            unanswered: 0,
            batch: 2,
            batch_bytes: 0,
            body: Buffer::new(),
            entries: 0,
        })
    }

    fn write(&mut self, output: &mut Output, key: &[u8], value: &[u8]) {
        if self.style.form == Form::Text {
            return self.text.write(output, key, value);
        }
        self.entries += 1;
        resp::push_bulk(&mut self.body, key);
        if self.text.pairs {
            resp::push_bulk(&mut self.body, value);
        }
    }

    /// Ends the reply: everything has come.
    pub fn write_end(&self, output: &mut Output) {
        if self.style.form == Form::Text {
            return self.text.write_end(output);
        }
        let mut reply = self.style.writer(output);
        if self.text.pairs {
            reply.map(self.entries);
        } else {
            reply.array(self.entries);
        }
        output.push(self.body.bytes());
    }

    /// Sizes the next batch by the last.
    fn size_next_batch(&mut self) {
        let fits = (BATCH_BYTES / self.batch_bytes.max(1)).min(2) * self.batch;
        self.batch = if fits == 0 { self.batch / 4 } else { fits }.clamp(1, MAX_BATCH);
        self.batch_bytes = 0;
    }

    /// Returns its number among the client's.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the number of its unanswered requests to the upstream.
    pub fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Returns the bytes of the RESP reply that are gathered.
    pub fn gathered_bytes(&self) -> usize {
        self.body.len()
    }

    /// Requests the next keys or values by `send`, which returns whether a request was sent.
    pub fn request_next(
        &mut self,
        mut send: impl FnMut(&[&[u8]], DumpRequest) -> bool,
    ) -> DumpProgress {
        let mut sent = true;
        if !self.keys.is_empty() {
            for key in self.keys.iter().take(self.batch) {
                sent = sent && send(&[b"GET", key], DumpRequest::Value);
                self.unanswered += usize::from(sent);
            }
        } else {
            let Some(cursor) = self.cursor.as_deref() else { return DumpProgress::Nothing };
            sent = send(&[b"SCAN", cursor, b"COUNT", PAGE], DumpRequest::Keys);
            self.unanswered += usize::from(sent);
        }
        if sent { DumpProgress::All } else { DumpProgress::Unavailable }
    }

    /// Takes the reply to a request.
    ///
    /// # Errors
    /// It is an error: returns the message. It is malformed: returns `None`.
    pub fn received(
        &mut self,
        request: DumpRequest,
        reply: Elements<'_>,
        output: &mut Output,
    ) -> Result<(), Option<String>> {
        match request {
            DumpRequest::Keys => self.keys_received(reply, output),
            DumpRequest::Value => self.value_received(reply, output),
        }
    }

    fn keys_received(
        &mut self,
        mut elements: Elements<'_>,
        output: &mut Output,
    ) -> Result<(), Option<String>> {
        let (cursor, count) = match [elements.next(), elements.next(), elements.next()] {
            [Some(Element::Array(2)), Some(Element::Bulk(cursor)), Some(Element::Array(count))] => {
                (cursor, count)
            }
            [Some(Element::Error(message)), ..] => return Err(Some(refusal(message))),
            _ => return Err(None),
        };
        debug_assert_eq!(self.unanswered, 1, "one page is requested at a time");
        self.unanswered = 0;
        self.cursor = (cursor != b"0").then(|| cursor.into());
        for element in elements.take(count) {
            let Element::Bulk(key) = element else { return Err(None) };
            if self.text.pairs {
                self.keys.push_back(key.into());
            } else {
                self.write(output, key, b"");
            }
        }
        Ok(())
    }

    /// Takes the reply to the `GET` of the first key.
    fn value_received(
        &mut self,
        mut elements: Elements<'_>,
        output: &mut Output,
    ) -> Result<(), Option<String>> {
        let key = self.keys.pop_front().expect("a value was requested by its key");
        debug_assert!(self.unanswered > 0, "each value is requested");
        self.unanswered -= 1;
        let outcome = match elements.next() {
            Some(Element::Bulk(value)) => {
                self.batch_bytes += value.len();
                self.write(output, &key, value);
                Ok(())
            }
            // The key was deleted since, or its value is not a string.
            Some(Element::Null) => Ok(()),
            Some(Element::Error(message)) if message.starts_with(b"WRONGTYPE") => Ok(()),
            Some(Element::Error(message)) => Err(Some(refusal(message))),
            _ => Err(None),
        };
        if self.unanswered == 0 {
            self.size_next_batch();
        }
        outcome
    }

    /// Ends the reply with an error. Returns whether the client has a part of it.
    pub fn write_error(&self, output: &mut Output, message: &str) -> bool {
        if self.text.has_begun() && !self.text.pairs {
            output.push(b"\r\n");
        }
        self.style.write(output, Origin::Server, Reply::Error(message));
        self.text.has_begun()
    }
}

/// Returns an error of the upstream as a message, without a leading `ERR `.
fn refusal(message: &[u8]) -> String {
    let message = text::printable(message, message.len()).to_string();
    message.strip_prefix("ERR ").unwrap_or(&message).to_string()
}
