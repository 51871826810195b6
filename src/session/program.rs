//! `STATS`, `INFO` and `CONFIG`: the commands about the program, shared by server and proxy.

use super::{Origin, RequestError, Style, config, info};
use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::protocol::command::Verb;
use crate::protocol::{Reply, Request};
use crate::settings::{Program, Settings};
use crate::stats::Stats;

/// Executes a request whose outcome was [`Outcome::Program`](super::Outcome). The counters must be
/// up to date. `CONFIG SET` changes `settings` only; the caller applies them.
pub fn answer(
    request: &Request<'_>,
    style: Style,
    program: Program,
    stats: &mut Stats,
    settings: &mut Settings,
    out: &mut Output,
) {
    let done = try_answer(request, style, program, stats, settings, out);
    if let Err(error) = done {
        error.write(style, out, stats);
    }
}

/// Executes a request, and writes its reply. After an error nothing is written.
fn try_answer(
    request: &Request<'_>,
    style: Style,
    program: Program,
    stats: &mut Stats,
    settings: &mut Settings,
    out: &mut Output,
) -> Result<(), RequestError> {
    let words: Vec<&[u8]> = request.arguments().collect();
    match request.command.verb {
        Verb::Info => {
            let text = info::text(program, stats, settings, &words);
            style.writer(out).verbatim(text.as_bytes());
        }
        Verb::ConfigGet => {
            let found = config::get(program, settings, &words[1..])?;
            let mut reply = style.writer(out);
            reply.map(found.len());
            for (name, value) in found {
                reply.bulk(name);
                reply.bulk(value.as_bytes());
            }
        }
        Verb::ConfigSet => {
            config::set(program, settings, &words[1..])?;
            style.writer(out).simple("OK");
        }
        Verb::ConfigResetstat => {
            stats.reset();
            style.writer(out).simple("OK");
        }
        Verb::Stats => {
            let mut lines = Buffer::new();
            stats.write_lines(program, &mut lines);
            style.write(out, Origin::Server, Reply::Lines(lines.bytes()));
        }
        verb => unreachable!("{verb:?} does not concern the program"),
    }
    Ok(())
}
