//! One client's stream of bytes to requests, the same however the bytes are split.

use super::command::Command;
use super::lookahead::{KeyLookup, Lookahead};
use super::plain::PlainRequest;
use super::{Decoded, Form, Refusal, Span, inline, resp, text};
use crate::base::buffer::Buffer;
use crate::settings::limits::{Limits, LineMode};

/// Memory for one decoded request, lent to every decoder in turn.
#[derive(Debug, Default)]
pub struct Scratch {
    words: Vec<Span>,
    line: Vec<u8>,
    /// The words of an inline command.
    unquoted: Vec<u8>,
    /// The request last decoded is in `line`, not in the input.
    is_edited: bool,
    /// The bytes of the input that are done with even if that request is put back.
    done_with: usize,
    /// Requests that have been decoded and not returned.
    ahead: Lookahead,
}

impl Scratch {
    /// Drops the requests decoded ahead; to be called before it is lent for another input.
    #[inline]
    pub fn forget(&mut self) {
        self.ahead.forget();
    }

    /// Takes the words of the request that was decoded last, which was not decoded ahead.
    pub(super) fn take_words(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.words)
    }

    /// Returns the bytes of the input before the request that was decoded last.
    pub(super) fn done_with(&self) -> usize {
        self.done_with
    }
}

/// The kind of request that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Midway {
    /// None.
    Nothing,
    /// A line of text.
    Line,
    /// A RESP array.
    Array,
}

/// The state of one client's stream of requests.
#[derive(Debug, Default)]
pub struct Decoder {
    state: DecoderState,
    /// A `HELLO` came as a line: all lines are inline commands.
    has_inline_hello: bool,
}

#[derive(Debug, Default)]
enum DecoderState {
    /// Between requests, or at the start of a line or array whose bytes are all still in the input.
    #[default]
    Start,
    /// In a plain line; the number of its bytes that are known to hold no end and nothing to edit.
    Line(usize),
    /// In a line that has to be edited, or is too long and dropped; its bytes so far have been
    /// consumed.
    Editing(Box<text::LineEditor>),
    /// An edited line that was put back.
    Edited(Box<text::LineEditor>),
    /// In an array; its bytes are still in the input.
    Array(Box<resp::Partial>),
    /// In an array that is dropped as it comes.
    Skipping(Box<resp::ReplyScanner>),
}

impl Decoder {
    /// Decodes several requests at the front of `input` and touches their keys, if none is left of
    /// those before; [`decode`](Self::decode) then returns them.
    #[inline]
    pub fn look_ahead(
        &mut self,
        input: &[u8],
        scratch: &mut Scratch,
        limits: &Limits,
        lookup: &impl KeyLookup,
    ) {
        if scratch.ahead.is_empty()
            && !input.is_empty()
            && matches!(self.state, DecoderState::Start)
        {
            scratch.ahead.fill(input, self.line_mode(limits), limits, lookup);
        }
    }

    #[inline]
    fn line_mode(&self, limits: &Limits) -> LineMode {
        if self.has_inline_hello { LineMode::Resp } else { limits.inline }
    }

    /// Returns the form in which a line is answered.
    pub fn line_form(&self, limits: &Limits) -> Form {
        match self.line_mode(limits) {
            LineMode::Text => Form::Text,
            LineMode::Resp => Form::Resp,
        }
    }

