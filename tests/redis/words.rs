//! The words that stand for arguments in `commands.txt`: those of `words.txt`, and random ones.

use super::grammar::one_of;
use super::script::{Request, Word};
use proptest::prelude::*;

const WORDS: &str = include_str!("words.txt");

/// How many words of a list are the usual ones.
const FIRST: usize = 3;

/// Returns what a name in lower case stands for.
pub fn named(name: &str) -> BoxedStrategy<Vec<Word>> {
    let random = |byte: BoxedStrategy<u8>, most| {
        prop::collection::vec(byte, 0..most).prop_map(|word| vec![word])
    };
    match name {
        "key" => prop_oneof![Just(vec![b"a".to_vec()]), any_of("key")].boxed(),
        // All that a random request may have created, if not those of a random pattern.
        "every-key" => Just([list("key"), list("odd")].concat()).boxed(),
        "value" => {
            let bytes = random(any::<u8>().boxed(), 24);
            prop_oneof![4 => any_of("value"), 2 => any_of("number"), 1 => bytes].boxed()
        }
        "pattern" => {
            let bytes = random(prop::sample::select(&b"ab*?[]^-\\\xff"[..]).boxed(), 8);
            prop_oneof![3 => any_of("pattern"), 1 => bytes].boxed()
        }
        _ => find(name, " = ").map_or_else(|| any_of(name), one_of),
    }
}

/// Returns a word to spoil a request with.
pub fn odd() -> impl Strategy<Value = Word> {
    prop::sample::select(list("odd"))
}

/// Returns one word of a list; half the time one of the first, or little would succeed and few keys
/// meet.
fn any_of(name: &str) -> BoxedStrategy<Vec<Word>> {
    let all = list(name);
    let first = prop::sample::select(all[..FIRST].to_vec());
    prop_oneof![first, prop::sample::select(all)].prop_map(|word| vec![word]).boxed()
}

fn list(name: &str) -> Vec<Word> {
    Request::of(find(name, ":").unwrap_or_else(|| panic!("no words for {name}"))).words
}

/// Returns what stands in `words.txt` behind a name and a mark; lines that go on are indented.
fn find(name: &str, mark: &str) -> Option<&'static str> {
    let (_, rest) = WORDS.split_once(&format!("\n{name}{mark}"))?;
    let mut ends = rest.match_indices('\n').map(|(at, _)| at);
    Some(&rest[..ends.find(|at| !rest[at + 1..].starts_with(' ')).unwrap_or(rest.len())])
}
