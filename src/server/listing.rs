//! `CLIENT LIST` and `KILL`; where there are many clients, a part of the list at a time.

use super::client::{Client, Underway};
use super::commands::long::{LongCommand, LongTask};
use super::{Server, Then};
use crate::base::clock::Now;
use crate::handler::{ConnId, Outbox};
use crate::session::clients::{self, ClientsRequest};
use crate::session::{RequestContext, work};

/// The clients whose list is made at once.
const LISTED_AT_ONCE: usize = 100;

impl Server {
    /// Executes a command that concerns all clients. Returns whether the connection goes on.
    pub(super) fn clients_command(
        &mut self,
        out: &mut Outbox,
        context: &RequestContext<'_>,
        request: &ClientsRequest,
    ) -> Then {
        let RequestContext { conn, style, now, .. } = *context;
        if request.is_list() && !self.keyspace.work.is_in_transaction() {
            let sessions = self.clients.iter().map(|(conn, client)| (conn, &client.session));
            let mut listed = clients::passing(request, conn, sessions);
            if listed.len() > LISTED_AT_ONCE
                && let Some(client) = self.clients.get_mut(conn)
            {
                listed.reverse();
                client.begin(LongCommand::new(style, LongTask::Clients(listed)), context.request);
                self.listings += 1;
                return Then::Continue;
            }
        }
        let Some(output) = out.output(conn) else { return Then::Close };
        let sessions = self.clients.iter().map(|(conn, client)| (conn, &client.session));
        let killed = clients::answer(request, conn, sessions, now, &mut style.writer(output));
        for other in killed.others {
            self.forget(other);
            out.abort(other);
        }
        if killed.own { Then::Close } else { Then::Continue }
    }

    /// Lists some more clients, if the `CLIENT LIST` of this client is under way.
    #[cold]
    pub(super) fn list_clients(&mut self, conn: ConnId, now: Now) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        let Some(mut underway) = client.take_underway() else { return };
        if let Some((left, reply)) = underway.command.client_list() {
            let seconds = now.unix_seconds();
            while !self.keyspace.work.is_over()
                && let Some(other) = left.pop()
            {
                self.keyspace.work.add(work::CLIENT);
                if let Some(client) = self.clients.get(other) {
                    let line = clients::line(other, &client.session, seconds);
                    reply.write(|out| out.push(line.as_bytes()));
                }
                if left.is_empty() {
                    self.listings -= 1;
                }
            }
        }
        if let Some(client) = self.clients.get_mut(conn) {
            client.put_back(underway);
        }
    }

    /// Notes that a client has gone, whose `CLIENT LIST` may be under way.
    pub(super) fn forget_listing(&mut self, client: &mut Client) {
        if let Some(Underway { command, .. }) = client.underway()
            && let Some((left, _)) = command.client_list()
            && !left.is_empty()
        {
            self.listings -= 1;
        }
    }
}
