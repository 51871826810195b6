//! Commands that go over all keys.

use super::arguments::integer;
use super::{Call, too_large};
use crate::base::clock::Now;
use crate::base::glob;
use crate::base::output::Output;
use crate::protocol::Request;
use crate::protocol::resp::Writer;
use crate::server::keyspace::Keyspace;
use crate::session::{RequestError, Style, TextDump, check_pattern};
use crate::stats::Stat;
use std::ops::ControlFlow;

/// Entries that one step of a walk over the store looks at: at under 100 ns each it stays below a
/// millisecond.
pub const SCAN_STEP: usize = 4096;

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
    pub fn step(&mut self, keyspace: &Keyspace, output: &mut Output, now: Now) -> bool {
        let full = output.len() + STREAM_CHUNK;
        let DumpStream { text, cursor } = self;
        *cursor = keyspace.store().scan(*cursor, SCAN_STEP, now, |key, value| {
            text.write(output, key, value);
            if output.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let is_over = *cursor == 0;
        if is_over {
            text.write_end(output);
        }
        is_over
    }
}

/// Writes what `write` makes of each key, and returns the number of those that it wrote.
///
/// # Errors
/// That would be more than a reply may have.
fn write_each(
    call: &mut Call<'_>,
    mut write: impl FnMut(&mut Writer<'_>, &[u8], &[u8]) -> bool,
) -> Result<usize, RequestError> {
    let Call { keyspace, reply, now, .. } = call;
    let full = reply.len() + keyspace.output_limit;
    let mut count = 0;
    keyspace.store().scan(0, usize::MAX, *now, |key, value| {
        count += usize::from(write(reply, key, value));
        if reply.len() > full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if reply.len() > full { Err(too_large()) } else { Ok(count) }
}

pub fn keys(call: &mut Call<'_>) -> Result<(), RequestError> {
    let (begin, pattern) = (call.reply.len(), call.word(1));
    check_pattern(pattern.len())?;
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

pub fn dump(call: &mut Call<'_>) -> Result<(), RequestError> {
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

/// Steps of matching after which one `SCAN` ends: some ten milliseconds.
const MAX_SCAN_WORK: usize = 1 << 24;

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
    let (mut seen, mut matching, mut found, mut work) = (0, 0, 0, 0);
    let Call { keyspace, reply, now, .. } = call;
    let next = keyspace.store().scan(scan.cursor, SCAN_STEP, *now, |key, _| {
        seen += 1;
        if glob::matches(scan.pattern, key) {
            matching += 1;
            if is_string {
                found += 1;
                reply.bulk(key);
            }
        }
        work += scan.pattern.len() * key.len();
        let enough = seen == scan.count || reply.len() >= full || work > MAX_SCAN_WORK;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if scan.kind.is_some() {
        // To see of what type it is, Redis looks each key up.
        call.stats.add(Stat::Hits, matching);
    }
    reply.put_before(begin, |reply| {
        reply.array(2);
        reply.bulk(next.to_string().as_bytes());
        reply.array(found);
    });
    Ok(())
}

#[cfg(test)]
mod tests;
