//! `DUMP` through the proxy: pages of keys by `SCAN`, and for `PAIRS` their values by `GET`, a batch at
//! a time, each sent on as soon as it is there and the client has taken the last.
//!
//! It begins when every earlier request of its client is answered, and no later one is read before it
//! has ended; so its replies need no place among others.

use super::{Client, Nonsense, Proxy, Purpose};
use crate::buffer::Buffer;
use crate::handler::{ConnId, Next, Outbox};
use crate::limits;
use crate::protocol::resp::{self, Element, Elements};
use crate::protocol::text::{self, Reply};
use crate::protocol::{Form, Request};
use crate::session::{Origin, Style};
use std::collections::VecDeque;
use std::time::Instant;

/// Keys that one `SCAN` asks for.
const PAGE: &[u8] = b"500";
/// The values of one batch: as many as fit this, going by the last batch.
const BATCH_BYTES: usize = 128 * 1024;
const MOST_BATCH: usize = 500;

/// A `DUMP` under way.
#[derive(Debug)]
pub struct Dump {
    style: Style,
    pairs: bool,
    /// The upstream's word for where to go on; `None` when all keys have come.
    cursor: Option<Box<[u8]>>,
    /// Keys whose values are still to be asked for, or to come: those asked for stand first.
    keys: VecDeque<Box<[u8]>>,
    /// Requests to the upstream that are not answered.
    asked: usize,
    /// Values to ask for at a time, and the bytes that came of this batch.
    batch: usize,
    batch_bytes: usize,
    /// Whether the client has been sent a part of the reply.
    begun: bool,
    /// A RESP reply, which says how long it is first, is gathered here, with its elements counted.
    body: Buffer,
    elements: u64,
}

impl Dump {
    /// Reads the request.
    pub fn new(style: Style, request: &Request<'_>) -> Result<Dump, &'static str> {
        let pairs = match request.arguments().next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"KEYS") => false,
            Some(word) if word.eq_ignore_ascii_case(b"PAIRS") => true,
            Some(_) => return Err("usage: DUMP [KEYS|PAIRS]"),
        };
        Ok(Dump {
            style,
            pairs,
            cursor: Some(b"0".as_slice().into()),
            keys: VecDeque::new(),
            asked: 0,
            batch: 16,
            batch_bytes: 0,
            begun: false,
            body: Buffer::new(),
            elements: 0,
        })
    }

    fn write_key(&mut self, output: &mut Buffer, key: &[u8]) {
        if self.style.form == Form::Resp {
            self.elements += 1;
            return resp::push_bulk(&mut self.body, key);
        }
        output.push(if self.begun { b" " } else { self.style.prefix(Origin::Server) });
        text::push_key(output, key);
        self.begun = true;
    }

    fn write_pair(&mut self, output: &mut Buffer, key: &[u8], value: &[u8]) {
        if self.style.form == Form::Resp {
            self.elements += 2;
            resp::push_bulk(&mut self.body, key);
            return resp::push_bulk(&mut self.body, value);
        }
        text::push_pair(output, self.style.prefix(Origin::Server), key, value);
        self.begun = true;
    }

    fn write_end(&mut self, output: &mut Buffer) {
        if self.style.form == Form::Resp {
            resp::push_header(output, b'*', self.elements);
            return output.push(self.body.bytes());
        }
        if self.pairs {
            output.push(self.style.prefix(Origin::Server));
            output.push(b"END");
        } else if !self.begun {
            output.push(self.style.prefix(Origin::Server));
        }
        output.push(b"\r\n");
    }

    /// Sizes the next batch by the last.
    fn batch_came(&mut self) {
        let fits = (BATCH_BYTES / self.batch_bytes.max(1)).min(2) * self.batch;
        self.batch = if fits == 0 { self.batch / 4 } else { fits }.clamp(1, MOST_BATCH);
        self.batch_bytes = 0;
    }
}

