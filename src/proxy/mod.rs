//! The proxy: answers a repeated `GET` from its cache, and asks the server behind it for all else.
//!
//! [`Proxy`] is the [`Handler`]. It decodes clients' requests as the server does, and sends what it
//! cannot answer over one pipelined connection to the upstream, as standard Redis commands.
//!
//! - `cache.rs`: answers that are kept        - `flight.rs`: fetches and writes under way, by key
//! - `upstream.rs`: the connection            - `replies.rs`: each client's replies, in order
//! - `dump.rs`: `DUMP`, made of `SCAN`s and `GET`s
//!
//! The promise (level 0): no value is served once its time to live has passed since the request for
//! it was *sent*; a write through this proxy is seen by the next read through it.

pub mod cache;
mod dump;
pub mod flight;
pub mod replies;
pub mod upstream;

use crate::buffer::Buffer;
use crate::command::{Access, Verb};
use crate::handler::{CloseReason, ConnId, ConnMap, Handler, Next, Outbox, Via};
use crate::limits::{self, Limits};
use crate::protocol::resp::{Element, Elements};
use crate::protocol::text::Reply;
use crate::protocol::{Decoded, Form, Request, Scratch};
use crate::server::PutMode;
use crate::session::{self, Answer, Origin, Session, Style};
use crate::stats::{Program, Stat};
use cache::Cache;
use dump::Dump;
use flight::{FlightId, Flights, Waiter};
use log::{info, warn};
use replies::Replies;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use upstream::{Trouble, Upstream};

/// What the proxy is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Limits and timeouts of its clients.
    pub limits: Limits,
    /// What PUT does to a key that exists.
    pub put_mode: PutMode,
    /// The upstream's addresses: at least one.
    pub upstream: Vec<SocketAddr>,
    /// How long the upstream may take to accept a connection and to answer a request.
    pub upstream_timeout: Duration,
    /// How long a value is served, from the moment its request was sent.
    pub ttl: Duration,
    /// What the cache may cost, in bytes; 0: no cache, and no joining of flights either.
    pub cache_bytes: usize,
    /// Drives what is random: the jitter of the backoff.
    pub seed: u64,
}

/// What a request to the upstream is for.
#[derive(Debug)]
enum Purpose {
    /// A fetch whose value may be kept.
    Fetch(FlightId),
    /// A read for one client; its reply is given as `Shape` says.
    Read(Waiter, Shape),
    /// A write for one client, with the keys that it may change.
    Write(Waiter, Vec<Box<[u8]>>, Shape),
    /// A page of keys for a client's `DUMP`.
    DumpKeys(ConnId),
    /// The value of a key, for the same.
    DumpValue(ConnId),
}

/// What a reply of the upstream must be, and what it means to the client. Anything but this or an
/// error belongs to some other request.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A value, or null: not found.
    Value,
    /// OK, or null: not done.
    Done,
    /// OK, or null: the key was there already.
    Created,
    /// How many keys were deleted.
    Deleted,
    /// An array, passed on as it stands.
    Array,
}

/// A reply of the upstream that cannot belong to its request.
struct Nonsense;

#[derive(Debug, Default)]
struct Client {
    session: Session,
    replies: Replies,
    dump: Option<Box<Dump>>,
    /// Told the reactor to wait: `resume` is owed once there is something to do.
    waiting: bool,
    /// No request follows: close once every owed reply is given.
    ended: bool,
}

/// The proxy's policy.
pub struct Proxy {
    options: Options,
    started: Instant,
    clients: ConnMap<Client>,
    scratch: Scratch,
    cache: Cache,
    flights: Flights,
    upstream: Upstream<Purpose>,
    /// Clients that wait for room at the upstream.
    held_back: Vec<ConnId>,
}

impl Proxy {
    /// A proxy with an empty cache, which connects to its upstream as soon as it runs.
    pub fn new(options: Options, now: Instant) -> Proxy {
        let Options { upstream_timeout, seed, .. } = options;
        Proxy {
            started: now,
            clients: ConnMap::default(),
            scratch: Scratch::default(),
            cache: Cache::new(options.cache_bytes, now),
            flights: Flights::default(),
            upstream: Upstream::new(options.upstream.clone(), upstream_timeout, seed, now),
            held_back: Vec::new(),
            options,
        }
    }

