//! Readers with next to no window, and those who leave in the middle of a reply or a request.
//! Readers that take nothing stand in `waiting.rs` and `limits.rs`.

use crate::support::clients::with_receive_buffer;
use crate::support::process::{Client, Process};
use crate::support::random::Random;
use crate::support::tools::{
    descriptors, peak_memory, reset, server_and_proxy, stat, stats, wait_until,
};
use crate::support::{rounds, seed};

const LARGE: usize = 100_000;

fn store_large_value(client: &mut Client) -> String {
    let value: String = (0..LARGE).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    assert_eq!(client.ask(&format!("SET large {value}")), "OK");
    assert_eq!(client.ask("GET large"), value);
    value
}

#[test]
fn replies_through_the_smallest_window_are_whole_and_in_order() {
    for process in server_and_proxy(&[]) {
        let value = store_large_value(&mut process.client());
        let mut client = with_receive_buffer(process.address(), 1);
        client.send("GET large\r\nPING\r\n".repeat(2) + "*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n");
        client.send("PING\r\n".repeat(1_000) + "BYE\r\n");
        client.finish_sending();
        let pongs = "PONG\r\n".repeat(1_000);
        let text = format!("{value}\r\nPONG\r\n").repeat(2);
        let expected = format!("{text}${LARGE}\r\n{value}\r\n{pongs}Goodbye\r\n");
        assert!(client.until_eof() == expected.as_bytes());
    }
}

/// Leaves in one of many ways, in the middle of something.
fn leave(process: &Process, random: &mut Random) {
    let mut client = match random.below(4) {
        0 => with_receive_buffer(process.address(), 1),
        _ => process.client(),
    };
    if random.below(2) == 0 {
        // In mid-reply: before it, somewhere in it, or where more than all buffers hold is owed.
        let gets = 1 + random.below(2) * random.below(80);
        client.send("GET large\r\n".repeat(gets));
        client.exactly(random.below(2) * random.below(3_000));
    } else {
        // In mid-request, of which some is in memory that grows with it.
        client.send("PING\r\n*3\r\n$3\r\nSET\r\n$3\r\nbad\r\n$1000000\r\n");
        client.send(vec![b'v'; random.below(2) * random.below(900_000)]);
    }
    if random.below(2) == 0 {
        client.finish_sending();
    }
    if random.below(2) == 0 {
        reset(client);
    }
}

#[test]
fn those_who_leave_in_mid_reply_or_mid_request_leave_nothing_behind() {
    let mut random = Random(seed());
    for process in server_and_proxy(&[]) {
        let mut watcher = process.client();
        let value = store_large_value(&mut watcher);
        let (before, base) = (descriptors(process.id()), peak_memory(process.id()));
        for round in 0..rounds(10_000) {
            leave(&process, &mut random);
            if round % 20 == 0 {
                assert!(watcher.ask("GET large") == value);
            }
        }
        wait_until("all are gone", || stat(&mut watcher, "connections_now") == 1);
        wait_until("their descriptors are back", || descriptors(process.id()) == before);
        assert_eq!(watcher.ask("GET bad"), "Key not found");
        assert_eq!(stats(&mut watcher)["output_limit_closes"], 0);
        let grown = peak_memory(process.id()) - base;
        println!("{grown} bytes more at the peak");
        assert!(grown < 32 << 20, "{grown} bytes for those who left");
    }
}
