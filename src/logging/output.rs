//! Where the log goes: to stderr, for as long as somebody takes it. A pipe that is full would hold
//! up the loop, and all clients with it; so what there is no room for is left out, and counted.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// What a pipe takes in one piece without waiting once it says that it has room: `PIPE_BUF`.
const PIECE: usize = 4096;

/// Stderr that never waits.
#[derive(Debug, Default)]
pub struct LogOutput {
    /// Lines that there was no room for, and nobody was told of yet.
    lost: u64,
}

impl Write for LogOutput {
    /// Writes one line, or leaves it out; neither is an error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost > 0 && put(format!("lines of the log lost: {}\n", self.lost).as_bytes()) {
            self.lost = 0;
        }
        if self.lost > 0 || !put(line) {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether stderr had room for it. That nobody can read it is no reason to try again.
fn put(text: &[u8]) -> bool {
    let mut stderr = io::stderr().lock();
    for piece in text.chunks(PIECE) {
        let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut ready, PollTimeout::ZERO) == Ok(0) {
            return false;
        }
        let _ = stderr.write_all(piece);
    }
    true
}
