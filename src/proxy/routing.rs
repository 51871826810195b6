//! What becomes of a client's requests: answered here, or sent upstream.

use super::dump::{Asked, Dump, Wanted};
use super::flight::Waiter;
use super::purpose::{Purpose, Sent, reads};
use super::state::{Level, NotYet, Proxy};
use super::transactions::QUEUED;
use super::upstream::Trouble;
use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::Reply;
use crate::protocol::command::{Access, Verb};
use crate::protocol::{Decoded, Form, Refusal, Request, Scratch, Words};
use crate::session::{Outcome, Style, clients, program};
use crate::settings::Program;
use crate::settings::Settings;
use crate::settings::limits;
use crate::stats::Stat;
use std::time::{Duration, Instant};

/// The most keys of an `MGET` whose values the proxy gathers from its cache and from single `GET`s;
/// one with more is sent on as it is. As many as a client may have unanswered.
pub const MAX_GATHERED: usize = limits::MAX_UNANSWERED;

impl Proxy {
    /// Decodes and carries out one request. `Some`: go no further for now.
    pub(super) fn step(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
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
        let limits = &self.options.limits;
        client.session.look_ahead(input.bytes(), scratch, limits, &self.cache);
        let (consumed, decoded) = client.session.decode(input.bytes(), scratch, limits);
        let mut next = None;
        match decoded {
            Decoded::Incomplete => {
                let rest = &input.bytes()[consumed..];
                let until = client.session.patience(rest, now, limits);
                next = Some(Next::Read(until));
            }
            Decoded::Request(request) => {
                out.stats.count_request(request.command);
                client.covered = client.covers(consumed);
                if let Err(why) = self.carry_out(out, conn, &request, now) {
                    // It will be decoded, and counted, again.
                    out.stats.take_back_request(request.command);
                    return Some(self.hold_back(out, conn, input, scratch, why, now));
                }
            }
            Decoded::Refused(Form::Resp, Refusal::Unknown(words, _)) => {
                if let Err(why) = self.carry_out_foreign(out, conn, words, now) {
                    return Some(self.hold_back(out, conn, input, scratch, why, now));
                }
            }
            Decoded::Refused(form, refusal) => {
                if refusal.discards_transaction() {
                    client.session.end_transaction();
                }
                out.stats.add(Stat::TooLargeRequests, refusal.is_over_limit().into());
                self.refuse(out, conn, form, &refusal.to_string());
            }
            Decoded::Broken(refusal) => {
                out.stats.add(Stat::TooLargeRequests, refusal.is_over_limit().into());
                self.refuse(out, conn, Form::Resp, &refusal.to_string());
                self.end(out, conn);
            }
            // Not a reply to a request, so it keeps no order among them.
            Decoded::Telnet(answer) => {
                if let Some(output) = out.output(conn) {
                    output.push(&answer);
                }
            }
            Decoded::Http => self.end(out, conn),
        }
        input.consume(consumed);
        if let Some(client) = self.clients.get_mut(conn) {
            client.took(consumed);
        }
        next
    }

    /// Has a client wait for the upstream, its last request taken back.
    fn hold_back(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
        why: NotYet,
        now: Instant,
    ) -> Next {
        if let Some(client) = self.clients.get_mut(conn) {
            let consumed = client.session.put_back(scratch);
            input.consume(consumed);
            client.took(consumed);
            client.waiting = true;
            match why {
                NotYet::Upstream => self.held_back.push(conn),
                NotYet::Confirmation => {
                    out.stats.add(Stat::HitsUnconfirmed, 1);
                    self.await_confirmation(conn, input.len(), now);
                }
            }
        }
        Next::Wait
    }

    /// Refuses a request, and the transaction that it stands in. The message has its prefix.
    pub(super) fn refuse(&mut self, out: &mut Outbox, conn: ConnId, form: Form, message: &str) {
        out.stats.add(Stat::RequestErrors, 1);
        if let Some(client) = self.clients.get_mut(conn) {
            let style = client.session.refused(form);
            client.answer(out, conn, style, Reply::Failure(message.as_bytes()));
        }
    }

    fn end(&mut self, out: &mut Outbox, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(conn) {
            client.end(out, conn);
        }
    }

