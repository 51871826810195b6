//! The stage on which the tests of commands play, and what holds for all commands alike.

use super::execute;
use crate::base::buffer::Buffer;
use crate::base::clock::{Now, WallClock};
use crate::base::output::Output;
use crate::handler::{ConnId, Outbox};
use crate::protocol::command::{Access, Command, KeyRange, TABLE};
use crate::protocol::resp::Version;
use crate::protocol::{Decoded, Decoder, Form, Scratch, resp};
use crate::server::keyspace::Keyspace;
use crate::session::Session;
use crate::settings::Settings;
use crate::settings::limits::Limits;
use crate::stats::{Stat, Stats};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// A keyspace of its own at a time of its own, which is 1,000,000 seconds after 1970 at first.
pub struct Stage {
    pub keyspace: Keyspace,
    pub limits: Limits,
    pub now: Now,
    pub version: Version,
    pub out: Output,
    pub stats: Stats,
    client: ConnId,
    session: Session,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Stage {
        let now = Now { instant: Instant::now(), unix_millis: 1_000_000_000 };
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Stage {
            keyspace: Keyspace::new(&Settings { limits, ..Settings::default() }, now.instant),
            limits,
            now,
            version: Version::Two,
            out: Output::new(),
            stats: Stats::default(),
            client: Outbox::new(WallClock::new(now.instant, Duration::ZERO)).admit(),
            session: Session::new(peer, now),
        }
    }

    /// Carries out a request whose words stand between single spaces, `""` for one without bytes;
    /// the reply has a space for each line end but the last.
    ///
    /// Besides: `@wait <milliseconds>` has time pass, `@watch <key>` watches it, and `@changed`
    /// says whether what was watched has changed.
    #[track_caller]
    pub fn says(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> =
            line.split(' ').map(|it| if it == "\"\"" { b"" } else { it.as_bytes() }).collect();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("@wait", millis) => {
                let millis = millis.parse().expect("a number");
                self.now.instant += Duration::from_millis(millis);
                self.now.unix_millis += millis;
                String::new()
            }
            ("@watch", key) => {
                assert!(self.keyspace.watch(self.client, key.as_bytes(), self.now));
                String::new()
            }
            ("@changed", _) => self.keyspace.forget_watches(self.client, self.now).to_string(),
            _ => self.replies(&words),
        }
    }

    #[track_caller]
    pub fn replies(&mut self, words: &[&[u8]]) -> String {
        let (mut bytes, mut scratch) = (Buffer::new(), Scratch::default());
        resp::push_request(&mut bytes, words);
        match Decoder::default().decode(bytes.bytes(), &mut scratch, &self.limits).1 {
            Decoded::Request(request) => {
                let mut style = self.session.style(Form::Resp, Some(request.command.verb));
                style.version = self.version;
                self.out.clear();
                let Stage { keyspace, out, stats, .. } = self;
                // So that what takes long is whole.
                keyspace.work.begin_transaction();
                if let Some(long) = execute(keyspace, &request, style, out, stats, self.now) {
                    long.finish(keyspace, style, out, stats, self.now);
                }
                let reply = String::from_utf8_lossy(&self.out.to_vec()).replace("\r\n", " ");
                reply.strip_suffix(' ').expect("a reply ends its line").to_string()
            }
            refused => panic!("{refused:?}"),
        }
    }

    /// Has each line say what stands beside it.
    #[track_caller]
    pub fn plays(&mut self, script: &[(&str, &str)]) {
        for (line, reply) in script {
            assert_eq!(self.says(line), *reply, "{line}");
        }
    }
}

/// Plays a script on a new stage.
#[track_caller]
pub fn plays(script: &[(&str, &str)]) {
    Stage::new().plays(script);
}

