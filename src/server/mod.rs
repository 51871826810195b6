//! The server: keys and values that everybody shares.
//!
//! [`Server`] is the [`Handler`] that decodes requests, has them carried out and appends the
//! replies; it knows of no socket and no clock.
//!
//! - `commands/`: what each command does to the keys
//! - `keyspace.rs`: the keys, with everybody who wants to know when one changes
//! - `store.rs`: how keys and values are kept      - `watch.rs`: `WATCH`

pub mod commands;
pub mod keyspace;
pub mod store;
mod watch;

use crate::buffer::Buffer;
use crate::clock::Now;
use crate::command::{Access, Command, PutMode, Verb};
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::limits::{self, Limits};
use crate::protocol::text::Reply;
use crate::protocol::{Decoded, Decoder, Form, Request, Scratch};
use crate::session::{Collected, Origin, Outcome, Session, Style, clients, program};
use crate::settings::Settings;
use crate::stats::{Program, Stat, Stats};
use commands::Dump;
use keyspace::Keyspace;
use std::time::Instant;

/// How far ahead in the input requests are sought whose keys can be touched, in bytes.
const LOOK_AHEAD: usize = 4096;

/// A reply of so many bytes is given in a transaction, whatever came before it.
const SHORT_REPLY: usize = 256;

/// The server's policy.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    started: Instant,
    clients: ConnMap<Client>,
    scratch: Scratch,
    keyspace: Keyspace,
    ahead: Scratch,
}

#[derive(Debug)]
struct Client {
    session: Session,
    /// A text `DUMP` that is under way.
    dump: Option<Box<Dump>>,
}

/// What is left to do after a request.
#[derive(Debug, PartialEq)]
enum Then {
    GoOn,
    Close,
}

/// How far a client's requests were carried out.
enum Progress {
    /// There may be more.
    GoneOn,
    /// No further for now.
    Stop(Next),
    /// No request follows.
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
            keyspace: Keyspace::new(put_mode, &limits, now),
        }
    }
}

impl Handler for Server {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        if let Via::Listener(peer) = via {
            let session = Session::new(peer, out.clock.at(now));
            self.clients.insert(conn, Client { session, dump: None });
        }
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        let now = out.clock.at(now);
        // Lent out, so that a request does not borrow all of the server.
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut touched = 0;
        let next = loop {
            match self.serve(out, conn, input, &mut scratch, &mut touched, now) {
                Progress::GoneOn => {}
                Progress::Stop(next) => break next,
                Progress::Close => {
                    input.clear();
                    self.end(out, conn);
                    break Next::Wait;
                }
            }
        };
        self.scratch = scratch;
        next
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) {
        self.end(out, conn);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, _now: Instant) -> Option<Instant> {
        out.stats.add(Stat::ConnectionsTimedOut, 1);
        if let Some(client) = self.clients.get_mut(conn)
            && let Some((style, message)) = client.session.timed_out(&self.limits)
            && let Some(output) = out.output(conn)
        {
            style.write(output, Origin::Server, Reply::Error(&message));
        }
        self.end(out, conn);
        None
    }

    fn closed(&mut self, _out: &mut Outbox, conn: ConnId, _why: CloseReason, _now: Instant) {
        self.forget(conn);
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        self.keyspace.next_deadline()
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.keyspace.expire(out.clock.at(now));
    }
}

impl Server {
    /// Carries out requests until none is left, or one came that more is needed for than the keys.
    fn serve(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
        touched: &mut usize,
        now: Now,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(conn) else { return Progress::Stop(Next::Wait) };
        let Some((output, stats)) = out.output_and_stats(conn) else {
            return Progress::Stop(Next::Wait);
        };
        client.session.heard_from(now);
        loop {
            if output.len() > limits::HIGH_WATER {
                return Progress::Stop(Next::Drain);
            }
            if let Some(dump) = &mut client.dump {
                if dump.step(&self.keyspace, output, now) {
                    client.dump = None;
                }
                return Progress::Stop(Next::Drain);
            }
            let (consumed, decoded) = client.session.decode(input.bytes(), scratch, &self.limits);
            match decoded {
                Decoded::Request(request) => {
                    stats.count_request(request.command);
                    client.session.noted(request.command.verb);
                    if !client.session.is_plain() || !is_for_keys(request.command) {
                        let then = self.carry_out_specially(out, conn, &request, now);
                        input.consume(consumed);
                        return if then == Then::Close {
                            Progress::Close
                        } else {
                            Progress::GoneOn
                        };
                    }
                    let style = client.session.style(request.form, Some(request.command.verb));
                    let dump =
                        commands::carry_out(&mut self.keyspace, &request, style, output, now);
                    client.dump = dump.map(Box::new);
                }
                Decoded::Incomplete => {
                    input.consume(consumed);
                    let until = client.session.patience(input.bytes(), now.instant, &self.limits);
                    return Progress::Stop(Next::Read(until));
                }
                Decoded::Refused(form, refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    if refusal.discards_transaction() {
                        client.session.end_transaction();
                        self.keyspace.watches.forget(conn);
                    }
                    let style = client.session.refused(form);
                    if !style.quiet {
                        let message = refusal.to_string();
                        style.write(output, Origin::Server, Reply::Failure(message.as_bytes()));
                    }
                }
                Decoded::Broken(refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    let message = refusal.to_string();
                    let style = Style::plain(Form::Resp);
                    style.write(output, Origin::Server, Reply::Failure(message.as_bytes()));
                    return Progress::Close;
                }
                Decoded::Telnet(answer) => output.push(&answer),
                Decoded::Http => return Progress::Close,
            }
            input.consume(consumed);
            if *touched > 0 {
                *touched -= 1;
            } else if !input.is_empty() && client.session.is_between_requests() {
                let ahead = &mut self.ahead;
                *touched = touch_ahead(&self.keyspace, input.bytes(), ahead, &self.limits);
            }
        }
    }

