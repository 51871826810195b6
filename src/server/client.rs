//! One client, as the server knows it.

use super::commands::Dump;
use super::tracking::{ReaderId, Tracking};
use crate::base::output::Output;
use crate::protocol::Reply;
use crate::protocol::command::Access;
use crate::protocol::resp::{Version, Writer};
use crate::protocol::{Form, Refusal, Request};
use crate::session::{Origin, Session};
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
    /// While it is told of changes.
    pub reader: Option<ReaderId>,
}

/// A `DUMP` that is under way.
#[derive(Debug)]
pub struct Dumping {
    /// How far it has come.
    pub dump: Dump,
    /// What there is to tell when it is over: nothing may stand within a reply.
    pub held: Output,
}

impl Client {
    /// A client that has just come.
    pub fn new(session: Session) -> Client {
        Client { session, rare: None }
    }

    /// While it is told of changes.
    #[inline]
    pub fn reader(&self) -> Option<ReaderId> {
        self.rare.as_ref()?.reader
    }

    /// A text `DUMP` that is under way.
    #[inline]
    pub fn dumping(&mut self) -> Option<&mut Dumping> {
        self.rare.as_mut()?.dumping.as_mut()
    }

    /// Goes on with a `DUMP`, if there is one.
    #[inline]
    pub fn begin(&mut self, dump: Option<Dump>) {
        if let Some(dump) = dump {
            self.change_rare(|rare| rare.dumping = Some(Dumping { dump, held: Output::new() }));
        }
    }

    /// Goes on with it no longer.
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

    /// Itself, if it is not to be told of its own changes.
    pub fn author(&self) -> Option<ReaderId> {
        self.reader().filter(|_| !self.session.tracks_own_changes())
    }

    /// Answers a request that is not carried out.
    pub fn refuse(&mut self, output: &mut Output, form: Form, refusal: &Refusal<'_>) {
        if refusal.discards_transaction() {
            self.session.end_transaction();
        }
        let style = self.session.refused(form);
        self.session.end_caching(refusal.command());
        if !style.quiet {
            let message = refusal.to_string();
            style.write(output, Origin::Server, Reply::Failure(message.as_bytes()));
        }
    }

    /// After a plain request for the keys: remembers what it has read. Whether it made news.
    #[cold]
    pub fn follow(&mut self, tracking: &mut Tracking, request: &Request<'_>) -> bool {
        self.track(tracking, request);
        self.session.end_caching(Some(request.command));
        tracking.has_news()
    }

    /// Has it told of changes to the keys that it has just read.
    pub fn track(&self, tracking: &mut Tracking, request: &Request<'_>) {
        if let Some(reader) = self.reader()
            && request.command.access == Access::Read
            && self.session.tracks_reads()
        {
            request.keys().for_each(|key| tracking.track(reader, key));
        }
    }
}

impl Dumping {
    /// Too much of it becomes the one word that everything has changed.
    pub fn hold(&mut self, key: Option<&[u8]>) {
        if key.is_none() || self.held.len() > limits::HIGH_WATER {
            self.held.clear();
            push_invalidation(&mut self.held, None);
        } else {
            push_invalidation(&mut self.held, key);
        }
    }
}

/// Tells a client that a key has changed; `None`: any may have.
pub fn push_invalidation(out: &mut Output, key: Option<&[u8]>) {
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
