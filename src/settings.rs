//! The settings: one row for each, from which the flags, `--help`, `CONFIG GET` and `CONFIG SET`
//! are made.

pub mod limits;

use crate::base::units;
use crate::settings::limits::{Limits, LineMode};
use std::time::Duration;

/// The effect of PUT on a key that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// PUT is refused.
    Create,
    /// The value is replaced.
    Replace,
}

/// The program that has a setting, or shows a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Server and proxy.
    Both,
    /// Only the server.
    Server,
    /// Only the proxy.
    Proxy,
}

/// The settings of a server or a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Limits and timeouts.
    pub limits: Limits,
    /// The effect of PUT on a key that exists.
    pub put_mode: PutMode,
    /// Proxy: how long the upstream may take to accept a connection and to reply to a request.
    pub upstream_timeout: Duration,
    /// Proxy: how long a cached value is served, from the moment its request was sent.
    pub ttl: Duration,
    /// Proxy: how long cached values are served after the last reply, given invalidations.
    pub trust: Duration,
    /// Proxy: the most memory that the cache may cost, in bytes; 0: no cache.
    pub cache_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            put_mode: PutMode::Create,
            upstream_timeout: Duration::from_secs(5),
            ttl: Duration::from_secs(60),
            trust: Duration::from_secs(1),
            cache_bytes: 64 << 20,
        }
    }
}

/// One setting.
pub struct Setting {
    /// The program that has it.
    pub program: Program,
    /// The name: `max-line`. The flag is `--max-line`.
    pub name: &'static str,
    /// Whether it can change while the program runs.
    pub is_live: bool,
    /// The meaning, with the default in brackets.
    pub help: &'static str,
    field: SettingField,
}

enum SettingField {
    /// One of some words: its place is read, and set.
    Choice(&'static [&'static str], fn(&Settings) -> usize, fn(&mut Settings, usize)),
    /// A number from a minimum to a maximum.
    Count(fn(&mut Settings) -> &mut usize, usize, usize),
    Seconds(fn(&mut Settings) -> &mut Duration),
    /// A time of more than 0.
    SomeSeconds(fn(&mut Settings) -> &mut Duration),
    /// A size from a minimum to a maximum, in bytes.
    Size(fn(&mut Settings) -> &mut usize, usize, usize),
}

/// The maximum of `max-line`, `max-value` and `max-request`: positions in requests have 32 bits.
const MAX_REQUEST_BYTES: usize = 2 << 30;
/// The arguments of `CONFIG SET` are no longer, so that every limit can be raised again.
const MIN_MAX_VALUE: usize = 64;
/// The loop gathers up to 1 MiB of replies before it writes; a lower limit would close clients that
/// leave nothing unread.
const MIN_OUTPUT_LIMIT: usize = 2 << 20;
const MAX_CONNECTIONS: usize = 1_000_000;
/// Some 100 bytes each.
const MAX_TRACKING_KEYS: usize = 1_000_000_000;

const LIVE: bool = true;
const FIXED: bool = false;

