//! `CLIENT LIST`, `INFO` and `KILL`: what concerns all sessions.

use super::{Names, RequestError, Session};
use crate::base::{clock::Now, units};
use crate::handler::ConnId;
use crate::protocol::{Request, command::TABLE, resp::Writer, text::printable};
use std::net::SocketAddr;

/// The only user.
pub(super) const USER: &str = "default";

/// A request that concerns all sessions.
#[derive(Clone, Debug)]
pub struct ClientsRequest {
    action: ClientsAction,
    which: ClientFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientsAction {
    List,
    /// `CLIENT KILL ID 7`: the reply is a number.
    Kill,
    /// `CLIENT KILL 127.0.0.1:5000`: the reply is `OK` or an error.
    KillByAddress,
}

/// A filter of sessions, which have to pass every part.
#[derive(Clone, Debug, Default)]
struct ClientFilter {
    /// The numbers of which a session must have one, in order.
    ids: Option<Vec<i64>>,
    address: Option<SocketAddr>,
    /// Whether the client itself cannot pass.
    others: bool,
    /// Whether no session can pass.
    matches_none: bool,
}

impl ClientsRequest {
    /// Reads `CLIENT LIST`, and returns it.
    pub(super) fn list(request: &Request<'_>) -> Result<ClientsRequest, RequestError> {
        let mut which = ClientFilter::default();
        let mut words = request.arguments().skip(1);
        match words.next() {
            None => {}
            Some(word) if word.eq_ignore_ascii_case(b"TYPE") && words.len() == 1 => {
                which.kind(request.word(3))?;
            }
            Some(word) if word.eq_ignore_ascii_case(b"ID") && words.len() > 0 => {
                let ids = words.map(|word| units::integer(word).ok_or("Invalid client ID"));
                let mut ids = ids.collect::<Result<Vec<i64>, _>>()?;
                ids.sort_unstable();
                which.ids = Some(ids);
            }
            Some(_) => return Err(RequestError::SYNTAX),
        }
        Ok(ClientsRequest { action: ClientsAction::List, which })
    }

    /// Reads `CLIENT KILL`, and returns it.
    pub(super) fn kill(request: &Request<'_>) -> Result<ClientsRequest, RequestError> {
        let mut which = ClientFilter::default();
        if request.len() == 3 {
            which.address(request.word(2));
            return Ok(ClientsRequest { action: ClientsAction::KillByAddress, which });
        }
        which.others = true;
        let mut words = request.arguments().skip(1);
        while let Some(filter) = words.next() {
            let value = words.next().ok_or(RequestError::SYNTAX)?;
            match filter.to_ascii_uppercase().as_slice() {
                b"ID" => {
                    let id = units::integer(value).filter(|&id| id > 0);
                    which.ids = Some(vec![id.ok_or("client-id should be greater than 0")?]);
                }
                b"ADDR" => which.address(value),
                b"TYPE" => which.kind(value)?,
                b"USER" if value == USER.as_bytes() => {}
                b"USER" => {
                    return Err(format!("No such user '{}'", printable(value, 128)).into());
                }
                b"SKIPME" if value.eq_ignore_ascii_case(b"YES") => which.others = true,
                b"SKIPME" if value.eq_ignore_ascii_case(b"NO") => which.others = false,
                _ => return Err(RequestError::SYNTAX),
            }
        }
        Ok(ClientsRequest { action: ClientsAction::Kill, which })
    }
}

impl ClientFilter {
    /// Reads a type of clients: all clients here are normal.
    fn kind(&mut self, word: &[u8]) -> Result<(), RequestError> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => {}
            b"master" | b"replica" | b"slave" | b"pubsub" => self.matches_none = true,
            _ => {
                return Err(format!("Unknown client type '{}'", printable(word, 128)).into());
            }
        }
        Ok(())
    }

    fn address(&mut self, word: &[u8]) {
        self.address = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        self.matches_none |= self.address.is_none();
    }

    fn passes(&self, conn: ConnId, session: &Session, own: ConnId) -> bool {
        let id = i64::from(conn.number());
        let excluded = self.matches_none || self.others && conn == own;
        !excluded
            && self.ids.as_ref().is_none_or(|ids| ids.binary_search(&id).is_ok())
            && self.address.is_none_or(|address| address == session.peer())
    }
}

