//! `CLIENT LIST`, `INFO` and `KILL`: what concerns all sessions.

use super::Session;
use crate::clock::Now;
use crate::handler::ConnId;
use crate::protocol::resp::Writer;

/// What is asked of all sessions.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `CLIENT LIST`.
    List,
}

/// Answers; returns the connections that are to be closed, which may be the client's own.
pub fn answer<'a>(
    ask: &Ask,
    own: ConnId,
    sessions: impl Iterator<Item = (ConnId, &'a Session)>,
    now: Now,
    reply: &mut Writer<'_>,
) -> Vec<ConnId> {
    let _ = (ask, own, sessions, now, reply);
    Vec::new()
}
