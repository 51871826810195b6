//! Requests in all manners of arrival: every one is answered, in order.

use crate::support::rounds;
use crate::support::tools::{peak_memory, server_and_proxy, stat, wait_until_paused};
use socket2::SockRef;
use std::io::Write;
use std::thread;

#[test]
fn a_fin_in_the_segment_of_the_last_request_is_not_lost_on_it() {
    for process in server_and_proxy(&[]) {
        for _ in 0..rounds(10_000) {
            let mut client = process.client();
            SockRef::from(client.stream()).set_tcp_cork(true).expect("Linux has it");
            client.send("PING\r\nGET nothing\r\nPING");
            client.send("\r\nno end");
            client.finish_sending();
            assert_eq!(
                client.until_eof().escape_ascii().to_string(),
                r"PONG\r\nKey not found\r\nPONG\r\n"
            );
        }
    }
}

/// Replies of 1,000 bytes: in all many times more than every buffer on the way together, and than
/// the output limit, which is for what is owed at a time.
#[test]
fn a_pipeline_of_a_million_requests_from_a_client_that_reads_late_is_answered_in_order() {
    let batches = rounds(10_000);
    for process in server_and_proxy(&["--output-limit", "2MiB"]) {
        let mut watcher = process.client();
        for key in 0..100 {
            assert_eq!(watcher.ask(&format!("SET k{key} {}", value_of(key))), "OK");
        }
        let base = peak_memory(process.id());
        let mut client = process.client();
        let mut sender = client.stream().try_clone().expect("a descriptor");
        let sending = thread::spawn(move || {
            for batch in 0..batches {
                let line = |at: usize| format!("GET k{}\r\n", (batch * 100 + at) * 7 % 100);
                let lines: String = (0..100).map(line).collect();
                sender.write_all(lines.as_bytes()).expect("it is taken");
            }
        });
        wait_until_paused(&mut watcher);
        let taken = stat(&mut watcher, "requests_get");
        println!("{taken} requests are taken of a client that does not read");
        assert!(taken < batches as u64 * 100, "{taken} requests were taken");
        for number in 0..batches * 100 {
            assert_eq!(client.line(), value_of(number * 7 % 100), "reply {number}");
        }
        sending.join().expect("everything was sent");
        let grown = peak_memory(process.id()) - base;
        println!("{} requests of one client: {} KiB of memory at most", batches * 100, grown >> 10);
        assert!(grown < 16 << 20, "{grown} bytes of memory for one client");
    }
}

fn value_of(key: usize) -> String {
    format!("{key:0>1000}")
}
