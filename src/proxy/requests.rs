//! Clients' requests: each is answered here, or sent upstream.
//!
//! ```text
//!   serve_requests ─▶ serve_batch ─▶ a plain GET: answer_from_cache, or fetch (reads.rs)
//!                        │
//!                        ├─▶ execute_slow ─▶ collect, or execute ─▶ get, mget (reads.rs), forward
//!                        └─▶ serve_other ─▶ execute_foreign ─▶ forward
//! ```

use super::client::dump::{DumpProgress, ProxyDump};
use super::coherence::flight::Waiter;
use super::coherence::is_caching;
use super::no_reply::{Hold, UpstreamError};
use super::reads::{answer_from_cache, hash};
use super::transactions::QUEUED;
use super::upstream::purpose::{DumpPart, Purpose, UpstreamRequest, reads};
use super::{MAX_GATHERED, Proxy};
use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::command::{Access, Verb};
use crate::protocol::{Decoded, Form, Reply, Scratch, Words};
use crate::session::{
    BatchEnd, Outcome, RequestContext, RequestError, Style, clients, program, work,
};
use crate::settings::{Program, limits};
use crate::stats::Stat;
use std::time::{Duration, Instant};

impl Proxy {
    /// Executes all requests that can be: see
    /// [`Handler::received`](crate::handler::Handler::received).
    pub(super) fn serve_requests(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Now,
    ) -> Next {
        // Lent out, so that a request does not borrow all of the proxy.
        let mut scratch = self.scratch.take().unwrap_or_default();
        scratch.forget();
        self.work.begin_turn();
        let next = loop {
            match self.serve_batch(out, conn, input, &mut scratch, now) {
                BatchEnd::Pause => {}
                BatchEnd::Stop(next) => break next,
                BatchEnd::Close => {
                    input.clear();
                    break Next::Wait;
                }
            }
        };
        self.scratch = Some(scratch);
        next
    }

    /// Answers hits, one after the other, until another request has been executed.
    fn serve_batch(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
        at: Now,
    ) -> BatchEnd {
        let Proxy { settings, clients, upstream, coherence, work, .. } = self;
        let now = at.instant;
        let Some(client) = clients.get_mut(conn).filter(|client| !client.has_ended) else {
            return BatchEnd::Close;
        };
        let limits = &settings.limits;
        client.session.note_activity(at);
        // The output is touched only where something is written to it.
        let mut unsent = out.unsent(conn);
        let hold = loop {
            if let Some(next) = client.wait_if_full(unsent, limits.output_limit) {
                return BatchEnd::Stop(next);
            }
            if work.is_over() {
                return BatchEnd::Stop(Next::Drain);
            }
            work.add(work::REQUEST);
            if client.dump.is_some() {
                let next = self.advance_dump(out, conn, now);
                return next.map_or(BatchEnd::Pause, BatchEnd::Stop);
            }
            client.session.decoder.look_ahead(input.bytes(), scratch, limits, coherence.cache());
            let (consumed, decoded) = client.session.decode(input.bytes(), scratch, limits);
            let Decoded::Request(request) = decoded else {
                match self.serve_other(out, conn, input.bytes(), consumed, decoded, now) {
                    Ok(end) => {
                        self.consume(conn, input, consumed);
                        return end;
                    }
                    Err(hold) => break hold,
                }
            };
            out.stats.count_request(request.command);
            client.begin_request(consumed);
            let style = client.session.style(request.form, Some(request.command.verb));
            let context = RequestContext { conn, request: &request, style, now: at };
            let outcome = if request.command.verb == Verb::Get && client.is_plain() {
                client.session.note_command(Verb::Get);
                let hash = hash(coherence, settings, request.key());
                match answer_from_cache(client, coherence, upstream, settings, out, &context, hash)
                {
                    Some(Ok(left)) => {
                        unsent = left;
                        input.consume(consumed);
                        client.consumed(consumed);
                        continue;
                    }
                    Some(Err(hold)) => Err(hold),
                    None => self.fetch(out, &context, hash),
                }
            } else {
                self.execute_slow(out, &context)
            };
            match outcome {
                Ok(()) => {
                    self.consume(conn, input, consumed);
                    return BatchEnd::Pause;
                }
                Err(hold) => {
                    // It will be decoded, and counted, again.
                    out.stats.take_back_request(request.command);
                    break hold;
                }
            }
        };
        BatchEnd::Stop(self.hold_back(out, conn, input, scratch, hold, now))
    }

    fn consume(&mut self, conn: ConnId, input: &mut Buffer, bytes: usize) {
        input.consume(bytes);
        if let Some(client) = self.clients.get_mut(conn) {
            client.consumed(bytes);
        }
    }