    /// Returns the request of a line, of bytes that hold all of it.
    fn parse_line<'a>(
        &mut self,
        line: &'a [u8],
        words: &'a mut Vec<Span>,
        unquoted: &'a mut Vec<u8>,
        limits: &Limits,
    ) -> Decoded<'a> {
        self.has_inline_hello |= text::is_hello(line);
        match self.line_mode(limits) {
            LineMode::Text => text::parse(line, words, limits),
            LineMode::Resp => inline::parse(line, words, unquoted, limits),
        }
    }

    /// Decodes the request at the front of `input`. Returns the number of bytes of the input that
    /// are done with and must be consumed before the next call, and the request, which may borrow
    /// them.
    #[inline(always)]
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        scratch: &'a mut Scratch,
        limits: &Limits,
    ) -> (usize, Decoded<'a>) {
        if !scratch.ahead.is_empty() {
            (scratch.is_edited, scratch.done_with) = (false, 0);
            let (length, request) = scratch.ahead.take(input);
            return (length, Decoded::Request(request));
        }
        if input.is_empty() && matches!(self.state, DecoderState::Start) {
            return (0, Decoded::Incomplete);
        }
        // Nearly always it is whole and in its plainest form: then no state is needed.
        if matches!(self.state, DecoderState::Start)
            && let Some(whole) =
                PlainRequest::find(input, &mut scratch.words, self.line_mode(limits), limits)
        {
            (scratch.is_edited, scratch.done_with) = (false, 0);
            return (whole.length, whole.decode(&mut scratch.words, limits));
        }
        self.decode_any(input, scratch, limits)
    }

    /// Decodes the request at the front of `input` in any form. Returns its bytes, and the request.
    #[inline(never)]
    fn decode_any<'a>(
        &mut self,
        input: &'a [u8],
        scratch: &'a mut Scratch,
        limits: &Limits,
    ) -> (usize, Decoded<'a>) {
        let mut consumed = 0;
        let (words_at, found) = loop {
            if let DecoderState::Edited(editor) = &mut self.state {
                scratch.line = std::mem::take(&mut editor.line);
                self.state = DecoderState::Start;
                break (consumed, Finding::Edited);
            }
            let rest = &input[consumed..];
            if rest.is_empty() {
                return (consumed, Decoded::Incomplete);
            }
            let step = match &mut self.state {
                DecoderState::Start if rest[0] == b'*' => self.array(rest, scratch, limits),
                DecoderState::Array(_) => self.array(rest, scratch, limits),
                DecoderState::Skipping(scanner) => skip_array(scanner, rest),
                DecoderState::Start => self.line(rest, 0, limits),
                &mut DecoderState::Line(scanned) => self.line(rest, scanned, limits),
                DecoderState::Editing(_) => self.edit(rest, scratch, limits),
                DecoderState::Edited(_) => unreachable!("it was taken above"),
            };
            let at = consumed;
            consumed += step.0;
            match step.1 {
                Finding::Nothing => {}
                Finding::Skipped => self.state = DecoderState::Start,
                Finding::NeedsMore => return (consumed, Decoded::Incomplete),
                found => break (at, found),
            }
        };
        scratch.is_edited = matches!(found, Finding::Edited);
        scratch.done_with = if scratch.is_edited { consumed } else { words_at };
        let Scratch { words, line, unquoted, .. } = scratch;
        let decoded = match found {
            Finding::Line(len) => {
                self.parse_line(&input[words_at..][..len], words, unquoted, limits)
            }
            Finding::Edited => self.parse_line(line, words, unquoted, limits),
            Finding::Array => resp::check(&input[words_at..consumed], words),
            Finding::TooLong => {
                let form = self.line_form(limits);
                Decoded::Refused(form, Refusal::LineTooLong(limits.max_line))
            }
            Finding::Telnet(answer) => Decoded::Telnet(answer),
            Finding::Broken(error) => Decoded::Broken(Refusal::Protocol(error)),
            Finding::Nothing | Finding::Skipped | Finding::NeedsMore => Decoded::Incomplete,
        };
        (consumed, decoded)
    }

    /// Puts back the request that was last decoded, to be decoded again. Returns the number of
    /// bytes of the input that are to be consumed all the same: those before it, and those of an
    /// edited line, which is kept here.
    pub fn put_back(&mut self, scratch: &mut Scratch) -> usize {
        scratch.forget();
        if scratch.is_edited {
            let line = std::mem::take(&mut scratch.line);
            self.state = DecoderState::Edited(Box::new(text::LineEditor::holding(line)));
        }
        scratch.done_with
    }

    /// Returns the kind of request that has begun and not ended. `input` is what was left after
    /// `decode` found nothing whole.
    pub fn midway(&self, input: &[u8]) -> Midway {
        match self.state {
            DecoderState::Start if input.is_empty() => Midway::Nothing,
            DecoderState::Array(_) | DecoderState::Skipping(_) => Midway::Array,
            _ => Midway::Line,
        }
    }

    /// Returns the command of a request that has begun, if it is known. `input` is what was left
    /// after `decode` found nothing whole.
    pub fn begun(&self, input: &[u8]) -> Option<&'static Command> {
        let verb = match &self.state {
            DecoderState::Array(partial) => partial.words.first()?.of(input),
            DecoderState::Line(_) => {
                input.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?
            }
            _ => return None,
        };
        Command::find(verb)
    }

    /// Drops the request that has begun, and the rest of it as it comes, without a reply. Returns
    /// its form. `input` is what was left after `decode` found nothing whole.
    pub fn skip(&mut self, input: &mut Buffer, limits: &Limits) -> Form {
        let is_array = matches!(self.midway(input.bytes()), Midway::Array);
        if is_array {
            // It is read as a reply would be: both end in the same way.
            self.state = DecoderState::Skipping(Box::default());
        } else if let Some(&last) = input.bytes().last() {
            self.state = DecoderState::Editing(Box::new(text::LineEditor::skipping(last)));
            input.clear();
        }
        if is_array { Form::Resp } else { self.line_form(limits) }
    }

    /// Returns the least length of a request that has begun, in bytes; 0: unknown.
    pub fn expected_len(&self) -> usize {
        if let DecoderState::Array(partial) = &self.state {
            partial.scanner.expected_len()
        } else {
            0
        }
    }

    fn array(&mut self, rest: &[u8], scratch: &mut Scratch, limits: &Limits) -> DecodeStep {
        let mut partial = match std::mem::take(&mut self.state) {
            DecoderState::Array(partial) => {
                scratch.words = partial.words;
                partial.scanner
            }
            _ => {
                scratch.words.clear();
                resp::RequestScanner::default()
            }
        };
        match partial.advance(rest, &mut scratch.words, limits) {
            Ok(Some(len)) if scratch.words.is_empty() => (len, Finding::Nothing),
            Ok(Some(len)) => (len, Finding::Array),
            Ok(None) => {
                let words = std::mem::take(&mut scratch.words);
                let partial = resp::Partial { scanner: partial, words };
                self.state = DecoderState::Array(Box::new(partial));
                (0, Finding::NeedsMore)
            }
            Err(error) => (rest.len(), Finding::Broken(error)),
        }
    }

    fn line(&mut self, rest: &[u8], scanned: usize, limits: &Limits) -> DecodeStep {
        match text::stop(&rest[scanned..]).map(|at| scanned + at) {
            Some(at) if rest[at] != b'\n' => {
                self.state = DecoderState::Editing(Box::default());
                (0, Finding::Nothing)
            }
            Some(end) => {
                self.state = DecoderState::Start;
                let len = end - usize::from(end > 0 && rest[end - 1] == b'\r');
                let found = match len {
                    0 => Finding::Nothing,
                    len if len > limits.max_line => Finding::TooLong,
                    len if text::is_blank(&rest[..len]) => Finding::Nothing,
                    len => Finding::Line(len),
                };
                (end + 1, found)
            }
            // One more than the limit may still be the CR of its end.
            None if rest.len() > limits.max_line + 1 => {
                let last = rest[rest.len() - 1];
                self.state = DecoderState::Editing(Box::new(text::LineEditor::skipping(last)));
                (rest.len(), Finding::TooLong)
            }
            None => {
                self.state = DecoderState::Line(rest.len());
                (0, Finding::NeedsMore)
            }
        }
    }

    fn edit(&mut self, rest: &[u8], scratch: &mut Scratch, limits: &Limits) -> DecodeStep {
        let DecoderState::Editing(editor) = &mut self.state else {
            unreachable!("called when editing")
        };
        let (consumed, edited) = editor.feed(rest, limits.max_line);
        let found = match edited {
            text::Edited::Midway => Finding::NeedsMore,
            text::Edited::Answer(answer) => {
                if editor.line.is_empty() {
                    self.state = DecoderState::Start;
                }
                Finding::Telnet(answer)
            }
            text::Edited::Empty => {
                self.state = DecoderState::Start;
                Finding::Nothing
            }
            text::Edited::Line => {
                scratch.line = std::mem::take(&mut editor.line);
                self.state = DecoderState::Start;
                match &scratch.line {
                    line if line.len() > limits.max_line => Finding::TooLong,
                    line if text::is_blank(line) => Finding::Nothing,
                    _ => Finding::Edited,
                }
            }
            text::Edited::TooLong => Finding::TooLong,
        };
        (consumed, found)
    }
}

fn skip_array(scanner: &mut resp::ReplyScanner, rest: &[u8]) -> DecodeStep {
    match scanner.advance(rest, 0) {
        Ok(resp::Scanned::Midway) => (0, Finding::NeedsMore),
        Ok(resp::Scanned::Dropped(bytes, None)) => (bytes, Finding::Nothing),
        Ok(resp::Scanned::Dropped(bytes, Some(_)) | resp::Scanned::Whole(bytes, _)) => {
            (bytes, Finding::Skipped)
        }
        Err(error) => (rest.len(), Finding::Broken(error)),
    }
}

/// The result of one turn of the decoder: the number of bytes consumed, and the finding.
type DecodeStep = (usize, Finding);

enum Finding {
    Nothing,
    Skipped,
    NeedsMore,
    Line(usize),
    Edited,
    Array,
    TooLong,
    Telnet([u8; 3]),
    Broken(resp::ProtocolError),
}

#[cfg(test)]
mod tests;
