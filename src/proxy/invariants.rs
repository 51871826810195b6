//! The invariants between the parts of the proxy; each part checks its own.

use super::Proxy;
use super::coherence::Writes;
use super::coherence::flight::{FlightId, Waiter};
use super::upstream::purpose::{Purpose, reads};
use crate::handler::ConnId;
use std::collections::{HashMap, HashSet};

/// The purposes of the requests that the upstream has not answered, counted.
#[derive(Default)]
struct UnansweredRequests<'a> {
    fetches: HashSet<FlightId>,
    writes: HashMap<&'a [u8], u32>,
    writes_of_all: u32,
    /// The replies that each client is owed, and of them those to reads.
    owed: HashMap<ConnId, usize>,
    reads: HashMap<ConnId, u32>,
    /// The parts of its `DUMP` that each client is owed.
    dump_parts: HashMap<(ConnId, u32), usize>,
    pings: usize,
}

impl<'a> UnansweredRequests<'a> {
    fn add(&mut self, purpose: &'a Purpose) {
        match purpose {
            Purpose::Fetch(id) => assert!(self.fetches.insert(*id), "a flight is fetched once"),
            Purpose::Request(waiter, writes, shape) => {
                self.add_waiter(*waiter);
                *self.reads.entry(waiter.conn).or_default() += u32::from(reads(writes, shape));
                match writes {
                    Writes::Nothing => {}
                    Writes::Keys(keys) => {
                        keys.iter().for_each(|key| *self.writes.entry(key).or_default() += 1);
                    }
                    Writes::Everything => self.writes_of_all += 1,
                }
            }
            Purpose::Dump(part) => {
                *self.dump_parts.entry((part.conn, part.dump)).or_default() += 1;
            }
            Purpose::Ping(_) => self.pings += 1,
            Purpose::Greeting(_) | Purpose::Life(_) | Purpose::Multi => {}
        }
    }

    fn add_waiter(&mut self, waiter: Waiter) {
        *self.owed.entry(waiter.conn).or_default() += 1;
    }
}

impl Proxy {
    /// Panics unless each flight, each write under way and each owed reply has its one request
    /// upstream. For tests and debug builds.
    pub(super) fn check_unanswered_requests(&self) {
        let mut requests = UnansweredRequests::default();
        self.upstream.purposes().for_each(|purpose| requests.add(purpose));
        let flights = self.coherence.flights();
        for (id, flight) in flights.iter() {
            assert!(requests.fetches.remove(&id), "a flight is fetched until it lands");
            flight.waiters().for_each(|waiter| requests.add_waiter(waiter));
        }
        assert!(requests.fetches.is_empty(), "a flight lands with its reply");
        let sum = requests.writes.values().sum::<u32>();
        assert_eq!(flights.writes(), (sum, requests.writes_of_all), "W is balanced");
        for (key, &count) in &requests.writes {
            assert_eq!(flights.writes_of(key), count, "W(k) is balanced");
        }
        assert!(!self.coherence.is_pinging() || requests.pings > 0, "a PING is under way");
        for (conn, client) in self.clients.iter() {
            let owed = requests.owed.get(&conn).copied().unwrap_or_default();
            // A client that is dropped keeps what it was owed.
            let is_right = if client.has_ended {
                owed <= client.replies.owed()
            } else {
                owed == client.replies.owed()
            };
            assert!(is_right, "{conn:?} is owed {} replies, not {owed}", client.replies.owed());
            let reads = requests.reads.get(&conn).copied().unwrap_or_default();
            assert_eq!(reads, client.reads_sent, "reads of {conn:?} that are sent on");
            if let Some(dump) = &client.dump {
                let parts = requests.dump_parts.get(&(conn, dump.number())).copied();
                assert_eq!(parts.unwrap_or_default(), dump.unanswered(), "parts of a DUMP");
            }
        }
    }
}
