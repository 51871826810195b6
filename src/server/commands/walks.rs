//! Commands that go over all keys.

use super::arguments::{Refused, SYNTAX_ERROR, integer};
use super::{Call, too_large};
use crate::clock::Now;
use crate::output::Output;
use crate::protocol::Request;
use crate::protocol::resp::Writer;
use crate::protocol::text;
use crate::server::keyspace::Keyspace;
use crate::session::{Origin, Style};
use crate::stats::Stat;
use crate::{glob, limits};
use std::ops::ControlFlow;

/// A text `DUMP`, sent a piece at a time.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    pairs: bool,
    prefix: text::Prefix,
    cursor: u64,
    /// Whether a key stands on the line already.
    begun: bool,
}

impl Dump {
    /// Reads the request.
    ///
    /// # Errors
    /// Its usage, if it is wrong.
    pub fn new(style: Style, request: &Request<'_>) -> Result<Dump, &'static str> {
        let pairs = request.dumps_pairs()?;
        Ok(Dump { pairs, prefix: style.prefix(Origin::Server), cursor: 0, begun: false })
    }

    /// Sends the next piece; whether that was the last.
    pub fn step(&mut self, keyspace: &Keyspace, output: &mut Output, now: Now) -> bool {
        let full = output.len() + limits::STREAM_CHUNK;
        if !self.begun && !self.pairs && self.cursor == 0 {
            output.push(self.prefix);
        }
        let Dump { pairs, prefix, cursor, .. } = *self;
        self.cursor = keyspace.store().scan(cursor, limits::SCAN_STEP, now, |key, value| {
            if pairs {
                text::push_pair(output, prefix, key, value);
            } else {
                if self.begun {
                    output.push(b" ");
                }
                self.begun = true;
                text::push_key(output, key);
            }
            if output.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if self.cursor == 0 {
            if pairs {
                output.push(prefix);
                output.push(b"END");
            }
            output.push(b"\r\n");
        }
        self.cursor == 0
    }
}

/// Writes what `write` makes of each key, and how many it wrote something of.
///
/// # Errors
/// That would be more than a reply may have.
fn write_each(
    call: &mut Call<'_>,
    mut write: impl FnMut(&mut Writer<'_>, &[u8], &[u8]) -> bool,
) -> Result<usize, Refused> {
    let Call { keyspace, reply, now, .. } = call;
    let full = reply.len() + keyspace.output_limit;
    let mut count = 0;
    keyspace.store().scan(0, usize::MAX, *now, |key, value| {
        count += usize::from(write(reply, key, value));
        if reply.len() > full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if reply.len() > full { Err(too_large()) } else { Ok(count) }
}

pub fn keys(call: &mut Call<'_>) -> Result<(), Refused> {
    let (begin, pattern) = (call.reply.len(), pattern(call.word(1))?);
    let count = write_each(call, |reply, key, _| {
        let matches = glob::matches(pattern, key);
        if matches {
            reply.bulk(key);
        }
        matches
    })?;
    call.reply.put_before(begin, |reply| reply.array(count));
    Ok(())
}

pub fn dump(call: &mut Call<'_>) -> Result<(), Refused> {
    let (begin, pairs) = (call.reply.len(), call.request.dumps_pairs()?);
    let count = write_each(call, |reply, key, value| {
        reply.bulk(key);
        if pairs {
            reply.bulk(value);
        }
        true
    })?;
    call.reply.put_before(begin, |reply| if pairs { reply.map(count) } else { reply.array(count) });
    Ok(())
}

/// A pattern, if it is short enough: the search takes up to as many steps for each key as pattern
/// times key have bytes.
///
/// # Errors
/// It is longer than [`limits::MAX_PATTERN`].
fn pattern(word: &[u8]) -> Result<&[u8], Refused> {
    if word.len() <= limits::MAX_PATTERN {
        return Ok(word);
    }
    let message = format!("pattern longer than {} bytes", limits::MAX_PATTERN);
    Err(Refused::over(Stat::TooLargeRequests, message))
}

/// Steps of matching after which one `SCAN` ends: some ten milliseconds.
const MOST_SCAN_WORK: usize = 1 << 24;

/// What a `SCAN` asks for.
struct Scan<'a> {
    cursor: u64,
    pattern: &'a [u8],
    /// So many keys are looked at, whether they match or not.
    count: u64,
    kind: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    fn of(request: &Request<'a>) -> Result<Scan<'a>, Refused> {
        let cursor = cursor(request.word(1)).ok_or("invalid cursor")?;
        let mut scan = Scan { cursor, pattern: b"*", count: 10, kind: None };
        let mut words = request.words().skip(2);
        while let Some(option) = words.next() {
            let argument = words.next().ok_or(SYNTAX_ERROR)?;
            match &option.to_ascii_uppercase()[..] {
                b"MATCH" => scan.pattern = pattern(argument)?,
                b"TYPE" => scan.kind = Some(argument),
                b"COUNT" => {
                    let count = u64::try_from(integer(argument)?).ok().filter(|&count| count > 0);
                    scan.count = count.ok_or(SYNTAX_ERROR)?;
                }
                _ => return Err(SYNTAX_ERROR.into()),
            }
        }
        Ok(scan)
    }
}

/// Reads a cursor as Redis does, by the rules of `strtoul` in C: it may have a sign, and an empty
/// one is 0. A NUL ends it.
fn cursor(word: &[u8]) -> Option<u64> {
    let word = word.split(|&byte| byte == 0).next().unwrap_or_default();
    let (negative, digits) = match word {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok().filter(|_| is_number)?;
    Some(if negative { number.wrapping_neg() } else { number })
}

pub fn scan(call: &mut Call<'_>) -> Result<(), Refused> {
    let scan = Scan::of(&call.request)?;
    let begin = call.reply.len();
    let full = begin + limits::STREAM_CHUNK;
    let is_string = scan.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(b"string"));
    let (mut seen, mut matching, mut found, mut work) = (0, 0, 0, 0);
    let Call { keyspace, reply, now, .. } = call;
    let next = keyspace.store().scan(scan.cursor, limits::SCAN_STEP, *now, |key, _| {
        seen += 1;
        if glob::matches(scan.pattern, key) {
            matching += 1;
            if is_string {
                found += 1;
                reply.bulk(key);
            }
        }
        work += scan.pattern.len() * key.len();
        let enough = seen == scan.count || reply.len() >= full || work > MOST_SCAN_WORK;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if scan.kind.is_some() {
        // To see of what type it is, Redis looks each key up.
        keyspace.hits += matching;
    }
    reply.put_before(begin, |reply| {
        reply.array(2);
        reply.bulk(next.to_string().as_bytes());
        reply.array(found);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stage, plays};
    use crate::limits::{Limits, SCAN_STEP, STREAM_CHUNK};
    use crate::protocol::resp::Version;

    /// With keys `k0`, `k1` and so on; their values are their numbers.
    fn with_keys(stage: Stage, count: usize) -> Stage {
        let mut stage = stage;
        for number in 0..count {
            stage.says(&format!("SET k{number} {number}"));
        }
        stage
    }

    /// What the walk that these words make comes upon, and in how many steps.
    fn walk(stage: &mut Stage, options: &str) -> (Vec<String>, usize) {
        let (mut found, mut steps, mut cursor) = (Vec::new(), 0, "0".to_string());
        loop {
            let reply = stage.says(&format!("SCAN {cursor}{options}"));
            let words: Vec<&str> = reply.split(' ').collect();
            assert_eq!((words[0], words[3]), ("*2", &*format!("*{}", (words.len() - 4) / 2)));
            found.extend(words[4..].iter().skip(1).step_by(2).map(|key| key.to_string()));
            steps += 1;
            cursor = words[2].to_string();
            if cursor == "0" {
                found.sort();
                return (found, steps);
            }
        }
    }

    #[test]
    fn keys_are_listed_by_their_pattern() {
        let mut stage = with_keys(Stage::new(), 12);
        stage.plays(&[
            ("KEYS k3", "*1 $2 k3"),
            ("KEYS [j-l]?1", "*1 $3 k11"),
            ("KEYS x*", "*0"),
            ("DEL k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10", ":11"),
            ("KEYS *", "*1 $3 k11"),
            ("SET \"\" v", "+OK"),
            ("DEL k11", ":1"),
            ("KEYS *", "*1 $0 "),
            ("KEYS **", "*0"),
        ]);
        let mut stage = with_keys(Stage::new(), 12);
        assert!(stage.says("KEYS *").starts_with("*12 $"));
    }

    #[test]
    fn a_scan_goes_over_all_keys_as_many_at_a_time_as_it_is_told() {
        let mut stage = with_keys(Stage::new(), 95);
        let (all, steps) = walk(&mut stage, "");
        assert_eq!((all.len(), steps), (95, 10));
        assert_eq!(walk(&mut stage, " count 30").1, 4);
        assert_eq!(walk(&mut stage, " COUNT 5 COUNT 100 MATCH *"), (all.clone(), 1));
        assert_eq!(walk(&mut stage, " TYPE String COUNT 96"), (all, 1));
        assert_eq!(walk(&mut stage, " TYPE hash"), (vec![], 10));
        assert_eq!(walk(&mut stage, " MATCH x MATCH k7 COUNT 50"), (vec!["k7".to_string()], 2));
    }

    #[test]
    fn a_step_of_a_scan_is_bounded_whatever_its_count() {
        let mut stage = with_keys(Stage::new(), SCAN_STEP + 100);
        assert_eq!(walk(&mut stage, " COUNT 1000000").1, 2);
        let mut stage = Stage::new();
        for number in 0..10 {
            stage.says(&format!("SET {}{number} v", "k".repeat(STREAM_CHUNK / 3)));
        }
        let (found, steps) = walk(&mut stage, " COUNT 1000000");
        assert_eq!((found.len(), steps), (10, 4));
    }

    #[test]
    fn a_scan_that_makes_no_sense_is_refused() {
        let table = [
            ("SCAN x", "-ERR invalid cursor"),
            ("SCAN -", "-ERR invalid cursor"),
            ("SCAN ++1", "-ERR invalid cursor"),
            ("SCAN 0x10", "-ERR invalid cursor"),
            ("SCAN 18446744073709551616", "-ERR invalid cursor"),
            ("SCAN x COUNT", "-ERR invalid cursor"),
            ("SCAN 0 COUNT", "-ERR syntax error"),
            ("SCAN 0 COUNT 0", "-ERR syntax error"),
            ("SCAN 0 COUNT -1", "-ERR syntax error"),
            ("SCAN 0 MATCH", "-ERR syntax error"),
            ("SCAN 0 LIMIT 1", "-ERR syntax error"),
            ("SCAN 0 COUNT x LIMIT", "-ERR value is not an integer or out of range"),
            ("SCAN \"\"", "*2 $1 0 *1 $1 a"),
            ("SCAN +00", "*2 $1 0 *1 $1 a"),
            ("SCAN -1", "*2 $1 0 *0"),
            ("SCAN 18446744073709551615", "*2 $1 0 *0"),
        ];
        for (line, reply) in table {
            plays(&[("SET a 1", "+OK"), (line, reply)]);
        }
    }

    #[test]
    fn a_dump_has_all_keys_or_all_pairs() {
        const USAGE: &str = "-ERR usage: DUMP [KEYS|PAIRS]";
        let mut stage = Stage::new();
        stage.plays(&[
            ("DUMP", "*0"),
            ("DUMP PAIRS", "*0"),
            ("SET k v", "+OK"),
            ("DUMP", "*1 $1 k"),
            ("DUMP keys", "*1 $1 k"),
            ("DUMP pairs", "*2 $1 k $1 v"),
            ("DUMP k", USAGE),
            ("DUMP PAIRS k", USAGE),
        ]);
        stage.version = Version::Three;
        stage.plays(&[("DUMP", "*1 $1 k"), ("DUMP PAIRS", "%1 $1 k $1 v")]);
    }

    #[test]
    fn a_list_that_is_too_large_is_given_up() {
        let limits = Limits { output_limit: 1000, ..Limits::default() };
        let mut stage = with_keys(Stage::with(limits), 5000);
        for line in ["KEYS *", "DUMP", "DUMP PAIRS"] {
            stage.out = Default::default();
            assert_eq!(stage.says(line), "-ERR reply too large, use SCAN", "{line}");
            assert!(stage.out.plain().capacity() < 5000, "{line} stops as soon as it is too large");
        }
        assert!(stage.says("KEYS k?").starts_with("*10 $2 k"));
    }
}
