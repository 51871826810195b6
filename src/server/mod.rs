//! The server: keys and values that everybody shares.
//!
//! [`Server`] is the [`Handler`] that decodes requests, looks into the [`Store`] and appends the
//! replies; it knows of no socket and no clock. `store.rs` holds the keys.

pub mod store;

use crate::buffer::Buffer;
use crate::command::{PutMode, Verb};
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::limits::{self, Limits};
use crate::protocol::text::{self, Reply};
use crate::protocol::{Decoded, Decoder, Form, Request, Scratch, resp};
use crate::session::{self, Answer, Origin, Session, Style};
use crate::stats::{Program, Stat, Stats};
use std::ops::ControlFlow;
use std::time::Instant;
use store::Store;

/// How far ahead in the input requests are sought whose keys can be touched, in bytes.
const LOOK_AHEAD: usize = 4096;

/// The error in place of a reply over the output limit.
const TOO_LARGE: &str = "reply too large, use SCAN";

/// The server's policy.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    started: Instant,
    clients: ConnMap<Client>,
    scratch: Scratch,
    keys: Keys,
    ahead: Scratch,
}

#[derive(Debug, Default)]
struct Client {
    session: Session,
    /// A text `DUMP` that is under way.
    dump: Option<Dump>,
}

/// A text `DUMP`, sent a piece at a time.
#[derive(Clone, Copy, Debug)]
struct Dump {
    pairs: bool,
    prefix: text::Prefix,
    cursor: u64,
    /// Whether a key stands on the line already.
    begun: bool,
}

/// What requests work on, apart from the connections.
#[derive(Debug)]
struct Keys {
    store: Store,
    put_mode: PutMode,
    output_limit: usize,
    /// Replies whose length has to be known before their first byte are built here.
    body: Buffer,
}

/// What is left to do after a request.
enum Then {
    GoOn,
    Dump(Dump),
    Close,
}

impl Server {
    /// A server without keys.
    pub fn new(limits: Limits, put_mode: PutMode, now: Instant) -> Server {
        Server {
            limits,
            started: now,
            clients: ConnMap::default(),
            scratch: Scratch::default(),
            ahead: Scratch::default(),
            keys: Keys {
                store: Store::new(),
                put_mode,
                output_limit: limits.output_limit,
                body: Buffer::new(),
            },
        }
    }
}

impl Handler for Server {
    fn opened(&mut self, _out: &mut Outbox, conn: ConnId, _via: Via, _now: Instant) {
        self.clients.insert(conn, Client::default());
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        let Some(client) = self.clients.get_mut(conn) else { return Next::Wait };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Next::Wait };
        let uptime = now - self.started;
        // How many of the next requests have had their keys touched.
        let mut touched = 0;
        loop {
            if output.len() > limits::HIGH_WATER {
                return Next::Drain;
            }
            if let Some(dump) = &mut client.dump {
                if self.keys.dump_step(dump, output) {
                    client.dump = None;
                }
                return Next::Drain;
            }
            let (consumed, decoded) =
                client.session.decode(input.bytes(), &mut self.scratch, &self.limits);
            let then = match decoded {
                Decoded::Request(request) => {
                    stats.count_request(request.command);
                    let mark = output.len();
                    let then =
                        self.keys.carry_out(&mut client.session, &request, output, stats, || {
                            uptime.as_secs()
                        });
                    if output.len() > self.limits.output_limit {
                        output.truncate(mark);
                        let style = client.session.style(request.form, None);
                        style.write(output, Origin::Server, Reply::Error(TOO_LARGE));
                    }
                    then
                }
                Decoded::Incomplete => {
                    input.consume(consumed);
                    let until = client.session.patience(input.bytes(), now, &self.limits);
                    return Next::Read(until);
                }
                Decoded::Refused(form, refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    let style = client.session.style(form, None);
                    style.write(output, Origin::Server, Reply::Error(&refusal.to_string()));
                    Then::GoOn
                }
                Decoded::Broken(refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    resp::push_error(output, &refusal.to_string());
                    Then::Close
                }
                Decoded::Telnet(answer) => {
                    output.push(&answer);
                    Then::GoOn
                }
                Decoded::Http => Then::Close,
            };
            input.consume(consumed);
            if touched > 0 {
                touched -= 1;
            } else if !input.is_empty() && client.session.is_between_requests() {
                touched = self.keys.touch_ahead(input.bytes(), &mut self.ahead, &self.limits);
            }
            match then {
                Then::GoOn => {}
                Then::Dump(dump) => client.dump = Some(dump),
                Then::Close => break,
            }
        }
        input.clear();
        out.close(conn);
        Next::Wait
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) {
        out.close(conn);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) -> Option<Instant> {
        out.stats.add(Stat::ConnectionsTimedOut, 1);
        if let Some(client) = self.clients.get_mut(conn)
            && let Some((style, message)) = client.session.timed_out(&self.limits)
            && let Some(output) = out.output(conn)
        {
            style.write(output, Origin::Server, Reply::Error(&message));
        }
        out.close(conn);
        None
    }

    fn closed(&mut self, _out: &mut Outbox, conn: ConnId, _why: CloseReason, _now: Instant) {
        self.clients.remove(conn);
    }
}

