//! Requests that are whole and in their plainest form, as nearly all are: they are decoded without
//! a state.

use super::{Decoded, Form, Span, resp, text};
use crate::settings::limits::{Limits, LineMode};

/// A request that is whole and in its plainest form, not decoded yet.
pub struct PlainRequest<'a> {
    bytes: &'a [u8],
    form: Form,
    /// The length in the input, with the end of a line.
    pub length: usize,
}

impl<'a> PlainRequest<'a> {
    /// Finds one at the front of `input`. Returns `None` where only a
    /// [`Decoder`](super::Decoder) can decode what stands there.
    #[inline]
    pub fn find(
        input: &'a [u8],
        words: &mut Vec<Span>,
        lines: LineMode,
        limits: &Limits,
    ) -> Option<PlainRequest<'a>> {
        if *input.first()? == b'*' {
            let length = resp::whole_request(input, words, limits)?;
            Some(PlainRequest { bytes: &input[..length], form: Form::Resp, length })
        } else if lines == LineMode::Resp {
            None
        } else {
            let (bytes, length) = text::plain_line(input, limits)?;
            if text::is_hello(bytes) {
                return None;
            }
            Some(PlainRequest { bytes, form: Form::Text, length })
        }
    }

    /// Decodes the request, and returns it; `words` is what `find` was given.
    #[inline]
    pub fn decode(self, words: &'a mut Vec<Span>, limits: &Limits) -> Decoded<'a> {
        match self.form {
            Form::Resp => resp::check(self.bytes, words),
            Form::Text => text::parse(self.bytes, words, limits),
        }
    }
}
