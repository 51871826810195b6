//! What holds for any bytes, at any split.

use super::*;
use crate::protocol::resp::{Element, Elements, ProtocolError, ReplyKind, ReplyRule, ReplyScanner};
use crate::protocol::resp::{Scanned, Version};
use proptest::prelude::*;
use std::cell::RefCell;

/// What `push_quoted` wrote, read back.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut rest = inner.expect("it stands between quotes").iter();
    let mut bytes = Vec::new();
    while let Some(&byte) = rest.next() {
        assert_ne!(byte, b'"', "a quote within is escaped");
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape has a letter") {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [*rest.next().expect("two"), *rest.next().expect("two")];
                    let digits = std::str::from_utf8(&digits).expect("ASCII");
                    u8::from_str_radix(digits, 16).expect("hexadecimal")
                }
                itself => *itself,
            },
            plain => plain,
        });
    }
    bytes
}

/// Bytes in which much goes wrong: pieces of requests, ends, edits, telnet, and anything else.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"PUT k v",
        b"GET ",
        b"DUMP",
        b"x",
        b"=",
        b" ",
        b"\t",
        b"PING",
        b"POST ",
        b" HTTP/1.1",
        b"\n",
        b"\r\n",
        b"\r\0",
        b"\r",
        b"\0",
        b"\x08",
        b"\x7f",
        b"\xc3\xbc",
        b"\xff\xfd\x01",
        b"\xff\xf4\xff\xfd\x06",
        b"\xff\xfa\x18",
        b"\xff\xf0",
        b"\xff\xff",
        b"\xff",
        b"\xff\xf8",
        b"*",
        b"$",
        b"*0\r\n",
        b"*1\r\n",
        b"*2\r\n$3\r\nGET\r\n",
        b"$4\r\nPING\r\n",
        b"$1\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$3\r\nget\r\n$12\r\nabcdefghijkl\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n",
        b"*03\r\n",
        b"*2\r\n$03\r\nGET\r\n",
        b"$01\r\nk\r\n",
        b"$1\r\nk\r\n",
        b"get k\r\n",
        b"SET key = a value\r\n",
        b"-1\r\n",
        b"0123456789012345678901234567890",
        b"1",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_pieces(bytes: &[u8], cuts: Vec<prop::sample::Index>) -> Vec<&[u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let starts = std::iter::once(0).chain(at.iter().copied());
    let ends = at.iter().copied().chain(std::iter::once(bytes.len()));
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// A reply, in RESP3 or what is in both.
fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let line = |kind: &'static [u8]| {
        let byte = any::<u8>().prop_filter("", |byte| !b"\r\n".contains(byte));
        prop::collection::vec(byte, 0..9).prop_map(move |line| [kind, &line, b"\r\n"].concat())
    };
    let blob = |kind: char, format: &'static [u8]| {
        prop::collection::vec(any::<u8>(), 0..150).prop_map(move |bytes| {
            let length = format.len() + bytes.len();
            [format!("{kind}{length}\r\n").as_bytes(), format, &bytes, b"\r\n"].concat()
        })
    };
    let leaf = prop_oneof![
        line(b"+"),
        line(b"-"),
        line(b","),
        line(b"("),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        prop::sample::select(&["$-1\r\n", "*-1\r\n", "_\r\n", "#t\r\n", "#f\r\n"][..])
            .prop_map(|fixed| fixed.as_bytes().to_vec()),
        blob('$', b""),
        blob('=', b"txt:"),
        blob('!', b""),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let kinds = prop::sample::select(&['*', '~', '%', '|'][..]);
        (kinds, prop::collection::vec(inner, 1..7)).prop_map(|(kind, mut parts)| {
            // Pairs, and of an attribute the element it is about.
            let count = match kind {
                '%' => parts.len() / 2,
                '|' => (parts.len() - 1) / 2,
                _ => parts.len(),
            };
            parts.truncate(match kind {
                '%' => 2 * count,
                '|' => 2 * count + 1,
                _ => count,
            });
            [format!("{kind}{count}\r\n").into_bytes(), parts.concat()].concat()
        })
    })
}

/// What a stream of replies comes to: each reply, or its length in brackets if it was dropped; and
/// what ended it.
fn scan(pieces: &[&[u8]], most: usize) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
    let (mut scanner, mut input, mut found) = (ReplyScanner::default(), Vec::new(), Vec::new());
    let mut dropped = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        while !input.is_empty() {
            match scanner.advance(&input, most) {
                Err(error) => return (found, Some(error)),
                Ok(Scanned::Midway) => break,
                Ok(Scanned::Whole(length, _)) => found.push(input.drain(..length).collect()),
                Ok(Scanned::Dropped(count, last)) => {
                    dropped += count;
                    input.drain(..count);
                    if last.is_some() {
                        found.push(format!("[{dropped}]").into_bytes());
                        dropped = 0;
                    }
                }
            }
        }
    }
    (found, None)
}

