//! Replies leave each client's connection in the order of its requests, whenever they come.
//!
//! ```text
//!   requests      GET a     GET b     PING      GET c
//!   the queue     owed      owed      ready     owed          first = 7
//!   tickets         7         8        (9)        10
//! ```
//!
//! `b` comes first: it is kept in its place. Then `a` comes: it goes straight to the output, and
//! after it the ready ones behind it, `b` and PONG. `c` is now the front. A reply that is ready
//! while no other is owed is never queued; one that its client does not want is given like any
//! other, and is empty.
//!
//! The reply to an `MGET` is gathered in its place: each part has a ticket of its own.

use crate::base::output::Output;
use crate::protocol::Reply;
use crate::proxy::client::gather::Gather;
use crate::session::{Origin, Style};
use std::collections::VecDeque;

/// Names an owed reply of one client, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    number: u32,
    part: u32,
}

impl Ticket {
    /// Returns the ticket for a part of a reply that is gathered.
    pub fn part(self, part: usize) -> Ticket {
        Ticket { part: part as u32, ..self }
    }
}

#[derive(Debug)]
enum ReplySlot {
    Owed(Style),
    Gathering(Style, Box<Gather>),
    Ready(Box<Output>),
}

/// The replies that one client waits for.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<ReplySlot>,
    /// The number of the ticket of the front.
    first: u32,
    /// The bytes of replies that are ready, or gathered.
    parked_bytes: usize,
    /// The number of parts of replies that are to come.
    parts: u32,
}

impl Replies {
    /// The most places that the queue of an idle client keeps.
    const KEPT_PLACES: usize = 4;

    /// Returns the number of replies that are owed or wait for an earlier one; of a reply that is
    /// gathered, each part that is to come counts, too.
    pub fn len(&self) -> usize {
        self.queue.len() + self.parts as usize
    }

    /// Returns whether every request is answered.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the bytes of replies that wait for an earlier one.
    pub fn parked_bytes(&self) -> usize {
        self.parked_bytes
    }

    /// Owes a reply, and returns its ticket.
    pub fn owe(&mut self, style: Style) -> Ticket {
        self.queue_up(ReplySlot::Owed(style))
    }

    /// Owes a reply of which parts are to come, each by [`Replies::fulfil`] with its own ticket.
    /// Returns the ticket of the whole.
    pub fn gather(&mut self, style: Style, gather: Gather) -> Ticket {
        self.parts += gather.owed() as u32;
        self.parked_bytes += gather.bytes();
        self.queue_up(ReplySlot::Gathering(style, Box::new(gather)))
    }

    fn queue_up(&mut self, place: ReplySlot) -> Ticket {
        let number = self.first.wrapping_add(self.queue.len() as u32);
        self.queue.push_back(place);
        Ticket { number, part: 0 }
    }

    /// Returns the style of an owed reply that `error` is to be, or makes an error of.
    pub fn style_to_fail(&self, ticket: Ticket, error: &Reply<'_>) -> Option<Style> {
        match self.queue.get(ticket.number.wrapping_sub(self.first) as usize)? {
            ReplySlot::Owed(style) => Some(*style),
            ReplySlot::Gathering(style, gather) => gather.fails_by(error).then_some(*style),
            ReplySlot::Ready(_) => None,
        }
    }

    /// Gives the reply to the present request: at once, or behind those that are owed.
    #[inline]
    pub fn answer(&mut self, output: &mut Output, style: Style, write: impl FnOnce(&mut Output)) {
        if style.quiet {
            return;
        }
        if self.queue.is_empty() {
            write(output);
        } else {
            let parked = self.park(write);
            self.queue.push_back(parked);
        }
    }

    /// Gives an owed reply, or a part of one; and after it those that waited for it. Returns
    /// whether this part makes the reply too large.
    pub fn fulfil(&mut self, ticket: Ticket, output: &mut Output, reply: Reply<'_>) -> bool {
        let index = ticket.number.wrapping_sub(self.first) as usize;
        let Some(ReplySlot::Gathering(style, gather)) = self.queue.get_mut(index) else {
            self.fulfil_with(ticket, output, |output, style| {
                style.write(output, Origin::Server, reply);
            });
            return false;
        };
        self.parked_bytes -= gather.bytes();
        let is_too_large = gather.take(ticket.part as usize, reply);
        self.parts -= 1;
        if gather.owed() > 0 {
            self.parked_bytes += gather.bytes();
            return is_too_large;
        }
        let place = ReplySlot::Owed(*style);
        if let ReplySlot::Gathering(_, gather) = std::mem::replace(&mut self.queue[index], place) {
            self.fulfil_with(ticket, output, |output, style| {
                style.write_origin(output, Origin::Server);
                gather.write(output, style.version);
            });
        }
        is_too_large
    }

    /// Gives an owed reply that is whole, by `write`.
    pub fn fulfil_with(
        &mut self,
        ticket: Ticket,
        output: &mut Output,
        write: impl FnOnce(&mut Output, Style),
    ) {
        let index = ticket.number.wrapping_sub(self.first) as usize;
        let Some(&ReplySlot::Owed(style)) = self.queue.get(index) else {
            panic!("a reply is given once, to a request that is owed one");
        };
        let write = |output: &mut Output| {
            if !style.quiet {
                write(output, style);
            }
        };
        if index > 0 {
            self.queue[index] = self.park(write);
            return;
        }
        write(output);
        self.pop_front();
        while let Some(ReplySlot::Ready(parked)) = self.queue.front() {
            output.push_all(parked);
            self.parked_bytes -= parked.len();
            self.pop_front();
        }
        if self.queue.is_empty() && self.queue.capacity() > Self::KEPT_PLACES {
            self.queue = VecDeque::new();
        }
    }

    /// Returns the number of replies, or parts of replies, that are to be given by their tickets.
    pub fn owed(&self) -> usize {
        let owed = self.queue.iter().filter(|slot| matches!(slot, ReplySlot::Owed(_))).count();
        owed + self.parts as usize
    }

    /// Panics if the first reply is ready and not sent, or a count is not that of the queue. For
    /// tests and debug builds.
    pub fn check_invariants(&self) {
        let is_ready = matches!(self.queue.front(), Some(ReplySlot::Ready(_)));
        assert!(!is_ready, "a reply waits only for an earlier one");
        let (mut parked_bytes, mut parts) = (0, 0);
        for slot in &self.queue {
            match slot {
                ReplySlot::Owed(_) => {}
                ReplySlot::Gathering(_, gather) => {
                    gather.check_invariants();
                    parked_bytes += gather.bytes();
                    parts += gather.owed();
                }
                ReplySlot::Ready(parked) => parked_bytes += parked.len(),
            }
        }
        assert_eq!((parked_bytes, parts), (self.parked_bytes, self.parts as usize));
    }

    fn pop_front(&mut self) {
        self.queue.pop_front();
        self.first = self.first.wrapping_add(1);
    }

    fn park(&mut self, write: impl FnOnce(&mut Output)) -> ReplySlot {
        let mut parked = Box::<Output>::default();
        write(&mut parked);
        self.parked_bytes += parked.len();
        ReplySlot::Ready(parked)
    }
}

#[cfg(test)]
mod tests;
