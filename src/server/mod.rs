//! The server: keys and values that everybody shares.
//!
//! [`Server`] is the [`Handler`] that decodes requests, has them carried out and appends the
//! replies; it knows of no socket and no clock.
//!
//! - `commands/`: what each command does to the keys
//! - `keyspace.rs`: the keys, with everybody who wants to know when one changes
//! - `store.rs`: how keys and values are kept      - `transactions.rs`: `MULTI` to `EXEC`
//! - `observers.rs`: these together: `watch.rs`, for `WATCH`, and `tracking.rs`, for
//!   `CLIENT TRACKING`

pub mod commands;
pub mod keyspace;
pub mod observers;
pub mod store;
pub mod tracking;
mod transactions;
pub mod watch;

use crate::buffer::Buffer;
use crate::clock::Now;
use crate::command::{Access, Command, PutMode, Verb};
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::limits::{self, Limits};
use crate::output::Output;
use crate::protocol::resp::{Version, Writer};
use crate::protocol::text::Reply;
use crate::protocol::{Decoded, Decoder, Form, Refusal, Request, Scratch};
use crate::session::{Collected, Origin, Outcome, Session, Style, clients, program};
use crate::settings::Settings;
use crate::stats::{Program, Stat, Stats};
use commands::Dump;
use keyspace::Keyspace;
use std::time::Instant;
use tracking::{ReaderId, Tracking};

/// How far ahead in the input requests are sought whose keys can be touched, in bytes.
const LOOK_AHEAD: usize = 4096;

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
    /// What few clients have, so that the others need no room for it.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// A text `DUMP` that is under way.
    dumping: Option<Dumping>,
    /// While it is told of changes.
    reader: Option<ReaderId>,
}

