//! Requests decoded before their turn, so that whoever carries them out knows what comes.

use super::{Decoded, Form, Request, Span, Whole, Words};
use crate::command::Command;
use crate::limits::Limits;

/// The requests at the front of an input that are whole and in their plainest form: up to a number,
/// and up to the first that is not for the keys alone, since it may change how those after it are
/// to be read.
#[derive(Debug, Default)]
pub struct Ahead {
    requests: Vec<Located>,
    /// The words of all of them, one behind the other.
    words: Vec<Span>,
    /// The words of one that is being decoded.
    scratch: Vec<Span>,
    /// How many requests have been taken, and how many words they had.
    taken: usize,
    words_taken: usize,
}

#[derive(Debug)]
struct Located {
    command: &'static Command,
    form: Form,
    words: u32,
    /// With its end.
    length: u32,
}

impl Located {
    /// Its words are the first of `spans`, and its bytes the first of `bytes`.
    #[inline]
    fn request<'a>(&self, spans: &'a [Span], bytes: &'a [u8]) -> Request<'a> {
        let (spans, bytes) = (&spans[..self.words as usize], &bytes[..self.length as usize]);
        Request { command: self.command, form: self.form, words: Words { spans, bytes } }
    }
}

impl Ahead {
    /// Whether all have been taken.
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

    /// Decodes up to `most` requests at the front of `input`, which begins with one, in place of
    /// those that it has. Says how many there are.
    #[inline]
    pub fn fill(&mut self, mut input: &[u8], most: usize, limits: &Limits) -> usize {
        self.forget();
        while self.requests.len() < most
            && !input.is_empty()
            && let Some(whole) = Whole::find(input, &mut self.scratch, limits)
            && let length = whole.length
            && let Decoded::Request(request) = whole.decode(&mut self.scratch, limits)
        {
            let Request { command, form, words } = request;
            self.words.extend_from_slice(words.spans);
            let (words, length) = (words.len() as u32, length as u32);
            self.requests.push(Located { command, form, words, length });
            input = &input[length as usize..];
            if !command.is_for_keys() {
                break;
            }
        }
        self.requests.len()
    }

    /// How many words they have together, whether taken or not.
    #[inline]
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// All that were decoded, before any is taken; `input` is the same as then.
    pub fn requests<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = Request<'a>> {
        let (mut spans, mut bytes) = (&self.words[..], input);
        self.requests.iter().map(move |located| {
            let request = located.request(spans, bytes);
            spans = &spans[located.words as usize..];
            bytes = &bytes[located.length as usize..];
            request
        })
    }

    /// Takes the next request, which stands at the front of `input`; with its length, as
    /// [`Decoder::decode`](super::Decoder::decode) says it.
    #[inline]
    pub fn take<'a>(&'a mut self, input: &'a [u8]) -> Option<(usize, Request<'a>)> {
        let located = self.requests.get(self.taken)?;
        let request = located.request(&self.words[self.words_taken..], input);
        self.taken += 1;
        self.words_taken += request.len();
        Some((located.length as usize, request))
    }
}
