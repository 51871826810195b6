//! Lines, with what telnet and people mix into them: the same however they are cut, within the
//! limits, the same again when they are written anew; and what is written in reply stays one line.

use super::decoding::{Event, cut, decode, decode_every_way, small};
use larder::base::output::Output;
use larder::protocol::{Form, text};
use larder::settings::limits::Limits;
use std::slice;

pub fn run(input: &[u8]) {
    let (bytes, pieces) = cut(input);
    for limits in [small(), Limits::default()] {
        for event in decode_every_way(bytes, &pieces, &limits) {
            match &event {
                Event::Request(Form::Text, _, words) => {
                    assert!(words.iter().map(Vec::len).sum::<usize>() <= limits.max_line);
                    check_anew(&event, words);
                    words.iter().for_each(|word| check_written(word));
                }
                Event::Refused(_, message) => assert!(text::is_one_line(message.as_bytes())),
                _ => {}
            }
        }
    }
}

/// A request that is written as a plain line is the same.
fn check_anew(event: &Event, words: &[Vec<u8>]) {
    // `=` has a meaning of its own before a value; 0xFF is telnet's, and is doubled.
    if words.iter().skip(1).any(|word| word.contains(&b'=')) {
        return;
    }
    let mut line = words.join(&b' ');
    line = line.iter().flat_map(|&byte| vec![byte; 1 + usize::from(byte == 0xff)]).collect();
    line.extend(b"\r\n");
    let (events, _) = decode(&[&line], &Limits::default());
    assert!(events == slice::from_ref(event), "{}", line.escape_ascii());
}

/// Bytes of a client that a reply or an error shows.
fn check_written(word: &[u8]) {
    let mut out = Output::new();
    text::push_key(&mut out, word);
    text::push_quoted(&mut out, word);
    assert!(text::is_one_line(&out.to_vec()));
    let shown = text::printable(word, 100).to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
}