impl Keys {
    /// Decodes some of the requests that follow in a pipeline, only to touch their keys: to decode
    /// them twice costs less than the cache misses that then overlap. Says how many there were.
    fn touch_ahead(&self, input: &[u8], scratch: &mut Scratch, limits: &Limits) -> usize {
        let mut rest = &input[..input.len().min(LOOK_AHEAD)];
        let mut decoder = Decoder::default();
        let mut hashes = [0; store::TOUCHED];
        let mut count = 0;
        while count < hashes.len() {
            let (consumed, decoded) = decoder.decode(rest, scratch, limits);
            let Decoded::Request(request) = decoded else { break };
            let Some(key) = request.keys().next() else { break };
            hashes[count] = self.store.hash(key);
            count += 1;
            rest = &rest[consumed..];
        }
        self.store.touch(&hashes[..count]);
        count
    }

    #[inline]
    fn carry_out(
        &mut self,
        session: &mut Session,
        request: &Request<'_>,
        output: &mut Buffer,
        stats: &mut Stats,
        uptime: impl FnOnce() -> u64,
    ) -> Then {
        let style = session.style(request.form, Some(request.command.verb));
        let reply = match request.command.verb {
            Verb::Get => {
                let value = self.store.get(request.word(1));
                stats.add(if value.is_some() { Stat::Hits } else { Stat::Misses }, 1);
                value.map_or(Reply::NotFound, Reply::Value)
            }
            Verb::Set => self.set(request),
            Verb::Put if self.put_mode == PutMode::Replace => {
                self.store.set(request.word(1), request.word(2));
                Reply::Ok
            }
            Verb::Put if self.store.put(request.word(1), request.word(2)) => Reply::Ok,
            Verb::Put => Reply::Exists,
            Verb::Del => {
                let deleted = request.keys().filter(|key| self.store.remove(key)).count();
                Reply::Deleted(deleted as u64)
            }
            Verb::Scan => return self.scan(style, request, output),
            Verb::Dump => return self.dump(style, request, output),
            _ => return self.connection_command(session, request, output, stats, uptime),
        };
        style.write(output, Origin::Server, reply);
        Then::GoOn
    }

