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
use super::output::{ClientOutput, error_text, judge};
use super::request::{Encoder, Kind, Typed};
use super::resp_file::{FileStep, RespFile};
use crate::protocol::resp::Element;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, Cursor, IsTerminal, Read, Write};
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
        is_larder: connection.is_larder(),
        name: input.name,
        socket: BufWriter::with_capacity(SEND_BYTES, connection.sender()?),
        window: sender,
    };
    let source = input.reader;
    let writer = thread::spawn(|| writer.run(source));
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
            take_reply(connection, &sent.awaited, &mut error).map_err(|failure| match failure {
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
    awaited: &Awaited,
    error: &mut String,
) -> Result<Verdict, Failure> {
    let kind = match awaited {
        Awaited::Reply(kind) => *kind,
        Awaited::Nothing => return Ok(Verdict::Done),
        Awaited::Error(message) => {
            error.clone_from(message);
            return Ok(Verdict::Error);
        }
    };
    connection.next_reply()?;
    let element = connection.element()?;
    let verdict = judge(kind, element);
    if let Element::Error(text) | Element::BlobError(text) = element {
        *error = String::from_utf8_lossy(&error_text(text)).into_owned();
    }
    let nested = element.elements().unwrap_or(usize::MAX);
    connection.skip(nested)?;
    Ok(verdict)
}

/// What is to come for a line.
enum Awaited {
    /// A reply of the server.
    Reply(Kind),
    /// This error of our own.
    Error(String),
    /// No reply: all is well.
    Nothing,
}

struct Sent {
    awaited: Awaited,
    line: u64,
    /// Where in the file its line ends.
    consumed: u64,
}

struct LoadWriter {
    is_larder: bool,
    name: String,
    /// Flushed when it is dropped, before the window is closed; the reader reports its errors.
    socket: BufWriter<TcpStream>,
    window: SyncSender<Sent>,
}

impl LoadWriter {
    /// Sends until a BYE, the end of the file, or the end of the connection, which the reader
    /// reports after the last replies.
    fn run(mut self, mut source: Box<dyn Read + Send>) -> Result<(), Failure> {
        let sent = start(&mut source).and_then(|start| {
            let is_resp = start.first() == Some(&b'*');
            let source = Cursor::new(start).chain(source);
            if is_resp { self.send_resp(source) } else { self.send_lines(source) }
        });
        sent.map_err(|error| Failure::Input(self.name, error))
    }

    fn send_lines(&mut self, source: impl Read) -> io::Result<()> {
        let mut lines = Lines::new(source);
        let mut encoder = Encoder::new(self.is_larder);
        loop {
            if lines.may_wait() && self.socket.flush().is_err() {
                return Ok(());
            }
            let Some(line) = lines.next_line()? else { return Ok(()) };
            let (bytes, awaited) = match encoder.encode(line) {
                Typed::Nothing => continue,
                Typed::Wrong(error) => (&b""[..], Awaited::Error(error)),
                // Nobody would see them.
                Typed::Help | Typed::Dump(_) => (&b""[..], Awaited::Nothing),
                Typed::Request(bytes, kind) => (bytes, Awaited::Reply(kind)),
            };
            let is_last = matches!(awaited, Awaited::Reply(Kind::Farewell));
            let sent = Sent { awaited, line: lines.number(), consumed: lines.consumed() };
            if !enter(&self.window, &mut self.socket, sent)
                || self.socket.write_all(bytes).is_err()
                || is_last
            {
                return Ok(());
            }
        }
    }

    fn send_resp(&mut self, source: impl Read) -> io::Result<()> {
        let mut file = RespFile::new(source);
        loop {
            let FileStep::Request(length, kind) = file.find()? else {
                if self.socket.flush().is_err() || !file.read()? {
                    return Ok(());
                }
                continue;
            };
            let consumed = file.consumed() + length as u64;
            let sent = Sent { awaited: Awaited::Reply(kind), line: file.number(), consumed };
            if !enter(&self.window, &mut self.socket, sent)
                || self.socket.write_all(&file.bytes()[..length]).is_err()
                || kind == Kind::Farewell
            {
                return Ok(());
            }
            file.consume(length);
        }
    }
}

/// Reads the first bytes of a file, without the mark of UTF-8 that some editors put there.
fn start(source: &mut impl Read) -> io::Result<Vec<u8>> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let mut start = Vec::new();
    while MARK.starts_with(&start) && start.len() < MARK.len() {
        if source.take(1).read_to_end(&mut start)? == 0 {
            return Ok(start);
        }
    }
    if start == MARK {
        start.clear();
        source.take(1).read_to_end(&mut start)?;
    }
    Ok(start)
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
