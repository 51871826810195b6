//! Requests decoded before their turn, so that their keys can be looked up together.
//!
//! A lookup is a chain of cache misses, each waiting for the one before. Those of different keys do
//! not wait for each other, once the keys are known: so the requests of a pipeline that have come
//! are decoded first, and their keys are touched.

use super::plain::PlainRequest;
use super::{Decoded, Form, Request, Span, Words};
use crate::protocol::command::Command;
use crate::settings::limits::{Limits, LineMode};
use std::num::NonZeroU64;

/// A table in which keys are looked up.
pub trait KeyLookup {
    /// Returns the hash of a key.
    fn hash(&self, key: &[u8]) -> u64;

    /// Brings the entries of these hashes, at most [`MAX_TOUCHED`], into the processor's cache.
    fn touch(&self, hashes: &[u64]);
}

/// The most keys that are touched at a time: no processor has more cache misses under way.
pub const MAX_TOUCHED: usize = 32;

/// The most words of a request that has one key at most.
const MAX_WORDS_WITH_ONE_KEY: usize = 3;

/// The requests at the front of an input that are whole and in their plainest form: up to
/// [`MAX_TOUCHED`], and up to the first that is not for the keys alone, since it may change how
/// those after it are to be read.
#[derive(Debug, Default)]
pub struct Lookahead {
    requests: Vec<Located>,
    /// The words of all requests, one behind the other.
    words: Vec<Span>,
    /// The words of the request that is being decoded.
    scratch: Vec<Span>,
    /// The number of requests that have been taken, and of their words.
    taken: usize,
    words_taken: usize,
}

#[derive(Debug)]
struct Located {
    command: &'static Command,
    form: Form,
    words: u32,
    /// The length in bytes, with the end of a line.
    length: u32,
    /// The hash of its first key.
    key_hash: Option<NonZeroU64>,
}

impl Located {
    /// Returns the request; its words are the first of `spans`, its bytes the first of `bytes`.
    #[inline]
    fn request<'a>(&self, spans: &'a [Span], bytes: &'a [u8]) -> Request<'a> {
        let (spans, bytes) = (&spans[..self.words as usize], &bytes[..self.length as usize]);
        let words = Words { spans, bytes };
        Request { command: self.command, form: self.form, words, key_hash: self.key_hash }
    }
}

impl Lookahead {
    /// Returns whether all have been taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.taken == self.requests.len()
    }

    /// Forgets those that have not been taken.
    #[inline]
    pub fn forget(&mut self) {
        self.requests.clear();
        self.words.clear();
        (self.taken, self.words_taken) = (0, 0);
    }

    /// Decodes the requests at the front of `input`, in place of those before, and touches their
    /// keys, unless there is only one.
    #[inline]
    pub fn fill(
        &mut self,
        input: &[u8],
        lines: LineMode,
        limits: &Limits,
        lookup: &impl KeyLookup,
    ) {
        self.forget();
        let mut rest = input;
        while self.requests.len() < MAX_TOUCHED
            && !rest.is_empty()
            && let Some(whole) = PlainRequest::find(rest, &mut self.scratch, lines, limits)
            && let length = whole.length
            && let Decoded::Request(request) = whole.decode(&mut self.scratch, limits)
        {
            let Request { command, form, words, key_hash } = request;
            self.words.extend_from_slice(words.spans);
            let (words, length) = (words.len() as u32, length as u32);
            self.requests.push(Located { command, form, words, length, key_hash });
            rest = &rest[length as usize..];
            if !command.is_for_keys() {
                break;
            }
        }
        if self.requests.len() > 1 || self.words.len() > MAX_WORDS_WITH_ONE_KEY {
            self.touch(input, lookup);
        }
    }

    /// Touches the keys of all requests, whose bytes are at the front of `input`.
    #[inline(never)]
    fn touch(&mut self, input: &[u8], lookup: &impl KeyLookup) {
        let (mut spans, mut bytes) = (&self.words[..], input);
        let mut hashes = [0; MAX_TOUCHED];
        let mut count = 0;
        for located in &mut self.requests {
            let request = located.request(spans, bytes);
            spans = &spans[located.words as usize..];
            bytes = &bytes[located.length as usize..];
            for (number, key) in request.keys().enumerate() {
                if count == hashes.len() {
                    lookup.touch(&hashes);
                    count = 0;
                }
                hashes[count] = lookup.hash(key);
                if number == 0 {
                    located.key_hash = NonZeroU64::new(hashes[count]);
                }
                count += 1;
            }
        }
        lookup.touch(&hashes[..count]);
    }

    /// Takes the next request, which is at the front of `input`. Returns its length, and it.
    #[inline]
    pub fn take<'a>(&'a mut self, input: &'a [u8]) -> (usize, Request<'a>) {
        let located = &self.requests[self.taken];
        let request = located.request(&self.words[self.words_taken..], input);
        self.taken += 1;
        self.words_taken += request.len();
        (located.length as usize, request)
    }
}
