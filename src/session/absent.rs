//! The commands about what a program does not have: a log of slow requests, events of latency,
//! modules, users, replicas. Tools ask for them, and are told that there is nothing.

use super::clients::USER;
use super::{RequestError, command_docs};
use crate::base::units;
use crate::protocol::Request;
use crate::protocol::command::Verb;
use crate::protocol::resp::Writer;
use crate::protocol::text::printable;

/// The reply to `LATENCY DOCTOR`.
const REPORT: &str = "Latency is not watched by events here. INFO commandstats has the time that \
                      each command takes, and --latency of redis-cli measures from outside.\n";

/// Executes `SLOWLOG`, `LATENCY`, `MODULE`, `ACL` or `WAIT`. Returns whether it is one of these.
pub(super) fn answer(request: &Request<'_>, reply: &mut Writer<'_>) -> Result<bool, RequestError> {
    match request.command.verb {
        Verb::SlowlogGet => {
            check_count(request)?;
            reply.array(0);
        }
        Verb::SlowlogReset => reply.simple("OK"),
        Verb::SlowlogLen | Verb::LatencyReset => reply.integer(0),
        Verb::LatencyDoctor => reply.verbatim(REPORT.as_bytes()),
        Verb::LatencyGraph => {
            let event = printable(request.word(2), 128);
            return Err(format!("No samples available for event '{event}'").into());
        }
        Verb::LatencyHistogram => reply.map(0),
        Verb::LatencyHistory | Verb::LatencyLatest | Verb::ModuleList => reply.array(0),
        Verb::AclWhoami => reply.bulk(USER.as_bytes()),
        Verb::Wait => {
            check_wait(request)?;
            reply.integer(0);
        }
        Verb::SlowlogHelp | Verb::LatencyHelp | Verb::ModuleHelp | Verb::AclHelp => {
            command_docs::help(request.command, reply);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn check_count(request: &Request<'_>) -> Result<(), RequestError> {
    if request.len() > 3 {
        let shown = printable(request.word(1), 128);
        let what = "unknown subcommand or wrong number of arguments for";
        return Err(format!("{what} '{shown}'. Try SLOWLOG HELP.").into());
    }
    match request.words().nth(2).map(units::integer) {
        None | Some(Some(-1..)) => Ok(()),
        Some(_) => Err("count should be greater than or equal to -1".into()),
    }
}

fn check_wait(request: &Request<'_>) -> Result<(), RequestError> {
    if units::integer(request.word(1)).is_none() {
        return Err("value is not an integer or out of range".into());
    }
    match units::integer(request.word(2)) {
        None => Err("timeout is not an integer or out of range".into()),
        Some(..0) => Err("timeout is negative".into()),
        Some(_) => Ok(()),
    }
}
