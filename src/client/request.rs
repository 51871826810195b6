//! Lines to requests: which bytes go to the server, and what reply each will have.
//!
//! The client decodes its own lines with the server's decoder. So it knows that an empty line has
//! no reply, that one with a CR NUL inside is two requests, and that ` dump  Pairs` has a reply of
//! many lines, without a grammar of its own that could come to differ.

use super::failure::Failure;
use crate::protocol::command::Verb;
use crate::protocol::{
    Decoded, Decoder, Form, Midway, Refusal, Request as DecodedRequest, Scratch,
};
use crate::settings::limits::Limits;

/// The request for the origin of each reply.
pub const ORIGIN_ON: &[u8] = b"ORIGIN ON\n";

/// The request that ends the session.
pub const BYE: &[u8] = b"BYE\n";

const IAC: u8 = 255;

/// The kind of a request, by its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reply is one line.
    OneLine,
    /// The reply is one line with all keys; a proxy that loses its server while it sends them ends
    /// the line, adds one with an error, and closes the connection.
    Keys,
    /// The reply goes on until a line `END`, unless it is an error.
    UntilEnd,
    /// `ORIGIN ON` or `OFF`: later replies have a prefix, or have none.
    Origin(bool),
    /// The connection ends with the reply.
    Farewell,
}

/// One request, and the kind of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedRequest<'a> {
    /// The line, ended by LF.
    pub bytes: &'a [u8],
    /// The kind of the reply.
    pub kind: Kind,
}

/// Makes requests of lines; keeps its memory from one line to the next.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    /// The kind of each request, and the end of its bytes.
    requests: Vec<(Kind, usize)>,
    scratch: Scratch,
    /// The defaults. A server with others refuses in one line, as it replies in one line here.
    limits: Limits,
}

impl Encoder {
    /// Returns the requests in one line, which is given without its LF: none if it is empty, one as
    /// a rule, several if it holds line ends of another kind.
    ///
    /// # Errors
    /// [`Failure::NotText`] if the server would not read it as text.
    pub fn encode<'a>(
        &'a mut self,
        line: &[u8],
    ) -> Result<impl Iterator<Item = TypedRequest<'a>> + use<'a>, Failure> {
        self.fill(line);
        self.requests.clear();
        let mut decoder = Decoder::default();
        let mut at = 0;
        loop {
            let rest = &self.bytes[at..];
            let (consumed, decoded) = decoder.decode(rest, &mut self.scratch, &self.limits);
            at += consumed;
            let kind = match decoded {
                Decoded::Incomplete => break,
                Decoded::Request(request) if request.form == Form::Text => kind(&request),
                Decoded::Refused(Form::Text, _) => Kind::OneLine,
                // The server closes the connection.
                Decoded::Broken(Refusal::Http) => Kind::OneLine,
                Decoded::Request(_) | Decoded::Refused(..) => return Err(Failure::NotText),
                Decoded::Broken(_) | Decoded::Telnet(_) => return Err(Failure::NotText),
            };
            self.requests.push((kind, at));
        }
        if decoder.midway(&self.bytes[at..]) != Midway::Nothing {
            return Err(Failure::NotText);
        }
        let mut rest = self.bytes.as_slice();
        let mut start = 0;
        Ok(self.requests.iter().map(move |&(kind, end)| {
            let (bytes, after) = rest.split_at(end - start);
            (rest, start) = (after, end);
            TypedRequest { bytes, kind }
        }))
    }

    fn fill(&mut self, line: &[u8]) {
        self.bytes.clear();
        if line.first() == Some(&b'*') {
            // The first byte of a RESP array. After a space it is a word like any other, which the
            // server refuses as an unknown command.
            self.bytes.push(b' ');
        }
        // 0xFF is where telnet's commands begin; twice it is itself.
        for (index, piece) in line.split(|&byte| byte == IAC).enumerate() {
            if index > 0 {
                self.bytes.extend_from_slice(&[IAC, IAC]);
            }
            self.bytes.extend_from_slice(piece);
        }
        self.bytes.push(b'\n');
    }
}

fn kind(request: &DecodedRequest<'_>) -> Kind {
    let argument = request.arguments().next().unwrap_or_default();
    match request.command.verb {
        Verb::Stats | Verb::Help => Kind::UntilEnd,
        Verb::Dump if argument.eq_ignore_ascii_case(b"PAIRS") => Kind::UntilEnd,
        Verb::Dump => Kind::Keys,
        Verb::Origin if argument.eq_ignore_ascii_case(b"ON") => Kind::Origin(true),
        Verb::Origin if argument.eq_ignore_ascii_case(b"OFF") => Kind::Origin(false),
        Verb::Bye | Verb::Quit | Verb::Exit => Kind::Farewell,
        _ => Kind::OneLine,
    }
}

#[cfg(test)]
mod tests;
