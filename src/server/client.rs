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

/// See the head of the file.
#[derive(Debug)]
pub struct Client {
    /// Its protocol state.
    pub session: Session,
    /// What few clients have, so that the others need no room for it.
    rare: Option<Box<Rare>>,
}

/// What few clients have.
#[derive(Debug, Default)]
pub struct Rare {
    /// A text `DUMP` that is under way.
    pub dumping: Option<Dumping>,
    /// While it tracks what it reads.
    pub reader: Option<ReaderId>,
}

/// A `DUMP` that is under way.
#[derive(Debug)]
pub struct Dumping {
    /// How far it has come.
    pub dump: DumpStream,
    /// Invalidations that are sent when it is over: nothing may stand within a reply.
    pub held: Output,
}

impl Client {
    /// Returns a client that has just connected.
    pub fn new(session: Session) -> Client {
        Client { session, rare: None }
    }

    /// Returns its number in the tracking table, while it tracks what it reads.
    #[inline]
    pub fn reader(&self) -> Option<ReaderId> {
        self.rare.as_ref()?.reader
    }

    /// Returns the text `DUMP` that is under way.
    #[inline]
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

    /// Changes what few clients have, and keeps it only while there is any of it.
    pub fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = Some(rare).filter(|it| it.dumping.is_some() || it.reader.is_some());
    }

    /// Returns itself as the author of changes, if it wants no invalidations of its own.
    pub fn author(&self) -> Option<ReaderId> {
        self.reader().filter(|_| !self.session.tracks_own_changes())
    }

    /// Tracks what a plain request has read. Returns whether invalidations are pending, which the
    /// request may have caused.
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
    /// Holds an invalidation back; too many become the one that everything has changed.
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