    fn is_caching(&self) -> bool {
        self.options.cache_bytes > 0 && self.options.ttl > Duration::ZERO
    }

    /// Decodes and carries out one request. `Some`: go no further for now.
    fn step(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        progress: &mut bool,
        now: Instant,
    ) -> Option<Next> {
        let client = self.clients.get_mut(conn)?;
        if let Some(next) = client.held_back(out, conn) {
            return Some(next);
        }
        if client.dump.is_some() {
            return self.advance_dump(out, conn, now);
        }
        if self.upstream.is_full(out) {
            client.waiting = true;
            self.held_back.push(conn);
            return Some(Next::Wait);
        }
        // Lent out, so that the request does not borrow all of the proxy.
        let mut scratch = std::mem::take(&mut self.scratch);
        let (consumed, decoded) =
            client.session.decode(input.bytes(), &mut scratch, &self.options.limits);
        let next = match decoded {
            Decoded::Incomplete => {
                let rest = &input.bytes()[consumed..];
                let until = client.session.patience(rest, *progress, now, &self.options.limits);
                Some(Next::Read(until))
            }
            Decoded::Request(request) => {
                out.stats.count_request(request.command);
                self.carry_out(out, conn, &request, now);
                None
            }
            Decoded::Refused(form, refusal) => {
                out.stats.add(Stat::RequestErrors, 1);
                let style = client.session.style(form, None);
                client.answer(out, conn, style, Reply::Error(&refusal.to_string()));
                None
            }
            Decoded::Broken(refusal) => {
                out.stats.add(Stat::RequestErrors, 1);
                let style = client.session.style(Form::Resp, None);
                client.answer(out, conn, style, Reply::Error(&refusal.to_string()));
                client.end(out, conn);
                None
            }
            // Not a reply to a request, so it keeps no order among them.
            Decoded::Telnet(answer) => {
                if let Some(output) = out.output(conn) {
                    output.push(&answer);
                }
                None
            }
            Decoded::Http => {
                client.end(out, conn);
                None
            }
        };
        *progress = true;
        input.consume(consumed);
        self.scratch = scratch;
        next
    }

    fn carry_out(&mut self, out: &mut Outbox, conn: ConnId, request: &Request<'_>, now: Instant) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let verb = request.command.verb;
        let style = client.session.style(request.form, Some(verb));
        match request.command.access {
            Access::Connection => self.answer_connection_command(out, conn, request, now),
            Access::Read if verb == Verb::Get => {
                self.get(out, conn, style, request.word(1), now);
            }
            Access::Read if verb == Verb::Dump => match Dump::new(style, request) {
                Ok(dump) => client.dump = Some(Box::new(dump)),
                Err(message) => client.answer(out, conn, style, Reply::Error(message)),
            },
            Access::Read => {
                let words: Vec<_> = request.words().collect();
                let waiter = Waiter { conn, ticket: client.replies.owe(style) };
                self.send(out, &words, Purpose::Read(waiter, Shape::Array), now);
            }
            Access::Write => self.write(out, conn, style, request, now),
        }
    }

    fn get(&mut self, out: &mut Outbox, conn: ConnId, style: Style, key: &[u8], now: Instant) {
        let caching = self.is_caching();
        let Some(client) = self.clients.get_mut(conn) else { return };
        if caching && let Some(value) = self.cache.get(key, now) {
            if let Some((output, stats)) = out.output_and_stats(conn) {
                stats.add(Stat::Hits, 1);
                let reply = Reply::Value(value);
                client.replies.answer(output, |output| style.write(output, Origin::Cache, reply));
            }
            return;
        }
        out.stats.add(Stat::Misses, 1);
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        if !caching {
            return self.send(out, &[b"GET", key], Purpose::Read(waiter, Shape::Value), now);
        }
        if self.flights.join(key, waiter) {
            out.stats.add(Stat::Coalesced, 1);
            return;
        }
        let flight = self.flights.begin(key, waiter, now);
        self.send(out, &[b"GET", key], Purpose::Fetch(flight), now);
    }

