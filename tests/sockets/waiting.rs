//! Connections that can only wait cost no processor time.

use crate::support::clients::send_with_urgent_byte;
use crate::support::figures::take_descriptors;
use crate::support::process::{Client, proxy, server};
use crate::support::rounds;
use crate::support::tools::{
    Reserved, check_rests, resident_memory, stat, wait_until, wait_until_paused,
};
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn thousands_of_idle_clients_cost_no_processor_time_until_they_all_wake_up() {
    let count = rounds(15_000);
    let _turn = take_descriptors(count);
    let most = (count + 10).to_string();
    let upstream = server(&[]);
    for process in [
        server(&["--max-connections", &most]),
        proxy(upstream.address(), &["--max-connections", &most]),
    ] {
        let mut watcher = process.client();
        let before = resident_memory(process.id());
        let mut clients: Vec<Client> = (0..count).map(|_| process.client()).collect();
        let all = count as u64 + 1;
        wait_until("they are all there", || stat(&mut watcher, "connections_now") == all);
        let each = resident_memory(process.id()).saturating_sub(before) / count;
        println!("{count} idle clients: {each} bytes each");
        // One tick of the system's clock: what little there is may be what fills it.
        check_rests(process.id(), Duration::from_millis(10));
        // All at once, they wake up, and each reads what the next of them has written.
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("SET k{number} mine{number}\r\n"));
        }
        clients.iter_mut().for_each(|client| assert_eq!(client.line(), "OK"));
        let next = |number: usize| (number + 1) % count;
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET k{}\r\n", next(number)));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.line(), format!("mine{}", next(number)));
        }
    }
}

/// A few hundredths of a second, in a second: no more than next to nothing.
const LITTLE: Duration = Duration::from_millis(30);

#[test]
fn readers_that_take_nothing_are_waited_for_in_peace() {
    let process = server(&[]);
    let mut watcher = process.client();
    assert_eq!(watcher.ask(&format!("SET big {}", "v".repeat(1_000_000))), "OK");
    let paused = "GET big\r\n".repeat(50);
    let mut clients: Vec<Client> = (0..5).map(|_| process.client()).collect();
    for client in &mut clients {
        client.send(&paused);
    }
    clients[1].finish_sending();
    send_with_urgent_byte(&mut clients[2], b"", 0);
    clients[3].send("BYE\r\n".to_string() + &paused);
    clients[4].send("PING\r\n".repeat(30_000));
    let mut half = process.client();
    half.send("*2\r\n$3\r\nGET\r\n$100");
    send_with_urgent_byte(&mut half, b"", 0);
    wait_until_paused(&mut watcher);
    check_rests(process.id(), LITTLE);
    for _ in 0..50 {
        assert_eq!(clients[1].exactly(1_000_002).len(), 1_000_002);
    }
    assert_eq!(clients[1].until_eof(), b"");
}

#[test]
fn an_upstream_that_says_nothing_is_waited_for_in_peace() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = silent.local_addr().expect("it is bound");
    let mut process = proxy(address, &["--upstream-timeout", "25", "--drain-timeout", "25"]);
    let mut watcher = process.client();
    let mut clients: Vec<Client> = (0..5).map(|_| process.client()).collect();
    for client in &mut clients {
        client.send("GET k\r\nSET k v\r\nDUMP\r\nPING\r\n");
    }
    clients[1].finish_sending();
    send_with_urgent_byte(&mut clients[2], b"", 0);
    clients[3].send("GET k\r\n".repeat(2_000));
    clients[4].send("BYE\r\n");
    wait_until("they wait", || stat(&mut watcher, "misses") >= 5);
    check_rests(process.id(), LITTLE);
    // While it drains, too.
    process.signal("TERM");
    assert_eq!(watcher.until_eof(), b"");
    drop(watcher);
    check_rests(process.id(), LITTLE);
    process.signal("TERM");
    process.wait();
}

#[test]
fn an_upstream_that_is_away_is_tried_again_in_peace() {
    let gone = Reserved::new();
    let process = proxy(gone.address, &[]);
    assert_eq!(process.client().ask("GET k"), "ERR upstream unavailable");
    check_rests(process.id(), LITTLE);
}
