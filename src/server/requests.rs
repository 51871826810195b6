//! A client's requests, executed one after the other.
//!
//! ```text
//!   serve_requests    lends the scratch; between batches, invalidations are sent
//!     serve_batch     the short path: decodes a request for the keys and executes it
//!       execute_slow  all other requests: of the connection, in a transaction, with unwanted reply
//! ```

use super::client::Client;
use super::{Server, Then, commands};
use crate::base::buffer::{Buffer, SCRATCH_BYTES};
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::command::{Access, Verb};
use crate::protocol::{Decoded, Form, Refusal, Request, RequestDraft, Scratch};
use crate::session::{BatchEnd, Collected, RequestContext, RequestError, Style, work};
use crate::settings::limits;
use crate::stats::{Stat, Stats};

impl Server {
    /// Executes all requests that are there: see
    /// [`Handler::received`](crate::handler::Handler::received).
    pub(super) fn serve_requests(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Now,
    ) -> Next {
        // Lent out, so that a request does not borrow all of the server.
        let mut scratch = self.scratch.take().unwrap_or_default();
        scratch.forget();
        self.keyspace.work.begin_turn();
        if self.listings > 0 {
            self.list_clients(conn, now);
        }
        if self.keyspace.observers.tracking.is_on() {
            self.set_author(conn);
        }
        let next = loop {
            let end = self.serve_batch(out, conn, input, &mut scratch, now);
            if self.keyspace.observers.tracking.has_invalidations() {
                self.push_invalidations(out);
            }
            match end {
                BatchEnd::Pause => {}
                BatchEnd::Stop(next) => break next,
                BatchEnd::Close => {
                    input.clear();
                    self.end(out, conn);
                    break Next::Wait;
                }
            }
        };
        self.scratch = Some(scratch);
        next
    }

    /// Executes requests up to the first that concerns more than the keys.
    fn serve_batch(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
        now: Now,
    ) -> BatchEnd {
        let Some(client) = self.clients.get_mut(conn) else { return BatchEnd::Stop(Next::Wait) };
        let Some((output, stats)) = out.output_and_stats(conn) else {
            return BatchEnd::Stop(Next::Wait);
        };
        let limits = &self.settings.limits;
        client.session.note_activity(now);
        loop {
            if output.len() > limits::HIGH_WATER
                || self.keyspace.work.is_over()
                || client.step(&mut self.keyspace, output, stats, now)
            {
                return BatchEnd::Stop(Next::Drain);
            }
            self.keyspace.work.add(work::REQUEST);
            client.session.decoder.look_ahead(input.bytes(), scratch, limits, &self.keyspace);
            let (consumed, decoded) = client.session.decode(input.bytes(), scratch, limits);
            match decoded {
                Decoded::Request(request) => {
                    stats.count_request(request.command);
                    client.session.note_command(request.command.verb);
                    if !self.keyspace.make_memory_for(request.command) {
                        stats.reject_request(request.command);
                        client.refuse(output, stats, request.form, &Refusal::OutOfMemory);
                    } else if client.session.is_plain() && request.command.is_for_keys() {
                        let style = client.session.style(request.form, Some(request.command.verb));
                        let keys = &mut self.keyspace;
                        if let Some(long) =
                            commands::execute(keys, &request, style, output, stats, now)
                        {
                            let draft = client.begin(long, &request);
                            client.session.end_caching(Some(request.command));
                            client.take_request(draft, scratch, input, consumed);
                            return BatchEnd::Pause;
                        }
                        let tracking = &mut self.keyspace.observers.tracking;
                        if tracking.is_on() && client.track_reads(tracking, &request) {
                            // They are sent between this reply and the next.
                            input.consume(consumed);
                            return BatchEnd::Pause;
                        }
                    } else {
                        let style = client.session.style(request.form, Some(request.command.verb));
                        let context = RequestContext { conn, request: &request, style, now };
                        let then = self.execute_slow(out, &context);
                        let draft = self.draft(conn, &request);
                        self.consume(conn, draft, scratch, input, consumed);
                        return if then == Then::Close { BatchEnd::Close } else { BatchEnd::Pause };
                    }
                }
                Decoded::Incomplete => {
                    input.consume(consumed);
                    if input.len() > SCRATCH_BYTES
                        && let begun = client.session.decoder.begun(input.bytes())
                        && self.keyspace.should_drop_partial(begun, input.len())
                    {
                        let form = client.session.drop_partial(input, limits);
                        client.refuse(output, stats, form, &Refusal::OutOfMemory);
                        continue;
                    }
                    let until = client.session.patience(input.bytes(), now.instant, limits);
                    return BatchEnd::Stop(Next::Read(until));
                }
                Decoded::Refused(form, refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    if refusal.discards_transaction() {
                        self.keyspace.observers.watches.forget(conn);
                    }
                    client.refuse(output, stats, form, &refusal);
                }
                Decoded::Broken(refusal) => {
                    stats.add(Stat::RequestErrors, 1);
                    // In RESP2, whatever version the client has chosen.
                    let style = Style::plain(Form::Resp);
                    RequestError::from(&refusal).write(style, output, stats);
                    return BatchEnd::Close;
                }
                Decoded::Telnet(answer) => output.push(&answer),
            }
            input.consume(consumed);
        }
    }

