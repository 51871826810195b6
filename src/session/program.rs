//! `STATS`, `INFO` and `CONFIG`: the commands about the program, shared by server and proxy.

use super::{Identity, Origin, Style, config, info};
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
    identity: &Identity,
    stats: &mut Stats,
    settings: &mut Settings,
    out: &mut Output,
) {
    let words: Vec<&[u8]> = request.arguments().collect();
    match request.command.verb {
        Verb::Info => {
            let text = info::text(program, stats, settings, identity, &words);
            style.writer(out).verbatim(text.as_bytes());
        }
        Verb::ConfigGet => match config::get(program, settings, &words[1..]) {
            Ok(found) => {
                let mut reply = style.writer(out);
                reply.map(found.len());
                for (name, value) in found {
                    reply.bulk(name);
                    reply.bulk(value.as_bytes());
                }
            }
            Err(error) => error.write(style, out, stats),
        },
        Verb::ConfigSet => match config::set(program, settings, &words[1..]) {
            Ok(()) => style.writer(out).simple("OK"),
            Err(error) => error.write(style, out, stats),
        },
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
}
