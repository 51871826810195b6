//! A request in memory of its own, which outlives the input that it came in.

use super::Scratch;
use super::command::Command;
use super::request::{Form, Request, Span, Words};
use crate::base::buffer::Buffer;
use crate::base::dropped::shrinking;

/// The words whose places are copied; those of a longer request are where it was decoded.
const COPIED: usize = 1 << 16;

/// A request in memory of its own.
#[derive(Debug)]
pub struct OwnedRequest {
    command: &'static Command,
    form: Form,
    spans: Vec<Span>,
    bytes: Vec<u8>,
    /// The position in `bytes` that the words are counted from.
    start: usize,
}

/// What is kept of a request until its bytes are taken out of the input.
#[derive(Debug)]
pub struct RequestDraft {
    command: &'static Command,
    form: Form,
    /// `None`: they are many.
    spans: Option<Vec<Span>>,
}

impl Request<'_> {
    /// Returns what is kept of it until its bytes are taken out of the input.
    pub fn draft(&self) -> RequestDraft {
        let spans = (self.len() <= COPIED).then(|| self.words.spans.to_vec());
        RequestDraft { command: self.command, form: self.form, spans }
    }
}

impl RequestDraft {
    /// Takes the request, which `scratch` has decoded last, out of the input: it ends `consumed`
    /// bytes behind the front. A long one is not copied.
    pub fn take(self, scratch: &mut Scratch, input: &mut Buffer, consumed: usize) -> OwnedRequest {
        let spans = self.spans.unwrap_or_else(|| scratch.take_words());
        let (bytes, range) = input.take(consumed);
        let start = range.start + scratch.done_with();
        OwnedRequest { command: self.command, form: self.form, spans, bytes, start }
    }
}

impl OwnedRequest {
    /// Returns the request.
    pub fn request(&self) -> Request<'_> {
        let words = Words { spans: &self.spans, bytes: &self.bytes[self.start..] };
        Request { command: self.command, form: self.form, words, key_hash: None }
    }

    /// Returns the memory in pieces, as their sizes, each of which is freed as it is taken.
    pub fn into_pieces(self) -> impl Iterator<Item = usize> + Send + 'static {
        shrinking(self.bytes).chain(shrinking(self.spans))
    }
}
