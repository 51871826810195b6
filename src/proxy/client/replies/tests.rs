//! Tests of `replies.rs`.

use super::*;
use crate::protocol::Form;
use proptest::prelude::*;

fn style() -> Style {
    Style::plain(Form::Text)
}

proptest! {
    /// Whatever the order in which replies are given, they come out in the order of requests.
    #[test]
    fn replies_come_out_in_order(steps in prop::collection::vec(any::<(u8, u8)>(), 0..200)) {
        let (mut replies, mut output) = (Replies::default(), Output::new());
        let (mut owed, mut asked) = (Vec::new(), 0u64);
        let line = |number: u64| format!("{number}\n").into_bytes();
        let mut quiet = style();
        quiet.quiet = true;
        let mut gathering = Vec::new();
        for (what, which) in steps {
            match what % 6 {
                0 => {
                    owed.push((replies.owe(style()), asked));
                    asked += 1;
                }
                1 => {
                    replies.answer(&mut output, style(), |out| out.push(&line(asked)));
                    asked += 1;
                }
                2 => {
                    let parts = usize::from(which % 3) + 1;
                    let ticket = replies.gather(style(), Gather::new(parts, 100));
                    owed.extend((0..parts).map(|part| (ticket.part(part), asked)));
                    gathering.push(asked);
                    asked += 1;
                }
                3 => {
                    replies.answer(&mut output, quiet, |out| out.push(b"not wanted"));
                }
                _ if owed.is_empty() => {}
                _ => {
                    let (ticket, number) = owed.remove(usize::from(which) % owed.len());
                    if gathering.contains(&number) {
                        replies.fulfil(ticket, &mut output, Reply::Error(&number.to_string()));
                    } else {
                        replies.fulfil_with(ticket, &mut output, |out, _| {
                            out.push(&line(number));
                        });
                    }
                }
            }
        }
        let waiting = owed.first().map_or(asked, |&(_, number)| number);
        let shown = |number: u64| match gathering.contains(&number) {
            true => format!("-ERR {number}\r\n").into_bytes(),
            false => line(number),
        };
        let expected: Vec<u8> = (0..waiting).flat_map(shown).collect();
        prop_assert_eq!(output.to_vec(), expected);
        prop_assert_eq!(replies.is_empty(), owed.is_empty());
        if owed.is_empty() {
            prop_assert_eq!(replies.parked_bytes(), 0);
        }
    }
}
