//! Requests carried out, one after the other: the short way of those that are for the keys, and the
//! longer one of the others.

use super::client::Client;
use super::{Server, Then, commands};
use crate::base::buffer::Buffer;
use crate::base::buffer::SCRATCH_BYTES;
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::handler::{ConnId, Next, Outbox};
use crate::protocol::Reply;
use crate::protocol::command::{Access, Verb};
use crate::protocol::{Decoded, Form, Refusal, Request, Scratch};
use crate::session::{Collected, Origin, Style};
use crate::settings::limits;
use crate::stats::{Stat, Stats};

/// How far a client's requests were carried out.
enum Progress {
    /// There may be more.
    GoneOn,
    /// No further for now.
    Stop(Next),
    /// No request follows.
    Close,
}

impl From<Then> for Progress {
    fn from(then: Then) -> Progress {
        if then == Then::Close { Progress::Close } else { Progress::GoneOn }
    }
}

impl Server {
    /// Carries out all that can be: see [`Handler::received`](crate::handler::Handler::received).
    pub(super) fn receive(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Now,
    ) -> Next {
        // Lent out, so that a request does not borrow all of the server.
        let mut scratch = self.scratch.take().unwrap_or_default();
        scratch.forget();
        if self.keyspace.observers.tracking.is_on() {
            self.note_author(conn);
        }
        let next = loop {
            let progress = self.serve(out, conn, input, &mut scratch, now);
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
        self.scratch = Some(scratch);
        next
    }

    /// Carries out requests until none is left, or one came that more is needed for than the keys.
    fn serve(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        scratch: &mut Scratch,
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
            let limits = &self.settings.limits;
            client.session.look_ahead(input.bytes(), scratch, limits, &self.keyspace);
            let (consumed, decoded) = client.session.decode(input.bytes(), scratch, limits);
            match decoded {
                Decoded::Request(request) => {
                    stats.count_request(request.command);
                    client.session.noted(request.command.verb);
                    if !client.session.is_plain()
                        || !request.command.is_for_keys()
                        || self.keyspace.has_no_memory_for(request.command)
                    {
                        let progress = self.execute_slow(out, conn, &request, now).into();
                        input.consume(consumed);
                        return progress;
                    }
                    let style = client.session.style(request.form, Some(request.command.verb));
                    let keys = &mut self.keyspace;
                    client.begin(commands::carry_out(keys, &request, style, output, stats, now));
                    let tracking = &mut self.keyspace.observers.tracking;
                    if tracking.is_on() && client.follow(tracking, &request) {
                        // Told between this reply and the next.
                        input.consume(consumed);
                        return Progress::GoneOn;
                    }
                }
                Decoded::Incomplete => {
                    input.consume(consumed);
                    if input.len() > SCRATCH_BYTES
                        && let begun = client.session.begun(input.bytes())
                        && self.keyspace.should_drop_partial(begun, input.len())
                    {
                        let form = client.session.skip(input);
                        refuse_to_store(client, output, stats, form);
                        continue;
                    }
                    let until = client.session.patience(input.bytes(), now.instant, limits);
                    return Progress::Stop(Next::Read(until));
                }
                Decoded::Refused(form, refusal) => {
                    count_error(stats, &refusal);
                    if refusal.discards_transaction() {
                        self.keyspace.observers.watches.forget(conn);
                    }
                    client.refuse(output, form, &refusal);
                }
                Decoded::Broken(refusal) => {
                    count_error(stats, &refusal);
                    refuse(output, &refusal);
                    return Progress::Close;
                }
                Decoded::Telnet(answer) => output.push(&answer),
                Decoded::Http => return Progress::Close,
            }
            input.consume(consumed);
        }
    }

    /// Carries out a request that concerns more than the keys, or is not simply answered.
    fn execute_slow(
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
            self.discard_unwanted_reply(out, conn, mark);
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.session.replied();
            client.session.end_caching(Some(request.command));
        }
        then
    }

    /// Takes back what was written since, if the client does not want it.
    pub(super) fn discard_unwanted_reply(&mut self, out: &mut Outbox, conn: ConnId, mark: usize) {
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
        let Some((output, stats)) = out.output_and_stats(conn) else { return Then::Close };
        if self.keyspace.has_no_memory_for(request.command) {
            refuse_to_store(client, output, stats, request.form);
            return Then::GoOn;
        }
        let style = client.session.style(request.form, Some(request.command.verb));
        match client.session.collect(request, self.settings.limits.max_request) {
            Collected::Not => return self.carry_out(out, conn, request, style, now),
            Collected::Kept => style.writer(output).simple("QUEUED"),
            Collected::Refused(why) => {
                style.write(output, Origin::Server, Reply::Error(why.told(stats)));
            }
        }
        Then::GoOn
    }

    pub(super) fn carry_out(
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
                    && let Some((output, stats)) = out.output_and_stats(conn)
                {
                    let keyspace = &mut self.keyspace;
                    let dump = commands::carry_out(keyspace, request, style, output, stats, now);
                    client.begin(dump);
                    client.track(&mut self.keyspace.observers.tracking, request);
                }
                Then::GoOn
            }
        }
    }
}

fn count_error(stats: &mut Stats, refusal: &Refusal<'_>) {
    stats.add(Stat::RequestErrors, 1);
    stats.add(Stat::TooLargeRequests, refusal.is_over_limit().into());
}

/// Answers a request for which there is no memory.
#[cold]
fn refuse_to_store(client: &mut Client, output: &mut Output, stats: &mut Stats, form: Form) {
    stats.add(Stat::OutOfMemory, 1);
    client.refuse(output, form, &Refusal::OutOfMemory);
}

/// Answers what is no request, in the way of a client that has asked for nothing.
fn refuse(output: &mut Output, refusal: &Refusal<'_>) {
    let message = refusal.to_string();
    let reply = Reply::Failure(message.as_bytes());
    Style::plain(Form::Resp).write(output, Origin::Server, reply);
}