    /// Answers a request, or sends it upstream.
    fn carry_out(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<(), NotYet> {
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let verb = request.command.verb;
        if let Some(trouble) = client.take_up() {
            if matches!(verb, Verb::Get | Verb::Mget) {
                out.stats.add(Stat::Misses, request.keys().len() as u64);
            }
            let style = client.session.style(request.form, Some(verb));
            client.answer(out, conn, style, Reply::Error(trouble.message(false)));
            client.session.replied();
            return Ok(());
        }
        client.session.noted(verb);
        let style = client.session.style(request.form, Some(verb));
        if verb == Verb::Get && client.session.is_plain() {
            return self.get(out, conn, style, request.word(1), now);
        }
        if !self.collect(out, conn, style, request) {
            self.carry_out_now(out, conn, style, request, now)?;
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.replied();
        }
        Ok(())
    }

    fn carry_out_now(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<(), NotYet> {
        match (request.command.access, request.command.verb) {
            (Access::Connection, _) => self.connection_command(out, conn, style, request, now),
            (Access::Transaction, verb) => {
                return self.transaction_command(out, conn, style, verb, now);
            }
            (_, Verb::Get) => return self.get(out, conn, style, request.word(1), now),
            (_, Verb::Dump) => self.dump(out, conn, style, request),
            (_, Verb::Mget) if self.is_caching() && request.len() <= MAX_GATHERED + 1 => {
                return self.mget(out, conn, style, request, now);
            }
            _ if self.upstream.is_full(out) => return Err(NotYet::Upstream),
            _ => {
                let sent = Sent::new(request, self.options.put_mode);
                self.forward(out, conn, style, sent, now);
            }
        }
        Ok(())
    }

    /// Sends a request on that only the upstream knows, if it may be.
    fn carry_out_foreign(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        words: Words<'_>,
        now: Instant,
    ) -> Result<(), NotYet> {
        let sent = match &self.commands {
            Some(commands) => commands.admit(words),
            None if self.upstream.is_down() => {
                Err(format!("ERR {}", Trouble::Unavailable.message(false)))
            }
            None => return Err(NotYet::Upstream),
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(message) => {
                self.refuse(out, conn, Form::Resp, &message);
                return Ok(());
            }
        };
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let style = client.session.style(Form::Resp, None);
        if let Some(transaction) = client.session.transaction() {
            let kept = transaction.push(words, self.options.limits.max_request);
            let reply = if kept { QUEUED } else { Reply::Error("transaction too large") };
            out.stats.add(Stat::TooLargeRequests, (!kept).into());
            client.answer(out, conn, style, reply);
        } else if self.upstream.is_full(out) {
            return Err(NotYet::Upstream);
        } else {
            self.forward(out, conn, style, sent, now);
        }
        out.stats.add(Stat::RequestsForeign, 1);
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.replied();
        }
        Ok(())
    }

    /// Sends a request for one client.
    fn forward(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        sent: Sent<'_>,
        now: Instant,
    ) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        client.reads_sent += u32::from(reads(&sent.writes, &sent.shape));
        let writes = self.tracked(sent.writes);
        self.write_begun(out, &writes);
        let purpose = Purpose::Request(waiter, writes, sent.shape);
        self.send(out, &sent.words, purpose, now);
    }

    fn dump(&mut self, out: &mut Outbox, conn: ConnId, style: Style, request: &Request<'_>) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        match Dump::new(style, request) {
            Ok(_) if style.quiet => {}
            Ok(dump) => client.dump = Some(Box::new(dump)),
            Err(message) => client.answer(out, conn, style, Reply::Error(message)),
        }
    }

    pub(super) fn send(
        &mut self,
        out: &mut Outbox,
        words: &[&[u8]],
        purpose: Purpose,
        now: Instant,
    ) {
        if let Err(purpose) = self.upstream.send(out, words, purpose, now) {
            self.fail(out, purpose, Trouble::Unavailable);
        }
    }

    fn connection_command(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        mut style: Style,
        request: &Request<'_>,
        now: Instant,
    ) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let (mut reply, at) = (Output::new(), out.clock.at(now));
        let unix = out.clock.unix(now);
        let outcome =
            client.session.connection_command(request, conn, unix, &mut reply, &mut out.stats);
        // It may be the command that says so.
        style.quiet = client.session.is_quiet();
        match outcome {
            Outcome::Answered | Outcome::Reset => client.answer_with(out, conn, style, &reply),
            Outcome::Last => {
                client.answer_with(out, conn, style, &reply);
                client.end(out, conn);
            }
            Outcome::Program => {
                let stats = &mut out.stats;
                stats.set(Stat::UptimeSeconds, (now - self.started).as_secs());
                stats.set(Stat::Expired, self.cache.expired());
                stats.set(Stat::Evicted, self.cache.evicted());
                stats.set(Stat::FlightsPoisoned, self.flights.poisoned());
                stats.set(Stat::CoherenceLevel, u64::from(self.level == Level::One));
                let age = self.upstream.confirmed().map_or(Duration::ZERO, |at| now - at);
                stats.set(Stat::ConfirmedAgeMs, age.as_millis() as u64);
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
                    trust: options.trust,
                    cache_bytes: options.cache_bytes,
                };
                program::answer(request, style, Program::Proxy, stats, &mut settings, &mut reply);
                options.limits = settings.limits;
                (options.put_mode, options.ttl) = (settings.put_mode, settings.ttl);
                options.trust = settings.trust;
                client.answer_with(out, conn, style, &reply);
            }
            Outcome::Clients(ask) => {
                let there = self.clients.iter().filter(|(_, client)| !client.ended);
                let sessions = there.map(|(conn, client)| (conn, &client.session));
                let mut writer = style.writer(&mut reply);
                let mut leavers = clients::answer(&ask, conn, sessions, at, &mut writer);
                let leaves = leavers.contains(&conn);
                leavers.retain(|&leaver| leaver != conn);
                for leaver in leavers {
                    if let Some(client) = self.clients.get_mut(leaver) {
                        client.ended = true;
                    }
                    out.abort(leaver);
                }
                if let Some(client) = self.clients.get_mut(conn) {
                    client.answer_with(out, conn, style, &reply);
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