/// The bytes of an element, written anew.
fn encode(element: Element<'_>) -> Vec<u8> {
    let line = |kind: &[u8], line: &[u8]| [kind, line, b"\r\n"].concat();
    let count = |kind: &[u8], count: usize| line(kind, count.to_string().as_bytes());
    match element {
        Element::Simple(text) => line(b"+", text),
        Element::Error(text) => line(b"-", text),
        Element::Integer(number) => line(b":", number.to_string().as_bytes()),
        Element::Double(text) => line(b",", text),
        Element::BigNumber(text) => line(b"(", text),
        Element::Boolean(is_true) => line(b"#", if is_true { b"t" } else { b"f" }),
        Element::Bulk(bytes) => line(&count(b"$", bytes.len()), bytes),
        Element::BlobError(bytes) => line(&count(b"!", bytes.len()), bytes),
        Element::Verbatim(bytes) => line(&count(b"=", bytes.len() + 4), &[b"txt:", bytes].concat()),
        Element::Null => b"$-1\r\n".to_vec(),
        Element::Array(elements) => count(b"*", elements),
        Element::Set(elements) => count(b"~", elements),
        Element::Push(elements) => count(b">", elements),
        Element::Map(pairs) => count(b"%", pairs),
        Element::Attribute(pairs) => count(b"|", pairs),
    }
}

/// Remembers the keys that are touched. Their hashes are their numbers.
#[derive(Default)]
struct Touched(RefCell<Vec<Vec<u8>>>);

impl KeyLookup for Touched {
    fn hash(&self, key: &[u8]) -> u64 {
        self.0.borrow_mut().push(key.to_vec());
        self.0.borrow().len() as u64
    }

    fn touch(&self, hashes: &[u64]) {
        let last = self.0.borrow().len();
        assert!(hashes.len() <= MAX_TOUCHED);
        assert!(hashes.is_empty() || hashes.last() == Some(&(last as u64)), "all are touched");
    }
}

/// Decodes as `decode` does, but looks ahead; and, if asked to, takes every request back once
/// before it is accepted.
fn decode_ahead(bytes: &[u8], limits: &Limits, twice: bool) -> (Vec<Event>, Vec<Vec<u8>>) {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let (mut rest, mut events, mut taken_back) = (bytes, Vec::new(), false);
    let touched = Touched::default();
    loop {
        decoder.look_ahead(rest, &mut scratch, limits, &touched);
        let (consumed, decoded) = decoder.decode(rest, &mut scratch, limits);
        let Some(event) = event(decoded) else { return (events, touched.0.take()) };
        if twice && matches!(event, Event::Request(..)) && !taken_back {
            taken_back = true;
            rest = &rest[decoder.put_back(&mut scratch)..];
            continue;
        }
        taken_back = false;
        rest = &rest[consumed..];
        events.push(event);
        if let Some(Broken(_)) = events.last() {
            return (events, touched.0.take());
        }
    }
}

/// Every rule for replies.
const RULES: &[ReplyRule] = {
    use ReplyRule::{FlatPairs, LastNullArray, NullArrays, Plain};
    &[Plain, FlatPairs, NullArrays, LastNullArray]
};