/// All settings.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = {
    use SettingField::{Choice, Count, Seconds, Size, SomeSeconds};
    use Program::{Both, Proxy, Server};
    &[
        row(Proxy, "upstream-timeout", FIXED, "for the upstream to accept a connection and to answer (5)", SomeSeconds(|it| &mut it.upstream_timeout)),
        row(Proxy, "ttl", LIVE, "how long a cached value is served (60)", Seconds(|it| &mut it.ttl)),
        row(Proxy, "trust", LIVE, "how long cached values are served after the upstream last answered; 0: each hit is confirmed (1)", Seconds(|it| &mut it.trust)),
        row(Proxy, "cache-bytes", FIXED, "what the cache may cost; 0: no cache (64MiB)", Size(|it| &mut it.cache_bytes, 0, 1 << 40)),
        row(Both, "put", LIVE, "what PUT does to a key that exists (create: refuse)", Choice(&["create", "replace"], |it| it.put_mode as usize, |it, at| it.put_mode = [PutMode::Create, PutMode::Replace][at])),
        row(Both, "max-connections", FIXED, "clients at one time (10000)", Count(|it| &mut it.limits.max_connections, 1, MAX_CONNECTIONS)),
        row(Both, "idle-timeout", LIVE, "close a client that sends nothing for so long; 0: never (0)", Seconds(|it| &mut it.limits.idle_timeout)),
        row(Both, "request-timeout", LIVE, "for a RESP request to come whole (30)", SomeSeconds(|it| &mut it.limits.request_timeout)),
        row(Both, "line-timeout", LIVE, "for a line to come whole (300)", SomeSeconds(|it| &mut it.limits.line_timeout)),
        row(Both, "inline", LIVE, "what lines are: text, or resp: inline commands as in Redis, answered in RESP (text)", Choice(&["text", "resp"], |it| it.limits.inline as usize, |it, at| it.limits.inline = [LineMode::Text, LineMode::Resp][at])),
        row(Both, "max-line", LIVE, "the longest line (1MiB)", Size(|it| &mut it.limits.max_line, 16, MAX_REQUEST_BYTES)),
        row(Both, "max-value", LIVE, "the longest value (64MiB)", Size(|it| &mut it.limits.max_value, MIN_MAX_VALUE, MAX_REQUEST_BYTES)),
        row(Both, "max-request", LIVE, "the longest RESP request (128MiB)", Size(|it| &mut it.limits.max_request, 64, MAX_REQUEST_BYTES)),
        row(Both, "output-limit", FIXED, "output that a client may leave unread (256MiB)", Size(|it| &mut it.limits.output_limit, MIN_OUTPUT_LIMIT, 1 << 40)),
        row(Server, "max-memory", LIVE, "memory of the process beyond which nothing more is stored; 0: no limit (0)", Size(|it| &mut it.limits.max_memory, 0, 1 << 50)),
        row(Server, "tracking-keys", LIVE, "keys tracked for clients; beyond it the oldest are invalidated (1000000)", Count(|it| &mut it.limits.tracking_keys, 1, MAX_TRACKING_KEYS)),
        row(Both, "drain-timeout", FIXED, "for clients to take their last replies at the end (5)", Seconds(|it| &mut it.limits.drain_timeout)),
    ]
};

const fn row(
    program: Program,
    name: &'static str,
    is_live: bool,
    help: &'static str,
    field: SettingField,
) -> Setting {
    Setting { program, name, is_live, help, field }
}

/// Returns the settings that a program has.
pub fn settings_of(program: Program) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |row| row.program == Program::Both || row.program == program)
}

impl Setting {
    /// Returns the placeholder of the value in `--help`.
    pub fn hint(&self) -> String {
        match self.field {
            SettingField::Choice(names, ..) => names.join("|"),
            SettingField::Count(..) => "N".to_string(),
            SettingField::Seconds(_) | SettingField::SomeSeconds(_) => "SECONDS".to_string(),
            SettingField::Size(..) => "SIZE".to_string(),
        }
    }

    /// Returns the value: sizes in bytes, times in seconds.
    pub fn show(&self, settings: &Settings) -> String {
        let mut settings = *settings;
        match self.field {
            SettingField::Choice(names, place, _) => names[place(&settings)].to_string(),
            SettingField::Count(field, ..) | SettingField::Size(field, ..) => {
                field(&mut settings).to_string()
            }
            SettingField::Seconds(field) | SettingField::SomeSeconds(field) => {
                field(&mut settings).as_secs_f64().to_string()
            }
        }
    }

    /// Sets the value to the one in `text`.
    ///
    /// # Errors
    /// The value is wrong; the message names what is accepted, such as `seconds`.
    pub fn set(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        match self.field {
            SettingField::Choice(names, _, choose) => {
                let place = names.iter().position(|name| *name == text);
                choose(settings, place.ok_or_else(|| names.join(" or "))?);
            }
            SettingField::Count(field, least, most) => {
                let number = text.parse().ok().filter(|it| (least..=most).contains(it));
                let wanted = || format!("a whole number from {least} to {most}");
                *field(settings) = number.ok_or_else(wanted)?;
            }
            SettingField::Seconds(field) => {
                *field(settings) = units::seconds(text).ok_or("seconds")?;
            }
            SettingField::SomeSeconds(field) => {
                *field(settings) = match units::seconds(text).ok_or("seconds")? {
                    Duration::ZERO => return Err("more than 0 seconds".to_string()),
                    seconds => seconds,
                };
            }
            SettingField::Size(field, least, most) => {
                let bytes = units::size(text).ok_or("a size like 4096 or 64MiB")?;
                if !(least..=most).contains(&bytes) {
                    return Err(format!("a size from {least} to {most} bytes"));
                }
                *field(settings) = bytes;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