    /// Executes a request that concerns more than the keys, or whose reply may not be wanted.
    fn execute_slow(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Then {
        let RequestContext { conn, request, .. } = *context;
        let mark = out.unsent(conn);
        let then = self.collect_or_execute(out, context);
        // In a transaction that is executed, what is wanted may change from reply to reply.
        if request.command.verb != Verb::Exec {
            self.discard_unwanted_reply(out, conn, mark);
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.end_request();
            client.session.end_caching(Some(request.command));
        }
        then
    }

    /// Takes back what was written since `mark`, if the client does not want it.
    pub(super) fn discard_unwanted_reply(&mut self, out: &mut Outbox, conn: ConnId, mark: usize) {
        if let Some(client) = self.clients.get_mut(conn)
            && client.session.is_quiet()
            && let Some(output) = out.output(conn)
        {
            client.abandon_text();
            output.truncate(mark);
        }
    }

    /// Keeps a request for `EXEC`, if a transaction is open, or executes it.
    fn collect_or_execute(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Then {
        let RequestContext { conn, request, style, .. } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return Then::Close };
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        match client.session.collect(request, self.settings.limits.max_request) {
            Collected::Not => return self.execute(out, context),
            Collected::Kept => style.writer(output).simple("QUEUED"),
            Collected::Refused(error) => error.write(style, output, stats),
        }
        Then::Continue
    }

    /// Executes a request of any kind. Returns whether the connection goes on.
    pub(super) fn execute(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Then {
        let RequestContext { conn, request, style, now } = *context;
        match request.command.access {
            Access::Connection => self.connection_command(out, context),
            Access::Transaction => self.transaction_command(out, context),
            Access::Read | Access::Write | Access::WriteAll => {
                if let Some(client) = self.clients.get_mut(conn)
                    && let Some((output, stats)) = out.output_and_stats(conn)
                {
                    if let Err(error) = client.session.check_database() {
                        error.write(style, output, stats);
                        return Then::Continue;
                    }
                    let keys = &mut self.keyspace;
                    match commands::execute(keys, request, style, output, stats, now) {
                        Some(long) if keys.work.is_in_transaction() => {
                            long.finish(keys, style, output, stats, now);
                        }
                        Some(long) => _ = client.begin(long, request),
                        None => client.track_keys(&mut keys.observers.tracking, request),
                    }
                }
                Then::Continue
            }
        }
    }
}

impl Server {
    /// Consumes a request, and gives it to the command of the client that wants it.
    fn consume(
        &mut self,
        conn: ConnId,
        draft: Option<RequestDraft>,
        scratch: &mut Scratch,
        input: &mut Buffer,
        consumed: usize,
    ) {
        match self.clients.get_mut(conn) {
            Some(client) => client.take_request(draft, scratch, input, consumed),
            None => input.consume(consumed),
        }
    }

    /// Returns what is kept of a request that its command, which has begun, wants to have.
    fn draft(&mut self, conn: ConnId, request: &Request<'_>) -> Option<RequestDraft> {
        let underway = self.clients.get_mut(conn)?.underway()?;
        underway.command.wants_request().then(|| request.draft())
    }
}

impl Client {
    /// Consumes a request, and gives it to the command that is under way, if that wants it.
    fn take_request(
        &mut self,
        draft: Option<RequestDraft>,
        scratch: &mut Scratch,
        input: &mut Buffer,
        consumed: usize,
    ) {
        let Some(draft) = draft else { return input.consume(consumed) };
        let request = draft.take(scratch, input, consumed);
        if let Some(underway) = self.underway() {
            underway.command.take_request(request);
        }
    }

    /// Answers a request that is not executed, and counts why.
    #[cold]
    fn refuse(
        &mut self,
        output: &mut Output,
        stats: &mut Stats,
        form: Form,
        refusal: &Refusal<'_>,
    ) {
        if refusal.discards_transaction() {
            self.session.end_transaction();
        }
        let style = self.session.refuse(form);
        self.session.end_caching(refusal.command());
        if let Some(command) = refusal.command() {
            stats.count_rejected(command);
        }
        let error = RequestError::from(refusal);
        if style.quiet {
            error.count_and_message(None, stats);
        } else {
            error.write(style, output, stats);
        }
    }
}
