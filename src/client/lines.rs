//! Input cut into lines of bytes, for a pipe and for a file of requests alike.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line of input: the longest request that servers take by default. An input with a
/// longer one is no list of requests, and would only fill the memory.
const MAX_LINE: usize = 128 << 20;

/// The bytes of one read: few calls for a large file.
const READ_BYTES: usize = 64 * 1024;

/// A reader of lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    consumed: u64,
}

impl<R: Read> Lines<R> {
    /// Returns a reader of lines from `source`, which needs no buffer of its own.
    pub fn new(source: R) -> Lines<R> {
        let source = BufReader::with_capacity(READ_BYTES, source);
        Lines { source, line: Vec::new(), number: 0, consumed: 0 }
    }

    /// Returns the next line without its LF, `None` at the end. The last line may lack the LF.
    ///
    /// # Errors
    /// Those of the source, and a line of more than 128 MiB.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = (&mut self.source).take(limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.consumed += read as u64;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > MAX_LINE {
            let message = format!("line {} is longer than {MAX_LINE} bytes", self.number);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(&self.line))
    }

    /// Returns the number of the line that was read last; the first one is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number of bytes of the input that were read as lines.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Returns whether the next line is not in the buffer, and so may be long in coming.
    pub fn may_wait(&self) -> bool {
        memchr::memchr(b'\n', self.source.buffer()).is_none()
    }
}

#[cfg(test)]
mod tests;