    /// Carries out a request that concerns more than the keys, or is not simply answered.
    fn carry_out_specially(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        now: Now,
    ) -> Then {
        let mark = out.unsent(conn);
        let then = self.collect_or_carry_out(out, conn, request, now);
        // In a transaction that is carried out, what is wanted may change from reply to reply.
        if request.command.verb != Verb::Exec {
            self.hush(out, conn, mark);
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.replied();
        }
        then
    }

    /// Takes back what was written since, if the client does not want it.
    fn hush(&mut self, out: &mut Outbox, conn: ConnId, mark: usize) {
        if let Some(client) = self.clients.get_mut(conn)
            && client.session.is_quiet()
            && let Some(output) = out.output(conn)
        {
            client.dump = None;
            output.truncate(mark);
        }
    }

    fn collect_or_carry_out(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        now: Now,
    ) -> Then {
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some(output) = out.output(conn) else { return Then::Close };
        let style = client.session.style(request.form, Some(request.command.verb));
        match client.session.collect(request, self.limits.max_request) {
            Collected::Not => return self.carry_out(out, conn, request, style, now),
            Collected::Kept => style.writer(output).simple("QUEUED"),
            Collected::Refused(why) => style.write(output, Origin::Server, Reply::Error(why)),
        }
        Then::GoOn
    }

    fn carry_out(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        style: Style,
        now: Now,
    ) -> Then {
        match request.command.access {
            Access::Connection => self.connection_command(out, conn, request, style, now),
            Access::Transaction => self.transaction_command(out, conn, request, style, now),
            Access::Read | Access::Write | Access::WriteAll => {
                if let Some(client) = self.clients.get_mut(conn)
                    && let Some(output) = out.output(conn)
                {
                    let dump = commands::carry_out(&mut self.keyspace, request, style, output, now);
                    client.dump = dump.map(Box::new);
                }
                Then::GoOn
            }
        }
    }

    fn connection_command(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        style: Style,
        now: Now,
    ) -> Then {
        let unix = out.clock.unix(now.instant);
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        match client.session.connection_command(request, conn, unix, output) {
            Outcome::Answered => {}
            Outcome::Last => return Then::Close,
            Outcome::Reset => {
                self.keyspace.watches.forget(conn);
            }
            Outcome::Program => {
                self.publish(stats, now);
                let (limits, put_mode) = (self.limits, self.keyspace.put_mode);
                let mut settings = Settings { limits, put_mode, ..Settings::default() };
                program::answer(request, style, Program::Server, stats, &mut settings, output);
                self.limits = settings.limits;
                self.keyspace.put_mode = settings.put_mode;
                self.keyspace.value_limit = settings.limits.max_value;
            }
            Outcome::Clients(ask) => {
                let sessions = self.clients.iter().map(|(conn, client)| (conn, &client.session));
                let reply = &mut style.writer(output);
                let mut leavers = clients::answer(&ask, conn, sessions, now, reply);
                let leaves = leavers.contains(&conn);
                leavers.retain(|&leaver| leaver != conn);
                for leaver in leavers {
                    self.forget(leaver);
                    out.abort(leaver);
                }
                return if leaves { Then::Close } else { Then::GoOn };
            }
        }
        Then::GoOn
    }

    /// No request follows: closes the connection once its output has gone.
    fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        self.forget(conn);
        out.close(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        self.clients.remove(conn);
        self.keyspace.watches.forget(conn);
    }

    /// Brings the gauges up to date.
    fn publish(&self, stats: &mut Stats, now: Now) {
        let store = self.keyspace.store();
        stats.set(Stat::UptimeSeconds, (now.instant - self.started).as_secs());
        stats.set(Stat::Keys, store.len() as u64);
        stats.set(Stat::KeysExpiring, store.expiring() as u64);
        stats.set(Stat::Expired, store.expired());
        stats.set(Stat::KeyBytes, store.key_bytes());
        stats.set(Stat::ValueBytes, store.value_bytes());
        stats.set(Stat::Hits, self.keyspace.hits);
        stats.set(Stat::Misses, self.keyspace.misses);
    }

