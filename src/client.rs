//! The client: a blocking program over one `TcpStream`, for people, scripts and bulk loads.
//!
//! It speaks RESP, in which a value, a status, an error and a null differ, to any server that does.
//!
//! - `options.rs`: the command line, checked      - `failure.rs`: what ends the program early
//! - `request.rs`: lines to requests              - `connection.rs`: the socket, and replies
//! - `lines.rs`: input cut into lines             - `output.rs`: how replies look on stdout
//! - `interactive.rs`: prompt and reply, from a pipe or a terminal; `editor.rs`: line editing
//! - `dump.rs`: DUMP, by several requests         - `load.rs`: a file of requests, pipelined
//! - `resp_file.rs`: a file of requests in RESP
//!
//! A stdout that is closed early is no panic: functions that print return a `Failure`.

mod connection;
mod dump;
mod editor;
mod failure;
mod interactive;
mod lines;
mod load;
mod options;
mod output;
mod request;
mod resp_file;

use crate::program::flags::Parsed;
use crate::protocol::resp::Element;
use connection::ReplyOrigin;
use connection::ServerConnection;
use failure::{Failure, Verdict};
use options::{Options, Task};
use output::{ClientOutput, Look};
use request::{Encoder, Kind, Typed};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs the client on its arguments, those after the program's own name.
///
/// The exit code is 0 when all was carried out, 1 when the one command's reply (or one in the
/// loaded file) is `Key not found` or `Key already exists`, or one in a session from a pipe was an
/// error, and 2 for an error, a wrong argument, and a connection that could not be made or was
/// lost. A wrong argument and an error of the connection print one line on stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    obey_signals();
    let outcome = match options::parse(arguments) {
        Ok(Parsed::Run(options)) => carry_out(options),
        Ok(Parsed::Print(text)) => print(&text),
        Err(message) => Err(Failure::Usage(message)),
    };
    let verdict = outcome.unwrap_or_else(|failure| failure.report());
    ExitCode::from(verdict as u8)
}

fn print(text: &str) -> Result<Verdict, Failure> {
    let mut output = ClientOutput::new(Look::Bare, false);
    output.text(text)?;
    output.flush()?;
    Ok(Verdict::Done)
}

fn carry_out(options: Options) -> Result<Verdict, Failure> {
    let is_labelled = options.origin || options.task == Task::Interactive;
    let look = if is_labelled && !options.raw { Look::Labelled } else { Look::Bare };
    let mut output = ClientOutput::new(look, options.origin);
    let connect = || connect(&options.host, options.port, options.origin);
    match &options.task {
        Task::Interactive => interactive::run(connect()?, output),
        Task::Command(words) => one_command(connect()?, &mut output, words),
        Task::Load(path) => {
            // The file first: a wrong name should not need a server to be noticed.
            let input = load::open(path.as_deref())?;
            Ok(load::run(input, connect()?, &mut output)?.verdict())
        }
    }
}

/// Ends the program at SIGTERM and SIGINT also where it is the first process of a system or
/// container, to whom the system's own way of doing so does not apply.
fn obey_signals() {
    if std::process::id() != 1 {
        return;
    }
    for signal in [SIGTERM, SIGINT] {
        let always = Arc::new(AtomicBool::new(true));
        // Without it, the signal is ignored, as before.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always);
    }
}

fn connect(host: &str, port: u16, origin: bool) -> Result<ServerConnection, Failure> {
    let mut connection = ServerConnection::open(host, port)?;
    if origin {
        connection.send_words(&[b"ORIGIN", b"ON"]);
        connection.next_reply()?;
        if let Element::Error(error) = connection.element()? {
            return Err(Failure::NoOrigin(String::from_utf8_lossy(error).into_owned()));
        }
    }
    Ok(connection)
}

fn one_command(
    mut connection: ServerConnection,
    output: &mut ClientOutput,
    words: &[Vec<u8>],
) -> Result<Verdict, Failure> {
    let mut encoder = Encoder::new(connection.is_larder());
    let typed = match request::as_line(words) {
        Some(line) => encoder.encode(&line),
        None => encoder.request(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()),
    };
    let exchanged = carry_out_line(&mut connection, output, typed)?;
    output.flush()?;
    Ok(exchanged.verdict)
}

/// What came of a line.
struct Exchanged {
    verdict: Verdict,
    /// The server closes the connection.
    is_last: bool,
}

/// Carries out what a line asks for, and shows the reply.
fn carry_out_line(
    connection: &mut ServerConnection,
    output: &mut ClientOutput,
    typed: Typed<'_>,
) -> Result<Exchanged, Failure> {
    let mut is_last = false;
    let verdict = match typed {
        Typed::Nothing => Verdict::Done,
        Typed::Wrong(error) => {
            output.begin(ReplyOrigin::Server);
            output.line(error.as_bytes())?;
            Verdict::Error
        }
        Typed::Help => {
            output.begin(ReplyOrigin::Server);
            output.lines_and_end(&request::help())?;
            Verdict::Done
        }
        Typed::Dump(pairs) => dump::run(connection, output, pairs)?,
        Typed::Request(bytes, kind) => {
            connection.send(bytes);
            let verdict = output.reply(connection, kind)?;
            is_last = kind == Kind::Farewell && verdict != Verdict::Error;
            verdict
        }
    };
    Ok(Exchanged { verdict, is_last })
}