    fn write(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        request: &Request<'_>,
        now: Instant,
    ) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let verb = request.command.verb;
        let nx = request.len() == 4 && request.word(3).eq_ignore_ascii_case(b"NX");
        let (shape, words): (_, Vec<&[u8]>) = match verb {
            Verb::Put if self.options.put_mode == PutMode::Create => {
                (Shape::Created, vec![b"SET", request.word(1), request.word(2), b"NX"])
            }
            Verb::Put => (Shape::Done, vec![b"SET", request.word(1), request.word(2)]),
            Verb::Set if request.len() > 3 && !nx => {
                return client.answer(out, conn, style, Reply::Error("syntax error"));
            }
            _ => {
                let shape = if verb == Verb::Del { Shape::Deleted } else { Shape::Done };
                (shape, request.words().collect())
            }
        };
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        let keys = if self.is_caching() { request.keys().map(Box::from).collect() } else { vec![] };
        for key in &keys {
            self.drop_entry(out, key);
            self.flights.write_begun(key);
        }
        self.send(out, &words, Purpose::Write(waiter, keys, shape), now);
    }

    fn drop_entry(&mut self, out: &mut Outbox, key: &[u8]) {
        if self.cache.remove(key) {
            out.stats.add(Stat::Invalidated, 1);
        }
    }

    fn send(&mut self, out: &mut Outbox, words: &[&[u8]], purpose: Purpose, now: Instant) {
        if let Err(purpose) = self.upstream.send(out, words, purpose, now) {
            self.fail(out, purpose, Trouble::Unavailable);
        }
    }

    fn answer_connection_command(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        now: Instant,
    ) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some((style, answer)) = client.session.connection_command(request) else { return };
        match answer {
            Answer::Reply(reply) => client.answer(out, conn, style, reply),
            Answer::Last(reply) => {
                client.answer(out, conn, style, reply);
                client.end(out, conn);
            }
            Answer::Help => client.answer(out, conn, style, Reply::Lines(&session::help())),
            Answer::Stats => {
                let stats = &mut out.stats;
                stats.set(Stat::UptimeSeconds, (now - self.started).as_secs());
                stats.set(Stat::Expired, self.cache.expired());
                stats.set(Stat::Evicted, self.cache.evicted());
                stats.set(Stat::UpstreamUp, u64::from(self.upstream.is_up()));
                stats.set(Stat::UpstreamUnanswered, self.upstream.unanswered() as u64);
                stats.set(Stat::CacheEntries, self.cache.len() as u64);
                stats.set(Stat::CacheBytes, self.cache.bytes() as u64);
                let mut lines = Buffer::new();
                stats.write_lines(Program::Proxy, &mut lines);
                client.answer(out, conn, style, Reply::Lines(lines.bytes()));
            }
        }
    }

    /// Gives the upstream's reply to whom it is for.
    fn deliver(
        &mut self,
        out: &mut Outbox,
        purpose: Purpose,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Nonsense> {
        match purpose {
            Purpose::Fetch(id) => {
                let flight = self.flights.land(id);
                let reply = shape(bytes, Shape::Value);
                if let (Some(Reply::Value(value)), false) = (reply, flight.poisoned) {
                    self.cache.insert(&flight.key, value, flight.sent_at + self.options.ttl, now);
                }
                let shown = reply.unwrap_or(Reply::Error(Trouble::Lost.message(false)));
                for waiter in flight.waiters() {
                    self.fulfil(out, waiter, shown);
                }
                reply.map(|_| ()).ok_or(Nonsense)
            }
            Purpose::Read(waiter, wanted) => {
                let reply = shape(bytes, wanted);
                let shown = reply.unwrap_or(Reply::Error(Trouble::Lost.message(false)));
                self.fulfil(out, waiter, shown);
                reply.map(|_| ()).ok_or(Nonsense)
            }
            Purpose::Write(waiter, keys, wanted) => {
                self.write_ended(out, &keys);
                let reply = shape(bytes, wanted);
                let shown = reply.unwrap_or(Reply::Error(Trouble::Lost.message(true)));
                self.fulfil(out, waiter, shown);
                reply.map(|_| ()).ok_or(Nonsense)
            }
            Purpose::DumpKeys(conn) => self.dump_keys(out, conn, Elements::new(bytes)),
            Purpose::DumpValue(conn) => self.dump_value(out, conn, Elements::new(bytes)),
        }
    }

    /// Tells whoever waits for a reply that there will be none.
    fn fail(&mut self, out: &mut Outbox, purpose: Purpose, trouble: Trouble) {
        match purpose {
            Purpose::Fetch(id) => {
                let flight = self.flights.land(id);
                for waiter in flight.waiters() {
                    self.fulfil(out, waiter, Reply::Error(trouble.message(false)));
                }
            }
            Purpose::Read(waiter, _) => {
                self.fulfil(out, waiter, Reply::Error(trouble.message(false)));
            }
            Purpose::Write(waiter, keys, _) => {
                self.write_ended(out, &keys);
                self.fulfil(out, waiter, Reply::Error(trouble.message(true)));
            }
            Purpose::DumpKeys(conn) | Purpose::DumpValue(conn) => {
                self.dump_failed(out, conn, trouble.message(false));
            }
        }
    }

    fn write_ended(&mut self, out: &mut Outbox, keys: &[Box<[u8]>]) {
        for key in keys {
            self.flights.write_ended(key);
            self.drop_entry(out, key);
        }
    }

    /// Gives an owed reply, unless its client has left.
    fn fulfil(&mut self, out: &mut Outbox, waiter: Waiter, reply: Reply<'_>) {
        let Some(client) = self.clients.get_mut(waiter.conn) else { return };
        let Some(output) = out.output(waiter.conn) else { return };
        client.replies.fulfil(waiter.ticket, output, |output, style| {
            style.write(output, Origin::Server, reply);
        });
        client.replied(out, waiter.conn);
    }

    /// Gives up the upstream's connection, and tells all who wait on it.
    fn lose_upstream(&mut self, out: &mut Outbox, why: Trouble, now: Instant) {
        out.stats.add(Stat::UpstreamErrors, 1);
        let (trouble, waiting) = self.upstream.lose(out, why, now);
        for purpose in waiting {
            self.fail(out, purpose, trouble);
        }
        self.release_held_back(out);
    }

    fn release_held_back(&mut self, out: &mut Outbox) {
        if !self.held_back.is_empty() && self.upstream.has_room(out) {
            for conn in std::mem::take(&mut self.held_back) {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.waiting = false;
                    out.resume(conn);
                }
            }
        }
    }

    fn upstream_received(
        &mut self,
        out: &mut Outbox,
        input: &mut Buffer,
        now: Instant,
    ) -> Result<(), Nonsense> {
        let most = self.options.limits.output_limit;
        while let Some((length, purpose)) =
            self.upstream.next_reply(input.bytes(), most).map_err(|error| {
                warn!("the upstream sends what is no reply: {error}");
                Nonsense
            })?
        {
            let delivered = self.deliver(out, purpose, &input.bytes()[..length], now);
            input.consume(length);
            delivered?;
        }
        Ok(())
    }
}

