//! Streams of bytes and what they come to, as tables; `properties.rs` has what holds for any bytes.

mod properties;

use super::*;
use crate::base::buffer::Buffer;
use crate::base::output::SHARED_FROM;
use crate::base::output::{Block, Output, Value};
use crate::protocol::command::Verb;
use crate::protocol::resp::MAX_HEADER;
use crate::protocol::{MAX_TOUCHED, Reply};
use crate::settings::limits;
use Event::{Broken, Refused, Telnet};
use resp::ReplyScanner;

/// A [`Decoded`] that can be kept and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Request(Form, Vec<Vec<u8>>),
    Refused(Form, String),
    Broken(String),
    Telnet([u8; 3]),
}

/// Limits that a test can reach.
fn small() -> Limits {
    Limits { max_line: 32, max_value: 20, max_request: 100, ..Limits::default() }
}

/// Decodes bytes that come in these pieces, as a handler does: the events, and what has begun and
/// not ended.
fn decode(pieces: &[&[u8]], limits: &Limits) -> (Vec<Event>, Midway) {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let (mut input, mut events) = (Buffer::new(), Vec::new());
    for piece in pieces {
        input.push(piece);
        loop {
            let before = input.len();
            let (consumed, decoded) = decoder.decode(input.bytes(), &mut scratch, limits);
            assert!(consumed <= before, "it consumes what is there");
            let event = event(decoded);
            input.consume(consumed);
            match event {
                None => break,
                Some(event) => events.push(event),
            }
            if let Some(Broken(_)) = events.last() {
                return (events, Midway::Nothing);
            }
            assert!(consumed > 0, "an event takes its bytes with it");
        }
    }
    (events, decoder.midway(input.bytes()))
}

fn event(decoded: Decoded<'_>) -> Option<Event> {
    Some(match decoded {
        Decoded::Incomplete => return None,
        Decoded::Request(request) => {
            assert!(request.keys().all(|key| request.arguments().any(|word| word == key)));
            Event::Request(request.form, request.words().map(<[u8]>::to_vec).collect())
        }
        Decoded::Refused(form, refusal) => Refused(form, refusal.to_string()),
        Decoded::Broken(refusal) => Broken(refusal.to_string()),
        Decoded::Telnet(answer) => Telnet(answer),
    })
}

fn text(words: &[&str]) -> Event {
    Event::Request(Form::Text, words.iter().map(|word| word.as_bytes().to_vec()).collect())
}

fn array(words: &[&str]) -> Event {
    Event::Request(Form::Resp, words.iter().map(|word| word.as_bytes().to_vec()).collect())
}

fn refused(message: &str) -> Event {
    Refused(Form::Text, format!("ERR {message}"))
}

fn refused_array(message: &str) -> Event {
    Refused(Form::Resp, format!("ERR {message}"))
}

fn broken(message: &str) -> Event {
    Broken(format!("ERR Protocol error: {message}"))
}

