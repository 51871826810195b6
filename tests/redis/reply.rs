//! Replies: when two are alike although time, chance or the program's own affairs (its number for a
//! client, say) decide a part of them.

use super::script::Request;
use crate::support::resp::Value::{self, Array, Bulk, Line};
use crate::support::transcript::unescape;
use std::collections::BTreeMap;
use std::slice::Chunks;

/// How alike the replies to a request have to be.
#[derive(Clone, Copy, Debug)]
pub enum Likeness {
    /// The same bytes.
    Same,
    /// Numbers that are at most so far apart: a moment passes between two servers.
    Near(i64),
    /// The same elements in any order.
    SameElements,
    /// The same names with the same values in any order; but whole configurations are each
    /// program's own.
    Settings,
    /// A cursor of its own, and some keys.
    Page,
    /// Some key.
    SomeKey,
    /// Seconds and microseconds.
    Clock,
    /// A number of the program's own.
    Number,
    /// The same map but for the connection's number.
    Greeting,
    /// The fields of [`INFO`].
    Info,
    /// Lines with the fields of [`CLIENT`].
    Clients,
    /// Rows about the same commands, or the whole tables; `rows.rs` compares the rows.
    Commands,
}

use Likeness::{
    Clients, Clock, Commands, Greeting, Info, Near, Number, Page, Same, SameElements, Settings,
};

/// What is not compared byte for byte, by the first words of the request.
const LOOSE: &[(&str, Likeness)] = &[
    ("CLIENT ID", Number),
    ("CLIENT INFO", Clients),
    ("CLIENT LIST", Clients),
    ("COMMAND COUNT", Number),
    ("COMMAND GETKEYS", Same),
    ("COMMAND GETKEYSANDFLAGS", Same),
    ("COMMAND", Commands),
    ("CONFIG GET", Settings),
    ("EXPIRETIME", Near(2)),
    ("HELLO", Greeting),
    ("INFO", Info),
    ("KEYS", SameElements),
    ("PEXPIRETIME", Near(2000)),
    ("PTTL", Near(2000)),
    ("RANDOMKEY", Likeness::SomeKey),
    ("SCAN", Page),
    ("TIME", Clock),
    ("TTL", Near(2)),
];

/// Fields of INFO that tools look for. Where Redis shows one, the other has to.
const INFO: &[&str] = &[
    "connected_clients",
    "keyspace_hits",
    "keyspace_misses",
    "redis_mode",
    "redis_version",
    "role",
    "total_commands_processed",
    "tracking_clients",
    "tracking_total_items",
    "tracking_total_keys",
    "uptime_in_seconds",
    "used_memory",
];

/// Fields of INFO that say the same on both sides.
const INFO_SAME: &[&str] = &["redis_mode", "role"];

/// Fields that every line about a client has.
const CLIENT: &[&str] = &["addr", "age", "id", "idle"];

/// Fields that say the same on both sides about the client that asks.
const CLIENT_SAME: &[&str] = &["cmd", "db", "flags", "multi", "name", "redir", "resp", "user"];

/// More settings than this were not asked for by name.
const ALL: usize = 10;

/// More commands than this were not asked for by name.
const WHOLE_TABLE: usize = 100;

/// How alike the replies to this request have to be.
pub fn likeness(request: &Request) -> Likeness {
    let found = LOOSE.iter().find(|(words, _)| request.starts_with(words));
    found.map_or(Same, |(_, likeness)| *likeness)
}

/// Returns whether two replies to a request are alike; those to EXEC are so if each element is as
/// its request in `queue` wants it.
pub fn are_alike(
    request: &Request,
    queue: &[Request],
    redis: &Value<'_>,
    other: &Value<'_>,
) -> bool {
    match (redis, other) {
        _ if !request.is("EXEC") => alike(likeness(request), redis, other),
        (Array(a, redis), Array(b, other)) if a == b && redis.len() == queue.len() => {
            let pairs = redis.iter().zip(other).zip(queue);
            redis.len() == other.len() && { pairs }
                .all(|((a, b), request)| alike(likeness(request), a, b))
        }
        _ => redis == other,
    }
}

