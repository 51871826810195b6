//! Bytes to requests and back: what every request costs before anything is looked up.

mod support;

use larder::base::buffer::Buffer;
use larder::base::output::{Output, Value};
use larder::protocol::resp::{self, ReplyScanner, Scanned};
use larder::protocol::{Decoded, Decoder, Scratch};
use larder::protocol::{Reply, text};
use larder::settings::limits::Limits;
use std::hint::black_box;
use support::{Table, key};

/// Requests or replies in one piece of input.
const PIPELINE: usize = 64;
const VALUE: &[u8] = &[b'v'; 32];

fn main() {
    let mut table = Table::new("protocol");
    for (form, encode) in [("text", lines as fn(&[&[u8]]) -> Vec<u8>), ("RESP", arrays)] {
        let get = pipeline(|key| encode(&[b"GET", key]));
        let set = pipeline(|key| encode(&[b"SET", key, VALUE]));
        decode(&mut table, &format!("decode {form} GET"), &get);
        decode(&mut table, &format!("decode {form} SET"), &set);
    }
    // Backspace sends a line through the editor, which looks at every byte by itself.
    let edited = pipeline(|key| [b"GETT\x08 ", key, b"\r\n"].concat());
    decode(&mut table, "decode text GET with a backspace", &edited);

    let value = Reply::Value(Value::Short(VALUE));
    for (name, reply) in [("value", value), ("OK", Reply::Ok), ("not found", Reply::NotFound)] {
        encode(&mut table, &format!("encode text {name}"), |out| text::reply(out, b"", reply));
        encode(&mut table, &format!("encode RESP {name}"), |out| {
            resp::reply(out, resp::Version::Two, None, reply);
        });
    }
    let key = key(1);
    encode(&mut table, "encode RESP request GET", |out| {
        resp::push_request(out.plain(), &[b"GET", &key]);
    });
    scan(&mut table);
}

fn pipeline(request: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..PIPELINE).flat_map(|number| request(&key(number))).collect()
}

fn lines(words: &[&[u8]]) -> Vec<u8> {
    [&words.join(&b' '), &b"\r\n"[..]].concat()
}

fn arrays(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Buffer::new();
    resp::push_request(&mut out, words);
    out.bytes().to_vec()
}

fn decode(table: &mut Table, name: &str, input: &[u8]) {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let limits = Limits::default();
    table.row(name, PIPELINE, || {
        let mut rest = black_box(input);
        let mut requests = 0;
        loop {
            let (consumed, decoded) = decoder.decode(rest, &mut scratch, &limits);
            rest = &rest[consumed..];
            match black_box(decoded) {
                Decoded::Request(_) => requests += 1,
                Decoded::Incomplete => break,
                other => panic!("these requests are all valid: {other:?}"),
            }
        }
        assert_eq!(requests, PIPELINE);
    });
}

fn encode(table: &mut Table, name: &str, write: impl Fn(&mut Output)) {
    let mut out = Output::new();
    table.row(name, PIPELINE, || {
        for _ in 0..PIPELINE {
            write(black_box(&mut out));
        }
        black_box(out.plain().bytes());
        out.clear();
    });
}

fn scan(table: &mut Table) {
    let mut replies = Buffer::new();
    for _ in 0..PIPELINE {
        resp::push_bulk(&mut replies, VALUE);
    }
    let mut scanner = ReplyScanner::default();
    table.row("scan RESP replies, values", PIPELINE, || {
        let mut rest = black_box(replies.bytes());
        let mut found = 0;
        while let Ok(Scanned::Whole(length, _)) = scanner.advance(rest, 1 << 20) {
            rest = &rest[length..];
            found += 1;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(found, PIPELINE);
    });
}
