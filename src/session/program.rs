//! `STATS`, `INFO` and `CONFIG`: what concerns the program. Server and proxy answer them alike,
//! each of itself.

use super::{Origin, Style, config, info};
use crate::base::buffer::Buffer;
use crate::base::output::Output;
use crate::protocol::Reply;
use crate::protocol::Request;
use crate::protocol::command::Verb;
use crate::settings::Program;
use crate::settings::Settings;
use crate::stats::Stats;

/// Answers a request whose outcome was [`Outcome::Program`](super::Outcome). The counters must be
/// up to date. The settings may be others afterwards, if they are such as can change now.
pub fn answer(
    request: &Request<'_>,
    style: Style,
    program: Program,
    stats: &mut Stats,
    settings: &mut Settings,
    out: &mut Output,
) {
    let words: Vec<&[u8]> = request.arguments().collect();
    match request.command.verb {
        Verb::Info => {
            let text = info::text(program, stats, settings, &words);
            style.writer(out).verbatim(text.as_bytes());
        }
        Verb::ConfigGet => {
            let found = config::get(program, settings, &words[1..]);
            let mut reply = style.writer(out);
            match found {
                Ok(found) => {
                    reply.map(found.len());
                    for (name, value) in found {
                        reply.bulk(name);
                        reply.bulk(value.as_bytes());
                    }
                }
                Err(fault) => reply.failure(fault.told(stats)),
            }
        }
        Verb::ConfigSet => {
            let set = config::set(program, settings, &words[1..]);
            let mut reply = style.writer(out);
            match set {
                Ok(()) => reply.simple("OK"),
                Err(fault) => reply.failure(fault.told(stats)),
            }
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
}
