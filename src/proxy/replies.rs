//! Replies leave each client's connection in the order of its requests, whenever they come.
//!
//! ```text
//!   requests      GET a     GET b     PING      GET c
//!   the queue     owed      owed      ready     owed          first = 7
//!   tickets         7         8        (9)        10
//! ```
//!
//! `b` comes first: it is written aside into its place. Then `a` comes: it goes straight to the
//! output, and after it the ready ones behind it, `b` and PONG. `c` is now the front. A reply that
//! is ready while nothing is owed is never queued at all.

use crate::buffer::Buffer;
use crate::session::Style;
use std::collections::VecDeque;

/// Names an owed reply of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

#[derive(Debug)]
enum Place {
    Owed(Style),
    Ready(Box<[u8]>),
}

/// The replies that one client waits for.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<Place>,
    /// The ticket of the front.
    first: u32,
    parked_bytes: usize,
}

impl Replies {
    /// The memory that an idle client's queue may keep, in places.
    const KEPT_PLACES: usize = 4;

    /// How many requests are unanswered, or answered behind one that is not.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether every request is answered.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of replies that wait for an earlier one.
    pub fn parked_bytes(&self) -> usize {
        self.parked_bytes
    }

    /// Owes a reply.
    pub fn owe(&mut self, style: Style) -> Ticket {
        let ticket = Ticket(self.first.wrapping_add(self.queue.len() as u32));
        self.queue.push_back(Place::Owed(style));
        ticket
    }

    /// Gives a reply that nothing was waited for: at once, or behind those that are owed.
    #[inline]
    pub fn answer(&mut self, output: &mut Buffer, write: impl FnOnce(&mut Buffer)) {
        if self.queue.is_empty() {
            write(output);
        } else {
            let parked = self.park(write);
            self.queue.push_back(parked);
        }
    }

    /// Gives an owed reply, and after it those that waited for it.
    pub fn fulfil(
        &mut self,
        ticket: Ticket,
        output: &mut Buffer,
        write: impl FnOnce(&mut Buffer, Style),
    ) {
        let index = ticket.0.wrapping_sub(self.first) as usize;
        let Some(&Place::Owed(style)) = self.queue.get(index) else {
            panic!("a reply is given once, to a request that is owed one");
        };
        if index > 0 {
            self.queue[index] = self.park(|parked| write(parked, style));
            return;
        }
        write(output, style);
        self.pop_front();
        while let Some(Place::Ready(bytes)) = self.queue.front() {
            output.push(bytes);
            self.parked_bytes -= bytes.len();
            self.pop_front();
        }
        if self.queue.is_empty() && self.queue.capacity() > Self::KEPT_PLACES {
            self.queue = VecDeque::new();
        }
    }

    fn pop_front(&mut self) {
        self.queue.pop_front();
        self.first = self.first.wrapping_add(1);
    }

    fn park(&mut self, write: impl FnOnce(&mut Buffer)) -> Place {
        let mut parked = Buffer::new();
        write(&mut parked);
        self.parked_bytes += parked.len();
        Place::Ready(parked.bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Form;
    use proptest::prelude::*;

    fn style() -> Style {
        Style::plain(Form::Text)
    }

    proptest! {
        /// Whatever the order in which replies are given, they come out in the order of requests.
        #[test]
        fn replies_come_out_in_order(steps in prop::collection::vec(any::<(u8, u8)>(), 0..200)) {
            let (mut replies, mut output) = (Replies::default(), Buffer::new());
            let (mut owed, mut asked) = (Vec::new(), 0u64);
            let line = |number: u64| format!("{number}\n").into_bytes();
            for (what, which) in steps {
                match what % 3 {
                    0 => {
                        owed.push((replies.owe(style()), asked));
                        asked += 1;
                    }
                    1 => {
                        replies.answer(&mut output, |out| out.push(&line(asked)));
                        asked += 1;
                    }
                    _ if owed.is_empty() => {}
                    _ => {
                        let (ticket, number) = owed.remove(usize::from(which) % owed.len());
                        replies.fulfil(ticket, &mut output, |out, _| out.push(&line(number)));
                    }
                }
            }
            let waiting = owed.first().map_or(asked, |&(_, number)| number);
            let expected: Vec<u8> = (0..waiting).flat_map(line).collect();
            prop_assert_eq!(output.bytes(), &expected[..]);
            prop_assert_eq!(replies.is_empty(), owed.is_empty());
            if owed.is_empty() {
                prop_assert_eq!(replies.parked_bytes(), 0);
            }
        }
    }
}