impl Handler for Proxy {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        match via {
            Via::Listener => self.clients.insert(conn, Client::default()),
            Via::Connect if self.upstream.is(conn) => {
                info!("upstream connected");
                out.stats.add(Stat::UpstreamConnects, 1);
                self.upstream.connected(conn, now);
            }
            Via::Connect => {}
        }
    }

    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        if self.upstream.is(conn) {
            if self.upstream_received(out, input, now).is_err() {
                input.clear();
                self.lose_upstream(out, Trouble::Lost, now);
            }
            self.release_held_back(out);
            return Next::Read(None);
        }
        let mut progress = false;
        while self.clients.get_mut(conn).is_some_and(|client| !client.ended) {
            if let Some(next) = self.step(out, conn, input, &mut progress, now) {
                return next;
            }
        }
        input.clear();
        Next::Wait
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        if let Some(client) = self.clients.get_mut(conn) {
            client.end(out, conn);
        } else if self.upstream.is(conn) {
            info!("the upstream closed the connection");
            self.lose_upstream(out, Trouble::Lost, now);
        }
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        let client = self.clients.get_mut(conn)?;
        let reply = client.session.timed_out(&self.options.limits);
        if reply.is_none() && !client.replies.is_empty() {
            // Whoever waits for a reply is not idle.
            return Some(now + self.options.limits.idle_timeout);
        }
        out.stats.add(Stat::ConnectionsTimedOut, 1);
        if let Some((style, message)) = reply {
            client.answer(out, conn, style, Reply::Error(&message));
        }
        client.end(out, conn);
        None
    }

    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) {
        if self.upstream.is(conn) {
            // An upstream that stays away is not worth a line for each attempt.
            if !self.upstream.is_retrying() {
                warn!("no connection to the upstream: {why}");
            }
            self.lose_upstream(out, Trouble::Lost, now);
        } else if self.clients.remove(conn).is_some_and(|client| client.waiting) {
            self.held_back.retain(|&held| held != conn);
        }
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        [self.upstream.deadline(), self.cache.next_deadline()].into_iter().flatten().min()
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.cache.expire(now);
        if self.upstream.deadline_reached(out, now) {
            warn!("the upstream has not answered within the timeout");
            self.lose_upstream(out, Trouble::TimedOut, now);
        }
    }
}

