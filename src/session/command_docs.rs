//! `COMMAND`: the table of commands, as Redis describes its own. ACL categories, tips and key
//! specifications are left empty.

use super::{RequestError, check_pattern, key_flags};
use crate::base::glob::Pattern;
use crate::protocol::Request;
use crate::protocol::command::arguments::Argument;
use crate::protocol::command::{Access, Command, KeyRange, Verb};
use crate::protocol::resp::Writer;
use crate::settings::limits;
use crate::stats::Stat;

/// Executes `COMMAND` and its subcommands, but for `HELP`.
pub(super) fn answer(request: &Request<'_>, reply: &mut Writer<'_>) -> Result<(), RequestError> {
    let named = request.words().skip(2);
    match request.command.verb {
        Verb::CommandCount => reply.integer(Command::all().len() as i64),
        Verb::CommandDocs if named.len() > 0 => {
            let found: Vec<_> = named.filter_map(find).collect();
            all_docs(found.into_iter(), reply)?;
        }
        Verb::CommandDocs => all_docs(Command::all().iter(), reply)?,
        Verb::CommandGetkeys => {
            let words: Vec<_> = named.collect();
            let keys = keys(&words)?.1.of(&words);
            reply.array(keys.len());
            keys.for_each(|key| reply.bulk(key));
        }
        Verb::CommandGetkeysandflags => {
            let words: Vec<_> = named.collect();
            let (command, keys) = keys(&words)?;
            let keys = keys.of(&words);
            reply.array(keys.len());
            for (place, key) in keys.enumerate() {
                let flags = key_flags::of(command, place, &words);
                reply.array(2);
                reply.bulk(key);
                reply.set(flags.len());
                flags.iter().for_each(|flag| reply.simple(flag));
            }
        }
        Verb::CommandList => list(request, reply)?,
        _ if named.len() > 0 => {
            let begin = reply.len();
            reply.array(named.len());
            for name in named {
                match find(name) {
                    Some(command) => info(command, reply),
                    None => reply.null(),
                }
                check_length(reply, begin)?;
            }
        }
        _ => {
            reply.array(Command::all().len());
            Command::all().iter().for_each(|command| info(command, reply));
        }
    }
    Ok(())
}

/// Writes the `HELP` of a container, with all its subcommands.
pub(super) fn help(command: &Command, reply: &mut Writer<'_>) {
    let (container, _) = command.split_name();
    let rows = Command::find(container.as_bytes()).map(|it| it.subcommands());
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    reply.array(1 + 2 * rows.len());
    reply.simple(&format!("{container} <subcommand> [<arg> ...]. Subcommands are:"));
    for row in rows {
        reply.simple(format!("{} {}", row.split_name().1, row.arguments).trim_end());
        reply.simple(&format!("    {}", row.summary));
    }
}

/// Returns the command of a name in `COMMAND`: `get`, `client|list`.
fn find(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|&byte| byte == b'|') {
        None => Command::find(name),
        Some(at) => Command::find(&name[..at])?.subcommand(&name[at + 1..]),
    }
}

fn name(command: &Command) -> String {
    command.name.to_ascii_lowercase()
}

/// Returns those of the flags that Redis's libraries read that are true here.
fn flags(command: &Command) -> &'static [&'static str] {
    let one_key = command.keys.first == 1 && command.keys.last == 1;
    match command.access {
        _ if command.is_container() => &[],
        Access::Read if one_key => &["readonly", "fast"],
        Access::Read => &["readonly"],
        Access::Write if command.stores() && one_key => &["write", "denyoom", "fast"],
        Access::Write if command.stores() => &["write", "denyoom"],
        Access::Write if one_key => &["write", "fast"],
        Access::Write | Access::WriteAll => &["write"],
        Access::Connection | Access::Transaction => &[],
    }
}

fn info(command: &Command, reply: &mut Writer<'_>) {
    let KeyRange { first, last, step } = command.keys;
    reply.array(10);
    reply.bulk(name(command).as_bytes());
    reply.integer(i64::from(command.arity));
    let flags = flags(command);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    [i64::from(first), i64::from(last), i64::from(step)].iter().for_each(|it| reply.integer(*it));
    (0..3).for_each(|_| reply.set(0));
    match command.subcommands().count() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    command.subcommands().for_each(|subcommand| info(subcommand, reply));
}