/// The events of a stream: the same whole, in two pieces, and byte by byte.
#[track_caller]
fn check(input: impl AsRef<[u8]>, expected: &[Event]) {
    let (input, limits) = (input.as_ref(), small());
    for at in 0..=input.len() {
        let (first, second) = input.split_at(at);
        let (events, _) = decode(&[first, second], &limits);
        assert_eq!(events, expected, "{} in two at {at}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    let (events, _) = decode(&bytes, &limits);
    assert_eq!(events, expected, "{} byte by byte", input.escape_ascii());
}

/// One line, which is a request of these words, or is refused if there is but a message.
#[track_caller]
fn check_line(line: &str, words: &[&str]) {
    for end in ["\n", "\r\n", "\r\0"] {
        check(format!("{line}{end}"), &[text(words)]);
    }
}

#[track_caller]
fn check_refused(line: &str, message: &str) {
    check(format!("{line}\r\n"), &[refused(message)]);
}

#[test]
fn lines_are_split_into_words() {
    check_line("GET k", &["GET", "k"]);
    check_line(" \tget \t k \t", &["get", "k"]);
    check_line("Ping", &["Ping"]);
    check_line("DUMP pairs", &["DUMP", "pairs"]);
    check_line("GET k=v", &["GET", "k=v"]);
    check_line("DEL größe", &["DEL", "größe"]);
    check("\n\r\n\r\0 \t\n", &[]);
    check("PING\nPING\r\n\nPING\r\0", &[text(&["PING"]), text(&["PING"]), text(&["PING"])]);
    check("PING", &[]);
}

#[test]
fn a_key_and_its_value_have_three_forms() {
    check_line("PUT k v", &["PUT", "k", "v"]);
    check_line("PUT k = v", &["PUT", "k", "v"]);
    check_line("PUT k=v", &["PUT", "k", "v"]);
    check_line("SET k  a  b  ", &["SET", "k", "a  b"]);
    check_line("PUT k = = v", &["PUT", "k", "= v"]);
    check_line("PUT k = =", &["PUT", "k", "="]);
    check_line("PUT k == v", &["PUT", "k", "== v"]);
    check_line("PUT k==", &["PUT", "k", "="]);
    check_line("PUT k=a=b ", &["PUT", "k", "a=b"]);
    check_line("PUT a= b", &["PUT", "a=", "b"]);
    check_line("PUT a =b", &["PUT", "a", "=b"]);
    check_line("PUT a=b = c", &["PUT", "a=b", "c"]);
    check_line("PUT = v", &["PUT", "=", "v"]);
    check_line("PUT = = v", &["PUT", "=", "v"]);
    check_line("SET k v EX 10", &["SET", "k", "v EX 10"]);
    check_line("PUT\tk\t=\tv\tw", &["PUT", "k", "v\tw"]);
    for rest in ["", " k", " k ", " k =", " k = ", " k=", " =v", " =", " =="] {
        check_refused(&format!("PUT{rest}"), "usage: PUT <key> <value>");
        check_refused(&format!("set{rest}"), "usage: SET <key> <value>");
    }
}

#[test]
fn what_is_no_request_is_refused_and_the_next_is_read() {
    check_refused("FOO", "unknown command 'FOO', try HELP");
    check_refused("scan 0", "unknown command 'scan', try HELP");
    check_refused("\u{1b}[A", "unknown command '\\x1b[A', try HELP");
    check_refused("GET", "usage: GET <key>");
    check_refused("GET a b", "usage: GET <key>");
    check_refused("DEL a b", "usage: DEL <key>");
    check_refused("DUMP a b", "usage: DUMP [KEYS|PAIRS]");
    check_refused("PING x", "usage: PING");
    check_refused("BYE now", "usage: BYE");
    check("GET\nPING\n", &[refused("usage: GET <key>"), text(&["PING"])]);
}

/// The request that HTTP is.
fn http() -> Event {
    Broken("ERR HTTP is not spoken on this port".to_string())
}

#[test]
fn http_is_hung_up_on() {
    for line in ["GET / HTTP/1.1", "x / HTTP/1.0", "POST /", "post x", "Host: x", "host:x", "POST "]
    {
        check(format!("PING\r\n{line}\r\nPUT k v\r\n"), &[text(&["PING"]), http()]);
    }
    // What looks as a request line of HTTP does is hung up on too: that is the price.
    check("PUT a HTTP/1.1\n", &[http()]);
    check("PUT  a\tHTTP/1.1 \t\n", &[http()]);
}

#[test]
fn some_lines_only_look_like_http() {
    check_line("put log1 GET / HTTP/1.1", &["put", "log1", "GET / HTTP/1.1"]);
    check_line("GET HTTP/1.1", &["GET", "HTTP/1.1"]);
    check_refused("x HTTP/1.0", "unknown command 'x', try HELP");
    check_line("PUT a HTTP/1.1x", &["PUT", "a", "HTTP/1.1x"]);
    check_line("PUT Host: POST", &["PUT", "Host:", "POST"]);
    check_line("GET HTTP/1.1x", &["GET", "HTTP/1.1x"]);
    check_refused("POST", "unknown command 'POST', try HELP");
    check_refused("POSTER x", "unknown command 'POSTER', try HELP");
}

#[test]
fn lines_are_edited_as_they_are_typed() {
    check("PINX\x08G\n", &[text(&["PING"])]);
    check("GET ab\x7f\x7fk\n", &[text(&["GET", "k"])]);
    check("GET grö\x7foß\n", &[text(&["GET", "groß"])]);
    check("\x08\x7fPING\n", &[text(&["PING"])]);
    check("x\x08\r\nPING\n", &[text(&["PING"])]);
    check("x\x08*1\r\n$4\r\nPING\r\n", &[array(&["PING"])]);
    check(b"xyz\xff\xf8PING\n", &[text(&["PING"])]);
    check(b"PINGG\xff\xf7\n", &[text(&["PING"])]);
}

#[test]
fn telnet_is_taken_out_of_lines() {
    check(
        b"\xff\xfd\x01PI\xff\xfb\x18NG\n",
        &[Telnet([255, 252, 1]), Telnet([255, 254, 24]), text(&["PING"])],
    );
    check(b"PI\xff\xfa\x18\n\xff\xff\n\xff\xf0NG\n", &[text(&["PING"])]);
    check(b"DEL k\xff\xf4\xff\xfd\x06PING\n", &[Telnet([255, 251, 6]), text(&["PING"])]);
    let put = [b"PUT".to_vec(), b"k".to_vec(), b"\xff".to_vec()];
    check(b"PUT k \xff\xff\n", &[Event::Request(Form::Text, put.to_vec())]);
}

#[test]
fn a_line_that_is_too_long_is_refused_once() {
    let refused = refused("line longer than 32 bytes");
    for end in ["\n", "\r\n"] {
        check(format!("GET {}{end}", "k".repeat(28)), &[text(&["GET", &"k".repeat(28)])]);
        for length in [33, 34, 35, 100] {
            let line = "x".repeat(length);
            check(format!("{line}{end}PING\n"), &[refused.clone(), text(&["PING"])]);
        }
    }
    check(format!("{}\r\0PING\n", "x".repeat(33)), &[refused.clone(), text(&["PING"])]);
    check(format!("{}\x08\n", "x".repeat(34)), &[refused]);
    let erased = format!("GET {}\x7f\n", "k".repeat(29));
    check(erased, &[text(&["GET", &"k".repeat(28)])]);
}

#[test]
fn a_line_that_is_too_long_may_end_in_cr_nul() {
    let refused = refused("line longer than 32 bytes");
    check(format!("{}\r\0PING\n", "x".repeat(60)), &[refused, text(&["PING"])]);
}

#[test]
fn keys_and_values_have_limits() {
    let value = |length| format!("PUT k {}\n", "v".repeat(length));
    check(value(20), &[text(&["PUT", "k", &"v".repeat(20)])]);
    check(value(21), &[refused("value longer than 20 bytes")]);
    let get = |length| format!("GET {}\n", "k".repeat(length)).into_bytes();
    let (events, _) = decode(&[&get(limits::MAX_KEY)], &Limits::default());
    assert_eq!(events, [text(&["GET", &"k".repeat(limits::MAX_KEY)])]);
    let (events, _) = decode(&[&get(limits::MAX_KEY + 1)], &Limits::default());
    assert_eq!(events, [refused("key longer than 65536 bytes")]);
}

#[test]
fn arrays_are_requests() {
    check("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &[array(&["GET", "k"])]);
    check("*3\r\n$3\r\nset\r\n$0\r\n\r\n$2\r\n\r\n\r\n", &[array(&["set", "", "\r\n"])]);
    check("*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", &[array(&["PING"])]);
    check(
        "PING\n*1\r\n$4\r\nPING\r\nPING\n",
        &[text(&["PING"]), array(&["PING"]), text(&["PING"])],
    );
    check("*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n", &[array(&["DEL", "a", "b"])]);
    check(
        "*1\r\n$3\r\nFOO\r\n*1\r\n$3\r\nGET\r\n*1\r\n$4\r\nPING\r\n",
        &[
            refused_array("unknown command 'FOO', with args beginning with: "),
            refused_array("wrong number of arguments for 'get' command"),
            array(&["PING"]),
        ],
    );
    check(
        "*3\r\n$1\r\nx\r\n$1\r\n'\r\n$1\r\n\n\r\n",
        &[refused_array("unknown command 'x', with args beginning with: ''' '\\n' ")],
    );
}

#[test]
fn an_unknown_command_is_shown_with_some_of_its_words() {
    let shown = |words: &[&[u8]]| {
        let (mut bytes, mut scratch) = (Buffer::new(), Scratch::default());
        resp::push_request(&mut bytes, words);
        let (_, decoded) =
            Decoder::default().decode(bytes.bytes(), &mut scratch, &Limits::default());
        let Decoded::Refused(_, refusal) = decoded else { panic!("there is no such command") };
        refusal.to_string()
    };
    let long = "y".repeat(300);
    let most = &long[..128];
    let expected = format!("ERR unknown command '{most}', with args beginning with: '{most}' ");
    assert_eq!(shown(&[long.as_bytes(), long.as_bytes(), b"z"]), expected);
    let expected =
        format!("ERR unknown command 'x', with args beginning with: '{}' 'y' ", &long[..124]);
    assert_eq!(shown(&[b"x", &long.as_bytes()[..124], b"yyy", b"z"]), expected);
}

#[test]
fn what_is_no_array_breaks_the_stream() {
    for header in ["*x\r\n", "*\r\n", "*1048577\r\n", "*1 \r\n", "*+1\r\n", "*1\n", "* 1\r\n"] {
        check(header, &[broken("invalid multibulk length")]);
    }
    for header in ["$x\r\n", "$\r\n", "$-1\r\n", "$21\r\n", "$18446744073709551617\r\n", "$4\n"] {
        check(format!("*1\r\n{header}"), &[broken("invalid bulk length")]);
    }
    check("*1\r\n+PING\r\n", &[broken("expected '$', got '+'")]);
    check("*1\r\n$4\r\nPINGS\r\n", &[broken("expected CRLF after a bulk string")]);
    let word = format!("$20\r\n{}\r\n", "w".repeat(20));
    check(format!("*9\r\n{}", word.repeat(9)), &[broken("request too large")]);
    // Without an end, and with one that comes with it or after it.
    let digits = "1".repeat(MAX_HEADER);
    for (begin, what) in [("*", "mbulk"), ("*1\r\n$", "bulk"), ("*1\r\n", "bulk")] {
        let endless = format!("{begin}{digits}");
        for pieces in [&[&endless, "\r\n"][..], &[&format!("{endless}\r\n")]] {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            let expected = broken(&format!("too big {what} count string"));
            assert_eq!(decode(&pieces, &small()).0, [expected], "{begin}");
        }
    }
    check("PING\n*1\r\n!\r\n", &[text(&["PING"]), broken("expected '$', got '!'")]);
    check("PING\n*1\r\n!", &[text(&["PING"])]);
}

#[test]
fn a_claimed_length_takes_no_memory() {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let input = b"*1048576\r\n$3\r\nDEL\r\n$67108864\r\nk";
    let (consumed, decoded) = decoder.decode(input, &mut scratch, &Limits::default());
    assert!(matches!((consumed, decoded), (0, Decoded::Incomplete)));
    let DecoderState::Array(partial) = &decoder.state else { panic!("it is in the array") };
    assert!(partial.words.capacity() < 100 && scratch.words.capacity() < 100);
}

#[test]
fn how_long_it_will_be_is_known_as_far_as_it_was_told() {
    let expected_len = |bytes: &[u8]| {
        let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
        let (consumed, _) = decoder.decode(bytes, &mut scratch, &Limits::default());
        consumed + decoder.expected_len()
    };
    let whole = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\nabcdef\r\n";
    for length in 0..whole.len() {
        let least = whole[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        assert!((least..=whole.len()).contains(&expected_len(&whole[..length])), "{length}");
    }
    assert_eq!(expected_len(&whole[..27]), whole.len(), "once the length of the value has come");
    assert_eq!(expected_len(b"SET k v"), 0);
    let (mut scanner, reply) = (ReplyScanner::default(), b"*2\r\n$3\r\nabc\r\n$5\r\nabcde\r\n");
    for (length, told) in [(7, 0), (8, 13), (12, 13), (16, 13), (17, 24), (23, 24), (24, 0)] {
        scanner.advance(&reply[..length], 24).expect("it is RESP");
        assert_eq!(scanner.expected_len(), told, "{length}");
    }
    scanner.advance(b"$1000\r\nabc", 24).expect("it is RESP");
    assert_eq!(scanner.expected_len(), 0, "what is too large is not kept");
}

/// However much of it has come, and however the rest comes.
#[test]
fn what_is_skipped_is_dropped_to_its_end_and_no_further() {
    let limits = Limits::default();
    let long = "v".repeat(60);
    let requests = [
        (format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60\r\n{long}\r\n"), Form::Resp),
        (format!("*2\r\n$4\r\nMGET\r\n$62\r\n*1{long}\r\n"), Form::Resp),
        (format!("SET k {long}\r\n"), Form::Text),
    ];
    for (request, form) in requests {
        let whole = request.len();
        for (split, step) in (1..whole - 1).flat_map(|at| [(at, 1), (at, 7), (at, whole)]) {
            let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
            let (mut input, mut events) = (Buffer::new(), Vec::new());
            input.push(&request.as_bytes()[..split]);
            let (consumed, decoded) = decoder.decode(input.bytes(), &mut scratch, &limits);
            assert!(consumed == 0 && matches!(decoded, Decoded::Incomplete));
            assert_eq!(decoder.skip(&mut input, &limits), form);
            let rest = [&request.as_bytes()[split..], b"PING\r\n*1\r\n$4\r\nPING\r\n"].concat();
            for piece in rest.chunks(step) {
                input.push(piece);
                loop {
                    let (consumed, decoded) = decoder.decode(input.bytes(), &mut scratch, &limits);
                    let event = event(decoded);
                    input.consume(consumed);
                    match event {
                        Some(event) => events.push(event),
                        None => break,
                    }
                }
                assert!(input.len() <= 30, "it is not kept");
            }
            assert_eq!(events, [text(&["PING"]), array(&["PING"])], "{split} {step}");
        }
    }
}

#[test]
fn what_has_begun_is_known() {
    let limits = small();
    let midway = |bytes: &[u8]| decode(&[bytes], &limits).1;
    assert_eq!(midway(b""), Midway::Nothing);
    assert_eq!(midway(b"PING\n"), Midway::Nothing);
    assert_eq!(midway(b"PING"), Midway::Line);
    assert_eq!(midway(b"PINX\x08"), Midway::Line);
    assert_eq!(midway(b"x\x08"), Midway::Nothing);
    assert_eq!(midway(b"\xff\xfd\x01"), Midway::Nothing);
    assert_eq!(midway(b"\xff\xfd"), Midway::Line);
    assert_eq!(midway(&[b'x'; 99]), Midway::Line);
    assert_eq!(midway(b"*"), Midway::Array);
    assert_eq!(midway(b"PING\n*1\r\n$4\r\nPI"), Midway::Array);
}

/// Were bytes looked at again for each that comes, these would take hours.
#[test]
fn long_requests_in_single_bytes_take_linear_time() {
    let limits = Limits::default();
    let long = "v".repeat(1 << 20);
    let resp = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{long}\r\n", long.len());
    let line = &long[..limits.max_line - 6];
    for request in [resp, format!("SET k {line}\n"), format!("SET k {line}v\x08\n")] {
        let pieces: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
        let (events, _) = decode(&pieces, &limits);
        let [Event::Request(_, words)] = &events[..] else { panic!("one request") };
        assert!(words[2].len() >= line.len());
    }
}

#[track_caller]
fn check_reply(shown: Reply<'_>, as_text: &str, as_resp: &str) {
    let mut out = Output::new();
    text::reply(&mut out, b"", shown);
    assert_eq!(out.to_vec(), as_text.as_bytes());
    out.clear();
    text::reply(&mut out, b"server: ", shown);
    let lines = as_text.split_inclusive("\r\n").map(|line| format!("server: {line}"));
    assert_eq!(out.to_vec(), lines.collect::<String>().as_bytes());
    out.clear();
    resp::reply(&mut out, resp::Version::Two, Some(Verb::Bye), shown);
    assert_eq!(out.to_vec(), as_resp.as_bytes());
}

#[test]
fn replies_have_two_forms() {
    let not_one_line = "ERR value is not one line of text, read it over RESP\r\n";
    check_reply(Reply::Ok, "OK\r\n", "+OK\r\n");
    check_reply(Reply::Exists, "Key already exists\r\n", "-ERR Key already exists\r\n");
    check_reply(Reply::NotFound, "Key not found\r\n", "$-1\r\n");
    check_reply(Reply::Value(Value::Short(b"v w")), "v w\r\n", "$3\r\nv w\r\n");
    check_reply(Reply::Value(Value::Short(b"")), "\r\n", "$0\r\n\r\n");
    check_reply(Reply::Value(Value::Short(b"v\n")), not_one_line, "$2\r\nv\n\r\n");
    check_reply(Reply::Value(Value::Short(b"\0")), not_one_line, "$1\r\n\0\r\n");
    check_reply(Reply::Deleted(0), "Key not found\r\n", ":0\r\n");
    check_reply(Reply::Deleted(12), "OK\r\n", ":12\r\n");
    check_reply(Reply::Pong, "PONG\r\n", "+PONG\r\n");
    check_reply(Reply::Goodbye, "Goodbye\r\n", "+Goodbye\r\n");
    check_reply(Reply::Lines(b"a\nb\n"), "a\r\nb\r\nEND\r\n", "$4\r\na\nb\n\r\n");
    check_reply(Reply::Error("no"), "ERR no\r\n", "-ERR no\r\n");
    check_reply(Reply::Failure(b"ERR no"), "ERR no\r\n", "-ERR no\r\n");
    check_reply(Reply::Failure(b"OOM no"), "ERR no\r\n", "-OOM no\r\n");
    check_reply(Reply::Failure(b"LOADING no"), "ERR LOADING no\r\n", "-LOADING no\r\n");
    let mut out = Output::new();
    resp::reply(&mut out, resp::Version::Two, Some(Verb::Quit), Reply::Goodbye);
    assert_eq!(out.to_vec(), b"+OK\r\n");
}

#[test]
fn a_long_value_is_shared_and_reads_like_any_other() {
    let stored = |byte: u8| Block::new([&b"key"[..], &[byte; SHARED_FROM]].concat());
    let (line, lines) = (stored(b'v'), stored(b'\n'));
    for (block, sharers) in [(&line, 3), (&lines, 2)] {
        let long = Reply::Value(Value::long(block, 3..block.len()));
        let short = Reply::Value(Value::Short(&block[3..]));
        let [shared, copied] = [long, short].map(|reply| {
            let mut out = Output::new();
            text::reply(&mut out, b"proxy: ", reply);
            resp::reply(&mut out, resp::Version::Two, None, reply);
            resp::Writer::new(&mut out, resp::Version::Two).integer(1);
            out
        });
        assert_eq!(shared.to_vec(), copied.to_vec());
        assert_eq!(Block::strong_count(block), sharers, "those that are shown, and this one");
    }
}

/// Each of these has the decoder begin anew at every few bytes: what is behind them must not be
/// looked at each time. With a look at all of it, a megabyte would take an hour.
#[test]
fn many_short_pieces_cost_no_more_than_their_bytes() {
    let limits = Limits::default();
    for piece in [&b"\x08"[..], b"\r\0", b"\xff\xf1", b"\xff\xfd\x01", b"PING\r\0", b"\r\n"] {
        let input = piece.repeat(1_000_000 / piece.len());
        let (mut decoder, mut scratch, mut at) = (Decoder::default(), Scratch::default(), 0);
        while at < input.len() {
            let (consumed, _) = decoder.decode(&input[at..], &mut scratch, &limits);
            assert!(consumed > 0, "{piece:?} at {at}");
            at += consumed;
        }
    }
}