    /// Handles input that is no request of our own table.
    fn serve_other(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &[u8],
        consumed: usize,
        decoded: Decoded<'_>,
        now: Instant,
    ) -> Result<BatchEnd, Hold> {
        let Some(client) = self.clients.get_mut(conn) else { return Ok(BatchEnd::Close) };
        match decoded {
            Decoded::Incomplete => {
                let until = client.session.patience(&input[consumed..], now, &self.settings.limits);
                return Ok(BatchEnd::Stop(Next::Read(until)));
            }
            Decoded::Refused(form, refusal) => {
                if let Some(words) = refusal.foreign() {
                    self.execute_foreign(out, conn, words, now)?;
                    return Ok(BatchEnd::Pause);
                }
                if refusal.discards_transaction() {
                    client.session.end_transaction();
                }
                if let Some(command) = refusal.command() {
                    out.stats.count_rejected(command);
                }
                client.refuse(out, conn, form, &RequestError::from(&refusal));
            }
            Decoded::Broken(refusal) => {
                client.refuse(out, conn, Form::Resp, &RequestError::from(&refusal));
                client.end(out, conn);
            }
            // It is no reply to a request, so it needs no place among them.
            Decoded::Telnet(answer) => {
                if let Some(output) = out.output(conn) {
                    output.push(&answer);
                }
            }
            Decoded::Request(_) => unreachable!("requests are served elsewhere"),
        }
        Ok(BatchEnd::Pause)
    }

    /// Holds a client, whose last request is decoded again later. Returns what it waits for.
    fn hold_back(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
        why: Hold,
        now: Instant,
    ) -> Next {
        let Some(client) = self.clients.get_mut(conn) else { return Next::Wait };
        let consumed = client.session.decoder.put_back(scratch);
        input.consume(consumed);
        client.consumed(consumed);
        client.is_waiting = true;
        match why {
            Hold::Upstream => self.held.push(conn),
            Hold::Unconfirmed => {
                out.stats.add(Stat::HeldForConfirmation, 1);
                if client.wait_for_ping(input.len()) {
                    self.coherence.hold(conn, now);
                }
            }
        }
        Next::Wait
    }

    /// Executes a request that is not a plain `GET`, or fails one that was held in vain.
    fn execute_slow(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Result<(), Hold> {
        let RequestContext { conn, request, style, .. } = *context;
        self.work.add(work::SENT_ON + request.len() * work::WORD);
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let verb = request.command.verb;
        if let Some(failure) = client.take_up() {
            if matches!(verb, Verb::Get | Verb::Mget) {
                out.stats.add(Stat::Misses, request.keys().len() as u64);
            }
            client.answer(out, conn, style, Reply::Error(failure.message(false)));
            client.session.end_request();
            return Ok(());
        }
        client.session.note_command(verb);
        if !self.collect(out, context) {
            self.execute(out, context)?;
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.end_request();
        }
        Ok(())
    }

    fn execute(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Result<(), Hold> {
        let RequestContext { conn, request, style, .. } = *context;
        if let Some(client) = self.clients.get_mut(conn)
            && request.command.is_for_keys()
            && let Err(error) = client.session.check_database()
        {
            client.answer_error(out, conn, style, &error);
            return Ok(());
        }
        match (request.command.access, request.command.verb) {
            (Access::Connection, _) => self.connection_command(out, context),
            (Access::Transaction, _) => return self.transaction_command(out, context),
            (_, Verb::Get) => return self.get(out, context),
            (_, Verb::Dump) => self.dump(out, context),
            (_, Verb::Mget) if is_caching(&self.settings) && request.len() <= MAX_GATHERED + 1 => {
                return self.mget(out, context);
            }
            _ if self.upstream.is_full(out) => return Err(Hold::Upstream),
            _ => {
                let request = UpstreamRequest::new(request, self.settings.put_mode);
                self.forward(out, context.conn, context.style, request, context.now.instant);
            }
        }
        Ok(())
    }

    /// Sends on a request of a foreign command, if that may be sent.
    fn execute_foreign(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        words: Words<'_>,
        now: Instant,
    ) -> Result<(), Hold> {
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let admitted = match &self.greeter.commands {
            Some(commands) => client.session.check_database().and_then(|()| commands.admit(words)),
            None if self.upstream.is_down() => {
                Err(UpstreamError::Unavailable.message(false).into())
            }
            None => return Err(Hold::Upstream),
        };
        let request = match admitted {
            Ok(request) => request,
            Err(error) => {
                client.refuse(out, conn, Form::Resp, &error);
                return Ok(());
            }
        };
        let style = client.session.style(Form::Resp, None);
        if let Some(transaction) = client.session.transaction() {
            match transaction.push(words, self.settings.limits.max_request) {
                Ok(()) => client.answer(out, conn, style, QUEUED),
                Err(error) => client.answer_error(out, conn, style, &error),
            }
        } else if self.upstream.is_full(out) {
            return Err(Hold::Upstream);
        } else {
            self.forward(out, conn, style, request, now);
        }
        out.stats.add(Stat::ForeignRequests, 1);
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.end_request();
        }
        Ok(())
    }

    /// Sends a request of one client upstream.
    fn forward(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        style: Style,
        request: UpstreamRequest<'_>,
        now: Instant,
    ) {
        let UpstreamRequest { words, writes, shape } = request;
        let Some(client) = self.clients.get_mut(conn) else { return };
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        client.reads_sent += u32::from(reads(&writes, &shape));
        let writes = writes.tracked(&self.settings);
        self.coherence.write_begun(&mut out.stats, &writes);
        self.send(out, &words, Purpose::Request(waiter, writes, shape), now);
    }

    fn dump(&mut self, out: &mut Outbox, context: &RequestContext<'_>) {
        let RequestContext { conn, request, style, .. } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return };
        client.dumps = client.dumps.wrapping_add(1);
        match ProxyDump::new(client.dumps, style, request) {
            Ok(_) if style.quiet => {}
            Ok(dump) => client.dump = Some(Box::new(dump)),
            Err(message) => client.answer(out, conn, style, Reply::Error(message)),
        }
    }

