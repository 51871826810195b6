//! From names to addresses, without holding up the loop.
//!
//! The system's `getaddrinfo` takes as long as it likes and cannot be called off. So it is called
//! on a thread that lives only for this one question, and that tells the reactor when it knows. At
//! most one such thread is there for a name: a connection that asks while one is still at it gets
//! its answer, so that a name server which has fallen silent does not gather threads.

use crate::base::timer_wheel::TimerId;
use crate::handler::{ConnId, Connect};
use log::debug;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Instant;

/// A connection that waits for its address.
#[derive(Debug)]
pub(super) struct Lookup {
    /// What was asked for.
    pub(super) connect: Connect,
    /// When it must stand.
    pub(super) deadline: Instant,
    /// The timer that was set for that.
    pub(super) timer: TimerId,
}

/// What a name stands for.
pub(super) struct Answer {
    name: String,
    /// None at all: the name is not known, or nobody can tell for now.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The lookups of one reactor.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    waiting: Vec<Lookup>,
    /// The names that threads are asking for.
    asked: Vec<String>,
}

impl Resolver {
    /// Looks a name up. Whoever waits for it is returned by [`Resolver::answered`], once `tell` has
    /// been called with the answer, on another thread.
    ///
    /// # Errors
    /// The system has no thread left; the lookup waits all the same, to be forgotten.
    pub(super) fn look_up(
        &mut self,
        lookup: Lookup,
        tell: impl FnOnce(Answer) + Send + 'static,
    ) -> io::Result<()> {
        let name = lookup.connect.to.clone();
        self.waiting.push(lookup);
        if self.asked.contains(&name) {
            return Ok(());
        }
        let asked = name.clone();
        let thread = thread::Builder::new().name("resolver".to_string());
        thread.spawn(move || tell(resolve(asked)))?;
        self.asked.push(name);
        Ok(())
    }

    /// Those who waited for this answer.
    pub(super) fn answered(&mut self, answer: &Answer) -> Vec<Lookup> {
        self.asked.retain(|name| *name != answer.name);
        self.waiting.extract_if(.., |lookup| lookup.connect.to == answer.name).collect()
    }

    /// Takes a connection out that waits no longer, if it is one of those.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<Lookup> {
        let place = self.waiting.iter().position(|lookup| lookup.connect.conn == conn)?;
        Some(self.waiting.swap_remove(place))
    }
}

fn resolve(name: String) -> Answer {
    let addresses = match name.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            debug!("no address for {name}: {error}");
            Vec::new()
        }
    };
    Answer { name, addresses }
}