/// Whether two replies are alike. Errors always have to be the same.
fn alike(likeness: Likeness, redis: &Value<'_>, other: &Value<'_>) -> bool {
    match (likeness, redis, other) {
        (Near(most), &Line(b':', a), &Line(b':', b)) => {
            let far = |(a, b): (i64, i64)| a < 0 || b < 0 || a.abs_diff(b) > most.unsigned_abs();
            redis == other || number(a).zip(number(b)).is_some_and(|it| !far(it))
        }
        (Number, Line(b':', _), &Line(b':', b)) => number(b).is_some_and(|it| it > 0),
        (SameElements, Array(a, redis), Array(b, other)) => {
            a == b && sorted(redis.chunks(1)) == sorted(other.chunks(1))
        }
        (Settings, Array(a, redis), Array(b, other)) => {
            let all = redis.len() > 2 * ALL && !other.is_empty();
            a == b && (all || sorted(redis.chunks(2)) == sorted(other.chunks(2)))
        }
        (Likeness::SomeKey, Bulk(a, _), Bulk(b, _)) => a == b,
        (Page, Array(a, redis), Array(b, other)) => match (&redis[..], &other[..]) {
            ([Bulk(..), Array(c, _)], [Bulk(_, cursor), Array(d, keys)]) => {
                let is_bulk = |it: &Value<'_>| matches!(it, Bulk(b'$', _));
                (a, c) == (b, d) && number(cursor).is_some() && keys.iter().all(is_bulk)
            }
            _ => false,
        },
        (Clock, Array(a, _), Array(b, other)) => match &other[..] {
            [Bulk(_, seconds), Bulk(_, micros)] => {
                let micros = number(micros).is_some_and(|it| (0..1_000_000).contains(&it));
                a == b && micros && number(seconds).is_some_and(|it| it > 1_700_000_000)
            }
            _ => false,
        },
        (Greeting, Array(a, redis), Array(b, other)) => {
            // The values of some names are each server's own, and one name is ours.
            let ours = |pair: &&[Value<'_>]| matches!(pair[0], Bulk(b'$', b"larder_version"));
            let other: Vec<_> = other.chunks(2).filter(|pair| !ours(pair)).collect();
            let is_own = |name: &Value<'_>| matches!(name, Bulk(b'$', b"id" | b"version"));
            let same = |(a, b): (&[Value<'_>], &&[Value<'_>])| {
                a[0] == b[0] && (is_own(&a[0]) || a[1..] == b[1..])
            };
            let is_long = redis.len().div_ceil(2) == other.len();
            a == b && is_long && redis.chunks(2).zip(&other).all(same)
        }
        (Info | Clients, Bulk(a, _), Bulk(b, _)) => {
            a == b && complaints(likeness, redis, other).is_empty()
        }
        (Commands, Array(a, redis), Array(b, other)) => {
            let names = |rows: &[Value<'_>]| -> Vec<_> {
                rows.iter().map(|row| row.parts().first().map(Value::text)).collect()
            };
            let all = redis.len() > WHOLE_TABLE && !other.is_empty();
            a == b && (all || names(redis) == names(other))
        }
        (_, Line(b'-', redis), Line(b'-', other)) => *redis == as_shown_by_redis(other),
        _ => redis == other,
    }
}

/// An error of ours as Redis would show it: what a client said is escaped by us and shown as it is
/// by Redis, but for line ends, which become spaces, and NUL, which ends the word.
fn as_shown_by_redis(error: &[u8]) -> Vec<u8> {
    let Some(plain) =
        std::str::from_utf8(error).ok().and_then(|text| unescape(&text.replace("\\\"", "\"")))
    else {
        return error.to_vec();
    };
    let mut shown = Vec::new();
    let mut rest = plain.into_iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => shown.push(b' '),
            0 => shown.extend(rest.find(|&byte| byte == b'\'')),
            byte => shown.push(byte),
        }
    }
    shown
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn sorted<'a, 'b>(parts: Chunks<'b, Value<'a>>) -> Vec<&'b [Value<'a>]> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort();
    parts
}