impl Proxy {
    /// Goes on with a client's `DUMP`, if it can. `None`: it has ended.
    pub(super) fn advance_dump(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        now: Instant,
    ) -> Option<Next> {
        let client = self.clients.get_mut(conn)?;
        let dump = client.dump.as_deref_mut()?;
        if dump.asked > 0 || !client.replies.is_empty() {
            client.waiting = true;
            return Some(Next::Wait);
        }
        if out.unsent(conn) > limits::LOW_WATER {
            return Some(Next::Drain);
        }
        let mut requests: Vec<(Vec<&[u8]>, Purpose)> = Vec::new();
        if !dump.keys.is_empty() {
            for key in dump.keys.iter().take(dump.batch) {
                requests.push((vec![b"GET", key], Purpose::DumpValue(conn)));
            }
        } else if let Some(cursor) = &dump.cursor {
            requests.push((vec![b"SCAN", cursor, b"COUNT", PAGE], Purpose::DumpKeys(conn)));
        } else {
            let output = out.output(conn)?;
            dump.write_end(output);
            client.dump = None;
            return None;
        }
        let (mut sent, mut failed) = (0, false);
        for (words, purpose) in requests {
            failed |= self.upstream.send(out, &words, purpose, now).is_err();
            sent += usize::from(!failed);
        }
        dump.asked = sent;
        client.waiting = true;
        if failed {
            self.dump_failed(out, conn, "upstream unavailable");
        }
        Some(Next::Wait)
    }

    /// A page of keys has come.
    pub(super) fn dump_keys(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        mut elements: Elements<'_>,
    ) -> Result<(), Nonsense> {
        let (cursor, count) = match [elements.next(), elements.next(), elements.next()] {
            [Some(Element::Array(2)), Some(Element::Bulk(cursor)), Some(Element::Array(count))] => {
                (cursor, count)
            }
            [Some(Element::Error(message)), ..] => {
                let message = String::from_utf8_lossy(message);
                self.dump_failed(out, conn, message.strip_prefix("ERR ").unwrap_or(&message));
                return Ok(());
            }
            _ => {
                self.dump_failed(out, conn, "upstream lost");
                return Err(Nonsense);
            }
        };
        let Some((client, mut dump, output)) = self.dump_of(out, conn) else { return Ok(()) };
        dump.asked = 0;
        dump.cursor = (cursor != b"0").then(|| cursor.into());
        for element in elements.take(count) {
            let Element::Bulk(key) = element else { continue };
            if dump.pairs {
                dump.keys.push_back(key.into());
            } else {
                dump.write_key(output, key);
            }
        }
        client.dump = Some(dump);
        self.dump_came(out, conn);
        Ok(())
    }

    /// The value of the first key has come.
    pub(super) fn dump_value(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        mut elements: Elements<'_>,
    ) -> Result<(), Nonsense> {
        let Some((client, mut dump, output)) = self.dump_of(out, conn) else { return Ok(()) };
        let key = dump.keys.pop_front().expect("a value was asked for by its key");
        dump.asked -= 1;
        let makes_sense = match elements.next() {
            Some(Element::Bulk(value)) => {
                dump.batch_bytes += value.len();
                dump.write_pair(output, &key, value);
                true
            }
            // Deleted since its key was named, or not a plain value.
            Some(Element::Null | Element::Error(_)) => true,
            _ => false,
        };
        if dump.asked == 0 {
            dump.batch_came();
        }
        client.dump = Some(dump);
        if !makes_sense {
            self.dump_failed(out, conn, "upstream lost");
            return Err(Nonsense);
        }
        self.dump_came(out, conn);
        Ok(())
    }

    /// The client whose `DUMP` it is, the dump taken out of it, and its output.
    fn dump_of<'a>(
        &'a mut self,
        out: &'a mut Outbox,
        conn: ConnId,
    ) -> Option<(&'a mut Client, Box<Dump>, &'a mut Buffer)> {
        let client = self.clients.get_mut(conn)?;
        let output = out.output(conn)?;
        let dump = client.dump.take()?;
        Some((client, dump, output))
    }

    fn dump_came(&mut self, out: &mut Outbox, conn: ConnId) {
        let most = self.options.limits.output_limit;
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some(dump) = client.dump.as_deref() else { return };
        if dump.asked > 0 {
            return;
        }
        if dump.body.len() > most {
            return self.dump_failed(out, conn, "reply too large, use SCAN");
        }
        client.waiting = false;
        out.resume(conn);
    }

    /// Ends a `DUMP` with an error. One that the client has a part of cannot be mended: the
    /// connection is closed after the error, lest the part be taken for the whole.
    pub(super) fn dump_failed(&mut self, out: &mut Outbox, conn: ConnId, message: &str) {
        let Some((client, dump, output)) = self.dump_of(out, conn) else { return };
        if dump.begun {
            if !dump.pairs {
                output.push(b"\r\n");
            }
            dump.style.write(output, Origin::Server, Reply::Error(message));
            client.ended = true;
            out.close(conn);
        } else {
            dump.style.write(output, Origin::Server, Reply::Error(message));
            client.waiting = false;
            out.resume(conn);
        }
    }
}
