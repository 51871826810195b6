//! `MULTI` to `EXEC`: the requests are kept here, and sent upstream as one block.
//!
//! The connection is shared: in a transaction that was open on it, the requests of all clients
//! would be queued.

use super::Proxy;
use super::coherence::Writes;
use super::coherence::flight::Waiter;
use super::no_reply::{Hold, UpstreamError};
use super::upstream::foreign::ForeignCommands;
use super::upstream::purpose::{Purpose, Shape, UpstreamRequest};
use crate::base::buffer::Buffer;
use crate::base::output::Value;
use crate::handler::Outbox;
use crate::protocol::command::{Access, Command, Verb};
use crate::protocol::{Decoded, Reply, resp};
use crate::session::transaction::{ABORTED, Replay, TransactionStep};
use crate::session::{Collected, RequestContext, RequestError};
use crate::settings::Settings;

/// The reply to a request that is kept for `EXEC`.
pub const QUEUED: Reply<'static> = Reply::Raw(Value::Short(b"+QUEUED\r\n"));

/// The reply to a transaction without requests.
const NO_REPLIES: Reply<'static> = Reply::Raw(Value::Short(b"*0\r\n"));

const NO_TRANSACTIONS: RequestError =
    RequestError::new("transactions are not available: the upstream has none");

const UNWATCHED: RequestError = RequestError::new(
    "WATCH is not supported through the proxy: its connection to the server is shared",
);

/// A transaction as it goes upstream, after `MULTI`.
struct TransactionBlock {
    /// All requests, encoded, and `EXEC` behind them.
    requests: Buffer,
    writes: Writes,
    shapes: Vec<Shape>,
}

/// The reason for which a block cannot be made.
enum NoBlock {
    /// The upstream has not sent its commands yet.
    Hold,
    /// The upstream is another now, without one of the commands.
    Refused,
}

impl TransactionBlock {
    fn new(
        requests: &[u8],
        settings: &Settings,
        commands: Option<&ForeignCommands>,
    ) -> Result<TransactionBlock, NoBlock> {
        let mut block = TransactionBlock {
            requests: Buffer::new(),
            writes: Writes::Nothing,
            shapes: Vec::new(),
        };
        let mut replay = Replay::new(requests);
        while let Some(decoded) = replay.next_request() {
            let sent = match decoded {
                Decoded::Request(request) => UpstreamRequest::new(&request, settings.put_mode),
                Decoded::Refused(_, refusal) => {
                    let words = refusal.foreign().ok_or(NoBlock::Refused)?;
                    let commands = commands.ok_or(NoBlock::Hold)?;
                    commands.admit(words).map_err(|_| NoBlock::Refused)?
                }
                _ => return Err(NoBlock::Refused),
            };
            resp::push_request(&mut block.requests, &sent.words);
            block.writes.add(sent.writes);
            block.shapes.push(sent.shape);
        }
        resp::push_request(&mut block.requests, &[b"EXEC"]);
        Ok(block)
    }
}

impl Proxy {
    /// Keeps a request for `EXEC`, or refuses it, if a transaction is open that it does not end.
    /// Returns `false` if it is to be executed now.
    pub(super) fn collect(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> bool {
        let RequestContext { conn, request, style, .. } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return true };
        if client.session.transaction().is_none() {
            return false;
        }
        if is_the_proxys(request.command) {
            let name = request.command.name.to_ascii_lowercase();
            let what = format!("command '{name}' is not available in a transaction");
            let error = format!("{what} through the proxy").into();
            client.refuse(out, conn, request.form, &error);
            return true;
        }
        match client.session.collect(request, self.settings.limits.max_request) {
            Collected::Not => return false,
            Collected::Kept => client.answer(out, conn, style, QUEUED),
            Collected::Refused(error) => client.answer_error(out, conn, style, &error),
        }
        true
    }

    /// Executes a command whose access is `Transaction`.
    pub(super) fn transaction_command(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
    ) -> Result<(), Hold> {
        let RequestContext { conn, request, style, .. } = *context;
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let done = match client.session.transaction_command(request.command.verb) {
            Ok(TransactionStep::Exec) => return self.exec(out, context),
            Ok(TransactionStep::Watch) => {
                client.session.watch_refused();
                Err(UNWATCHED)
            }
            // `UNWATCH` has nothing to do, since no key is watched.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => client.answer(out, conn, style, Reply::Ok),
            Err(error) => client.answer_error(out, conn, style, &error),
        }
        Ok(())
    }

    /// Sends the block of a client's transaction, or answers why there is none.
    fn exec(&mut self, out: &mut Outbox, context: &RequestContext<'_>) -> Result<(), Hold> {
        let (conn, style, now) = (context.conn, context.style, context.now.instant);
        let Some(client) = self.clients.get_mut(conn) else { return Ok(()) };
        let Some(transaction) = client.session.transaction() else { return Ok(()) };
        let commands = self.greeter.commands.as_ref();
        let block = if let Err(error) = transaction.check() {
            Err(error)
        } else if transaction.is_empty() {
            client.session.end_transaction();
            client.answer(out, conn, style, NO_REPLIES);
            return Ok(());
        } else if commands.is_some_and(|it| !it.has_transactions()) {
            Err(NO_TRANSACTIONS)
        } else if self.upstream.is_full(out) {
            return Err(Hold::Upstream);
        } else {
            match TransactionBlock::new(transaction.requests(), &self.settings, commands) {
                Ok(block) => Ok(block),
                Err(NoBlock::Refused) => Err(ABORTED),
                Err(NoBlock::Hold) if self.upstream.is_down() => {
                    Err(UpstreamError::Unavailable.message(false).into())
                }
                Err(NoBlock::Hold) => return Err(Hold::Upstream),
            }
        };
        client.session.end_transaction();
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                client.answer_error(out, conn, style, &error);
                return Ok(());
            }
        };
        let waiter = Waiter { conn, ticket: client.replies.owe(style) };
        client.reads_sent += 1;
        let writes = block.writes.tracked(&self.settings);
        self.coherence.write_begun(&mut out.stats, &writes);
        let before = block.shapes.len();
        let purpose = Purpose::Request(waiter, writes, Shape::Each(block.shapes.into()));
        self.send(out, &[b"MULTI"], Purpose::Multi, now);
        let write = |output: &mut Buffer| output.push(block.requests.bytes());
        if let Err(purpose) = self.upstream.send_with(out, write, before, purpose, now) {
            self.fail(out, purpose, UpstreamError::Unavailable);
        }
        Ok(())
    }
}

/// Returns whether a command cannot be part of a block: the proxy answers it itself, or by several
/// requests.
fn is_the_proxys(command: &Command) -> bool {
    match command.verb {
        Verb::Ping | Verb::Echo | Verb::Reset | Verb::Bye | Verb::Quit | Verb::Exit => false,
        Verb::Dump => true,
        _ => command.access == Access::Connection,
    }
}
