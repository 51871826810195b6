//! What becomes of a client's requests: answered here, or sent upstream.

use super::dump::{Asked, Dump, Wanted};
use super::flight::Waiter;
use super::purpose::{Purpose, Shape};
use super::state::Proxy;
use super::upstream::Trouble;
use crate::buffer::Buffer;
use crate::command::{Access, PutMode, Verb};
use crate::handler::{ConnId, Next, Outbox};
use crate::limits;
use crate::protocol::text::Reply;
use crate::protocol::{Decoded, Form, Request, Scratch};
use crate::session::{Origin, Outcome, Style, clients, program};
use crate::settings::Settings;
use crate::stats::{Program, Stat};
use std::time::Instant;

/// The upstream can take no more for now.
struct UpstreamFull;

impl Proxy {
    /// Decodes and carries out one request. `Some`: go no further for now.
    pub(super) fn step(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Option<Next> {
        let client = self.clients.get_mut(conn)?;
        let output_limit = self.options.limits.output_limit;
        if let Some(next) = client.is_blocked(out, conn, output_limit) {
            return Some(next);
        }
        if client.dump.is_some() {
            return self.advance_dump(out, conn, now);
        }
        // Lent out, so that the request does not borrow all of the proxy.
        let mut scratch = std::mem::take(&mut self.scratch);
        let (consumed, decoded) =
            client.session.decode(input.bytes(), &mut scratch, &self.options.limits);
        let next = match decoded {
            Decoded::Incomplete => {
                let rest = &input.bytes()[consumed..];
                let until = client.session.patience(rest, now, &self.options.limits);
                Some(Next::Read(until))
            }
            Decoded::Request(request) => {
                out.stats.count_request(request.command);
                if let Err(UpstreamFull) = self.carry_out(out, conn, &request, now) {
                    // It will be decoded, and counted, again.
                    out.stats.take_back_request(request.command);
                    return Some(self.hold_back(conn, input, scratch));
                }
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
        input.consume(consumed);
        self.scratch = scratch;
        next
    }

    /// Has a client wait for room at the upstream, its last request taken back.
    fn hold_back(&mut self, conn: ConnId, input: &mut Buffer, mut scratch: Scratch) -> Next {
        if let Some(client) = self.clients.get_mut(conn) {
            input.consume(client.session.put_back(&mut scratch));
            client.waiting = true;
            self.held_back.push(conn);
        }
        self.scratch = scratch;
        Next::Wait
    }

    /// Answers a request, or sends it upstream.
    fn carry_out(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<(), UpstreamFull> {
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let verb = request.command.verb;
        let style = client.session.style(request.form, Some(verb));
        match request.command.access {
            Access::Connection => self.answer_connection_command(out, conn, request, now),
            Access::Read if verb == Verb::Get => {
                return self.get(out, conn, style, request.word(1), now);
            }
            Access::Read if verb == Verb::Dump => match Dump::new(style, request) {
                Ok(dump) => client.dump = Some(Box::new(dump)),
                Err(message) => client.answer(out, conn, style, Reply::Error(message)),
            },
            _ if self.upstream.is_full(out) => return Err(UpstreamFull),
            Access::Read => {
                let words: Vec<_> = request.words().collect();
                let waiter = Waiter { conn, ticket: client.replies.owe(style) };
                self.send(out, &words, Purpose::Read(waiter, Shape::Array), now);
            }
            Access::Write => self.write(out, conn, style, request, now),
            Access::WriteAll | Access::Transaction => {
                client.answer(out, conn, style, Reply::Error("not yet"));
            }
        }
        Ok(())
    }

    fn get(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        key: &[u8],
        now: Instant,
    ) -> Result<(), UpstreamFull> {
        let caching = self.is_caching();
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        if caching && let Some(value) = self.cache.get(key, now) {
            if let Some((output, stats)) = out.output_and_stats(conn) {
                stats.add(Stat::Hits, 1);
                let reply = Reply::Value(value);
                client.replies.answer(output, |output| style.write(output, Origin::Cache, reply));
            }
            return Ok(());
        }
        if self.upstream.is_full(out) {
            return Err(UpstreamFull);
        }
        out.stats.add(Stat::Misses, 1);
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        if !caching {
            self.send(out, &[b"GET", key], Purpose::Read(waiter, Shape::Value), now);
        } else if self.flights.join(key, waiter, now.checked_sub(self.options.ttl)) {
            out.stats.add(Stat::Coalesced, 1);
        } else {
            let flight = self.flights.begin(key, waiter, now);
            self.send(out, &[b"GET", key], Purpose::Fetch(flight), now);
        }
        Ok(())
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
        // Also while nothing is cached because of a `ttl` of 0: it may be set to another.
        let keys = if self.options.cache_bytes > 0 {
            request.keys().map(Box::from).collect()
        } else {
            vec![]
        };
        for key in &keys {
            self.drop_entry(out, key);
            self.flights.write_begun(key);
        }
        self.send(out, &words, Purpose::Write(waiter, keys, shape), now);
    }

    pub(super) fn drop_entry(&mut self, out: &mut Outbox, key: &[u8]) {
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
        let style = client.session.style(request.form, Some(request.command.verb));
        let (mut reply, at) = (Buffer::new(), out.clock.at(now));
        let unix = out.clock.unix(now);
        match client.session.connection_command(request, conn, unix, &mut reply) {
            Outcome::Answered | Outcome::Reset => client.answer_with(out, conn, &reply),
            Outcome::Last => {
                client.answer_with(out, conn, &reply);
                client.end(out, conn);
            }
            Outcome::Program => {
                let stats = &mut out.stats;
                stats.set(Stat::UptimeSeconds, (now - self.started).as_secs());
                stats.set(Stat::Expired, self.cache.expired());
                stats.set(Stat::Evicted, self.cache.evicted());
                stats.set(Stat::UpstreamUp, u64::from(self.upstream.is_up()));
                stats.set(Stat::UpstreamUnanswered, self.upstream.unanswered() as u64);
                stats.set(Stat::CacheEntries, self.cache.len() as u64);
                stats.set(Stat::CacheBytes, self.cache.bytes() as u64);
                let options = &mut self.options;
                let mut settings = Settings {
                    limits: options.limits,
                    put_mode: options.put_mode,
                    upstream_timeout: options.upstream_timeout,
                    ttl: options.ttl,
                    cache_bytes: options.cache_bytes,
                };
                program::answer(request, style, Program::Proxy, stats, &mut settings, &mut reply);
                options.limits = settings.limits;
                (options.put_mode, options.ttl) = (settings.put_mode, settings.ttl);
                client.answer_with(out, conn, &reply);
            }
            Outcome::Clients(ask) => {
                let sessions = self.clients.iter().map(|(conn, client)| (conn, &client.session));
                let mut writer = style.writer(&mut reply);
                let mut leavers = clients::answer(&ask, conn, sessions, at, &mut writer);
                let leaves = leavers.contains(&conn);
                leavers.retain(|&leaver| leaver != conn);
                for leaver in leavers {
                    out.abort(leaver);
                }
                if let Some(client) = self.clients.get_mut(conn) {
                    client.answer_with(out, conn, &reply);
                    if leaves {
                        client.end(out, conn);
                    }
                }
            }
        }
    }

    /// Goes on with a client's `DUMP`, if it can. `None`: it has ended.
    fn advance_dump(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Next> {
        let client = self.clients.get_mut(conn)?;
        let dump = client.dump.as_deref_mut()?;
        if dump.is_waiting() || !client.replies.is_empty() {
            client.waiting = true;
            return Some(Next::Wait);
        }
        if out.unsent(conn) > limits::LOW_WATER {
            return Some(Next::Drain);
        }
        if self.upstream.is_full(out) {
            client.waiting = true;
            self.held_back.push(conn);
            return Some(Next::Wait);
        }
        let upstream = &mut self.upstream;
        let asked = dump.ask(|words, wanted| {
            let purpose = match wanted {
                Wanted::Keys => Purpose::DumpKeys(conn),
                Wanted::Value => Purpose::DumpValue(conn),
            };
            upstream.send(out, words, purpose, now).is_ok()
        });
        match asked {
            Asked::All => {
                client.waiting = true;
                Some(Next::Wait)
            }
            Asked::Unavailable => {
                self.dump_failed(out, conn, Trouble::Unavailable.message(false));
                None
            }
            Asked::Nothing => {
                if let (Some(mut dump), Some(output)) = (client.dump.take(), out.output(conn)) {
                    dump.write_end(output);
                }
                None
            }
        }
    }
}
