//! A file of requests, pipelined.
//!
//! ```text
//!              ┌────────── writer (thread) ─────────┐
//!   file ────► │ line → request ─┬─► window (1,024) ┼──► kinds of the requests, in order
//!              │                 └─► buffer ─► socket        │
//!              └────────────────────────────────────┘        ▼
//!                          socket ─────────────────────► reader (this thread) ─► tally
//! ```
//!
//! The reader never waits for the writer, so a server that stops reading until its replies are
//! taken cannot deadlock with it. A request enters the window before it enters the buffer, and the
//! buffer is flushed before the writer waits for anything: for a place in the window, or for a file
//! that is a pipe. So every request that the reader waits for has been sent.

use super::connection::ServerConnection;
use super::failure::{Failure, Verdict, print_error};
use super::lines::Lines;
use super::output::ClientOutput;
use super::request::{Encoder, Kind};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The most requests without a reply: as many as the proxy takes of a client before it pauses it.
/// Their bytes are bounded by the system's socket buffers, and here by `SEND_BYTES`.
const WINDOW: usize = crate::settings::limits::MAX_UNANSWERED;

/// The bytes of requests that are collected before they are sent.
const SEND_BYTES: usize = 64 * 1024;

/// The most failed lines that are shown; the others are only counted.
const SHOWN_ERRORS: u64 = 100;

/// An opened file of requests.
pub struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    /// The length; `None` for a pipe.
    bytes: Option<u64>,
}

/// Opens a file of requests, or standard input, and returns it.
///
/// # Errors
/// [`Failure::Input`] when that is not possible.
pub fn open(path: Option<&Path>) -> Result<Input, Failure> {
    let Some(path) = path else {
        let name = "standard input".to_string();
        return Ok(Input { name, reader: Box::new(io::stdin()), bytes: None });
    };
    let name = path.display().to_string();
    match File::open(path).and_then(|file| Ok((file.metadata()?, file))) {
        Ok((about, file)) => {
            let bytes = about.is_file().then_some(about.len());
            Ok(Input { name, reader: Box::new(file), bytes })
        }
        Err(error) => Err(Failure::Input(name, error)),
    }
}

/// The number of requests with each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    done: u64,
    refused: u64,
    errors: u64,
    /// The line of the request that was last replied to.
    line: u64,
}

impl Tally {
    fn answered(&self) -> u64 {
        self.done + self.refused + self.errors
    }

    /// Returns the worst outcome.
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
/// [`Failure::LostLoading`] when the server closes first; [`Failure::Input`] when the file cannot
/// be read to its end, after the tally of the requests until then.
pub fn run(
    input: Input,
    mut connection: ServerConnection,
    output: &mut ClientOutput,
) -> Result<Tally, Failure> {
    let began = Instant::now();
    let bar = progress_bar(input.bytes);
    let (sender, window) = sync_channel(WINDOW);
    let writer = LoadWriter {
        lines: Lines::new(input.reader),
        name: input.name,
        socket: BufWriter::with_capacity(SEND_BYTES, connection.sender()?),
        window: sender,
    };
    let writer = thread::spawn(|| writer.run());
    let tally = take_replies(&mut connection, &window, &bar);
    bar.finish_and_clear();
    // A writer that is still waiting for its input ends with the program.
    let tally = tally?;
    let Tally { done, refused, errors, .. } = tally;
    if errors > SHOWN_ERRORS {
        print_error(&format!("{} more lines failed", errors - SHOWN_ERRORS));
    }
    if io::stderr().is_terminal() {
        print_error(&speed(tally.answered(), began.elapsed()));
    }
    let sent = tally.answered();
    output.text(&format!("sent {sent}, OK {done}, refused {refused}, errors {errors}\n"))?;
    output.flush()?;
    // The window is closed, so the thread has ended; it has nothing in it that panics.
    writer.join().unwrap_or(Ok(()))?;
    Ok(tally)
}

/// Reads the reply to everything in the window, until the writer closes it. Returns the tally.
fn take_replies(
    connection: &mut ServerConnection,
    window: &Receiver<Sent>,
    bar: &ProgressBar,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut error = String::new();
    for sent in window {
        let verdict =
            take_reply(connection, sent.kind, &mut error).map_err(|failure| match failure {
                Failure::Lost(peer) => Failure::LostLoading(peer, tally.answered(), tally.line),
                other => other,
            })?;
        match verdict {
            Verdict::Done => tally.done += 1,
            Verdict::Refused => tally.refused += 1,
            Verdict::Error => tally.errors += 1,
        }
        if verdict == Verdict::Error && tally.errors <= SHOWN_ERRORS {
            bar.suspend(|| print_error(&format!("line {}: {error}", sent.line)));
        }
        tally.line = sent.line;
        bar.set_position(if bar.length().is_some() { sent.consumed } else { tally.answered() });
    }
    Ok(tally)
}

/// Reads one reply, and returns its outcome. The text of an error is put into `error`.
fn take_reply(
    connection: &mut ServerConnection,
    kind: Kind,
    error: &mut String,
) -> Result<Verdict, Failure> {
    let mut reply = connection.reply(kind);
    while let Some(line) = reply.next_line()? {
        if line.text.starts_with(b"ERR ") {
            error.clear();
            error.push_str(&String::from_utf8_lossy(line.text));
        }
    }
    Ok(reply.verdict())
}

struct Sent {
    kind: Kind,
    line: u64,
    /// Where in the file its line ends.
    consumed: u64,
}

struct LoadWriter {
    lines: Lines<Box<dyn Read + Send>>,
    name: String,
    /// Flushed when it is dropped, before the window is closed; the reader reports its errors.
    socket: BufWriter<TcpStream>,
    window: SyncSender<Sent>,
}

impl LoadWriter {
    /// Sends until a BYE, the end of the file, or the end of the connection, which the reader
    /// reports after the last replies.
    fn run(mut self) -> Result<(), Failure> {
        let mut encoder = Encoder::default();
        loop {
            if self.lines.may_wait() && self.socket.flush().is_err() {
                return Ok(());
            }
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::Input(self.name, error)),
            };
            let encoded = encoder.encode(line);
            let (line, consumed) = (self.lines.number(), self.lines.consumed());
            let Ok(requests) = encoded else {
                let message = format!("line {line} cannot be sent as one line of text");
                return Err(Failure::Input(self.name, io::Error::other(message)));
            };
            for request in requests {
                let sent = Sent { kind: request.kind, line, consumed };
                if !enter(&self.window, &mut self.socket, sent)
                    || self.socket.write_all(request.bytes).is_err()
                    || request.kind == Kind::Farewell
                {
                    return Ok(());
                }
            }
        }
    }
}

/// Waits for a place in the window, having sent all that the reader may be waiting for. Returns
/// false if the reader has ended.
fn enter(window: &SyncSender<Sent>, socket: &mut BufWriter<TcpStream>, sent: Sent) -> bool {
    match window.try_send(sent) {
        Ok(()) => true,
        Err(TrySendError::Full(sent)) => socket.flush().is_ok() && window.send(sent).is_ok(),
        Err(TrySendError::Disconnected(_)) => false,
    }
}

/// Returns a bar on stderr, if that is a terminal: over the length of the file, or a bare count.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes}/{total_bytes}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} answered"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn speed(requests: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = requests as f64 / seconds.max(1e-9);
    format!("{requests} requests in {seconds:.2} s, {rate:.0} a second")
}
