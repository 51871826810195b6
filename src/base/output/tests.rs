//! Tests of `output.rs`.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Share(usize, usize),
    PushAll,
    Consume(usize),
    Truncate(usize),
    BringForward(usize, usize),
    Send(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..400usize;
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Push),
        3 => (place.clone(), place.clone()).prop_map(|(a, b)| Step::Share(a, b)),
        1 => Just(Step::PushAll),
        2 => place.clone().prop_map(Step::Consume),
        2 => place.clone().prop_map(Step::Truncate),
        2 => (place.clone(), place.clone()).prop_map(|(a, b)| Step::BringForward(a, b)),
        3 => (place.clone(), place).prop_map(|(room, most)| Step::Send(room, most)),
    ]
}

/// A peer that takes so many bytes.
struct Peer {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room - self.taken.len());
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn it_behaves_like_a_plain_queue_of_bytes(
        steps in prop::collection::vec(step(), 0..100),
    ) {
        let block = Block::new((0..400).map(|n| n as u8).collect());
        let (mut output, mut model) = (Output::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push(bytes) => {
                    output.push(&bytes);
                    model.extend(bytes);
                }
                Step::Share(a, b) => {
                    let range = a.min(b)..a.max(b);
                    output.push_shared(&block, range.clone());
                    model.extend(&block[range]);
                }
                Step::PushAll => {
                    let mut other = Output::new();
                    other.push_all(&output);
                    prop_assert_eq!(other.to_vec(), &model[..]);
                    output = other;
                }
                Step::Consume(count) => {
                    let count = count.min(model.len());
                    output.consume(count);
                    model.drain(..count);
                }
                Step::Truncate(len) => {
                    let len = len.min(model.len());
                    output.truncate(len);
                    model.truncate(len);
                }
                Step::BringForward(from, to) => {
                    let from = from.min(model.len());
                    let to = to.min(from);
                    output.bring_forward(from, to);
                    let moved = model.len() - from;
                    model[to..].rotate_right(moved);
                }
                Step::Send(room, most) => {
                    let mut peer = Peer { taken: Vec::new(), room };
                    let took_all = output.send(&mut peer, most).expect("it takes what it can");
                    prop_assert!(took_all || peer.taken.len() == room);
                    prop_assert!(peer.taken.len() <= most);
                    prop_assert!(peer.taken == model[..peer.taken.len()]);
                    model.drain(..peer.taken.len());
                }
            }
            output.check_invariants();
            prop_assert_eq!((output.len(), output.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(output.to_vec(), &model[..]);
        }
        output.clear();
        prop_assert_eq!(Arc::strong_count(&block), 1, "nothing is kept for longer than needed");
    }
}

#[test]
fn one_write_takes_many_values_and_says_whether_there_were_more() {
    let block = Block::new(vec![b'v'; SHARED_FROM]);
    let (values, length) = (MAX_SLICES, 1 + SHARED_FROM);
    let mut output = Output::new();
    for _ in 0..values {
        output.push(b"h");
        output.push_value(Value::long(&block, 0..block.len()));
    }
    let mut peer = Peer { taken: Vec::new(), room: usize::MAX };
    assert!(output.send(&mut peer, usize::MAX).expect("it takes all"));
    assert_eq!((peer.taken.len(), output.len()), (values / 2 * length, values / 2 * length));
    assert_eq!(Arc::strong_count(&block), 1 + values / 2, "what is sent is let go");
    assert!(output.send(&mut peer, usize::MAX).expect("it takes all") && output.is_empty());
}

#[test]
fn small_values_and_those_that_nobody_shares_are_copied() {
    let mut output = Output::new();
    let block = Block::new(vec![b'v'; SHARED_FROM]);
    output.push_value(Value::long(&block, 1..block.len()));
    output.push_value(Value::Short(&block));
    assert_eq!((Arc::strong_count(&block), output.plain.len()), (1, 2 * block.len() - 1));
    output.push_value(Value::long(&block, 0..block.len()));
    assert_eq!((Arc::strong_count(&block), output.len()), (2, 3 * block.len() - 1));
}