/// The names and values of a text like `role:master`, one a line, or `id=3 name=me`, one a word.
fn fields(text: &str, between: &[char], mark: char) -> Fields {
    let pairs = text.split(between).filter_map(|line| line.trim_end().split_once(mark));
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// What is wrong with fields of a text, for those whose fields are compared and not their bytes.
pub fn complaints(likeness: Likeness, redis: &Value<'_>, other: &Value<'_>) -> Vec<String> {
    let (Bulk(..), Bulk(..)) = (redis, other) else { return Vec::new() };
    // A verbatim string says what it is first.
    let texts = [redis, other].map(|it| it.text().trim_start_matches("txt:").to_string());
    match likeness {
        Info => {
            let sections = texts
                .each_ref()
                .map(|text| text.lines().filter(|line| line.starts_with("# ")).collect::<Vec<_>>());
            let more = sections[1].iter().filter(|section| !sections[0].contains(section));
            let more = more.map(|section| format!("has {section}"));
            let [redis, other] = texts.each_ref().map(|text| fields(text, &['\n'], ':'));
            // Of `db0:keys=1,expires=0,avg_ttl=0` the average is each program's own. Among other
            // sections the counts are not compared: keys may be in them whose time is over.
            let counts = [&redis, &other].map(|it| {
                it.get("db0")
                    .map(|it| it.split_once(",avg").map_or(it.clone(), |it| it.0.to_string()))
            });
            let differ = sections[0] == ["# Keyspace"] && counts[0] != counts[1];
            let counts = differ.then(|| format!("db0: {counts:?}"));
            let wanted = INFO.iter().filter(|name| redis.contains_key(**name));
            { more.chain(counts) }
                .chain(missing(wanted, &other))
                .chain(different(INFO_SAME, &redis, &other))
                .collect()
        }
        Clients => {
            let lines = |text: &String| -> Vec<Fields> {
                text.lines().map(|line| fields(line, &[' '], '=')).collect()
            };
            let [mut redis, mut other] = texts.each_ref().map(lines);
            for flags in redis.iter_mut().chain(&mut other).filter_map(|line| line.get_mut("flags"))
            {
                // Redis tells, too, that a key has changed that the client watches.
                *flags = flags.replace('d', "");
                if flags.is_empty() {
                    flags.push('N');
                }
            }
            // Of several, some may be gone on one side and not yet on the other.
            let different = match (&redis[..], &other[..]) {
                ([redis], [other]) => different(CLIENT_SAME, redis, other).collect(),
                ([], []) => Vec::new(),
                (_, []) => vec!["nobody".to_string()],
                _ => Vec::new(),
            };
            let all = CLIENT.iter().chain(CLIENT_SAME);
            let missing = other.iter().flat_map(|line| missing(all.clone(), line));
            missing.chain(different).collect()
        }
        _ => Vec::new(),
    }
}

type Fields = BTreeMap<String, String>;

fn missing<'a>(
    names: impl Iterator<Item = &'a &'static str>,
    fields: &Fields,
) -> impl Iterator<Item = String> {
    names.filter(|name| !fields.contains_key(**name)).map(|name| format!("has no {name}"))
}

fn different<'a>(
    names: &[&str],
    redis: &'a Fields,
    other: &'a Fields,
) -> impl Iterator<Item = String> {
    let pairs = names.iter().map(|name| (name, redis.get(*name), other.get(*name)));
    let pairs = pairs.filter(|(_, redis, other)| redis != other);
    pairs.map(|(name, redis, other)| format!("{name}: {redis:?} and {other:?}"))
}

