//! RESP requests: the same however they are cut, within the limits, and the same again when they
//! are written anew.

use super::decoding::{Event, cut, decode, decode_every_way, small};
use larder::base::buffer::Buffer;
use larder::protocol::{Form, resp};
use larder::settings::limits::Limits;

pub fn run(input: &[u8]) {
    let (bytes, pieces) = cut(input);
    for limits in [small(), Limits::default()] {
        for event in decode_every_way(bytes, &pieces, &limits) {
            if let Event::Request(Form::Resp, _, words) = &event {
                assert!(words.iter().map(Vec::len).sum::<usize>() <= limits.max_request);
                let mut anew = Buffer::new();
                resp::push_request(&mut anew, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
                assert_eq!(decode(&[anew.bytes()], &Limits::default()).0, [event]);
            }
        }
    }
}
