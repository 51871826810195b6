//! The one list of what is meant to differ from Redis, each with its reason.

use super::compare::{Kind, Pair, REDIS};
use crate::support::{resp::resp_request, transcript::unescape};

/// What is sent, and why it is answered otherwise: `*>` stands before words, else it is bytes.
pub const DIFFERENCES: &[(&str, &str)] = &[
    (r"GET none\r\n", "a line of text is answered with a line of text, for people at a telnet"),
    (r"PING 1 2\r\n", "the errors of text are in its own words"),
    (r"QUIT\r\n", "in text, the goodbye is said"),
    (r"\r\n \r\nNOSUCH\r\n", "the errors of text are in its own words"),
    (r"\{65537*x}", "a line of text may be as long as --max-line"),
    ("*> DUMP", "DUMP is the keys, as in text, and not the serialized form of one"),
    ("*> DUMP PAIRS", "DUMP PAIRS is all of the pairs"),
    ("*> PUT k v", "our own: a SET that refuses a key that exists"),
    ("*> HELP", "our own"),
    ("*> STATS", "our own: the counters"),
    ("*> BYE", "our own: QUIT in other words"),
    ("*> EXIT", "our own: QUIT in other words"),
    ("*> ORIGIN ON", "our own, and for text alone, which the error says"),
    ("*> CLIENT SETINFO LIB-NAME x", "since Redis 7.2; today's client libraries send it first"),
    ("*> CLIENT TRACKING ON", "in RESP2 nothing could be told: refused, rather than accepted"),
    ("*> CLIENT TRACKING OFF BCAST", "keys are tracked as they are read, and not by their prefix"),
    ("*> CLIENT TRACKING ON PREFIX k", "the same"),
    ("*> CLIENT TRACKING ON REDIRECT 9", "changes are told on the connection that has read"),
    (r"*> SET \{65537*k} v", "a key has at most 64 KiB: it is one word on the line of DUMP"),
    (
        r"*1\r\n$4\r\nPINGxx",
        "CRLF has to follow a value: else a wrong length makes requests of data",
    ),
    (r"*1\r\n$3\r\nPING\r\n", "the same"),
    (r"*1\r\n$5\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "the same"),
    (r"*1\rX$4\r\nPING\r\n", "the same of a header"),
    (r"*1\r$4\r\nPING\r\n", "the same of a header"),
    (r"*1\r\n\x00\r\n", "to Redis, NUL ends what it has read, and it waits for more"),
    (r"*1\r\n$4\rXPING\r\n", "the same of a header"),
    (
        r"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n*1\r\n$-1\r\n",
        "what cannot be understood ends the connection, also where replies are off",
    ),
    (r"*1\r\n$134217729\r\n", "a request has at most 128 MiB"),
    (r"*1048577\r\n", "a request has at most 1 Mi arguments"),
    ("*> LPUSH k v", "values are strings: there are no lists"),
    ("*> HSET k f v", "no hashes"),
    ("*> SADD k m", "no sets"),
    ("*> ZADD k 1 m", "no sorted sets"),
    ("*> XADD k * f v", "no streams"),
    ("*> INCRBYFLOAT k 1.5", "numbers are whole numbers"),
    ("*> CLIENT HELP", "the subcommands that are there"),
    ("*> COMMAND HELP", "the same"),
    ("*> CONFIG HELP", "the same"),
    (
        "*> COMMAND DOCS GET",
        "summaries and names of arguments are our own, and there is no history",
    ),
    ("*> COMMAND LIST", "the commands that are there"),
    ("*> CLUSTER NOSUCH", "there is no cluster, whatever is asked of it"),
    ("*> CLUSTER INFO x", "the same"),
    ("*> CLIENT KILL LADDR 127.0.0.1:2", "our end of a connection is not kept"),
    ("*> EVAL 1 0", "no scripts"),
    ("*> SUBSCRIBE c", "no channels"),
    ("*> OBJECT ENCODING k", "values have no encodings"),
];

fn sent(text: &str) -> Vec<u8> {
    let word = |text| unescape(text).unwrap_or_else(|| panic!("no text: {text}"));
    match text.strip_prefix("*> ") {
        Some(words) => resp_request(&words.split(' ').map(word).collect::<Vec<_>>()),
        None => word(text),
    }
}

#[test]
fn what_is_meant_to_differ_differs() {
    let mut pair = Pair::start(REDIS, Kind::Larder);
    let same = DIFFERENCES.iter().filter(|(text, _)| pair.run_raw(&sent(text)).is_ok());
    let same: Vec<_> = same.map(|(text, reason)| format!("{text}: {reason}")).collect();
    assert!(same.is_empty(), "answered as in Redis:\n{}", same.join("\n"));
}

/// Redis has sixteen databases where nobody says how many; elsewhere it is run here with one.
#[test]
fn there_is_one_database() {
    let mut pair = Pair::start(Kind::Redis(&[]), Kind::Larder);
    assert!(pair.run_raw(&sent("*> SELECT 1")).is_err());
    assert_eq!(pair.run_raw(&sent("*> SELECT 16")), Ok(()));
}
