//! Thousands of clients at once, on one thread of ours.

use crate::support::crowd;
use crate::support::process::{Client, Process};
use crate::support::tools::{server_and_proxy, stat};
use std::net::SocketAddr;

const CLIENTS: usize = 2_000;
const SLOW_CLIENTS: usize = 100;

/// Clients, of whom the last are slow, and what each is to receive.
struct Crowd {
    crowd: crowd::Crowd,
    expected: Vec<String>,
}

impl Crowd {
    fn new(address: SocketAddr) -> Crowd {
        let count = CLIENTS + SLOW_CLIENTS;
        let mut crowd = crowd::Crowd::new(address, count);
        crowd.guests[CLIENTS..].iter_mut().for_each(|guest| guest.pace = 1);
        Crowd { crowd, expected: vec![String::new(); count] }
    }

    fn request(&mut self, number: usize, (requests, replies): (String, String)) {
        self.crowd.guests[number].request(requests);
        self.expected[number] = replies;
    }

    /// Every client of the fast ones sends its requests; waits until all have their replies.
    fn ask(&mut self, script: impl Fn(usize) -> (String, String)) {
        (0..CLIENTS).for_each(|number| self.request(number, script(number)));
        self.wait_for(CLIENTS);
    }

    /// Waits until the first so many have their replies, and checks these.
    fn wait_for(&mut self, count: usize) {
        let expected = &self.expected[..count];
        self.crowd.run_until("all have their replies", |guests| {
            guests.iter().zip(expected).all(|(guest, it)| guest.received.len() >= it.len())
        });
        for (number, (guest, it)) in self.crowd.guests.iter().zip(expected).enumerate() {
            let same = guest.received == it.as_bytes();
            assert!(same, "client {number}: {}", guest.received.escape_ascii());
        }
    }
}

fn neighbour(number: usize) -> usize {
    (number + 1) % CLIENTS
}

#[test]
fn two_thousand_clients_read_each_others_keys_beside_a_hundred_slow_ones() {
    for process in server_and_proxy(&[]) {
        let mut crowd = Crowd::new(process.address());
        for number in CLIENTS..CLIENTS + SLOW_CLIENTS {
            let requests = format!("PUT slow{number} v{number}\r\nGET slow{number}\r\n");
            crowd.request(number, (requests, format!("OK\r\nv{number}\r\n")));
        }
        crowd.ask(|n| (format!("PUT k{n} mine{n}\r\nGET k{n}\r\n"), format!("OK\r\nmine{n}\r\n")));
        for round in 0..5 {
            crowd.ask(|n| {
                let near = neighbour(n);
                let owner = if round == 0 { format!("mine{near}") } else { format!("{n} {round}") };
                (format!("GET k{near}\r\nGET k{near}\r\n"), format!("{owner}\r\n").repeat(2))
            });
            let next = round + 1;
            crowd.ask(|n| (format!("SET k{} {n} {next}\r\n", neighbour(n)), "OK\r\n".into()));
            crowd.ask(|n| {
                let writer = (n + CLIENTS - 1) % CLIENTS;
                (format!("GET k{n}\r\nPING\r\n"), format!("{writer} {next}\r\nPONG\r\n"))
            });
        }
        crowd.wait_for(CLIENTS + SLOW_CLIENTS);
        let mut watcher = process.client();
        assert_eq!(stat(&mut watcher, "connections_now"), (CLIENTS + SLOW_CLIENTS + 1) as u64);
        drop(crowd);
    }
}

#[test]
fn a_key_put_by_one_client_is_read_refused_and_deleted_by_others() {
    for process in server_and_proxy(&[]) {
        share_keys(&process);
    }
}

fn share_keys(process: &Process) {
    let mut clients: Vec<Client> = (0..10).map(|_| process.client()).collect();
    for round in 0..200 {
        let [writer, reader, other] = [round % 10, (round + 3) % 10, (round + 7) % 10];
        let put = format!("PUT shared value {round}");
        assert_eq!(clients[writer].ask(&put), "OK");
        assert_eq!(clients[reader].ask("GET shared"), format!("value {round}"));
        assert_eq!(clients[other].ask("PUT shared mine"), "Key already exists");
        assert_eq!(clients[other].ask("GET shared"), format!("value {round}"));
        assert_eq!(clients[writer].ask("SET shared = other words"), "OK");
        assert_eq!(clients[reader].ask("GET shared"), "other words");
        assert_eq!(clients[reader].ask("DEL shared"), "OK");
        assert_eq!(clients[other].ask("GET shared"), "Key not found");
        assert_eq!(clients[writer].ask("DEL shared"), "Key not found");
    }
}
