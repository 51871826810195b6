//! What the targets for decoders share: how an input is cut, and requests that can be compared.

use larder::base::buffer::Buffer;
use larder::protocol::resp::MAX_HEADER;
use larder::protocol::{Decoded, Decoder, Form, KeyLookup, Midway, Scratch};
use larder::settings::limits::Limits;

/// A [`Decoded`] that can be kept and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Request(Form, &'static str, Vec<Vec<u8>>),
    Refused(Form, String),
    Broken(String),
    Telnet([u8; 3]),
}

/// An input begins with how it is cut: a count, and so many lengths of pieces. What is left is the
/// last piece. Returns the bytes whole, and in pieces.
pub fn cut(input: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let Some((&count, rest)) = input.split_first() else { return (input, Vec::new()) };
    let (lengths, bytes) = rest.split_at(rest.len().min(usize::from(count % 8)));
    let (mut pieces, mut left) = (Vec::new(), bytes);
    for &length in lengths {
        let (piece, after) = left.split_at(left.len().min(usize::from(length)));
        pieces.push(piece);
        left = after;
    }
    pieces.push(left);
    (bytes, pieces)
}

/// Limits that an input reaches.
pub fn small() -> Limits {
    Limits { max_line: 32, max_value: 20, max_request: 100, ..Limits::default() }
}

pub fn event(decoded: Decoded<'_>) -> Option<Event> {
    Some(match decoded {
        Decoded::Incomplete => return None,
        Decoded::Request(request) => {
            assert!(request.keys().all(|key| request.arguments().any(|word| word == key)));
            let words = request.words().map(<[u8]>::to_vec).collect();
            Event::Request(request.form, request.command.name, words)
        }
        Decoded::Refused(form, refusal) => Event::Refused(form, refusal.to_string()),
        Decoded::Broken(refusal) => Event::Broken(refusal.to_string()),
        Decoded::Telnet(answer) => Event::Telnet(answer),
    })
}

/// Decodes bytes that come in these pieces, as a handler does: the events, and what has begun and
/// not ended.
pub fn decode(pieces: &[&[u8]], limits: &Limits) -> (Vec<Event>, Midway) {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let (mut input, mut events) = (Buffer::new(), Vec::new());
    for piece in pieces {
        input.push(piece);
        loop {
            let (consumed, decoded) = decoder.decode(input.bytes(), &mut scratch, limits);
            let event = event(decoded);
            input.consume(consumed);
            match event {
                None => break,
                Some(event) => events.push(event),
            }
            if let Some(Event::Broken(_)) = events.last() {
                return (events, Midway::Nothing);
            }
            assert!(consumed > 0, "an event takes its bytes with it");
        }
        let most = limits.max_line.max(limits.max_request + MAX_HEADER);
        assert!(input.len() <= most + 1, "no more is kept than can be a request");
        assert!(decoder.expected_len() <= limits.max_request, "nor is more waited for");
    }
    (events, decoder.midway(input.bytes()))
}

/// Hashes and touches nothing.
struct Untouched;

impl KeyLookup for Untouched {
    fn hash(&self, key: &[u8]) -> u64 {
        key.len() as u64
    }

    fn touch(&self, _: &[u64]) {}
}

/// The same from bytes that are all there, decoded ahead; each request is taken back once.
fn decode_ahead(bytes: &[u8], limits: &Limits) -> Vec<Event> {
    let (mut decoder, mut scratch) = (Decoder::default(), Scratch::default());
    let (mut rest, mut events, mut taken_back) = (bytes, Vec::new(), false);
    loop {
        decoder.look_ahead(rest, &mut scratch, limits, &Untouched);
        let (consumed, decoded) = decoder.decode(rest, &mut scratch, limits);
        let Some(event) = event(decoded) else { return events };
        if matches!(event, Event::Request(..)) && !taken_back {
            taken_back = true;
            rest = &rest[decoder.put_back(&mut scratch)..];
            continue;
        }
        taken_back = false;
        rest = &rest[consumed..];
        events.push(event);
        if let Some(Event::Broken(_)) = events.last() {
            return events;
        }
    }
}

/// The events of a stream: the same however it is cut, and however far it is looked ahead.
pub fn decode_every_way(bytes: &[u8], pieces: &[&[u8]], limits: &Limits) -> Vec<Event> {
    let whole = decode(&[bytes], limits);
    assert_eq!(decode(pieces, limits), whole, "in pieces");
    assert_eq!(decode(&bytes.chunks(1).collect::<Vec<_>>(), limits), whole, "byte by byte");
    assert_eq!(decode_ahead(bytes, limits), whole.0, "looking ahead");
    whole.0
}
