//! A file of RESP requests, one after the other, which are sent as they are.

use super::request::{self, Kind};
use crate::base::buffer::Buffer;
use crate::protocol::{Decoded, Decoder, Form, Midway, Scratch};
use crate::settings::limits::Limits;
use std::io::{self, Read};

/// The bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// A reader of requests.
pub struct RespFile<R> {
    source: R,
    bytes: Buffer,
    decoder: Decoder,
    scratch: Scratch,
    limits: Limits,
    number: u64,
    consumed: u64,
}

/// What a file holds next.
pub enum FileStep {
    /// A request of so many bytes, with what stands before it, at the front of `bytes`.
    Request(usize, Kind),
    /// More bytes are needed.
    Midway,
}

impl<R: Read> RespFile<R> {
    /// Returns a reader of the requests in `source`.
    pub fn new(source: R) -> RespFile<R> {
        RespFile {
            source,
            bytes: Buffer::new(),
            decoder: Decoder::default(),
            scratch: Scratch::default(),
            limits: Limits::default(),
            number: 0,
            consumed: 0,
        }
    }

    /// Finds the next request among the bytes that were read.
    ///
    /// # Errors
    /// It is malformed, or a line of text, or longer than servers take by default.
    pub fn find(&mut self) -> io::Result<FileStep> {
        loop {
            let input = self.bytes.bytes();
            let (consumed, decoded) = self.decoder.decode(input, &mut self.scratch, &self.limits);
            let kind = match decoded {
                Decoded::Incomplete if consumed == 0 => return Ok(FileStep::Midway),
                // An array of nothing, which has no reply.
                Decoded::Incomplete => {
                    self.consume(consumed);
                    continue;
                }
                Decoded::Request(request) if request.form == Form::Resp => {
                    let arguments: Vec<&[u8]> = request.arguments().collect();
                    request::kind(request.command.verb, &arguments)
                }
                Decoded::Refused(Form::Resp, refusal) if !refusal.is_over_limit() => Kind::Plain,
                _ => {
                    let message = format!("request {} is none of RESP", self.number + 1);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            };
            self.number += 1;
            return Ok(FileStep::Request(consumed, kind));
        }
    }

    /// Returns the bytes that were read and not consumed.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }

    /// Drops the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        self.consumed += count as u64;
    }

    /// Reads more. Returns false at the end of the file.
    ///
    /// # Errors
    /// Those of the source, and a file that ends in the middle of a request.
    pub fn read(&mut self) -> io::Result<bool> {
        self.bytes.make_room_towards(2 * self.bytes.len(), READ_BYTES);
        let read = self.bytes.fill(&mut self.source, READ_BYTES)?;
        if read == 0 && self.decoder.midway(self.bytes.bytes()) != Midway::Nothing {
            let message = format!("request {} does not end", self.number + 1);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        Ok(read > 0)
    }

    /// Returns the number of the request that was found last; the first one is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number of bytes of the file that were consumed.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }
}
