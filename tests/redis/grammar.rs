//! From the lines of `commands.txt` to random scripts.
//!
//! A line is one command, or several with `;` between them that stay together:
//!
//! - a number before it is its weight among the lines, else 1
//! - words in capitals, numbers and marks stand for themselves, most often in capitals
//! - other words stand for what `words.txt` has of that name: one word or several
//! - `word?` comes once or not at all, `word*` up to four times, `word+` one to four times
//!
//! Some requests are then spoilt: a word is missing, replaced or too many.

use super::script::{Request, Script, Step, Word};
use super::words;
use proptest::prelude::*;
use proptest::strategy::Union;

/// A line for each form of a command.
pub const COMMANDS: &str = include_str!("commands.txt");

/// How many of the requests are spoilt.
const SPOILT: f64 = 0.05;

/// Lines of a script.
const LENGTH: usize = 25;

type Words = BoxedStrategy<Vec<Word>>;

/// Returns the lines of some parts of `commands.txt`.
pub fn lines(parts: &[&str]) -> Vec<&'static str> {
    let lines_of = |part: &&str| {
        let (_, after) = COMMANDS
            .split_once(&format!("\n{part}:\n"))
            .unwrap_or_else(|| panic!("tests/redis/commands.txt has no part `{part}:`"));
        let part = after.split_once("\n\n").map_or(after, |(part, _)| part);
        part.lines().filter(|line| !line.starts_with('#'))
    };
    parts.iter().flat_map(lines_of).collect()
}

/// Returns random scripts of these lines, in RESP2 and RESP3.
pub fn scripts(lines: &[&'static str]) -> BoxedStrategy<Script> {
    let element = Union::new_weighted(lines.iter().map(|it| line(it)).collect());
    let by = prop::bool::weighted(0.2).prop_map(usize::from);
    let steps = prop::collection::vec((by, element), 1..=LENGTH);
    let pipeline = prop_oneof![2 => Just(1), 1 => 2..9_usize];
    let script = (steps, any::<bool>(), pipeline).prop_map(|(elements, resp3, pipeline)| {
        let steps = elements.into_iter().flat_map(|(by, requests): (_, Vec<Request>)| {
            requests.into_iter().map(move |request| Step { by, request })
        });
        let script = Script { steps: steps.collect(), pipeline };
        if resp3 { script.in_resp3() } else { script }
    });
    script.boxed()
}

/// The weight of a line, and what it generates.
fn line(line: &'static str) -> (u32, BoxedStrategy<Vec<Request>>) {
    let weight = line.split_once(' ').and_then(|(first, rest)| Some((first.parse().ok()?, rest)));
    let (weight, line) = weight.unwrap_or((1, line));
    (weight, line.split("; ").map(request).collect::<Vec<_>>().boxed())
}

fn request(command: &'static str) -> BoxedStrategy<Request> {
    let words = command.split(' ').map(token).collect::<Vec<Words>>();
    let words = words.prop_map(|words| words.concat());
    // Without one of the keys, what is counted next might not be what there is.
    if command.contains("every-key") {
        return words.prop_map(|words| Request { words }).boxed();
    }
    let change = (0..4_u8, any::<prop::sample::Index>(), words::odd());
    let request = (words, prop::option::weighted(SPOILT, change));
    request.prop_map(|(words, change)| Request { words: spoil(words, change) }).boxed()
}

/// The first word stays: some commands of Redis had better not be met by chance.
fn spoil(mut words: Vec<Word>, change: Option<(u8, prop::sample::Index, Word)>) -> Vec<Word> {
    if let Some((how, at, odd)) = change {
        let at = 1 + at.index(words.len());
        match how {
            0 => words.push(odd),
            1 if at < words.len() => words[at] = odd,
            2 if at < words.len() => drop(words.remove(at)),
            _ => words.truncate(words.len().saturating_sub(1).max(1)),
        }
    }
    words
}

fn token(token: &'static str) -> Words {
    let repeated = |name: &'static str, counts: std::ops::Range<usize>| {
        prop::collection::vec(self::token(name), counts).prop_map(|words| words.concat()).boxed()
    };
    if !token.starts_with(|first: char| first.is_ascii_lowercase()) {
        return literal(token);
    }
    match token.split_at(token.len() - 1) {
        (name, "?") => repeated(name, 0..2),
        (name, "*") => repeated(name, 0..5),
        (name, "+") => repeated(name, 1..5),
        _ => words::named(token),
    }
}

/// A word that stands for itself, in capitals or not.
fn literal(word: &'static str) -> Words {
    let [usual, low, mixed] = [word.to_string(), word.to_ascii_lowercase(), in_mixed_case(word)]
        .map(|it| Request::of(&it).words);
    if word.starts_with('{') {
        return Just(usual).boxed();
    }
    prop_oneof![8 => Just(usual), 1 => Just(low), 1 => Just(mixed)].boxed()
}

/// Returns a word with every second letter in capitals.
pub fn in_mixed_case(word: &str) -> String {
    let case = |(at, letter): (usize, char)| {
        if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    word.chars().enumerate().map(case).collect()
}

/// One of several alternatives, with `|` between them.
pub fn one_of(alternatives: &'static str) -> Words {
    let alternatives = alternatives.split(" | ").map(|words| {
        let words: Vec<Words> = words.split(' ').map(token).collect();
        (1, words.prop_map(|words| words.concat()).boxed())
    });
    Union::new_weighted(alternatives.collect()).boxed()
}