/// Fails unless lines begin with each command for keys that is due.
#[track_caller]
fn check_complete<'a>(lines: impl Iterator<Item = &'a str>, is_due: impl Fn(&Command) -> bool) {
    let lines: Vec<String> = lines.map(|line| format!("{line} ")).collect();
    let is_missing = |row: &&Command| {
        let name = format!("{} ", row.name.replace('|', " "));
        !lines.iter().any(|line| line.starts_with(&name))
    };
    let due = TABLE.iter().filter(|it| it.is_for_keys() && !it.is_container() && is_due(it));
    let missing: Vec<_> = due.filter(is_missing).map(|row| row.name).collect();
    assert!(missing.is_empty(), "this test has no line for {}", missing.join(", "));
}

/// The keys `a` and `b` have values; `t` has one for 100 seconds; `x` has none.
fn stage_with_keys() -> Stage {
    let mut stage = Stage::new();
    stage.plays(&[("MSET a 1 b word", "+OK"), ("SETEX t 100 2", "+OK")]);
    stage
}

#[test]
fn watchers_are_told_of_changes_and_of_nothing_else() {
    let changes = "SET a 1|SET a 1 KEEPTTL|SET a 1 XX GET|SET a 1 EXAT 1|SET x 1 EXAT 1|SET x 1 NX\
        |SETNX x 1|SETEX a 9 1|GETSET a 1|GETDEL a|GETEX a EX 9|GETEX a EXAT 1|GETEX t PERSIST\
        |MSET a 1|MSET x 1|MSETNX x 1|APPEND a 1|APPEND x 1|SETRANGE a 0 1|SETRANGE x 0 1\
        |INCR a|INCR x|DECR a|INCRBY a 1|DECRBY a 0|PUT x 1|PSETEX a 9 1\
        |DEL a|UNLINK a|RENAME a c|RENAME b a|RENAME b x|RENAMENX b x|RENAMENX a x\
        |FLUSHALL|FLUSHDB|EXPIRE a 9|EXPIRE a -1|EXPIRE t 9 LT|PERSIST t\
        |PEXPIRE a 9|EXPIREAT a 1|PEXPIREAT a 1";
    let others = "GET a|GETEX a|GETEX t|GETEX a PERSIST|GETEX x EX 9|GETDEL x|SET a 1 NX\
        |SET a 1 NX GET|SET x 1 XX|SETNX a 1|SETEX a 0 1|MSETNX x 1 a 1|MSET a 1 x|INCR b\
        |SETRANGE a 0 \"\"|SETRANGE x 0 \"\"|SETRANGE a -1 1|GETRANGE a 0 1|INCRBY a x\
        |DECRBY a -9223372036854775808|PUT a 1|DEL x|UNLINK x|RENAME a a|RENAMENX a a\
        |RENAME x a|RENAMENX b a|FLUSHALL x|EXPIRE x 9|EXPIRE a 9 XX|EXPIRE t 9 GT|EXPIRE a 9 no\
        |PERSIST a|PERSIST x|TTL a|PTTL a|EXPIRETIME a|PEXPIRETIME a|TYPE a|EXISTS a|TOUCH a\
        |STRLEN a|MGET a|RANDOMKEY|KEYS *|SCAN 0|DUMP|DBSIZE";
    let changes_keys = |row: &Command| row.access != Access::Read;
    check_complete(changes.split('|'), changes_keys);
    check_complete(others.split('|'), |row| !changes_keys(row));
    for (lines, told) in [(changes, "true"), (others, "false")] {
        for line in lines.split('|') {
            let mut stage = stage_with_keys();
            for key in ["a", "t", "x"] {
                stage.says(&format!("@watch {key}"));
            }
            stage.says(line);
            assert_eq!(stage.says("@changed"), told, "{line}");
        }
    }
}

