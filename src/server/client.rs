//! One client, as the server knows it.

use super::commands::long::LongCommand;
use super::keyspace::Keyspace;
use super::observers::tracking::{ReaderId, Tracking};
use crate::base::clock::Now;
use crate::base::output::Output;
use crate::protocol::command::Access;
use crate::protocol::resp::{Version, Writer};
use crate::protocol::{Request, RequestDraft};
use crate::session::Session;
use crate::settings::limits;
use crate::stats::Stats;

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
    /// A command that takes long, and is under way.
    pub underway: Option<Underway>,
    /// Its number in the tracking table, while it tracks what it reads.
    pub reader: Option<ReaderId>,
}

/// A command that takes long, under way.
#[derive(Debug)]
pub struct Underway {
    /// The command itself.
    pub command: LongCommand,
    /// The client as a reader of the keys that the command reads, if it tracks them.
    reader: Option<ReaderId>,
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

    /// Returns the command that is under way.
    pub fn underway(&mut self) -> Option<&mut Underway> {
        self.rare.as_mut()?.underway.as_mut()
    }

    /// Begins a command that takes long, for this request. Returns what is kept of the request,
    /// if the command wants to have it.
    #[cold]
    pub fn begin(&mut self, command: LongCommand, request: &Request<'_>) -> Option<RequestDraft> {
        let draft = command.wants_request().then(|| request.draft());
        let reader = self.reader().filter(|_| self.tracks(request));
        let underway = Underway { command, reader, held: Output::new() };
        self.change_rare(|rare| rare.underway = Some(underway));
        draft
    }

    /// Executes the next steps of the command that is under way. Returns whether one still is.
    #[inline]
    pub fn step(
        &mut self,
        keyspace: &mut Keyspace,
        output: &mut Output,
        stats: &mut Stats,
        now: Now,
    ) -> bool {
        self.rare.is_some() && self.step_underway(keyspace, output, stats, now)
    }

    #[cold]
    fn step_underway(
        &mut self,
        keyspace: &mut Keyspace,
        output: &mut Output,
        stats: &mut Stats,
        now: Now,
    ) -> bool {
        if let Some(command) = self.session.latest_command() {
            stats.continue_request(command);
        }
        let Some(Underway { command, reader, held }) = self.underway() else { return false };
        let is_over = command.step(keyspace, output, stats, now, |keyspace, key| {
            if let Some(reader) = *reader {
                keyspace.observers.tracking.track(reader, key);
            }
        });
        if is_over {
            output.push_all(held);
            self.change_rare(|rare| rare.underway = None);
        }
        !is_over
    }

    /// Ends the text `DUMP` that is under way, whose reply is not wanted.
    pub fn abandon_text(&mut self) {
        if let Some(Underway { command: LongCommand::Dump(_), .. }) = self.underway() {
            self.change_rare(|rare| rare.underway = None);
        }
    }

    /// Takes out the command that is under way, to be put back.
    pub fn take_underway(&mut self) -> Option<Underway> {
        self.rare.as_mut()?.underway.take()
    }

    /// Puts back the command that is under way.
    pub fn put_back(&mut self, underway: Underway) {
        self.change_rare(|rare| rare.underway = Some(underway));
    }

    /// Ends the command that is under way, and gives up what it has collected.
    #[cold]
    pub fn abandon(&mut self, keyspace: &mut Keyspace) {
        if self.rare.is_some() {
            self.change_rare(|rare| {
                if let Some(underway) = rare.underway.take() {
                    underway.command.abandon(keyspace);
                }
            });
        }
    }

    /// Changes the state that few clients have, and keeps it only while there is any.
    pub fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = Some(rare).filter(|it| it.underway.is_some() || it.reader.is_some());
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
            && self.tracks(request)
        {
            request.keys().for_each(|key| tracking.track(reader, key));
        }
    }

    fn tracks(&self, request: &Request<'_>) -> bool {
        request.command.access == Access::Read && self.session.tracks_reads()
    }
}

impl Underway {
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