/// A request, the reply of Redis, and one that is like it (`=`) or is not (`!`). EXEC is after
/// `GET k` and `PTTL k`.
const ALIKE_OR_NOT: &str = r"
= GET k | $1\r\na\r\n | $1\r\na\r\n
! GET k | $1\r\na\r\n | $1\r\nb\r\n
! GET k | $-1\r\n | _\r\n
= ttl k | :100\r\n | :99\r\n
! TTL k | :100\r\n | :97\r\n
! TTL k | :-1\r\n | :-2\r\n
! TTL k | :0\r\n | :-1\r\n
= PTTL k | :100000\r\n | :99000\r\n
! PTTL k | :100000\r\n | :97000\r\n
! TTL k | -ERR a\r\n | -ERR b\r\n
! TTL k | +QUEUED\r\n | :1\r\n
= KEYS * | *2\r\n+a\r\n+b\r\n | *2\r\n+b\r\n+a\r\n
! KEYS * | *2\r\n+a\r\n+b\r\n | *2\r\n+b\r\n+b\r\n
! KEYS * | *0\r\n | ~0\r\n
= CONFIG GET a b | %2\r\n+a\r\n+1\r\n+b\r\n+2\r\n | %2\r\n+b\r\n+2\r\n+a\r\n+1\r\n
! CONFIG GET a b | %2\r\n+a\r\n+1\r\n+b\r\n+2\r\n | %2\r\n+a\r\n+2\r\n+b\r\n+1\r\n
= RANDOMKEY | $1\r\na\r\n | $1\r\nb\r\n
! RANDOMKEY | $1\r\na\r\n | $-1\r\n
= SCAN 0 | *2\r\n$1\r\n0\r\n*0\r\n | *2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n
! SCAN 0 | *2\r\n$1\r\n0\r\n*0\r\n | *2\r\n:0\r\n*0\r\n
= TIME | *2\r\n$1\r\n1\r\n$1\r\n1\r\n | *2\r\n$10\r\n1800000000\r\n$1\r\n1\r\n
! TIME | *2\r\n$1\r\n1\r\n$1\r\n1\r\n | *2\r\n$10\r\n1800000000\r\n$7\r\n1000000\r\n
= INFO | $12\r\nrole:master\n\r\n | $12\r\nrole:master\n\r\n
! INFO | $12\r\nrole:master\n\r\n | $11\r\nrole:slave\n\r\n
= COMMAND INFO GET x | *2\r\n*1\r\n$3\r\nget\r\n$-1\r\n | *2\r\n*1\r\n$3\r\nget\r\n$-1\r\n
! COMMAND INFO GET x | *2\r\n*1\r\n$3\r\nget\r\n$-1\r\n | *2\r\n$-1\r\n$-1\r\n
! INFO | $13\r\nused_memory:1\r\n | $12\r\nuse_memory:1\r\n
= EXEC | *2\r\n:1\r\n:9\r\n | *2\r\n:1\r\n:8\r\n
! EXEC | *2\r\n:1\r\n:9\r\n | *2\r\n:2\r\n:9\r\n
! EXEC | *2\r\n:1\r\n:9\r\n | *1\r\n:1\r\n
";

#[test]
fn what_is_not_alike_is_seen() {
    let queue = ["GET k", "PTTL k"].map(Request::of);
    for row in ALIKE_OR_NOT.trim().lines() {
        let (mark, rest) = row.split_once(' ').expect("a mark");
        let mut parts = rest.split(" | ");
        let request = Request::of(parts.next().expect("a request"));
        let replies: Vec<Vec<u8>> = parts.map(|it| unescape(it).expect("a reply")).collect();
        let values: Vec<_> =
            replies.iter().map(|it| Value::read(it).expect("it is whole").0).collect();
        assert_eq!(are_alike(&request, &queue, &values[0], &values[1]), mark == "=", "{row}");
    }
}
