//! One client, as the server knows it.

use super::commands::DumpStream;
use super::keyspace::Keyspace;
use super::observers::tracking::{ReaderId, Tracking};
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::protocol::Request;
use crate::protocol::command::Access;
use crate::protocol::resp::{Version, Writer};
use crate::session::Session;
use crate::settings::limits;

/// A client of the server.
#[derive(Debug)]
pub struct Client {
    /// Its protocol state.
    pub session: Session,
    /// The state that few clients have, so that the others need no memory for it.
    rare: Option<Box<Rare>>,
}

/// The state that few clients have.
#[derive(Debug, Default)]
pub struct Rare {
    /// A text `DUMP` that is under way.
    pub dumping: Option<Dumping>,
    /// Its number in the tracking table, while it tracks what it reads.
    pub reader: Option<ReaderId>,
}

/// A `DUMP` that is under way.
#[derive(Debug)]
pub struct Dumping {
    /// The stream of its reply.
    pub dump: DumpStream,
    /// The invalidations that wait for its end, since none may be sent within a reply.
    pub held: Output,
}

impl Client {
    /// Returns a client that has just connected.
    pub fn new(session: Session) -> Client {
        Client { session, rare: None }
    }

    /// Returns its number in the tracking table, while it tracks what it reads.
    pub fn reader(&self) -> Option<ReaderId> {
        self.rare.as_ref()?.reader
    }

    /// Returns the text `DUMP` that is under way.
    pub fn dumping(&mut self) -> Option<&mut Dumping> {
        self.rare.as_mut()?.dumping.as_mut()
    }

    /// Begins a text `DUMP`, if there is one.
    #[inline]
    pub fn begin(&mut self, dump: Option<DumpStream>) {
        if let Some(dump) = dump {
            self.change_rare(|rare| rare.dumping = Some(Dumping { dump, held: Output::new() }));
        }
    }

    /// Sends the next piece of the text `DUMP` that is under way. Returns `false` if there is none.
    #[inline]
    pub fn step_dump(&mut self, keyspace: &Keyspace, output: &mut Output, now: Now) -> bool {
        let Some(dumping) = self.dumping() else { return false };
        if dumping.dump.step(keyspace, output, now) {
            output.push_all(&dumping.held);
            self.end_dump();
        }
        true
    }

    /// Ends the text `DUMP` that is under way.
    #[cold]
    pub fn end_dump(&mut self) {
        if self.rare.is_some() {
            self.change_rare(|rare| rare.dumping = None);
        }
    }

    /// Changes the state that few clients have, and keeps it only while there is any.
    pub fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = Some(rare).filter(|it| it.dumping.is_some() || it.reader.is_some());
    }

    /// Returns itself as the author of changes, if it wants no invalidations of its own.
    pub fn author(&self) -> Option<ReaderId> {
        self.reader().filter(|_| !self.session.tracks_own_changes())
    }

    /// Tracks the keys that a plain request has read. Returns whether invalidations are pending.
    #[cold]
    pub fn track_reads(&mut self, tracking: &mut Tracking, request: &Request<'_>) -> bool {
        self.track_keys(tracking, request);
        self.session.end_caching(Some(request.command));
        tracking.has_invalidations()
    }

    /// Tracks the keys that a request has just read, if the client wants that.
    pub fn track_keys(&self, tracking: &mut Tracking, request: &Request<'_>) {
        if let Some(reader) = self.reader()
            && request.command.access == Access::Read
            && self.session.tracks_reads()
        {
            request.keys().for_each(|key| tracking.track(reader, key));
        }
    }
}

impl Dumping {
    /// Holds an invalidation; too many become one of all keys.
    pub fn hold(&mut self, key: Option<&[u8]>) {
        if key.is_none() || self.held.len() > limits::HIGH_WATER {
            self.held.clear();
            write_invalidation(&mut self.held, None);
        } else {
            write_invalidation(&mut self.held, key);
        }
    }
}

/// Appends the invalidation of a key; `None`: of all keys.
pub fn write_invalidation(out: &mut Output, key: Option<&[u8]>) {
    let mut writer = Writer::new(out, Version::Three);
    writer.push(2);
    writer.bulk(b"invalidate");
    match key {
        Some(key) => {
            writer.array(1);
            writer.bulk(key);
        }
        None => writer.null(),
    }
}
