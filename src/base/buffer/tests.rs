//! Tests of `buffer.rs`.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Consume(usize),
    Truncate(usize),
    BringForward(usize, usize),
    Fill(Vec<u8>, usize),
    Expect(usize, usize),
    Decimal(u64),
    Take(usize),
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Push),
        (0..300usize).prop_map(Step::Consume),
        (0..300usize).prop_map(Step::Truncate),
        (prop::collection::vec(any::<u8>(), 0..200), 0..300usize)
            .prop_map(|(bytes, most)| Step::Fill(bytes, most)),
        (0..3000usize, 0..200usize).prop_map(|(more, count)| Step::Expect(more, count)),
        any::<u64>().prop_map(Step::Decimal),
        (0..300usize).prop_map(Step::Take),
        (0..300usize, 0..300usize).prop_map(|(from, to)| Step::BringForward(from, to)),
        Just(Step::Shrink),
    ]
}

proptest! {
    #[test]
    fn it_behaves_like_a_queue(steps in prop::collection::vec(step(), 0..80)) {
        let mut buffer = Buffer::new();
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(bytes) => {
                    buffer.push(&bytes);
                    model.extend(bytes);
                }
                Step::Consume(count) => {
                    let count = count.min(model.len());
                    buffer.consume(count);
                    model.drain(..count);
                }
                Step::Truncate(len) => {
                    let len = len.min(model.len());
                    buffer.truncate(len);
                    model.truncate(len);
                }
                Step::BringForward(from, to) => {
                    let from = from.min(model.len());
                    let to = to.min(from);
                    buffer.bring_forward(from, to);
                    let moved = model.split_off(from);
                    let passed = model.split_off(to);
                    model.extend(moved.into_iter().chain(passed));
                }
                Step::Take(count) => {
                    let count = count.min(model.len());
                    let (taken, range) = buffer.take(count);
                    prop_assert_eq!(&taken[range], &model.drain(..count).collect::<Vec<_>>());
                }
                Step::Shrink => buffer.shrink(),
                Step::Expect(more, count) => {
                    buffer.make_room_towards(model.len() + more, count);
                    prop_assert!(buffer.room() >= count);
                }
                Step::Fill(bytes, most) => {
                    let count = buffer.fill(&mut &bytes[..], most).expect("a slice reads");
                    prop_assert!(count <= most);
                    model.extend(&bytes[..count]);
                }
                Step::Decimal(number) => {
                    buffer.push_decimal(number);
                    model.extend(number.to_string().into_bytes());
                }
            }
            if buffer.is_empty() {
                buffer.clear();
            }
            buffer.check_invariants();
            prop_assert_eq!(buffer.bytes(), model.make_contiguous());
        }
    }
}

#[test]
fn a_large_buffer_gives_back_what_a_small_rest_does_not_need() {
    let mut buffer = Buffer::new();
    buffer.push(&[b'x'; 100_000]);
    buffer.consume(99_990);
    buffer.shrink();
    assert_eq!((buffer.capacity(), buffer.bytes()), (10, &[b'x'; 10][..]));
    buffer.consume(10);
    buffer.shrink();
    assert_eq!(buffer.capacity(), 0);
}

#[test]
fn what_is_long_is_taken_out_without_a_copy_of_it() {
    let long = vec![b'v'; 1 << 20];
    let mut buffer = Buffer::new();
    buffer.push(b"before");
    buffer.push(&long);
    buffer.push(b"after");
    buffer.consume(6);
    let (taken, range) = buffer.take(long.len());
    assert_eq!((&taken[range.clone()], range), (&long[..], 6..6 + long.len()));
    assert!(taken.capacity() < long.len() + long.len() / 8 + 10, "it keeps little more");
    assert_eq!(buffer.bytes(), b"after");
    let mut whole = Buffer::new();
    whole.make_room_towards(long.len(), long.len());
    whole.push(&long);
    let before = whole.bytes().as_ptr();
    assert_eq!(whole.take(long.len()).0.as_ptr(), before, "not moved either");
    assert_eq!((whole.len(), whole.capacity()), (0, 0));
}

#[test]
fn it_grows_to_what_is_announced_as_that_comes() {
    let mut buffer = Buffer::new();
    buffer.push(b"$67108864\r\n");
    let mut capacities = Vec::new();
    while buffer.len() < 64 << 20 {
        buffer.make_room_towards(64 << 20, buffer.len().min((64 << 20) - buffer.len()));
        assert!(buffer.storage.len() <= 2 * buffer.len() + AHEAD, "only that is touched");
        assert!(buffer.capacity() <= MAX_RESERVE * 2 * buffer.len());
        capacities.push(buffer.capacity());
        let room = buffer.len().min((64 << 20) - buffer.len());
        buffer.fill(&mut io::repeat(b'v'), room).expect("it reads on");
    }
    capacities.dedup();
    assert_eq!(capacities.last(), Some(&(64 << 20)));
    assert!(capacities.len() < 8, "{capacities:?}");
}