fn all_docs<'a>(
    commands: impl Iterator<Item = &'a Command> + Clone,
    reply: &mut Writer<'_>,
) -> Result<(), RequestError> {
    let begin = reply.len();
    reply.map(commands.clone().count());
    for command in commands {
        reply.bulk(name(command).as_bytes());
        docs(command, reply)?;
        check_length(reply, begin)?;
    }
    Ok(())
}

/// Checks the length of a reply: a request may name the same command a million times.
fn check_length(reply: &Writer<'_>, begin: usize) -> Result<(), RequestError> {
    if reply.len() - begin <= limits::HIGH_WATER {
        return Ok(());
    }
    Err(RequestError::counted(Stat::TooLargeReplies, "reply too large"))
}

fn docs(command: &Command, reply: &mut Writer<'_>) -> Result<(), RequestError> {
    // A container takes what its subcommands take.
    let arguments = if command.is_container() { vec![] } else { command.argument_tree() };
    let pairs = 3 + usize::from(!arguments.is_empty()) + usize::from(command.is_container());
    reply.map(pairs);
    reply.bulks(&["summary", command.summary, "since", command.since, "group", command.group]);
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        all_arguments(&arguments, reply);
    }
    if command.is_container() {
        reply.bulk(b"subcommands");
        all_docs(command.subcommands(), reply)?;
    }
    Ok(())
}

fn all_arguments(arguments: &[Argument], reply: &mut Writer<'_>) {
    reply.array(arguments.len());
    for argument in arguments {
        let Argument { name, kind, token, optional, multiple, parts } = argument;
        let flags = [(*optional, "optional"), (*multiple, "multiple")];
        let flags = flags.iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag);
        let count = flags.clone().count();
        let more = [!token.is_empty(), count > 0, !parts.is_empty()];
        reply.map(2 + more.iter().filter(|it| **it).count());
        reply.bulks(&["name", name, "type", kind]);
        if !token.is_empty() {
            reply.bulks(&["token", token]);
        }
        if count > 0 {
            reply.bulk(b"flags");
            reply.set(count);
            flags.for_each(|flag| reply.simple(flag));
        }
        if !parts.is_empty() {
            reply.bulk(b"arguments");
            all_arguments(parts, reply);
        }
    }
}

/// Returns the command of a request of these words, and the positions of its keys.
fn keys(words: &[&[u8]]) -> Result<(&'static Command, KeyRange), RequestError> {
    let unknown = "Invalid command specified";
    let mut command = Command::find(words[0]).ok_or(unknown)?;
    if command.is_container() && words.len() > 1 {
        command = command.subcommand(words[1]).ok_or(unknown)?;
    }
    if command.keys.first == 0 {
        return Err("The command has no key arguments".into());
    }
    if !command.takes(words.len()) {
        return Err("Invalid number of arguments specified for command".into());
    }
    Ok((command, command.keys))
}

fn list(request: &Request<'_>, reply: &mut Writer<'_>) -> Result<(), RequestError> {
    let rows = Command::all().iter();
    let all = rows.flat_map(|row| std::iter::once(row).chain(row.subcommands()));
    let found: Vec<String> = if request.len() == 2 {
        all.map(name).collect()
    } else {
        if request.len() != 5 || !request.word(2).eq_ignore_ascii_case(b"FILTERBY") {
            return Err(RequestError::SYNTAX);
        }
        let pattern = request.word(4);
        match request.word(3).to_ascii_uppercase().as_slice() {
            b"PATTERN" => {
                check_pattern(pattern.len())?;
                let pattern = Pattern::in_any_case(pattern);
                let takes = |name: &String| pattern.matches(name.as_bytes());
                all.map(name).filter(takes).collect()
            }
            // There are none of these.
            b"MODULE" | b"ACLCAT" => Vec::new(),
            _ => return Err(RequestError::SYNTAX),
        }
    };
    reply.array(found.len());
    found.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}