#[derive(Debug)]
struct Dumping {
    dump: Dump,
    /// What there is to tell when it is over: nothing may stand within a reply.
    held: Output,
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
            let mut session = Session::new(peer, out.clock.at(now));
            session.offer_tracking();
            self.clients.insert(conn, Client { session, rare: None });
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
        if self.keyspace.observers.tracking.is_on() {
            self.note_author(conn);
        }
        let next = loop {
            let progress = self.serve(out, conn, input, &mut scratch, &mut touched, now);
            if self.keyspace.observers.tracking.has_news() {
                self.tell_news(out);
            }
            match progress {
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

    fn announced(&self, conn: ConnId) -> usize {
        self.clients.get(conn).map_or(0, |client| client.session.announced())
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
        self.tell_news(out);
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
            if let Some(dumping) = client.dumping() {
                if dumping.dump.step(&self.keyspace, output, now) {
                    output.push_all(&dumping.held);
                    client.end_dump();
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
                        let closes = then == Then::Close;
                        return if closes { Progress::Close } else { Progress::GoneOn };
                    }
                    let style = client.session.style(request.form, Some(request.command.verb));
                    let dump =
                        commands::carry_out(&mut self.keyspace, &request, style, output, now);
                    client.begin(dump);
                    let tracking = &mut self.keyspace.observers.tracking;
                    if tracking.is_on() && client.follow(tracking, &request) {
                        // Told between this reply and the next.
                        input.consume(consumed);
                        return Progress::GoneOn;
                    }
                }
                Decoded::Incomplete => {
                    input.consume(consumed);
                    let until = client.session.patience(input.bytes(), now.instant, &self.limits);
                    return Progress::Stop(Next::Read(until));
                }
                Decoded::Refused(form, refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    if refusal.discards_transaction() {
                        self.keyspace.observers.watches.forget(conn);
                    }
                    client.refuse(output, form, &refusal);
                }
                Decoded::Broken(refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    let message = refusal.to_string();
                    let reply = Reply::Failure(message.as_bytes());
                    Style::plain(Form::Resp).write(output, Origin::Server, reply);
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
            client.session.end_caching(Some(request.command));
        }
        then
    }

    /// Takes back what was written since, if the client does not want it.
    fn hush(&mut self, out: &mut Outbox, conn: ConnId, mark: usize) {
        if let Some(client) = self.clients.get_mut(conn)
            && client.session.is_quiet()
            && let Some(output) = out.output(conn)
        {
            client.end_dump();
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
                    client.begin(dump);
                    client.track(&mut self.keyspace.observers.tracking, request);
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
        let outcome = client.session.connection_command(request, conn, unix, output);
        let tracking = &mut self.keyspace.observers.tracking;
        match (client.reader(), client.session.is_tracking()) {
            (None, true) => client.change_rare(|rare| rare.reader = Some(tracking.enter(conn))),
            (Some(reader), false) => {
                client.change_rare(|rare| rare.reader = None);
                tracking.leave(reader);
            }
            _ => {}
        }
        tracking.set_author(client.author());
        match outcome {
            Outcome::Answered => {}
            Outcome::Last => return Then::Close,
            Outcome::Reset => {
                self.keyspace.observers.watches.forget(conn);
            }
            Outcome::Program => {
                self.publish(stats, now);
                let (limits, put_mode) = (self.limits, self.keyspace.put_mode);
                let mut settings = Settings { limits, put_mode, ..Settings::default() };
                program::answer(request, style, Program::Server, stats, &mut settings, output);
                self.limits = settings.limits;
                self.keyspace.put_mode = settings.put_mode;
                self.keyspace.value_limit = settings.limits.max_value;
                self.keyspace.observers.tracking.set_limit(settings.limits.tracking_keys);
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
        let client = self.clients.remove(conn);
        self.keyspace.observers.watches.forget(conn);
        if let Some(reader) = client.and_then(|client| client.reader()) {
            self.keyspace.observers.tracking.leave(reader);
        }
    }

    /// Whoever is served now makes the changes that follow.
    #[cold]
    fn note_author(&mut self, conn: ConnId) {
        let author = self.clients.get_mut(conn).and_then(|client| client.author());
        self.keyspace.observers.tracking.set_author(author);
    }

    /// Tells clients what has changed, each after the last reply that it was given.
    #[cold]
    fn tell_news(&mut self, out: &mut Outbox) {
        for news in self.keyspace.observers.tracking.take_news() {
            for reader in news.readers() {
                if let Some(conn) = self.keyspace.observers.tracking.client(reader) {
                    self.tell(out, conn, news.key.as_deref());
                }
            }
        }
    }

    fn tell(&mut self, out: &mut Outbox, conn: ConnId, key: Option<&[u8]>) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some((output, stats)) = out.output_and_stats(conn) else { return };
        stats.add(Stat::InvalidationsSent, 1);
        match client.dumping() {
            Some(dumping) => dumping.hold(key),
            None => push_invalidation(output, key),
        }
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
        let tracking = &self.keyspace.observers.tracking;
        stats.set(Stat::TrackingClients, tracking.readers() as u64);
        stats.set(Stat::TrackingKeys, tracking.len() as u64);
        stats.set(Stat::TrackingPairs, tracking.pairs() as u64);
        stats.set(Stat::TrackingDropped, tracking.dropped());
    }
}

impl Client {
    #[inline]
    fn reader(&self) -> Option<ReaderId> {
        self.rare.as_ref()?.reader
    }

    #[inline]
    fn dumping(&mut self) -> Option<&mut Dumping> {
        self.rare.as_mut()?.dumping.as_mut()
    }

    /// Goes on with a `DUMP`, if there is one.
    #[inline]
    fn begin(&mut self, dump: Option<Dump>) {
        if let Some(dump) = dump {
            self.change_rare(|rare| rare.dumping = Some(Dumping { dump, held: Output::new() }));
        }
    }

    #[cold]
    fn end_dump(&mut self) {
        if self.rare.is_some() {
            self.change_rare(|rare| rare.dumping = None);
        }
    }

    /// Keeps it only while there is any of it.
    fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = Some(rare).filter(|it| it.dumping.is_some() || it.reader.is_some());
    }

    /// Itself, if it is not to be told of its own changes.
    fn author(&self) -> Option<ReaderId> {
        self.reader().filter(|_| !self.session.tracks_own_changes())
    }

    /// Answers a request that is not carried out.
    fn refuse(&mut self, output: &mut Output, form: Form, refusal: &Refusal<'_>) {
        if refusal.discards_transaction() {
            self.session.end_transaction();
        }
        let style = self.session.refused(form);
        self.session.end_caching(refusal.command());
        if !style.quiet {
            let message = refusal.to_string();
            style.write(output, Origin::Server, Reply::Failure(message.as_bytes()));
        }
    }

    /// After a plain request for the keys: remembers what it has read. Whether it made news.
    #[cold]
    fn follow(&mut self, tracking: &mut Tracking, request: &Request<'_>) -> bool {
        self.track(tracking, request);
        self.session.end_caching(Some(request.command));
        tracking.has_news()
    }

    /// Has it told of changes to the keys that it has just read.
    fn track(&self, tracking: &mut Tracking, request: &Request<'_>) {
        if let Some(reader) = self.reader()
            && request.command.access == Access::Read
            && self.session.tracks_reads()
        {
            request.keys().for_each(|key| tracking.track(reader, key));
        }
    }
}

impl Dumping {
    /// Too much of it becomes the one word that everything has changed.
    fn hold(&mut self, key: Option<&[u8]>) {
        if key.is_none() || self.held.len() > limits::HIGH_WATER {
            self.held.clear();
            push_invalidation(&mut self.held, None);
        } else {
            push_invalidation(&mut self.held, key);
        }
    }
}

/// Tells a client that a key has changed; `None`: any may have.
fn push_invalidation(out: &mut Output, key: Option<&[u8]>) {
    let mut writer = Writer::new(out, Version::Three);
    writer.push(2);
    writer.bulk(b"invalidate");
    match key {
        Some(key) => {
            writer.array(1);
            writer.bulk(key);
        }
        None => writer.null(),
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
