//! `CONFIG GET` and `CONFIG SET`: our settings by the names of their flags, and by those names of
//! Redis that its tools request.

use super::{RequestError, check_pattern};
use crate::base::glob::Pattern;
use crate::protocol::text::printable;
use crate::settings::{Program, Setting, Settings, settings_of};

/// Redis's names for our settings.
const ALIASES: &[(&str, &str)] = &[
    ("maxclients", "max-connections"),
    ("maxmemory", "max-memory"),
    ("proto-max-bulk-len", "max-value"),
    ("timeout", "idle-timeout"),
    ("tracking-table-max-keys", "tracking-keys"),
];

/// Settings of Redis that have only one value here; in a proxy also some that a server can change.
const CONSTANTS: &[(&str, &str)] = &[
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("save", ""),
];

/// The meaning of a name in `CONFIG`.
#[derive(Clone, Copy)]
enum Meaning {
    Setting(&'static Setting),
    Constant(&'static str),
}

/// Returns all names in `CONFIG`, with their meanings.
fn rows(program: Program) -> impl Iterator<Item = (&'static str, Meaning)> {
    let own = move || settings_of(program).map(|row| (row.name, Meaning::Setting(row)));
    let aliases = move || {
        ALIASES.iter().filter_map(move |(alias, name)| {
            own().find(|(own, _)| own == name).map(|(_, meaning)| (*alias, meaning))
        })
    };
    let is_free = move |name: &str| !aliases().any(|(alias, _)| alias == name);
    let constants = CONSTANTS.iter().filter(move |(name, _)| is_free(name));
    let constants = constants.map(|(name, value)| (*name, Meaning::Constant(value)));
    own().chain(aliases()).chain(constants)
}

/// Returns names and values, for names and patterns in any case. As in Redis, a name that is no
/// pattern comes back as it was sent. All patterns together are held to the limit of one.
pub(super) fn get<'a>(
    program: Program,
    settings: &Settings,
    patterns: &[&'a [u8]],
) -> Result<Vec<(&'a [u8], String)>, RequestError> {
    check_pattern(
        patterns.iter().map(|pattern| pattern.len() + 1).sum::<usize>().saturating_sub(1),
    )?;
    let read: Vec<_> = patterns.iter().map(|it| (it, Pattern::in_any_case(it))).collect();
    let found = rows(program).filter_map(|(name, meaning)| {
        let name = name.as_bytes();
        let (pattern, _) = read.iter().find(|(_, it)| it.matches(name))?;
        let name = if pattern.eq_ignore_ascii_case(name) { pattern } else { name };
        Some(match meaning {
            Meaning::Setting(setting) => (name, setting.show(settings)),
            Meaning::Constant(value) => (name, value.to_string()),
        })
    });
    Ok(found.collect())
}

/// Changes settings, given as names and values in turn: all of them, or none.
pub(super) fn set(
    program: Program,
    settings: &mut Settings,
    words: &[&[u8]],
) -> Result<(), RequestError> {
    let (pairs, []) = words.as_chunks() else { return Err(RequestError::SYNTAX) };
    let mut changed: Vec<(&str, &Setting, &[u8])> = Vec::new();
    for [name, value] in pairs {
        let row = rows(program).find(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name));
        let (name, meaning) = row.ok_or_else(|| unknown(name))?;
        match meaning {
            Meaning::Setting(setting) if setting.is_live => {
                if changed.iter().any(|(_, other, _)| other.name == setting.name) {
                    return Err(failed(name, "duplicate parameter"));
                }
                changed.push((name, setting, value));
            }
            _ => return Err(failed(name, "can't set immutable config")),
        }
    }
    let mut new = *settings;
    for (name, setting, value) in changed {
        let value = String::from_utf8_lossy(value);
        let set = setting.set(&mut new, &value);
        set.map_err(|wanted| failed(name, &format!("it takes {wanted}")))?;
    }
    *settings = new;
    Ok(())
}

fn unknown(name: &[u8]) -> RequestError {
    let name = printable(name, 128);
    format!("Unknown option or number of arguments for CONFIG SET - '{name}'").into()
}

fn failed(name: &str, why: &str) -> RequestError {
    format!("CONFIG SET failed (possibly related to argument '{name}') - {why}").into()
}
