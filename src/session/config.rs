//! `CONFIG GET` and `CONFIG SET`: our settings by the names of their flags, and besides by those
//! names of Redis's that its tools ask for.

use super::{RequestError, check_pattern};
use crate::base::glob;
use crate::protocol::text::printable;
use crate::settings::Program;
use crate::settings::{Setting, Settings, settings_of};

/// Redis's names of settings of ours.
const ALIASES: &[(&str, &str)] = &[
    ("maxclients", "max-connections"),
    ("maxmemory", "max-memory"),
    ("proto-max-bulk-len", "max-value"),
    ("timeout", "idle-timeout"),
    ("tracking-table-max-keys", "tracking-keys"),
];

/// Settings of Redis that have only one value here; of a proxy also some that a server can change.
const CONSTANTS: &[(&str, &str)] = &[
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("save", ""),
];

/// One name in `CONFIG`, and what it stands for.
#[derive(Clone, Copy)]
struct ConfigRow {
    name: &'static str,
    meaning: Meaning,
}

#[derive(Clone, Copy)]
enum Meaning {
    Setting(&'static Setting),
    Constant(&'static str),
}

fn rows(program: Program) -> impl Iterator<Item = ConfigRow> {
    let own = move || settings_of(program).map(|row| (row.name, Meaning::Setting(row)));
    let aliases = move || {
        ALIASES.iter().filter_map(move |(alias, name)| {
            own().find(|(own, _)| own == name).map(|(_, meaning)| (*alias, meaning))
        })
    };
    let is_free = move |name: &str| !aliases().any(|(alias, _)| alias == name);
    let constants = CONSTANTS.iter().filter(move |(name, _)| is_free(name));
    let constants = constants.map(|(name, value)| (*name, Meaning::Constant(value)));
    own().chain(aliases()).chain(constants).map(|(name, meaning)| ConfigRow { name, meaning })
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
    let asked_for = |row: &ConfigRow| {
        let name = row.name.as_bytes();
        let pattern = patterns.iter().find(|it| glob::matches_in_any_case(it, name))?;
        Some(if pattern.eq_ignore_ascii_case(name) { pattern } else { name })
    };
    let found = rows(program).filter_map(|row| Some((asked_for(&row)?, row.meaning)));
    let shown = found.map(|(name, meaning)| match meaning {
        Meaning::Setting(setting) => (name, setting.show(settings)),
        Meaning::Constant(value) => (name, value.to_string()),
    });
    Ok(shown.collect())
}

/// Changes settings, given as names and values in turn: all of them, or none.
pub(super) fn set(
    program: Program,
    settings: &mut Settings,
    words: &[&[u8]],
) -> Result<(), RequestError> {
    let (pairs, []) = words.as_chunks() else { return Err(RequestError::SYNTAX) };
    let mut changed: Vec<(ConfigRow, &Setting, &[u8])> = Vec::new();
    for [name, value] in pairs {
        let row = rows(program).find(|row| row.name.as_bytes().eq_ignore_ascii_case(name));
        let row = row.ok_or_else(|| unknown(name))?;
        match row.meaning {
            Meaning::Setting(setting) if setting.is_live => {
                if changed.iter().any(|(_, other, _)| other.name == setting.name) {
                    return Err(failed(row, "duplicate parameter"));
                }
                changed.push((row, setting, value));
            }
            _ => return Err(failed(row, "can't set immutable config")),
        }
    }
    let mut new = *settings;
    for (row, setting, value) in changed {
        let value = String::from_utf8_lossy(value);
        let set = setting.set(&mut new, &value);
        set.map_err(|wanted| failed(row, &format!("it takes {wanted}")))?;
    }
    *settings = new;
    Ok(())
}

fn unknown(name: &[u8]) -> RequestError {
    let name = printable(name, 128);
    format!("Unknown option or number of arguments for CONFIG SET - '{name}'").into()
}

fn failed(row: ConfigRow, why: &str) -> RequestError {
    let name = row.name;
    format!("CONFIG SET failed (possibly related to argument '{name}') - {why}").into()
}
