//! Tests of `glob.rs`.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    Pattern::new(pattern).matches(text)
}

fn matches_in_any_case(pattern: &[u8], text: &[u8]) -> bool {
    Pattern::in_any_case(pattern).matches(text)
}

#[test]
fn patterns_take_what_those_of_redis_take() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("abc", &["abc"], &["", "ab", "abcd", "ABC"]),
        ("", &[""], &["a"]),
        ("*", &["", "a", "abc"], &[]),
        ("**", &["a"], &[""]),
        ("a*", &["a", "abc"], &["", "ba"]),
        ("*c", &["c", "abc", "cc"], &["", "cb"]),
        ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ac", "abcX"]),
        ("*ab*ab", &["abab", "aabXabab"], &["ab", "aba"]),
        ("a**", &["a", "ab"], &["b"]),
        ("?", &["a", "*"], &["", "ab"]),
        ("a?c", &["abc", "a?c"], &["ac"]),
        ("[abc]x", &["ax", "cx"], &["dx", "[abc]x"]),
        ("[^ab]", &["c", "^"], &["a", "b", ""]),
        ("[a^]", &["a", "^"], &["b"]),
        ("[a-c]", &["a", "b", "c"], &["-", "d"]),
        ("[c-a]", &["a", "b", "c"], &["-", "d"]),
        ("[a-c-e]", &["b", "-", "e"], &["d"]),
        ("[a-]", &["]", "^", "a"], &["-", "b"]),
        ("[-a]", &["-", "a"], &["b"]),
        ("[]a]", &[], &["a", "]", "]a"]),
        ("[^]", &["a", "]"], &["", "ab"]),
        ("[", &[], &["", "[", "a"]),
        ("[^", &["a", "["], &["ab"]),
        ("[ab", &["a", "b"], &["[ab", "c"]),
        (r"[\]]", &["]"], &[r"\", r"\]"]),
        (r"[a\-c]", &["a", "-", "c"], &["b"]),
        (r"[\", &[r"\"], &["["]),
        (r"[a\", &["a", r"\"], &["["]),
        (r"\*", &["*"], &["a", r"\*"]),
        (r"\\", &[r"\"], &[r"\\"]),
        (r"\", &[r"\"], &["a"]),
        (r"a\", &[r"a\"], &["a"]),
    ];
    for (pattern, taken, refused) in table {
        for (texts, expected) in [(taken, true), (refused, false)] {
            for text in *texts {
                let found = matches(pattern.as_bytes(), text.as_bytes());
                assert_eq!(found, expected, "{pattern} and {text:?}");
            }
        }
    }
    assert!(matches(b"[\x80-\xff]", b"\xc3") && matches(b"[a-\xff]", b"A"));
}

#[test]
fn case_is_ignored_where_redis_does() {
    let table = [
        ("MaX*", "maxmemory", true),
        (r"\Max", "max", true),
        ("[M]ax", "max", true),
        ("[A-M]ax", "max", true),
        (r"[\M]ax", "max", false),
        ("[Z-a]ax", "yax", false),
    ];
    for (pattern, text, expected) in table {
        let found = matches_in_any_case(pattern.as_bytes(), text.as_bytes());
        assert_eq!(found, expected, "{pattern} and {text}");
        assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} and {text}");
    }
}

#[test]
fn many_stars_take_no_longer_than_one() {
    let pattern = [b"*a".repeat(500), b"*b".to_vec()].concat();
    let begin = Instant::now();
    assert!(!matches(&pattern, &[b'a'; 10_000]));
    assert!(begin.elapsed() < Duration::from_secs(5), "not each way to share the text out");
}

#[test]
fn long_segments_are_found_across_words() {
    for length in [1, 63, 64, 65, 127, 128, 129, 1000] {
        let segment = [b"[ab]".to_vec(), b"?".repeat(length - 1)].concat();
        for pattern in
            [[b"*", &segment[..], b"*"].concat(), [b"*?x", &segment[..], b"*y*"].concat()]
        {
            let is_second = pattern.starts_with(b"*?x");
            let (front, end): (&[u8], &[u8]) =
                if is_second { (b"--x", b"--y-") } else { (b"--", b"") };
            for (first, rest, expected) in
                [(b'a', length - 1, true), (b'c', length - 1, false), (b'b', length, true)]
            {
                let text = [front, &[first][..], &b"-".repeat(rest), end].concat();
                assert_eq!(matches(&pattern, &text), expected, "{length} {first} {is_second}");
            }
            let short = [front, b"a", &b"-".repeat(length - 1)].concat();
            assert!(is_second || !matches(&pattern, &short[..short.len() - 1]), "{length}");
        }
    }
}

#[test]
fn the_longest_pattern_takes_a_step_for_each_byte_and_word() {
    let pattern = [b"*".to_vec(), b"?".repeat(1000), b"b*".to_vec()].concat();
    let text = [&b"a".repeat(65_000)[..], b"c"].concat();
    let begin = Instant::now();
    assert!((0..20).all(|_| !matches(&pattern, &text)));
    assert!(begin.elapsed() < Duration::from_secs(10), "not each piece at each place");
}

/// What a pattern means, with every `*` tried at every length.
fn takes(pattern: &[u8], text: &[u8], any_case: bool) -> bool {
    let same = |one: u8, other: u8| one == other || any_case && one.eq_ignore_ascii_case(&other);
    let Some((&first, behind)) = pattern.split_first() else { return text.is_empty() };
    if first == b'*' {
        return (0..=text.len()).any(|taken| takes(behind, &text[taken..], any_case));
    }
    let Some((&byte, text)) = text.split_first() else { return false };
    match (first, behind.first()) {
        (b'?', _) => takes(behind, text, any_case),
        (b'\\', Some(&escaped)) => same(escaped, byte) && takes(&behind[1..], text, any_case),
        (b'[', next) => {
            let negated = next == Some(&b'^');
            let (ranges, behind) = class(&behind[usize::from(negated)..]);
            let holds = ranges.iter().any(|range| range.holds(byte, any_case));
            holds != negated && takes(behind, text, any_case)
        }
        _ => same(first, byte) && takes(behind, text, any_case),
    }
}

struct Range {
    low: i8,
    high: i8,
    exact: bool,
}

impl Range {
    fn holds(&self, byte: u8, any_case: bool) -> bool {
        if !any_case || self.exact {
            return self.low <= byte as i8 && byte as i8 <= self.high;
        }
        let lower = |byte: i8| (byte as u8).to_ascii_lowercase() as i8;
        lower(self.low) <= lower(byte as i8) && lower(byte as i8) <= lower(self.high)
    }
}

/// The ranges of a class, and what stands behind it.
fn class(pattern: &[u8]) -> (Vec<Range>, &[u8]) {
    let (mut ranges, mut rest) = (Vec::new(), pattern);
    while let Some((&first, behind)) = rest.split_first() {
        let (ends, exact, length) = match (first, behind) {
            (b'\\', [escaped, ..]) => ([*escaped, *escaped], true, 2),
            (b']', _) => return (ranges, behind),
            (_, [b'-', last, ..]) => ([first, *last], false, 3),
            _ => ([first, first], false, 1),
        };
        let [one, other] = ends.map(|end| end as i8);
        ranges.push(Range { low: one.min(other), high: one.max(other), exact });
        rest = &rest[length..];
    }
    (ranges, rest)
}

/// Up to so many of these, one behind the other.
fn some_of(pieces: &'static str, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(pieces.split(' ').collect::<Vec<_>>());
    prop::collection::vec(piece, 0..=most).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn it_agrees_with_a_plain_model(
        pattern in some_of(r"* * ? \ [ [^ [a- -] ] - ^ a b ab Z é", 8),
        text in some_of(r"a a b B ab - ] ^ \ é", 5),
    ) {
        let only_stars = text.is_empty() && pattern.len() > 1;
        for (any_case, found) in
            [(false, matches(&pattern, &text)), (true, matches_in_any_case(&pattern, &text))]
        {
            let expected = takes(&pattern, &text, any_case) && !only_stars;
            prop_assert_eq!(found, expected, "in any case: {}", any_case);
        }
    }
}