/// The clients that `CLIENT KILL` disconnects.
#[derive(Debug, Default)]
pub struct KilledClients {
    /// Those that did not send it: they are forgotten, and their connections closed at once.
    pub others: Vec<ConnId>,
    /// Whether it disconnects the client that sent it, which receives its reply first.
    pub own: bool,
}

impl ClientsRequest {
    /// Returns whether it is a `CLIENT LIST`.
    pub fn is_list(&self) -> bool {
        self.action == ClientsAction::List
    }
}

/// Returns the clients that a request of the client `own` concerns, in the order in which they
/// connected, as in Redis.
pub fn passing<'a>(
    request: &ClientsRequest,
    own: ConnId,
    sessions: impl Iterator<Item = (ConnId, &'a Session)>,
) -> Vec<ConnId> {
    let passing = sessions.filter(|(conn, session)| request.which.passes(*conn, session, own));
    let mut passing: Vec<ConnId> = passing.map(|(conn, _)| conn).collect();
    passing.sort_unstable_by_key(|conn| conn.number());
    passing
}

/// Executes a request of the client `own`. Returns the clients that are to be disconnected.
pub fn answer<'a>(
    request: &ClientsRequest,
    own: ConnId,
    sessions: impl Iterator<Item = (ConnId, &'a Session)>,
    now: Now,
    reply: &mut Writer<'_>,
) -> KilledClients {
    let mut meant: Vec<_> =
        sessions.filter(|(conn, session)| request.which.passes(*conn, session, own)).collect();
    match request.action {
        ClientsAction::List => {
            // In the order in which they connected, as in Redis.
            meant.sort_unstable_by_key(|(conn, _)| conn.number());
            let seconds = now.unix_seconds();
            let lines = meant.iter().map(|(conn, session)| line(*conn, session, seconds));
            reply.verbatim(lines.collect::<String>().as_bytes());
            return KilledClients::default();
        }
        ClientsAction::Kill => reply.integer(meant.len() as i64),
        ClientsAction::KillByAddress if meant.is_empty() => reply.error("No such client"),
        ClientsAction::KillByAddress => reply.simple("OK"),
    }
    let mut killed = meant.iter().map(|(conn, _)| *conn);
    KilledClients {
        others: killed.clone().filter(|conn| *conn != own).collect(),
        own: killed.any(|conn| conn == own),
    }
}

/// Returns a client's line in `CLIENT LIST`, with its end: the fields of Redis that are true here,
/// and `lib-name` and `lib-ver` of later versions.
pub fn line(conn: ConnId, session: &Session, seconds: u32) -> String {
    let none = Names::default();
    let Names { name, library, library_version } = session.names.as_deref().unwrap_or(&none);
    let (id, peer) = (conn.number(), session.peer());
    let age = seconds.saturating_sub(session.opened);
    let idle = seconds.saturating_sub(session.last_active);
    let multi = session.transaction.as_ref().map_or(-1, |it| it.len() as i64);
    let flags = match (&session.transaction, session.is_tracking()) {
        (Some(_), true) => "xt",
        (Some(_), false) => "x",
        (None, true) => "t",
        (None, false) => "N",
    };
    let redirection = session.redirection();
    let command = session.latest.map(|verb| TABLE[verb as usize].name.to_ascii_lowercase());
    let command = command.as_deref().unwrap_or("NULL");
    let version = session.version.number();
    format!(
        "id={id} addr={peer} name={name} age={age} idle={idle} flags={flags} db=0 sub=0 psub=0 \
         ssub=0 multi={multi} cmd={command} user={USER} redir={redirection} resp={version} \
         lib-name={library} lib-ver={library_version}\n"
    )
}
