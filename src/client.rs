//! The client: a blocking program over one `TcpStream`, for people, scripts and bulk loads.
//!
//! A request is a line of text, decoded here as the server decodes it, so that the client always
//! knows how many replies will come, and how long each of them is.
//!
//! - `options.rs`: the command line, checked      - `failure.rs`: what ends the program early
//! - `request.rs`: lines to requests              - `connection.rs`: the socket, and whole replies
//! - `lines.rs`: input cut into lines             - `output.rs`: how replies look on stdout
//! - `interactive.rs`: prompt and reply, from a pipe or a terminal; `editor.rs`: line editing
//! - `load.rs`: a file of requests, pipelined
//!
//! A stdout that is closed early is no panic: functions that print return a `Failure`.

mod connection;
mod editor;
mod failure;
mod interactive;
mod lines;
mod load;
mod options;
mod output;
mod request;

use crate::program::flags::Parsed;
use connection::ServerConnection;
use failure::{Failure, Verdict};
use options::{Options, Task};
use output::{ClientOutput, Look};
use request::{BYE, Encoder, Kind, ORIGIN_ON};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the client on its arguments, those after the program's own name.
///
/// The exit code is 0 when all was carried out, 1 when the one command's reply (or one in the
/// loaded file) is `Key not found` or `Key already exists`, and 2 for an `ERR` reply, a wrong
/// argument, and a connection that could not be made or was lost. A wrong argument and an error of
/// the connection print one line on stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
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
        Task::Interactive => {
            interactive::run(connect()?, output)?;
            Ok(Verdict::Done)
        }
        Task::Command(line) => one_command(connect()?, &mut output, line),
        Task::Load(path) => {
            // The file first: a wrong name should not need a server to be noticed.
            let input = load::open(path.as_deref())?;
            Ok(load::run(input, connect()?, &mut output)?.verdict())
        }
    }
}

fn connect(host: &str, port: u16, origin: bool) -> Result<ServerConnection, Failure> {
    let mut connection = ServerConnection::open(host, port)?;
    if origin {
        connection.send(ORIGIN_ON);
        let mut reply = connection.reply(Kind::Origin(true));
        while let Some(line) = reply.next_line()? {
            if line.text != b"OK" {
                return Err(Failure::NoOrigin(String::from_utf8_lossy(line.text).into_owned()));
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

/// Checks that a list of keys is complete: else an error follows it, on a line of its own, before
/// the reply to the next request.
fn check_end_of_keys(connection: &mut ServerConnection) -> Result<(), Failure> {
    connection.send(BYE);
    match connection.reply(Kind::Farewell).next_line() {
        Ok(Some(line)) if line.text.starts_with(b"ERR ") => {
            Err(Failure::BrokenOff(String::from_utf8_lossy(line.text).into_owned()))
        }
        // Also if the connection has ended: no error came before.
        _ => Ok(()),
    }
}
