//! What a new connection to the upstream begins with, before any client's request: which RESP it
//! speaks, and which commands it has.

use super::foreign::Commands;
use super::purpose::{Nonsense, Purpose};
use super::state::Proxy;
use crate::handler::Outbox;
use crate::protocol::resp::{Element, Elements, Version};
use log::info;
use std::time::Instant;

impl Proxy {
    /// Asks the questions, when a connection is being made. What clients ask meanwhile comes after.
    pub(super) fn greet(&mut self, out: &mut Outbox, now: Instant) {
        self.version = Version::Two;
        self.commands = None;
        self.send(out, &[b"HELLO", b"3"], Purpose::Hello, now);
        if self.options.cache_bytes > 0 {
            self.send(out, &[b"CLIENT", b"TRACKING", b"ON"], Purpose::Tracking, now);
        }
        self.send(out, &[b"COMMAND"], Purpose::Commands, now);
    }

    /// It speaks RESP3, or does not know it.
    pub(super) fn hello_came(&mut self, reply: &[u8]) -> Result<(), Nonsense> {
        match Elements::new(reply).next() {
            Some(Element::Map(_)) => self.version = Version::Three,
            Some(Element::Error(_)) if self.upstream.is_retrying() => {}
            Some(Element::Error(_)) => info!("the upstream speaks RESP2"),
            _ => return Err(Nonsense),
        }
        Ok(())
    }

    /// Its commands; none, if it does not tell them.
    pub(super) fn commands_came(&mut self, reply: &[u8]) -> Result<(), Nonsense> {
        match Elements::new(reply).next() {
            Some(Element::Array(_)) => self.commands = Some(Commands::read(reply)),
            Some(Element::Error(_)) => self.commands = Some(Commands::default()),
            _ => return Err(Nonsense),
        }
        Ok(())
    }
}
