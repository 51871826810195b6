//! Junk without a line end, far more of it than a line or a header may have.

use crate::support::process::Client;
use crate::support::rounds;
use crate::support::tools::{peak_memory, server_and_proxy};
use std::io::{ErrorKind, Write};
use std::thread;

/// What a line of one mebibyte may take while it grows, and what the allocator keeps of it.
const MOST_MEMORY: usize = 8 << 20;

/// How a line begins, what is repeated in it, and how it ends in the end.
type Line = (&'static [u8], &'static [u8], &'static [u8]);

/// Of every four mebibytes of what is repeated, more than one is kept.
const TOO_LONG: &[Line] = &[
    (b"", b"x", b"\n"),
    (b"SET k ", b"v", b"\r\n"),
    (b"GET ", b" ", b"\r\n"),
    (b"", b"\t", b"\r\n"),
    (b"", b"\0", b"\r\n"),
    (b"", b"\r", b"\0"),
    (b"", b"\xff\xff", b"\r\n"),
    (b"", b"\xe2\x82", b"\r\n"),
    (b"x*", b"3", b"\r\n"),
    (b"", b"ab\x7f", b"\r\n"),
];

/// Nothing is left over of what is repeated.
const SHORT: &[Line] = &[
    (b"a", b"b\x08", b"\r\n"),
    (b"a", b"\xff\xf1", b"\r\n"),
    (b"a\xff\xfa\x18", b"x\n\xff\xff", b"\xff\xf0\r\n"),
];

fn send_mebibytes(client: &mut Client, (_, unit, _): Line, count: usize) {
    let piece = unit.repeat((1 << 20) / unit.len());
    (0..count).for_each(|_| client.send(&piece));
}

#[test]
fn a_line_without_end_is_refused_in_words_and_what_comes_after_it_is_answered() {
    let count = rounds(100);
    for process in server_and_proxy(&[]) {
        let mut client = process.client();
        assert_eq!(client.ask("PUT k v"), "OK");
        let base = peak_memory(process.id());
        for &line in TOO_LONG {
            client.send(line.0);
            send_mebibytes(&mut client, line, 4);
            assert_eq!(client.line(), "ERR line longer than 1048576 bytes", "{line:?}");
            send_mebibytes(&mut client, line, count);
            client.send(line.2);
            assert_eq!(client.ask("GET k"), "v", "{line:?}");
        }
        for &line in SHORT {
            client.send(line.0);
            send_mebibytes(&mut client, line, count);
            client.send(line.2);
            assert_eq!(client.line(), "ERR unknown command 'a', try HELP", "{line:?}");
            assert_eq!(client.ask("GET k"), "v", "{line:?}");
        }
        let grown = peak_memory(process.id()) - base;
        println!("lines of {count} MiB: {} KiB of memory at most", grown >> 10);
        assert!(grown < MOST_MEMORY, "{grown} bytes of memory for junk");
    }
}

/// The error comes at once, and then the end; who goes on sending is reset.
#[test]
fn a_header_of_resp_without_end_is_refused_in_words_and_closed() {
    let headers = [
        ("*", "-ERR Protocol error: too big mbulk count string\r\n"),
        ("*1\r\n$", "-ERR Protocol error: too big bulk count string\r\n"),
    ];
    for process in server_and_proxy(&[]) {
        let base = peak_memory(process.id());
        let senders = headers.map(|(start, error)| {
            let mut client = process.client();
            let mut sender = client.stream().try_clone().expect("a descriptor");
            let sending = thread::spawn(move || {
                let digits = b"1".repeat(64 << 10);
                let mut result = sender.write_all(start.as_bytes());
                let mut sent = 0;
                while result.is_ok() {
                    result = sender.write_all(&digits);
                    sent += digits.len();
                }
                (sent, result.expect_err("it was sent until it failed"))
            });
            assert_eq!(String::from_utf8_lossy(&client.exactly(error.len())), error);
            assert_eq!(client.some_bytes().expect("the end comes in order"), b"");
            (sending, client)
        });
        let mut sent = 0;
        for (sending, _client) in senders {
            let (bytes, error) = sending.join().expect("it did not panic");
            let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(kinds.contains(&error.kind()), "{error}");
            sent += bytes;
        }
        let grown = peak_memory(process.id()) - base;
        println!("headers of {} MiB in all: {} KiB of memory at most", sent >> 20, grown >> 10);
        assert!(grown < MOST_MEMORY, "{grown} bytes of memory for junk");
    }
}