#[test]
fn lookups_to_read_are_counted_and_those_to_write_are_not() {
    let hits = "GET a|TYPE a|GETRANGE a 0 1|TTL a|PTTL t|EXPIRETIME a|GETSET a 1|GETEX a EX 9\
        |GETEX a EX 0|SET a 1 GET|SCAN 0 MATCH a TYPE hash";
    let misses = "GET x|TOUCH x|STRLEN x|GETRANGE x 0 1|PEXPIRETIME x|GETDEL x|SET x 1 XX GET";
    let neither = "GETRANGE a 0 no|GETEX a no|SET a 1 GET EX 0|SET a 1 NX|SET x 1|SETNX a 1\
        |PUT a 1|MSETNX a 1|APPEND a 1|SETRANGE a 0 1|INCR a|DECR a|INCRBY a 1|DECRBY a 1\
        |MSET a 1|SETEX a 9 1|PSETEX a 9 1|PEXPIRE a 9|EXPIREAT a 9|PEXPIREAT a 9|FLUSHALL\
        |FLUSHDB|DEL a|UNLINK x|RENAME x a|RENAMENX a b|EXPIRE a 9|EXPIRE x 9|PERSIST t|RANDOMKEY\
        |KEYS *|SCAN 0|DUMP PAIRS|DBSIZE";
    let several =
        [("MGET a x a", [2, 1]), ("EXISTS a a x", [2, 1]), ("SCAN 0 TYPE string", [3, 0])];
    let one = [(hits, [1, 0]), (misses, [0, 1]), (neither, [0, 0])];
    let one = one.iter().flat_map(|(lines, counts)| lines.split('|').map(|it| (it, *counts)));
    let lines: Vec<_> = one.chain(several).collect();
    check_complete(lines.iter().map(|it| it.0), |_| true);
    for (line, counts) in lines {
        let mut stage = stage_with_keys();
        stage.says(line);
        let counted = [Stat::Hits, Stat::Misses].map(|it| stage.stats.get(it));
        assert_eq!(counted, counts, "{line}");
    }
}

#[test]
fn a_key_whose_time_has_come_is_gone_for_every_command() {
    let table = "GET t => $-1|MGET t a => *2 $-1 $1 1|GETSET t 1 => $-1|GETDEL t => $-1\
        |GETEX t PERSIST => $-1|SET t 1 XX => $-1|SET t 1 NX GET => $-1|SETNX t 1 => :1\
        |PUT t 1 => +OK|MSETNX t 1 => :1|APPEND t 1 => :1|INCR t => :1|STRLEN t => :0\
        |GETRANGE t 0 -1 => $0 |SETRANGE t 1 a => :2|DEL t => :0|UNLINK t => :0|EXISTS t => :0\
        |TYPE t => +none|RENAME t c => -ERR no such key|RENAMENX a t => :1|KEYS t => *0\
        |SCAN 0 MATCH t => *2 $1 0 *0|TTL t => :-2|EXPIRE t 9 => :0|PERSIST t => :0\
        |MSET t 1 => +OK|SETEX t 9 1 => +OK|PSETEX t 9 1 => +OK|DECR t => :-1|INCRBY t 2 => :2\
        |DECRBY t 2 => :-2|TOUCH t => :0|PEXPIRE t 9 => :0|EXPIREAT t 9 => :0|PEXPIREAT t 9 => :0\
        |PTTL t => :-2|EXPIRETIME t => :-2|PEXPIRETIME t => :-2";
    let lines = table.split('|').map(|it| it.split_once(" => ").expect("a reply"));
    check_complete(lines.clone().map(|it| it.0), |row| row.keys != KeyRange::NONE);
    for (line, reply) in lines {
        let mut stage = stage_with_keys();
        stage.plays(&[("@wait 99999", ""), ("PTTL t", ":1"), ("@wait 1", ""), (line, reply)]);
    }
}

#[test]
fn what_is_written_anew_keeps_no_deadline_that_has_come() {
    let lines = "SET t 1 KEEPTTL|APPEND t 1|SETRANGE t 0 1|INCR t|SETNX t 1|PUT t 1|GETSET t 1";
    for line in lines.split('|') {
        let mut stage = stage_with_keys();
        stage.says("@wait 100000");
        stage.says(line);
        assert_eq!(stage.says("TTL t"), ":-1", "{line}");
    }
}