impl Client {
    /// Whether the client's own replies keep it from going on.
    fn held_back(&mut self, out: &mut Outbox, conn: ConnId) -> Option<Next> {
        if out.unsent(conn) > limits::HIGH_WATER {
            return Some(Next::Drain);
        }
        if self.has_room() {
            return None;
        }
        self.waiting = true;
        Some(Next::Wait)
    }

    fn has_room(&self) -> bool {
        let most = if self.waiting { limits::MAX_UNANSWERED / 2 } else { limits::MAX_UNANSWERED };
        self.replies.len() < most && self.replies.parked_bytes() <= limits::HIGH_WATER
    }

    /// Gives a reply that nothing was waited for.
    fn answer(&mut self, out: &mut Outbox, conn: ConnId, style: Style, reply: Reply<'_>) {
        if let Some(output) = out.output(conn) {
            self.replies.answer(output, |output| style.write(output, Origin::Server, reply));
        }
    }

    /// Goes on after an owed reply was given.
    fn replied(&mut self, out: &mut Outbox, conn: ConnId) {
        if self.ended {
            self.end(out, conn);
            return;
        }
        // A dump begins when nothing is owed.
        let can_go_on = if self.dump.is_some() { self.replies.is_empty() } else { self.has_room() };
        if self.waiting && can_go_on {
            self.waiting = false;
            out.resume(conn);
        }
    }

    /// No request follows: closes once every owed reply is given.
    fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        self.ended = true;
        if self.replies.is_empty() {
            out.close(conn);
        }
    }
}

/// Reads a reply of the upstream as what it means to the client. `None`: it makes no sense.
fn shape(bytes: &[u8], shape: Shape) -> Option<Reply<'_>> {
    match (Elements::new(bytes).next()?, shape) {
        (Element::Error(message), _) => Some(Reply::UpstreamError(message)),
        (Element::Bulk(value), Shape::Value) => Some(Reply::Value(value)),
        (Element::Null, Shape::Value | Shape::Done) => Some(Reply::NotFound),
        (Element::Null, Shape::Created) => Some(Reply::Exists),
        (Element::Simple(b"OK"), Shape::Done | Shape::Created) => Some(Reply::Ok),
        (Element::Integer(count), Shape::Deleted) => u64::try_from(count).ok().map(Reply::Deleted),
        (Element::Array(_), Shape::Array) => Some(Reply::Raw(bytes)),
        _ => None,
    }
}