    fn connection_command(&mut self, out: &mut Outbox, context: &RequestContext<'_>) {
        let RequestContext { conn, request, mut style, now } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return };
        let mut reply = Output::new();
        let unix = out.clock.unix(now.instant);
        let identity = &self.greeter.identity;
        let outcome = client.session.connection_command(
            request,
            conn,
            unix,
            identity,
            &mut reply,
            &mut out.stats,
        );
        self.work.add(reply.len() * work::FORMATTED);
        // The command may be the one that changes it.
        style.quiet = client.session.is_quiet();
        match outcome {
            Outcome::Answered | Outcome::Reset => client.answer_with(out, conn, style, &reply),
            Outcome::Last => {
                client.answer_with(out, conn, style, &reply);
                client.end(out, conn);
            }
            Outcome::Program => {
                let (stats, upstream) = (&mut out.stats, &self.upstream);
                stats.set(Stat::UptimeSeconds, (now.instant - self.started).as_secs());
                self.coherence.write_stats(stats);
                let age = upstream.confirmed().map_or(Duration::ZERO, |at| now.instant - at);
                stats.set(Stat::ConfirmedAgeMs, age.as_millis() as u64);
                stats.set(Stat::UpstreamUp, u64::from(upstream.is_up()));
                stats.set(Stat::UpstreamUnanswered, upstream.unanswered() as u64);
                let settings = &mut self.settings;
                program::answer(
                    request,
                    style,
                    Program::Proxy,
                    identity,
                    stats,
                    settings,
                    &mut reply,
                );
                client.answer_with(out, conn, style, &reply);
            }
            Outcome::Clients(request) => {
                let there = self.clients.iter().filter(|(_, client)| !client.has_ended);
                let sessions = there.map(|(conn, client)| (conn, &client.session));
                let mut writer = style.writer(&mut reply);
                let killed = clients::answer(&request, conn, sessions, now, &mut writer);
                for other in killed.others {
                    if let Some(client) = self.clients.get_mut(other) {
                        client.has_ended = true;
                    }
                    out.abort(other);
                }
                if let Some(client) = self.clients.get_mut(conn) {
                    client.answer_with(out, conn, style, &reply);
                    if killed.own {
                        client.end(out, conn);
                    }
                }
            }
        }
    }

    /// Goes on with a client's `DUMP`. Returns what it waits for; `None`: it has ended.
    fn advance_dump(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Next> {
        let client = self.clients.get_mut(conn)?;
        let dump = client.dump.as_deref_mut()?;
        if dump.unanswered() > 0 || !client.replies.is_empty() {
            client.is_waiting = true;
            return Some(Next::Wait);
        }
        if out.unsent(conn) > limits::LOW_WATER {
            return Some(Next::Drain);
        }
        let upstream = &mut self.upstream;
        if upstream.is_full(out) {
            client.is_waiting = true;
            self.held.push(conn);
            return Some(Next::Wait);
        }
        let number = dump.number();
        let progress = dump.request_next(|words, request| {
            let purpose = Purpose::Dump(DumpPart { conn, dump: number, request });
            upstream.send(out, words, purpose, now).is_ok()
        });
        match progress {
            DumpProgress::All => {
                client.is_waiting = true;
                Some(Next::Wait)
            }
            DumpProgress::Unavailable => {
                self.dump_failed(out, conn, UpstreamError::Unavailable.message(false));
                None
            }
            DumpProgress::Nothing => {
                if let (Some(dump), Some(output)) = (client.dump.take(), out.output(conn)) {
                    dump.write_end(output);
                }
                None
            }
        }
    }
}
