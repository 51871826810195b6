//! Clients that come and go without end, so that each has the place of another that just left.

use crate::support::clients::from_source;
use crate::support::process::{Client, Process};
use crate::support::random::Random;
use crate::support::tools::{descriptors, reset, server_and_proxy, stat, stats, wait_until};
use crate::support::{rounds, seed};
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// Clients that are there at a time: replies to some are on their way while others leave.
const AT_ONCE: usize = 10;
/// Addresses that they come from.
const SOURCES: usize = 20;

/// A client, and what it is to get: its number is in each reply, so that those of others show.
struct Guest {
    client: Client,
    requests: String,
    replies: String,
}

impl Guest {
    fn arrive(process: &Process, number: usize, random: &mut Random) -> Guest {
        let source = Ipv4Addr::new(127, 0, 0, 2 + (number % SOURCES) as u8);
        let pairs = 1 + random.below(3);
        // The keys come round again, for the store not to grow.
        let key = number % 10_000;
        let pair = |at: usize| format!("SET {key}:{at} {number}\r\nGET {key}:{at}\r\n");
        let requests = (0..pairs).map(pair).collect();
        let replies = format!("OK\r\n{number}\r\n").repeat(pairs);
        let mut guest = Guest { client: from_source(source, process.address()), requests, replies };
        // Its first requests may be whole, or not, or none.
        let begin = random.below(guest.requests.len() + 1);
        let rest = guest.requests.split_off(begin);
        guest.client.send(std::mem::replace(&mut guest.requests, rest));
        guest
    }

    /// Leaves by a reset, so that its port is free at once: with its replies, or some, or none.
    fn leave(mut self, random: &mut Random) {
        match random.below(5) {
            0 => {}
            1 => self.client.finish_sending(),
            2 => self.client.send(&self.requests),
            3 => {
                self.client.send(&self.requests);
                let count = random.below(self.replies.len());
                self.check(count);
            }
            _ => {
                self.client.send(self.requests.clone() + "BYE\r\n");
                self.replies += "Goodbye\r\n";
                self.check(self.replies.len());
                assert_eq!(self.client.until_eof(), b"");
            }
        }
        reset(self.client);
    }

    fn check(&mut self, count: usize) {
        let received = self.client.exactly(count);
        let due = &self.replies.as_bytes()[..count];
        assert!(received == due, "{} for {}", received.escape_ascii(), due.escape_ascii());
    }
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind_and_get_nothing_of_each_other() {
    let mut random = Random(seed());
    for process in server_and_proxy(&[]) {
        let mut watcher = process.client();
        // By now a proxy has its connection to the server.
        assert_eq!(watcher.ask("SET k v"), "OK");
        let before = descriptors(process.id());
        let mut guests = VecDeque::new();
        for number in 0..rounds(500_000) {
            guests.push_back(Guest::arrive(&process, number, &mut random));
            if guests.len() > AT_ONCE {
                let index = random.below(guests.len());
                let guest: Guest = guests.swap_remove_back(index).expect("there are so many");
                guest.leave(&mut random);
            }
            if number % 100 == 0 {
                assert_eq!(watcher.ask(&format!("SET watcher {number}")), "OK");
                assert_eq!(watcher.ask("GET watcher"), number.to_string());
            }
        }
        guests.into_iter().for_each(|guest| guest.leave(&mut random));
        wait_until("all are gone", || stat(&mut watcher, "connections_now") == 1);
        wait_until("their descriptors are back", || descriptors(process.id()) == before);
        assert_eq!(stats(&mut watcher)["output_limit_closes"], 0);
    }
}
