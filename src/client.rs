//! The client: a blocking program over one `TcpStream`, for people, scripts and bulk loads.
//!
//! What belongs here is everything between a command line and an exit code. The wire is not: a
//! request is a line of text, read here by the very decoder that the server reads it with, so that
//! the client always knows how many replies it is owed, and how long each of them is.
//!
//! - `options.rs`: the command line, checked      - `failure.rs`: what ends the program early
//! - `request.rs`: lines to requests              - `connection.rs`: the socket, and whole replies
//! - `lines.rs`: input cut into lines             - `output.rs`: how replies look on stdout
//! - `interactive.rs`: prompt and reply, from a pipe or a terminal; `editor.rs`: line editing
//! - `load.rs`: a file of requests, pipelined
//!
//! Nothing here panics when stdout is closed early: what prints returns a `Failure`.

mod connection;
mod editor;
mod failure;
mod interactive;
mod lines;
mod load;
mod options;
mod output;
mod request;

use connection::{ServerConnection, Verdict};
use failure::{DONE, FAILED, Failure, REFUSED};
use options::{Options, ParsedOptions, Task};
use output::{ClientOutput, Look};
use request::{BYE, Encoder, Kind, ORIGIN_ON};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the client on its arguments, those after the program's own name.
///
/// The exit code is 0 when all was carried out, 1 when the one command's reply (or one in the
/// loaded file) is `Key not found` or `Key already exists`, and 2 for an `ERR` reply, a wrong
/// argument, and a connection that could not be made or was lost; the last three are told in one
/// line on stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match options::parse(arguments) {
        Ok(ParsedOptions::Run(options)) => carry_out(options),
        Ok(ParsedOptions::Say(text)) => say(&text),
        Err(message) => Err(Failure::Usage(message)),
    };
    ExitCode::from(outcome.unwrap_or_else(|failure| failure.report()))
}

/// `--help` and `--version`.
fn say(text: &str) -> Result<u8, Failure> {
    let mut output = ClientOutput::new(Look::Bare, false);
    output.text(text)?;
    output.flush()?;
    Ok(DONE)
}

fn carry_out(options: Options) -> Result<u8, Failure> {
    let look = match (&options.task, options.raw) {
        (_, true) => Look::Bare,
        (Task::Interactive, false) => Look::Labelled,
        // Alone, unless the user wants to know who answered.
        (_, false) if options.origin => Look::Labelled,
        (_, false) => Look::Bare,
    };
    let mut output = ClientOutput::new(look, options.origin);
    match options.task {
        Task::Interactive => {
            let connection = connect(&options.host, options.port, options.origin)?;
            interactive::run(connection, output)?;
            Ok(DONE)
        }
        Task::Command(ref line) => {
            let connection = connect(&options.host, options.port, options.origin)?;
            let verdict = one_command(connection, &mut output, line)?;
            Ok(exit_code(verdict))
        }
        Task::Load(ref source) => {
            // The file first: a wrong name should not need a server to be noticed.
            let input = load::open(source)?;
            let connection = connect(&options.host, options.port, options.origin)?;
            let tally = load::run(input, connection, &mut output)?;
            Ok(exit_code(tally.verdict()))
        }
    }
}

fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Done => DONE,
        Verdict::Refused => REFUSED,
        Verdict::Error => FAILED,
    }
}

fn connect(host: &str, port: u16, origin: bool) -> Result<ServerConnection, Failure> {
    let mut connection = ServerConnection::open(host, port)?;
    if origin {
        connection.send(ORIGIN_ON);
        let mut reply = connection.reply(Kind::Origin(true));
        while let Some(line) = reply.next_line()? {
            if line.text != b"OK" {
                let said = String::from_utf8_lossy(line.text).into_owned();
                return Err(Failure::NoOrigin(said));
            }
        }
    }
    Ok(connection)
}

fn one_command(
    mut connection: ServerConnection,
    output: &mut ClientOutput,
    line: &[u8],
) -> Result<Verdict, Failure> {
    let mut encoder = Encoder::default();
    let mut verdict = Verdict::Done;
    for request in encoder.encode(line)? {
        connection.send(request.bytes);
        verdict = output.reply(&mut connection.reply(request.kind))?;
        if request.kind == Kind::Keys && verdict == Verdict::Done {
            output.flush()?;
            check_end_of_keys(&mut connection)?;
        }
    }
    output.flush()?;
    Ok(verdict)
}

/// A list of keys that cannot be finished is followed by an error on a line of its own. Whether
/// there is one shows in what comes before the reply to another request.
fn check_end_of_keys(connection: &mut ServerConnection) -> Result<(), Failure> {
    connection.send(BYE);
    match connection.reply(Kind::Farewell).next_line() {
        Ok(Some(line)) if line.text.starts_with(b"ERR ") => {
            Err(Failure::BrokenOff(String::from_utf8_lossy(line.text).into_owned()))
        }
        // Also if it is gone: it had no error to tell.
        _ => Ok(()),
    }
}
