//! `CLIENT LIST`, `INFO` and `KILL`: what concerns all sessions.

use super::{Names, RequestError, Session};
use crate::base::clock::Now;
use crate::base::units;
use crate::handler::ConnId;
use crate::protocol::Request;
use crate::protocol::command::TABLE;
use crate::protocol::resp::Writer;
use crate::protocol::text::printable;
use std::net::SocketAddr;

/// There is no other user, and everybody is this one.
pub(super) const USER: &str = "default";

/// What is asked of all sessions.
#[derive(Clone, Debug)]
pub struct Ask {
    what: What,
    which: Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    List,
    /// `CLIENT KILL ID 7`: how many are killed is answered.
    Kill,
    /// `CLIENT KILL 127.0.0.1:5000`: one there is, or none.
    KillByAddress,
}

/// Which sessions are meant: those that pass every part.
#[derive(Clone, Debug, Default)]
struct Filter {
    /// In order.
    ids: Option<Vec<i64>>,
    address: Option<SocketAddr>,
    /// Not the one that asks.
    others: bool,
    /// What was asked for is true of no session.
    nobody: bool,
}

impl Ask {
    /// `CLIENT LIST`.
    pub(super) fn list(request: &Request<'_>) -> Result<Ask, RequestError> {
        let mut which = Filter::default();
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
        Ok(Ask { what: What::List, which })
    }

    /// `CLIENT KILL`.
    pub(super) fn kill(request: &Request<'_>) -> Result<Ask, RequestError> {
        let mut which = Filter::default();
        if request.len() == 3 {
            which.address(request.word(2));
            return Ok(Ask { what: What::KillByAddress, which });
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
        Ok(Ask { what: What::Kill, which })
    }
}

impl Filter {
    /// All our clients are of one kind.
    fn kind(&mut self, word: &[u8]) -> Result<(), RequestError> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => {}
            b"master" | b"replica" | b"slave" | b"pubsub" => self.nobody = true,
            _ => {
                return Err(format!("Unknown client type '{}'", printable(word, 128)).into());
            }
        }
        Ok(())
    }

    fn address(&mut self, word: &[u8]) {
        self.address = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        self.nobody |= self.address.is_none();
    }

    fn passes(&self, conn: ConnId, session: &Session, own: ConnId) -> bool {
        let id = i64::from(conn.number());
        let excluded = self.nobody || self.others && conn == own;
        !excluded
            && self.ids.as_ref().is_none_or(|ids| ids.binary_search(&id).is_ok())
            && self.address.is_none_or(|address| address == session.peer())
    }
}

/// Answers what the client `own` asks; returns the connections that are to be closed and forgotten
/// now, which may be the client's own.
pub fn answer<'a>(
    ask: &Ask,
    own: ConnId,
    sessions: impl Iterator<Item = (ConnId, &'a Session)>,
    now: Now,
    reply: &mut Writer<'_>,
) -> Vec<ConnId> {
    let mut meant: Vec<_> =
        sessions.filter(|(conn, session)| ask.which.passes(*conn, session, own)).collect();
    match ask.what {
        What::List => {
            // Who came first stands first, as in Redis.
            meant.sort_unstable_by_key(|(conn, _)| conn.number());
            let seconds = now.unix_seconds();
            let lines = meant.iter().map(|(conn, session)| line(*conn, session, seconds));
            reply.verbatim(lines.collect::<String>().as_bytes());
            return Vec::new();
        }
        What::Kill => reply.integer(meant.len() as i64),
        What::KillByAddress if meant.is_empty() => reply.error("No such client"),
        What::KillByAddress => reply.simple("OK"),
    }
    meant.into_iter().map(|(conn, _)| conn).collect()
}

/// A client's line in `CLIENT LIST`, with its end: the fields of Redis that are true of us, and
/// `lib-name` and `lib-ver` of later versions.
pub(super) fn line(conn: ConnId, session: &Session, seconds: u32) -> String {
    let none = Names::default();
    let Names { name, library, library_version } = session.names().unwrap_or(&none);
    let (id, peer) = (conn.number(), session.peer());
    let age = seconds.saturating_sub(session.opened);
    let idle = seconds.saturating_sub(session.heard);
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
