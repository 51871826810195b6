//! Clients that ask for much and read none of it, beside others.

use crate::support::figures::check_others;
use crate::support::process::Client;
use crate::support::rounds;
use crate::support::tools::{
    descriptors, resident_memory, server_and_proxy, stat, wait_until, wait_until_paused,
};
use std::net::SocketAddr;

const MEBIBYTE: usize = 1 << 20;

/// Its value has a mebibyte, and is asked for a thousand times.
fn greedy(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.send("GET big\r\n".repeat(1_000));
    client
}

#[test]
fn readers_of_nothing_are_paused_and_cost_others_nothing() {
    for process in server_and_proxy(&[]) {
        let mut watcher = process.client();
        let big = "v".repeat(MEBIBYTE - 100);
        assert_eq!(watcher.ask(&format!("SET big {big}")), "OK");
        assert_eq!(watcher.ask("GET big"), big);
        for count in [1, 100] {
            let (asked, memory) =
                (stat(&mut watcher, "requests_get"), resident_memory(process.id()));
            let what = format!("{count} readers of nothing");
            let address = process.address();
            let clients: Vec<Client> =
                check_others(&what, address, || (0..count).map(|_| greedy(address)).collect());
            wait_until_paused(&mut watcher);
            let clients_asked = stat(&mut watcher, "requests_get") - asked;
            let grown = resident_memory(process.id()).saturating_sub(memory);
            println!("{what}: {} KiB of memory each", grown / count / 1024);
            // Those of the others are among them, but there are 1,000,000 more to be asked.
            assert!(clients_asked < 100_000, "{clients_asked} requests were taken");
            assert!(grown < (16 << 20) + count * (64 << 10), "{grown} bytes for {count}");
            assert_eq!(stat(&mut watcher, "output_limit_closes"), 0);
            drop(clients);
            wait_until("they are gone", || stat(&mut watcher, "connections_now") == 1);
        }
    }
}

#[test]
fn readers_of_nothing_are_closed_when_their_time_is_up() {
    let count = rounds(100).max(20);
    for process in server_and_proxy(&["--idle-timeout", "1"]) {
        let mut loader = process.client();
        let big = "v".repeat(MEBIBYTE - 100);
        assert_eq!(loader.ask(&format!("SET big {big}")), "OK");
        // The proxy keeps it, and so has it only as often as it is asked for.
        assert_eq!(loader.ask("GET big"), big);
        drop(loader);
        wait_until("it is gone", || stat(&mut process.client(), "connections_now") == 1);
        let before = descriptors(process.id());
        let clients: Vec<Client> = (0..count).map(|_| greedy(process.address())).collect();
        wait_until("they are closed", || {
            stat(&mut process.client(), "connections_timed_out") == count as u64
        });
        wait_until("their descriptors are back", || descriptors(process.id()) <= before);
        for mut client in clients {
            let (received, _) = client.until_closed();
            assert!(received.len() < 100 * MEBIBYTE, "what the system kept is all that comes");
        }
    }
}