proptest! {
    #[test]
    fn a_request_taken_back_comes_again(stream in any_stream()) {
        let (events, _) = decode_ahead(&stream, &small(), true);
        prop_assert_eq!(events, decode(&[&stream], &small()).0);
    }

    #[test]
    fn any_bytes_come_to_the_same_however_they_are_split(
        stream in any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = decode(&[&stream], &small());
        prop_assert_eq!(&decode(&any_pieces(&stream, cuts), &small()), &whole);
        prop_assert_eq!(&decode(&stream.chunks(1).collect::<Vec<_>>(), &small()), &whole);
    }

    #[test]
    fn what_is_decoded_ahead_is_what_comes(stream in any_stream()) {
        let (events, touched) = decode_ahead(&stream, &small(), false);
        prop_assert_eq!(&events, &decode(&[&stream], &small()).0);
        let requests = events.iter().filter_map(|event| match event {
            Event::Request(_, words) => Some(words),
            _ => None,
        });
        let words: Vec<_> = requests.flatten().collect();
        prop_assert!(touched.iter().all(|key| words.contains(&key)));
    }

    #[test]
    fn random_bytes_do_no_harm(stream in prop::collection::vec(any::<u8>(), 0..300)) {
        decode(&[&stream], &small());
        decode(&[&stream], &Limits::default());
        let array = [b"*3\r\n", &stream[..]].concat();
        decode(&[&array], &small());
    }

    #[test]
    fn a_request_is_read_as_it_was_written(
        words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..130), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let words: Vec<&[u8]> =
            std::iter::once(&b"DEL"[..]).chain(words.iter().map(Vec::as_slice)).collect();
        let mut out = Buffer::new();
        resp::push_request(&mut out, &words);
        resp::push_request(&mut out, &words);
        let (events, _) = decode(&any_pieces(out.bytes(), cuts), &Limits::default());
        let expected = Event::Request(Form::Resp, words.iter().map(|word| word.to_vec()).collect());
        prop_assert_eq!(events, vec![expected.clone(), expected]);
    }

    #[test]
    fn a_reply_is_read_as_it_was_written(
        replies in prop::collection::vec(any_reply(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = replies.concat();
        let expected = (replies.clone(), None);
        prop_assert_eq!(&scan(&bytes.chunks(1).collect::<Vec<_>>(), 1 << 20), &expected);
        prop_assert_eq!(&scan(&any_pieces(&bytes, cuts), 1 << 20), &expected);
        for reply in &replies {
            let anew: Vec<u8> = Elements::new(reply).flat_map(encode).collect();
            let null = |text: &str| text.replace("*-1\r\n", "$-1\r\n").replace("_\r\n", "$-1\r\n");
            let latin = |bytes: &[u8]| bytes.iter().map(|&b| char::from(b)).collect::<String>();
            prop_assert_eq!(null(&latin(&anew)), null(&latin(reply)));
        }
    }

    #[test]
    fn what_is_too_large_is_dropped_and_what_follows_is_read(
        large in any_reply(),
        next in any_reply(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = [&large[..], &next].concat();
        let shown = |reply: &[u8]| match reply.len() > 20 {
            true => format!("[{}]", reply.len()).into_bytes(),
            false => reply.to_vec(),
        };
        let expected = (vec![shown(&large), shown(&next)], None);
        prop_assert_eq!(&scan(&bytes.chunks(1).collect::<Vec<_>>(), 20), &expected);
        prop_assert_eq!(&scan(&any_pieces(&bytes, cuts), 20), &expected);
    }

    #[test]
    fn a_reply_converted_is_one_reply_of_the_other_version(
        reply in any_reply(),
        rule in prop::sample::select(RULES),
    ) {
        let mut out = Output::new();
        resp::convert(&mut out, Value::Short(&reply), rule, Version::Three, Version::Two);
        let whole = Ok(Scanned::Whole(out.len(), ReplyKind::Reply));
        prop_assert_eq!(ReplyScanner::default().advance(&out.to_vec(), usize::MAX), whole);
        let is_old = |element| {
            use Element::{Array, Bulk, Error, Integer, Null, Simple};
            matches!(element, Array(_) | Bulk(_) | Error(_) | Integer(_) | Null | Simple(_))
        };
        prop_assert!(Elements::new(&out.to_vec()).all(is_old));
        let two = out.to_vec();
        out.clear();
        resp::convert(&mut out, Value::Short(&two), rule, Version::Two, Version::Three);
        let whole = Ok(Scanned::Whole(out.len(), ReplyKind::Reply));
        prop_assert_eq!(ReplyScanner::default().advance(&out.to_vec(), usize::MAX), whole);
        prop_assert_eq!(Elements::new(&out.to_vec()).count(), Elements::new(&two).count());
    }

    #[test]
    fn random_replies_do_no_harm(
        replies in prop::collection::vec(any_reply(), 1..3),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes = replies.concat();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = scan(&[&bytes], 100);
        prop_assert_eq!(&scan(&any_pieces(&bytes, cuts), 100), &whole);
        prop_assert!(Elements::new(&bytes).count() <= bytes.len());
        let mut out = Output::new();
        for reply in whole.0.iter().filter(|reply| !reply.starts_with(b"[")) {
            let reply = Value::Short(reply);
            resp::convert(&mut out, reply, ReplyRule::FlatPairs, Version::Three, Version::Two);
        }
    }

    #[test]
    fn what_is_quoted_can_be_read_back(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            any::<String>().prop_map(String::into_bytes),
        ]
    ) {
        let mut out = Output::new();
        text::push_quoted(&mut out, &bytes);
        let quoted = out.to_vec();
        prop_assert!(text::is_one_line(&quoted) && std::str::from_utf8(&quoted).is_ok());
        prop_assert_eq!(unquote(&quoted), &bytes[..]);
        out.clear();
        text::push_key(&mut out, &bytes);
        if out.to_vec().starts_with(b"\"") {
            prop_assert_eq!(unquote(&out.to_vec()), bytes);
        } else {
            prop_assert_eq!(out.to_vec(), &bytes[..]);
            let printed = String::from_utf8(bytes).expect("a bare key is UTF-8");
            prop_assert_eq!(printed.split_whitespace().collect::<Vec<_>>(), [&printed[..]]);
            prop_assert!(!printed.contains(char::is_control));
        }
    }
}