    fn transaction_command(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        style: Style,
        now: Now,
    ) -> Then {
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some(output) = out.output(conn) else { return Then::Close };
        let mut reply = style.writer(output);
        let collecting = client.session.transaction().is_some();
        match request.command.verb {
            Verb::Multi if collecting => reply.error("MULTI calls can not be nested"),
            Verb::Multi => {
                client.session.begin_transaction();
                reply.simple("OK");
            }
            Verb::Watch if collecting => reply.error("WATCH inside MULTI is not allowed"),
            Verb::Watch => {
                if request.keys().all(|key| self.keyspace.watch(conn, key, now)) {
                    reply.simple("OK");
                } else {
                    reply.error("too many keys watched");
                }
            }
            Verb::Unwatch => {
                self.keyspace.watches.forget(conn);
                reply.simple("OK");
            }
            Verb::Discard if collecting => {
                client.session.end_transaction();
                self.keyspace.watches.forget(conn);
                reply.simple("OK");
            }
            Verb::Discard => reply.error("DISCARD without MULTI"),
            _ => return self.exec(out, conn, style, now),
        }
        Then::GoOn
    }

    /// Carries out a client's transaction: all of it, or nothing.
    fn exec(&mut self, out: &mut Outbox, conn: ConnId, style: Style, now: Now) -> Then {
        let begin = out.unsent(conn);
        let requests = self.begin_exec(out, conn, style, now);
        self.hush(out, conn, begin);
        // Whatever the limits have become since.
        let limits = Limits { max_value: usize::MAX, max_request: usize::MAX, ..self.limits };
        let mut then = Then::GoOn;
        let (mut scratch, mut decoder) = (Scratch::default(), Decoder::default());
        let mut rest = requests.bytes();
        while let (consumed, Decoded::Request(request)) =
            decoder.decode(rest, &mut scratch, &limits)
        {
            let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
            let style = client.session.style(Form::Resp, Some(request.command.verb));
            let mark = out.unsent(conn);
            // All replies together have the room of one. A short one is always given.
            let room = limits.output_limit.saturating_sub(mark - begin).max(SHORT_REPLY);
            self.keyspace.output_limit = room;
            if self.carry_out(out, conn, &request, style, now) == Then::Close {
                then = Then::Close;
            }
            if out.unsent(conn) - mark > room
                && let Some(output) = out.output(conn)
            {
                output.truncate(mark);
                style.write(output, Origin::Server, Reply::Error(commands::TOO_LARGE));
            }
            self.hush(out, conn, mark);
            rest = &rest[consumed..];
        }
        self.keyspace.output_limit = limits.output_limit;
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.end_transaction();
        }
        then
    }

    /// Writes an error in place of a transaction, or the head of its reply; the requests to carry
    /// out.
    fn begin_exec(&mut self, out: &mut Outbox, conn: ConnId, style: Style, now: Now) -> Buffer {
        let (Some(client), Some(output)) = (self.clients.get_mut(conn), out.output(conn)) else {
            return Buffer::new();
        };
        let mut reply = style.writer(output);
        let Some(transaction) = client.session.transaction() else {
            reply.error("EXEC without MULTI");
            return Buffer::new();
        };
        let changed = self.keyspace.forget_watches(conn, now);
        if transaction.has_failed() {
            reply.failure("EXECABORT Transaction discarded because of previous errors.");
            return Buffer::new();
        }
        if changed {
            reply.null_array();
            return Buffer::new();
        }
        reply.array(transaction.len());
        transaction.take_requests()
    }
}

/// Whether a command is for the keys alone.
fn is_for_keys(command: &Command) -> bool {
    matches!(command.access, Access::Read | Access::Write | Access::WriteAll)
}

/// Decodes some of the requests that follow in a pipeline, only to touch their keys: to decode
/// them twice costs less than the cache misses that then overlap. Says how many there were.
fn touch_ahead(keyspace: &Keyspace, input: &[u8], scratch: &mut Scratch, limits: &Limits) -> usize {
    let mut rest = &input[..input.len().min(LOOK_AHEAD)];
    let mut decoder = Decoder::default();
    let mut hashes = [0; store::TOUCHED];
    let mut count = 0;
    while count < hashes.len() {
        let (consumed, decoded) = decoder.decode(rest, scratch, limits);
        let Decoded::Request(request) = decoded else { break };
        let Some(key) = request.keys().next() else { break };
        hashes[count] = keyspace.store().hash(key);
        count += 1;
        rest = &rest[consumed..];
    }
    keyspace.store().touch(&hashes[..count]);
    count
}
