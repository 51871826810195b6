//! Descriptors that run out.

use crate::support::process::{Client, Process, proxy, proxy_alone, server};
use crate::support::tools::{
    check_rests, descriptors, own_loopback, server_at, start_in_shell, stat, wait_until,
};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// Takes all but `spare` of the descriptors that a process could still open.
fn limit_descriptors(process: &Process, spare: usize) {
    let limit = descriptors(process.id()) + spare;
    let status = Command::new("prlimit")
        .args(["--pid", &process.id().to_string(), &format!("--nofile={limit}:{limit}")])
        .status();
    assert!(status.expect("prlimit is there").success());
}

#[test]
fn a_low_descriptor_limit_lowers_the_number_of_clients_and_says_so() {
    let flags = ["--listen", "127.0.0.1:0"];
    let path = env!("CARGO_BIN_EXE_server");
    let process = start_in_shell("ulimit -n 100;", path, &flags, 1);
    process.wait_for_log("at most 36 clients");
    let mut clients: Vec<_> = (0..36).map(|_| process.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    assert_eq!(process.client().until_eof(), b"-ERR too many connections\r\n");
    assert_eq!(clients[0].ask("PING"), "PONG");
}

#[test]
fn without_descriptors_clients_inside_are_served_and_those_outside_wait() {
    for process in [server(&[]), proxy_alone(&[])] {
        let mut clients: Vec<_> = (0..5).map(|_| process.client()).collect();
        for client in &mut clients {
            assert_eq!(client.ask("SET k v"), "OK");
        }
        limit_descriptors(&process, 2);
        // Those outside, whose turn comes in this order.
        clients.extend((0..20).map(|_| process.client()));
        process.wait_for_log("cannot accept a client for now");
        for round in 0..1_000 {
            assert_eq!(clients[round % 5].ask("GET k"), "v");
        }
        check_rests(process.id(), Duration::from_millis(50));
        let lines = process.log().matches("cannot accept").count();
        assert!(lines < 20, "{lines} lines in the log");
        // A tenth of a second, where nobody else has the processors; a machine may stall for once.
        let is_served_soon = (0..3).any(|_| let_four_in(&mut clients) < Duration::from_secs(1));
        assert!(is_served_soon, "accepting goes on too late");
        clients.truncate(1);
        let mut late = process.client();
        assert_eq!(late.ask("GET k"), "v");
        assert_eq!(clients[0].ask("PING"), "PONG");
        wait_until("all others are gone", || stat(&mut late, "connections_now") == 2);
    }
}

/// Has four of the clients inside leave, of whom there is room for seven; how long it takes until
/// the next are served.
fn let_four_in(clients: &mut Vec<Client>) -> Duration {
    clients.drain(1..5);
    let closed = Instant::now();
    for client in &mut clients[..7] {
        assert_eq!(client.ask("GET k"), "v");
    }
    let resumed = closed.elapsed();
    println!("the next are served {resumed:.0?} after others have left");
    resumed
}

#[test]
fn a_proxy_without_a_descriptor_for_its_upstream_says_so_and_connects_when_there_is_one() {
    let upstream = server_at(SocketAddr::new(own_loopback(), 0));
    let address = upstream.address();
    let process = proxy(address, &[]);
    let mut inside = process.client();
    assert_eq!(inside.ask("SET k v"), "OK");
    limit_descriptors(&process, 0);
    upstream.kill();
    wait_until("the loss is seen", || stat(&mut inside, "upstream_up") == 0);
    // The descriptor of the lost connection is now a client's.
    let mut last = process.client();
    assert_eq!(last.ask("PING"), "PONG");
    let upstream = server_at(address);
    let waiting: Vec<Client> = (0..3).map(|_| process.client()).collect();
    process.wait_for_log("cannot accept a client for now");
    // In which it tries in vain.
    check_rests(process.id(), Duration::from_millis(50));
    for client in [&mut inside, &mut last] {
        assert_eq!(client.ask("GET k"), "ERR upstream unavailable");
        assert_eq!(client.ask("SET k w"), "ERR upstream unavailable");
        assert_eq!(client.ask("PING"), "PONG");
    }
    assert_eq!(stat(&mut upstream.client(), "requests_get"), 0);
    let freed = Instant::now();
    drop((last, waiting));
    wait_until("the proxy is connected", || stat(&mut inside, "upstream_up") == 1);
    println!("the upstream is connected {:.0?} after a descriptor was free", freed.elapsed());
    assert_eq!(inside.ask("SET k v"), "OK");
    assert!(process.log().contains("no connection: no descriptor is free"));
}
