//! Commands that go over all keys.

use super::Call;
use super::arguments::integer;
use super::collect::{ReplyHead, ReplyPieces};
use crate::base::clock::Now;
use crate::base::glob::Pattern;
use crate::base::output::Output;
use crate::protocol::Request;
use crate::server::keyspace::Keyspace;
use crate::session::work;
use crate::session::{RequestError, Style, TextDump, check_pattern};
use crate::stats::Stat;
use std::ops::ControlFlow;

/// Entries that one step of a walk over the store looks at, at the most.
pub const SCAN_STEP: usize = 2048;

/// The bytes that a streamed reply adds to the output before others have their turn.
pub const STREAM_CHUNK: usize = 64 * 1024;

/// A text `DUMP`, sent a piece at a time.
#[derive(Clone, Copy, Debug)]
pub struct DumpStream {
    text: TextDump,
    cursor: u64,
}

impl DumpStream {
    /// Returns a `DUMP` that has not begun.
    ///
    /// # Errors
    /// The request is wrong: returns the usage.
    pub fn new(style: Style, request: &Request<'_>) -> Result<DumpStream, &'static str> {
        Ok(DumpStream { text: TextDump::new(style, request)?, cursor: 0 })
    }

    /// Sends the next piece, and returns whether that was the last.
    pub fn step(&mut self, keyspace: &mut Keyspace, output: &mut Output, now: Now) -> bool {
        let full = output.len() + STREAM_CHUNK;
        let DumpStream { text, cursor } = self;
        let step = keyspace.store().walk(*cursor, SCAN_STEP, now, |key, value| {
            text.write(output, key, value.bytes());
            if output.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        *cursor = step.next;
        keyspace.work.add(step.looked_at * work::ENTRY);
        let is_over = *cursor == 0;
        if is_over {
            text.write_end(output);
        }
        is_over
    }
}

/// A walk over all keys for a reply in RESP, a part of them at a time: `KEYS`, and `DUMP` in RESP.
/// Each key that exists from its begin to its end is in the reply once; others may be.
#[derive(Debug)]
pub struct KeyWalk {
    what: Wanted,
    cursor: u64,
    /// The number of keys found so far.
    found: usize,
}

/// What a walk is to find.
#[derive(Debug)]
enum Wanted {
    Matching(Pattern),
    All,
    Pairs,
}

impl KeyWalk {
    fn new(what: Wanted) -> KeyWalk {
        KeyWalk { what, cursor: 0, found: 0 }
    }

    /// Returns the walk of a `KEYS`.
    ///
    /// # Errors
    /// The pattern is too long.
    pub fn of_keys(request: &Request<'_>) -> Result<KeyWalk, RequestError> {
        let pattern = request.word(1);
        check_pattern(pattern.len())?;
        Ok(KeyWalk::new(match pattern {
            b"*" => Wanted::All,
            _ => Wanted::Matching(Pattern::new(pattern)),
        }))
    }

    /// Returns the walk of a `DUMP` in RESP.
    ///
    /// # Errors
    /// The request is wrong: returns the usage.
    pub fn of_dump(request: &Request<'_>) -> Result<KeyWalk, RequestError> {
        Ok(KeyWalk::new(if request.dumps_pairs()? { Wanted::Pairs } else { Wanted::All }))
    }

    /// Collects the next part. Returns what the reply begins with after the last.
    pub fn step(
        &mut self,
        keyspace: &mut Keyspace,
        style: Style,
        reply: &mut ReplyPieces,
        now: Now,
    ) -> Option<ReplyHead> {
        let KeyWalk { what, cursor, found } = self;
        let most = keyspace.work.left(work::ENTRY);
        let room = keyspace.work.left(1);
        let full = keyspace.output_limit;
        let (mut cost, mut visited) = (0, 0);
        let step = keyspace.store().walk(*cursor, most, now, |key, value| {
            (cost, visited) = (cost + work::ENTRY, visited + 1);
            let is_wanted = match what {
                Wanted::Matching(pattern) => {
                    cost += pattern.cost(key.len());
                    pattern.matches(key)
                }
                Wanted::All | Wanted::Pairs => true,
            };
            if is_wanted {
                *found += 1;
                let before = reply.bytes();
                reply.write(|out| {
                    let mut writer = style.writer(out);
                    writer.bulk(key);
                    if let Wanted::Pairs = what {
                        writer.value(value);
                    }
                });
                cost += work::COLLECTED + (reply.bytes() - before) / work::BYTES;
            }
            let is_enough = cost >= room || reply.bytes() > full;
            if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        keyspace.work.add((step.looked_at - visited) * work::ENTRY + cost);
        *cursor = step.next;
        (step.next == 0).then_some(match what {
            Wanted::Pairs => ReplyHead::Map(*found),
            Wanted::Matching(_) | Wanted::All => ReplyHead::Array(*found),
        })
    }
}

/// The arguments of a `SCAN`.
struct ScanOptions<'a> {
    cursor: u64,
    pattern: &'a [u8],
    /// The number of keys to look at, whether they match or not.
    count: u64,
    kind: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn of(request: &Request<'a>) -> Result<ScanOptions<'a>, RequestError> {
        let cursor = cursor(request.word(1)).ok_or("invalid cursor")?;
        let mut scan = ScanOptions { cursor, pattern: b"*", count: 10, kind: None };
        let mut words = request.words().skip(2);
        while let Some(option) = words.next() {
            let argument = words.next().ok_or(RequestError::SYNTAX)?;
            match &option.to_ascii_uppercase()[..] {
                b"MATCH" => {
                    check_pattern(argument.len())?;
                    scan.pattern = argument;
                }
                b"TYPE" => scan.kind = Some(argument),
                b"COUNT" => {
                    let count = u64::try_from(integer(argument)?).ok().filter(|&count| count > 0);
                    scan.count = count.ok_or(RequestError::SYNTAX)?;
                }
                _ => return Err(RequestError::SYNTAX),
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

pub fn scan(call: &mut Call<'_>) -> Result<(), RequestError> {
    let scan = ScanOptions::of(&call.request)?;
    let begin = call.reply.len();
    let full = begin + STREAM_CHUNK;
    let is_string = scan.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(b"string"));
    let (mut seen, mut matching, mut found, mut cost) = (0, 0, 0, 0);
    let pattern = Pattern::new(scan.pattern);
    let Call { keyspace, reply, now, .. } = call;
    // One of many in a pipeline takes a step, too.
    let room = keyspace.work.left(1).max(work::ENTRY * SCAN_STEP / 4);
    let step = keyspace.store().walk(scan.cursor, SCAN_STEP, *now, |key, _| {
        seen += 1;
        if pattern.matches(key) {
            matching += 1;
            if is_string {
                found += 1;
                reply.bulk(key);
            }
        }
        cost += pattern.cost(key.len());
        let enough = seen == scan.count || reply.len() >= full || cost >= room;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    keyspace.work.add(step.looked_at * work::ENTRY + cost);
    if scan.kind.is_some() {
        // To see of what type it is, Redis looks each key up.
        call.stats.add(Stat::Hits, matching);
    }
    reply.put_before(begin, |reply| {
        reply.array(2);
        reply.bulk(step.next.to_string().as_bytes());
        reply.array(found);
    });
    Ok(())
}

#[cfg(test)]
mod tests;
