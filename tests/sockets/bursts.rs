//! Bursts, and then silence: a client sends nothing more before every reply has come, so that a
//! wake-up that is lost shows.

use crate::support::clients::{send_with_urgent_byte, with_receive_buffer};
use crate::support::process::{Client, Process};
use crate::support::random::Random;
use crate::support::tools::{server_and_proxy, stat};
use crate::support::{rounds, seed};
use larder::base::buffer::SCRATCH_BYTES;
use std::process::{Child, Command};

/// A value whose reply goes out from where it is stored.
const LARGE: usize = 100_000;
/// So many of those replies are more than the high-water mark, the send buffer, which Linux lets
/// grow to 4 MiB, and the receive buffer hold together.
const FLOOD: usize = 80;

/// What a client sends in one go, and what it gets for it.
struct Burst {
    requests: Vec<u8>,
    replies: Vec<u8>,
    /// So many large values come first.
    large: usize,
}

impl Burst {
    fn new(random: &mut Random, round: usize) -> Burst {
        let pings = 1 + random.below(100);
        let (mut requests, mut large, mut replies) = (Vec::new(), 0, b"OK\r\n".to_vec());
        match round % 50 {
            // Replies beyond every buffer.
            0 | 10 | 20 | 30 => {
                large = FLOOD;
                requests.extend("GET large\r\n".repeat(FLOOD).bytes());
                replies.clear();
            }
            // One request beyond every buffer, which takes longer.
            40 => {
                let length = 11 << 20;
                requests.extend(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${length}\r\n").bytes());
                requests.resize(requests.len() + length, b'v');
                requests.extend(b"\r\n");
                replies.insert(0, b'+');
            }
            // A few times the scratch buffer, to the byte or about.
            _ => {
                let near = SCRATCH_BYTES * (1 + random.below(3)) + random.below(5) - 2;
                let any = SCRATCH_BYTES + random.below(3 * SCRATCH_BYTES);
                let length = if round.is_multiple_of(2) { near } else { any };
                let value = "v".repeat(length - pings * 6 - "SET k \r\n".len());
                requests.extend(format!("SET k {value}\r\n").bytes());
            }
        }
        requests.extend("PING\r\n".repeat(pings).bytes());
        replies.extend("PONG\r\n".repeat(pings).bytes());
        Burst { requests, replies, large }
    }
}

#[test]
fn bursts_beyond_every_buffer_with_urgent_bytes_among_them_are_answered_whole() {
    let mut random = Random(seed());
    let value = "v".repeat(LARGE) + "\r\n";
    for process in server_and_proxy(&[]) {
        let mut client = with_receive_buffer(process.address(), 1 << 20);
        assert_eq!(client.ask(&format!("SET large {}", value.trim_end())), "OK");
        for round in 0..rounds(50_000) {
            let burst = Burst::new(&mut random, round);
            if random.below(2) == 0 {
                // A request must follow it, for it to be read past.
                let at = random.below(burst.requests.len() - "PING\r\n".len());
                send_with_urgent_byte(&mut client, &burst.requests, at);
            } else {
                client.send(&burst.requests);
            }
            for _ in 0..burst.large {
                assert!(client.exactly(value.len()) == value.as_bytes(), "round {round}");
            }
            let replies = client.exactly(burst.replies.len());
            assert!(replies == burst.replies, "round {round}: {}", replies.escape_ascii());
        }
        assert_eq!(stat(&mut client, "request_errors"), 0);
    }
}

/// Linux says of a socket whose next byte is urgent that a read would block, if a signal came in
/// just that moment; and no event says that there is something to read all the same.
#[test]
fn urgent_bytes_in_mid_pipeline_silence_nothing_with_signals_among_them() {
    let mut random = Random(seed());
    for process in server_and_proxy(&[]) {
        let mut client = process.client();
        assert_eq!(client.ask("SET k v"), "OK");
        let mut signals = hangups(&process);
        for _ in 0..rounds(200_000) {
            ask_with_urgent_byte(&mut client, &mut random);
        }
        signals.kill().expect("it runs");
        signals.wait().expect("it is a child");
    }
}

/// The urgent byte comes in mid-request; replies to what came before it may be awaited first.
fn ask_with_urgent_byte(client: &mut Client, random: &mut Random) {
    let (before, after) = (random.below(30), random.below(30));
    let begin = "PING\r\n".repeat(before) + "GE";
    let rest = "T k\r\n".to_string() + &"PING\r\n".repeat(after);
    if random.below(2) == 0 {
        send_with_urgent_byte(client, begin.as_bytes(), begin.len());
        assert_eq!(client.lines(before), ["PONG"].repeat(before));
        client.send(rest);
    } else {
        send_with_urgent_byte(client, (begin.clone() + &rest).as_bytes(), begin.len());
        assert_eq!(client.lines(before), ["PONG"].repeat(before));
    }
    assert_eq!(client.line(), "v");
    assert_eq!(client.lines(after), ["PONG"].repeat(after));
}

/// Signals as long as the process runs, with a pause after each: more than one at a time are none
/// that anybody sends.
fn hangups(process: &Process) -> Child {
    let pause = "n=0; while [ $n -lt 2000 ]; do n=$((n + 1)); done";
    let mut command = Command::new("sh");
    command.args(["-c", &format!("while kill -HUP $0 2>/dev/null; do {pause}; done")]);
    command.arg(process.id().to_string()).spawn().expect("sh is there")
}
