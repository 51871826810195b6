//! A file of requests, pipelined.
//!
//! ```text
//!              ┌────────── writer (thread) ─────────┐
//!   file ────► │ line → request ─┬─► window (1,024) ┼──► what was asked for, in order
//!              │                 └─► buffer ─► socket        │
//!              └────────────────────────────────────┘        ▼
//!                          socket ─────────────────────► reader (this thread) ─► tally
//! ```
//!
//! The reader reads whatever the writer does, so a server that stops reading until its replies are
//! taken is never waited for in vain. A request enters the window before it enters the buffer, and
//! the buffer is flushed before the writer waits for anything: for a place in the window, or for a
//! file that is a pipe. So what the reader waits for has always been sent.

use super::connection::{Connection, Verdict};
use super::failure::{Failure, complain};
use super::lines::Lines;
use super::options::Source;
use super::output::Output;
use super::request::{Encoder, Kind};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Requests without a reply at one time: as many as the proxy takes of a client before it pauses it.
/// Their bytes are bounded by the system's socket buffers, and here by `SEND_BYTES`.
const WINDOW: usize = crate::limits::MAX_UNANSWERED;

/// Requests are collected to this size before they are sent.
const SEND_BYTES: usize = 64 * 1024;

/// Failed lines that are shown; of more there is only the number.
const SHOWN_ERRORS: u64 = 100;

/// How often the progress bar moves while nothing is answered.
const TICK: Duration = Duration::from_millis(100);

/// An opened file of requests.
pub struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    /// `None` where it has no length: a pipe.
    bytes: Option<u64>,
}

/// Opens a file of requests.
///
/// # Errors
///
/// [`Failure::Input`] when that is not possible.
pub fn open(source: &Source) -> Result<Input, Failure> {
    match source {
        Source::Stdin => {
            let name = "standard input".to_string();
            Ok(Input { name, reader: Box::new(io::stdin()), bytes: None })
        }
        Source::File(path) => {
            let name = path.display().to_string();
            let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
            match opened {
                Ok((about, file)) => {
                    let bytes = about.is_file().then_some(about.len());
                    Ok(Input { name, reader: Box::new(file), bytes })
                }
                Err(error) => Err(Failure::Input(name, error)),
            }
        }
    }
}

/// How many requests had which reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    done: u64,
    refused: u64,
    errors: u64,
    /// The line that the last reply was for.
    line: u64,
}

impl Tally {
    fn answered(&self) -> u64 {
        self.done + self.refused + self.errors
    }

    /// The worst of the replies.
    pub fn verdict(&self) -> Verdict {
        match self {
            Tally { errors: 1.., .. } => Verdict::Error,
            Tally { refused: 1.., .. } => Verdict::Refused,
            _ => Verdict::Done,
        }
    }
}

/// Sends all requests of `input` up to a BYE, names on stderr the lines that failed, and prints the
/// tally.
///
/// # Errors
///
/// [`Failure::LostLoading`] when the server goes first; [`Failure::Input`] when the file cannot be
/// read to its end, after the tally of what was sent until then.
pub fn run(
    input: Input,
    mut connection: Connection,
    output: &mut Output,
) -> Result<Tally, Failure> {
    let began = Instant::now();
    let bar = progress_bar(input.bytes);
    let (sender, window) = sync_channel(WINDOW);
    let socket = connection.sender();
    let socket = socket.map_err(|error| Failure::Connect(connection.peer().to_string(), error))?;
    let writer = Writer {
        lines: Lines::new(input.reader),
        name: input.name,
        socket: BufWriter::with_capacity(SEND_BYTES, socket),
        window: sender,
    };
    let writer = thread::spawn(|| writer.run());
    let tally = take_replies(&mut connection, &window, &bar);
    bar.finish_and_clear();
    // A writer that is still waiting for its input ends with the program.
    let tally = tally?;
    let Tally { done, refused, errors, .. } = tally;
    if errors > SHOWN_ERRORS {
        complain(&format!("{} more lines failed", errors - SHOWN_ERRORS));
    }
    if io::stderr().is_terminal() {
        complain(&speed(tally.answered(), began.elapsed()));
    }
    let sent = tally.answered();
    output.text(&format!("sent {sent}, OK {done}, refused {refused}, errors {errors}\n"))?;
    output.flush()?;
    // The window is closed, so the thread has ended; it has nothing in it that panics.
    writer.join().unwrap_or(Ok(()))?;
    Ok(tally)
}

/// Reads the reply to everything in the window, until the writer closes it.
fn take_replies(
    connection: &mut Connection,
    window: &Receiver<Sent>,
    bar: &ProgressBar,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for sent in window {
        let mut reply = connection.reply(sent.kind);
        loop {
            match reply.next_line() {
                Ok(Some(line)) if line.text.starts_with(b"ERR ") && sent.kind.may_fail_with() => {}
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {}
            }
        }
        tally.line = sent.line;
        bar.set_position(sent.position);
    }
    Ok(tally)
}