    fn set(&mut self, request: &Request<'_>) -> Reply<'static> {
        let (key, value) = (request.word(1), request.word(2));
        match request.len() {
            3 => {
                self.store.set(key, value);
                Reply::Ok
            }
            4 if request.word(3).eq_ignore_ascii_case(b"NX") => {
                if self.store.put(key, value) {
                    Reply::Ok
                } else {
                    Reply::NotFound
                }
            }
            _ => Reply::Error("syntax error"),
        }
    }

    fn connection_command(
        &mut self,
        session: &mut Session,
        request: &Request<'_>,
        output: &mut Buffer,
        stats: &mut Stats,
        uptime: impl FnOnce() -> u64,
    ) -> Then {
        let Some((style, answer)) = session.connection_command(request) else { return Then::GoOn };
        match answer {
            Answer::Reply(reply) => style.write(output, Origin::Server, reply),
            Answer::Last(reply) => {
                style.write(output, Origin::Server, reply);
                return Then::Close;
            }
            Answer::Help => style.write(output, Origin::Server, Reply::Lines(&session::help())),
            Answer::Stats => {
                stats.set(Stat::UptimeSeconds, uptime());
                stats.set(Stat::Keys, self.store.len() as u64);
                stats.set(Stat::KeyBytes, self.store.key_bytes());
                stats.set(Stat::ValueBytes, self.store.value_bytes());
                let mut lines = Buffer::new();
                stats.write_lines(Program::Server, &mut lines);
                style.write(output, Origin::Server, Reply::Lines(lines.bytes()));
            }
        }
        Then::GoOn
    }

    fn dump(&mut self, style: Style, request: &Request<'_>, output: &mut Buffer) -> Then {
        let pairs = match request.arguments().next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"KEYS") => false,
            Some(word) if word.eq_ignore_ascii_case(b"PAIRS") => true,
            Some(_) => {
                let error = Reply::Error("usage: DUMP [KEYS|PAIRS]");
                style.write(output, Origin::Server, error);
                return Then::GoOn;
            }
        };
        if style.form == Form::Text {
            let prefix = style.prefix(Origin::Server);
            return Then::Dump(Dump { pairs, prefix, cursor: 0, begun: false });
        }
        // A RESP array says how long it is before its first element, so it cannot be streamed while
        // keys come and go.
        let elements = self.store.len() as u64 * if pairs { 2 } else { 1 };
        let values = if pairs { self.store.value_bytes() } else { 0 };
        // An element has six bytes of header and ends at least.
        if self.store.key_bytes() + values + 6 * elements > self.output_limit as u64 {
            style.write(output, Origin::Server, Reply::Error(TOO_LARGE));
            return Then::GoOn;
        }
        resp::push_header(output, b'*', elements);
        let mut cursor = 0;
        loop {
            cursor = self.store.scan(cursor, limits::SCAN_STEP, |key, value| {
                resp::push_bulk(output, key);
                if pairs {
                    resp::push_bulk(output, value);
                }
                ControlFlow::Continue(())
            });
            if cursor == 0 {
                return Then::GoOn;
            }
        }
    }

    /// Sends the next piece of a text `DUMP`; whether that was the last.
    fn dump_step(&self, dump: &mut Dump, output: &mut Buffer) -> bool {
        let full = output.len() + limits::STREAM_CHUNK;
        if !dump.begun && !dump.pairs && dump.cursor == 0 {
            output.push(dump.prefix);
        }
        dump.cursor = self.store.scan(dump.cursor, limits::SCAN_STEP, |key, value| {
            if dump.pairs {
                text::push_pair(output, dump.prefix, key, value);
            } else {
                if dump.begun {
                    output.push(b" ");
                }
                dump.begun = true;
                text::push_key(output, key);
            }
            if output.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if dump.cursor == 0 {
            if dump.pairs {
                output.push(dump.prefix);
                output.push(b"END");
            }
            output.push(b"\r\n");
        }
        dump.cursor == 0
    }

    fn scan(&mut self, style: Style, request: &Request<'_>, output: &mut Buffer) -> Then {
        match scan_arguments(request) {
            Err(message) => style.write(output, Origin::Server, Reply::Error(message)),
            Ok((cursor, count)) => {
                self.body.clear();
                let mut found = 0;
                let next = self.store.scan(cursor, limits::SCAN_STEP, |key, _| {
                    resp::push_bulk(&mut self.body, key);
                    found += 1;
                    match found < count && self.body.len() < limits::STREAM_CHUNK {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                });
                resp::push_header(output, b'*', 2);
                resp::push_bulk(output, next.to_string().as_bytes());
                resp::push_header(output, b'*', found);
                output.push(self.body.bytes());
            }
        }
        Then::GoOn
    }
}

/// The cursor and the count of a `SCAN`.
fn scan_arguments(request: &Request<'_>) -> Result<(u64, u64), &'static str> {
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u64>().ok();
    let cursor = number(request.word(1)).ok_or("invalid cursor")?;
    match request.len() {
        2 => Ok((cursor, 10)),
        4 if request.word(2).eq_ignore_ascii_case(b"COUNT") => {
            let count = number(request.word(3)).ok_or("value is not an integer or out of range")?;
            if count == 0 { Err("syntax error") } else { Ok((cursor, count)) }
        }
        _ => Err("syntax error"),
    }
}
