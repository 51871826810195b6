//! The rows of the table of commands. A row has everything about its command that is not code:
//! whatever depends on a kind of command is derived from its columns, and there is no other list of
//! commands.

use super::{Access, ArgumentKind, Command, KeyRange, LineSyntax, MemoryEffect, Verb};

/// Every command, then every subcommand, in the order of [`Verb`].
#[rustfmt::skip]
pub static TABLE: &[Command] = {
    use Access::{Connection, Read, Transaction, Write, WriteAll};
    use ArgumentKind::{Integer, Key, Pattern, UnixTime};
    use LineSyntax::{KeyAndRest, NotText, Words};
    use MemoryEffect::{Grows, None as TakesNone, Stores};
    const NONE: KeyRange = KeyRange::NONE;
    const FIRST: KeyRange = KeyRange::FIRST;
    const ALL: KeyRange = KeyRange::ALL;
    const EXPIRY: &str = "[EX <seconds>|PX <milliseconds>|EXAT <unix-seconds>|PXAT <unix-milliseconds>|PERSIST]";
    const WHEN: &str = "[NX|XX|GT|LT]";
    const KEY: (&str, ArgumentKind) = ("key", Key);
    const KEY_AND_TIMES: &[(&str, ArgumentKind)] = &[KEY, ("seconds", Integer), ("milliseconds", Integer), ("unix-seconds", UnixTime), ("unix-milliseconds", UnixTime)];
    &[
        row(Verb::Get, "GET", "1.0.0", "string", Words(1, 1), 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "the value of a key"),
        row(Verb::Set, "SET", "1.0.0", "string", KeyAndRest, -3, FIRST, Write, Stores, "<key> <value>", "[NX|XX] [GET] [EX <seconds>|PX <milliseconds>|EXAT <unix-seconds>|PXAT <unix-milliseconds>|KEEPTTL]", KEY_AND_TIMES, "store a value, replacing what was there"),
        row(Verb::Put, "PUT", "larder 0.1.0", "string", KeyAndRest, 3, FIRST, Write, Stores, "<key> <value>", "", &[KEY], "store a value under a new key"),
        row(Verb::Del, "DEL", "1.0.0", "generic", Words(1, 1), -2, ALL, Write, TakesNone, "<key>", "[<key> ...]", &[KEY], "delete a key"),
        row(Verb::Dump, "DUMP", "larder 0.1.0", "generic", Words(0, 1), -1, NONE, Read, TakesNone, "[KEYS|PAIRS]", "", &[], "all keys on one line, or all pairs, one a line"),

        row(Verb::Mget, "MGET", "1.0.0", "string", NotText, -2, ALL, Read, TakesNone, "<key> [<key> ...]", "", &[KEY], "the values of several keys"),
        row(Verb::Mset, "MSET", "1.0.1", "string", NotText, -3, KeyRange::EVERY_OTHER, Write, Stores, "<key> <value> [<key> <value> ...]", "", &[KEY], "store several values"),
        row(Verb::Msetnx, "MSETNX", "1.0.1", "string", NotText, -3, KeyRange::EVERY_OTHER, Write, Stores, "<key> <value> [<key> <value> ...]", "", &[KEY], "store several values, if none of the keys exists"),
        row(Verb::Setnx, "SETNX", "1.0.0", "string", NotText, 3, FIRST, Write, Stores, "<key> <value>", "", &[KEY], "store a value, if the key does not exist"),
        row(Verb::Setex, "SETEX", "2.0.0", "string", NotText, 4, FIRST, Write, Stores, "<key> <seconds> <value>", "", &[KEY, ("seconds", Integer)], "store a value that expires"),
        row(Verb::Psetex, "PSETEX", "2.6.0", "string", NotText, 4, FIRST, Write, Stores, "<key> <milliseconds> <value>", "", &[KEY, ("milliseconds", Integer)], "store a value that expires"),
        row(Verb::Getset, "GETSET", "1.0.0", "string", NotText, 3, FIRST, Write, Stores, "<key> <value>", "", &[KEY], "store a value, and return the one before"),
        row(Verb::Getdel, "GETDEL", "6.2.0", "string", NotText, 2, FIRST, Write, TakesNone, "<key>", "", &[KEY], "the value of a key, which is then deleted"),
        row(Verb::Getex, "GETEX", "6.2.0", "string", NotText, -2, FIRST, Write, Grows, "<key>", EXPIRY, KEY_AND_TIMES, "the value of a key, and set or remove its expiry"),
        row(Verb::Append, "APPEND", "2.0.0", "string", NotText, 3, FIRST, Write, Stores, "<key> <tail>", "", &[KEY], "append to a value"),
        row(Verb::Strlen, "STRLEN", "2.2.0", "string", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "the length of a value"),
        row(Verb::Getrange, "GETRANGE", "2.4.0", "string", NotText, 4, FIRST, Read, TakesNone, "<key> <start> <end>", "", &[KEY, ("start", Integer), ("end", Integer)], "a part of a value, from one byte to another; negative: from the end"),
        row(Verb::Setrange, "SETRANGE", "2.2.0", "string", NotText, 4, FIRST, Write, Stores, "<key> <offset> <value>", "", &[KEY, ("offset", Integer)], "overwrite a part of a value, from a byte on"),
        row(Verb::Incr, "INCR", "1.0.0", "string", NotText, 2, FIRST, Write, Stores, "<key>", "", &[KEY], "add 1 to a number"),
        row(Verb::Decr, "DECR", "1.0.0", "string", NotText, 2, FIRST, Write, Stores, "<key>", "", &[KEY], "subtract 1 from a number"),
        row(Verb::Incrby, "INCRBY", "1.0.0", "string", NotText, 3, FIRST, Write, Stores, "<key> <amount>", "", &[KEY, ("amount", Integer)], "add to a number"),
        row(Verb::Decrby, "DECRBY", "1.0.0", "string", NotText, 3, FIRST, Write, Stores, "<key> <amount>", "", &[KEY, ("amount", Integer)], "subtract from a number"),

        row(Verb::Unlink, "UNLINK", "4.0.0", "generic", NotText, -2, ALL, Write, TakesNone, "<key> [<key> ...]", "", &[KEY], "delete keys, as DEL does"),
        row(Verb::Exists, "EXISTS", "1.0.0", "generic", NotText, -2, ALL, Read, TakesNone, "<key> [<key> ...]", "", &[KEY], "how many of the keys exist"),
        row(Verb::Touch, "TOUCH", "3.2.1", "generic", NotText, -2, ALL, Read, TakesNone, "<key> [<key> ...]", "", &[KEY], "how many of the keys exist"),
        row(Verb::Type, "TYPE", "1.0.0", "generic", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "the type of a value: string, or none"),
        row(Verb::Rename, "RENAME", "1.0.0", "generic", NotText, 3, KeyRange::FIRST_TWO, Write, Grows, "<key> <new-key>", "", &[KEY, ("new-key", Key)], "move a value to another key"),
        row(Verb::Renamenx, "RENAMENX", "1.0.0", "generic", NotText, 3, KeyRange::FIRST_TWO, Write, Grows, "<key> <new-key>", "", &[KEY, ("new-key", Key)], "move a value to another key, if that key does not exist"),
        row(Verb::Randomkey, "RANDOMKEY", "1.0.0", "generic", NotText, 1, NONE, Read, TakesNone, "", "", &[], "one of the keys"),
        row(Verb::Keys, "KEYS", "1.0.0", "generic", NotText, 2, NONE, Read, TakesNone, "<pattern>", "", &[("pattern", Pattern)], "the keys that match a pattern"),
        row(Verb::Scan, "SCAN", "2.8.0", "generic", NotText, -2, NONE, Read, TakesNone, "<cursor> [MATCH <pattern>] [COUNT <n>] [TYPE <type>]", "", &[("cursor", Integer), ("pattern", Pattern), ("n", Integer)], "some of the keys, and the cursor to go on with"),
        row(Verb::Dbsize, "DBSIZE", "1.0.0", "server", NotText, 1, NONE, Read, TakesNone, "", "", &[], "how many keys there are"),
        row(Verb::Flushdb, "FLUSHDB", "1.0.0", "server", NotText, -1, NONE, WriteAll, TakesNone, "[ASYNC|SYNC]", "", &[], "delete all keys"),
        row(Verb::Flushall, "FLUSHALL", "1.0.0", "server", NotText, -1, NONE, WriteAll, TakesNone, "[ASYNC|SYNC]", "", &[], "delete all keys"),

        row(Verb::Expire, "EXPIRE", "1.0.0", "generic", NotText, -3, FIRST, Write, Grows, "<key> <seconds>", WHEN, &[KEY, ("seconds", Integer)], "set the seconds until a key expires"),
        row(Verb::Pexpire, "PEXPIRE", "2.6.0", "generic", NotText, -3, FIRST, Write, Grows, "<key> <milliseconds>", WHEN, &[KEY, ("milliseconds", Integer)], "set the milliseconds until a key expires"),
        row(Verb::Expireat, "EXPIREAT", "1.2.0", "generic", NotText, -3, FIRST, Write, Grows, "<key> <unix-seconds>", WHEN, &[KEY, ("unix-seconds", UnixTime)], "set the time at which a key expires, in Unix seconds"),
        row(Verb::Pexpireat, "PEXPIREAT", "2.6.0", "generic", NotText, -3, FIRST, Write, Grows, "<key> <unix-milliseconds>", WHEN, &[KEY, ("unix-milliseconds", UnixTime)], "set the time at which a key expires, in Unix milliseconds"),
        row(Verb::Ttl, "TTL", "1.0.0", "generic", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "seconds until a key expires; -1: never, -2: no such key"),
        row(Verb::Pttl, "PTTL", "2.6.0", "generic", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "milliseconds until a key expires; -1: never, -2: no such key"),
        row(Verb::Expiretime, "EXPIRETIME", "7.0.0", "generic", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "the time at which a key expires, in Unix seconds; -1: never, -2: no such key"),
        row(Verb::Pexpiretime, "PEXPIRETIME", "7.0.0", "generic", NotText, 2, FIRST, Read, TakesNone, "<key>", "", &[KEY], "the time at which a key expires, in Unix milliseconds; -1: never, -2: no such key"),
        row(Verb::Persist, "PERSIST", "2.2.0", "generic", NotText, 2, FIRST, Write, TakesNone, "<key>", "", &[KEY], "remove a key's expiry"),

        row(Verb::Multi, "MULTI", "1.2.0", "transactions", NotText, 1, NONE, Transaction, TakesNone, "", "", &[], "begin a transaction"),
        row(Verb::Exec, "EXEC", "1.2.0", "transactions", NotText, 1, NONE, Transaction, TakesNone, "", "", &[], "execute the requests queued since MULTI"),
        row(Verb::Discard, "DISCARD", "2.0.0", "transactions", NotText, 1, NONE, Transaction, TakesNone, "", "", &[], "discard the requests queued since MULTI"),
        row(Verb::Watch, "WATCH", "2.2.0", "transactions", NotText, -2, ALL, Transaction, TakesNone, "<key> [<key> ...]", "", &[KEY], "make EXEC do nothing if one of the keys has changed"),
        row(Verb::Unwatch, "UNWATCH", "2.2.0", "transactions", NotText, 1, NONE, Transaction, TakesNone, "", "", &[], "end all WATCHes of this connection"),

        row(Verb::Ping, "PING", "1.0.0", "connection", Words(0, 0), -1, NONE, Connection, TakesNone, "", "[<message>]", &[], "replies PONG"),
        row(Verb::Echo, "ECHO", "1.0.0", "connection", NotText, 2, NONE, Connection, TakesNone, "<message>", "", &[], "replies with the message"),
        row(Verb::Hello, "HELLO", "6.0.0", "connection", NotText, -1, NONE, Connection, TakesNone, "[<version> [AUTH <user> <password>] [SETNAME <name>]]", "", &[("version", Integer)], "choose RESP2 or RESP3"),
        row(Verb::Auth, "AUTH", "1.0.0", "connection", NotText, -2, NONE, Connection, TakesNone, "[<user>] <password>", "", &[], "accepted for clients that send it; there are no passwords"),
        row(Verb::Select, "SELECT", "1.0.0", "connection", NotText, 2, NONE, Connection, TakesNone, "<database>", "", &[("database", Integer)], "choose a database; there is only 0"),
        row(Verb::Client, "CLIENT", "2.4.0", "connection", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the connections"),
        row(Verb::Reset, "RESET", "6.2.0", "connection", NotText, 1, NONE, Connection, TakesNone, "", "", &[], "reset the state of this connection"),
        row(Verb::Command, "COMMAND", "2.8.13", "server", NotText, -1, NONE, Connection, TakesNone, "[<subcommand> [<argument> ...]]", "", &[], "the commands"),
        row(Verb::Info, "INFO", "1.0.0", "server", NotText, -1, NONE, Connection, TakesNone, "[<section> ...]", "", &[], "information on the program, in the form of Redis"),
        row(Verb::Config, "CONFIG", "2.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the settings"),
        row(Verb::Time, "TIME", "2.6.0", "server", NotText, 1, NONE, Connection, TakesNone, "", "", &[], "the time in Unix seconds and microseconds"),
        row(Verb::Role, "ROLE", "2.8.12", "server", NotText, 1, NONE, Connection, TakesNone, "", "", &[], "the role of the server: a master without replicas"),
        row(Verb::Cluster, "CLUSTER", "3.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "refused: there is no cluster"),
        row(Verb::Slowlog, "SLOWLOG", "2.2.12", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the log of slow requests, in which nothing is kept"),
        row(Verb::Latency, "LATENCY", "2.8.13", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the events of latency, of which none is watched"),
        row(Verb::Module, "MODULE", "4.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the modules, of which there are none"),
        row(Verb::Acl, "ACL", "6.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "<subcommand> [<argument> ...]", "", &[], "the users, of which there is one"),
        row(Verb::Wait, "WAIT", "3.0.0", "generic", NotText, 3, NONE, Connection, TakesNone, "<replicas> <milliseconds>", "", &[("replicas", Integer), ("milliseconds", Integer)], "how many replicas have the writes of this connection: none"),
        row(Verb::Stats, "STATS", "larder 0.1.0", "server", Words(0, 0), 1, NONE, Connection, TakesNone, "", "", &[], "counters, one a line"),
        row(Verb::Origin, "ORIGIN", "larder 0.1.0", "connection", Words(1, 1), 2, NONE, Connection, TakesNone, "ON|OFF", "", &[], "prefix each reply with its origin"),
        row(Verb::Help, "HELP", "larder 0.1.0", "server", Words(0, 0), 1, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::Bye, "BYE", "larder 0.1.0", "connection", Words(0, 0), 1, NONE, Connection, TakesNone, "", "", &[], "close the connection"),
        row(Verb::Quit, "QUIT", "1.0.0", "connection", Words(0, 0), -1, NONE, Connection, TakesNone, "", "", &[], "close the connection"),
        row(Verb::Exit, "EXIT", "larder 0.1.0", "connection", Words(0, 0), 1, NONE, Connection, TakesNone, "", "", &[], "close the connection"),

        row(Verb::ClientCaching, "CLIENT|CACHING", "6.0.0", "connection", NotText, 3, NONE, Connection, TakesNone, "YES|NO", "", &[], "with CLIENT TRACKING: whether to track the next request's keys"),
        row(Verb::ClientGetname, "CLIENT|GETNAME", "2.6.9", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this connection's name"),
        row(Verb::ClientGetredir, "CLIENT|GETREDIR", "6.0.0", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "0 if this connection receives invalidations, else -1"),
        row(Verb::ClientHelp, "CLIENT|HELP", "5.0.0", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::ClientId, "CLIENT|ID", "5.0.0", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this connection's number"),
        row(Verb::ClientInfo, "CLIENT|INFO", "6.2.0", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "the state of this connection"),
        row(Verb::ClientKill, "CLIENT|KILL", "2.4.0", "connection", NotText, -3, NONE, Connection, TakesNone, "<address>|<filter> <value> [<filter> <value> ...]", "", &[], "close connections; filters: ID, ADDR, TYPE, USER, SKIPME"),
        row(Verb::ClientList, "CLIENT|LIST", "2.4.0", "connection", NotText, -2, NONE, Connection, TakesNone, "[TYPE <type>|ID <id> [<id> ...]]", "", &[("id", Integer)], "the state of all connections"),
        row(Verb::ClientReply, "CLIENT|REPLY", "3.2.0", "connection", NotText, 3, NONE, Connection, TakesNone, "ON|OFF|SKIP", "", &[], "choose which requests of this connection are answered"),
        row(Verb::ClientSetinfo, "CLIENT|SETINFO", "7.2.0", "connection", NotText, 4, NONE, Connection, TakesNone, "LIB-NAME <name>|LIB-VER <name>", "", &[], "set the name or the version of the client library"),
        row(Verb::ClientSetname, "CLIENT|SETNAME", "2.6.9", "connection", NotText, 3, NONE, Connection, TakesNone, "<name>", "", &[], "set the name of this connection"),
        row(Verb::ClientTracking, "CLIENT|TRACKING", "6.0.0", "connection", NotText, -3, NONE, Connection, TakesNone, "ON|OFF", "[OPTIN|OPTOUT] [NOLOOP]", &[], "receive invalidations of the keys that are read on this connection"),
        row(Verb::ClientTrackinginfo, "CLIENT|TRACKINGINFO", "6.2.0", "connection", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "the options of CLIENT TRACKING"),
        row(Verb::CommandCount, "COMMAND|COUNT", "2.8.13", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "how many commands there are"),
        row(Verb::CommandDocs, "COMMAND|DOCS", "7.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "[<name> ...]", "", &[], "the documentation of commands"),
        row(Verb::CommandGetkeys, "COMMAND|GETKEYS", "2.8.13", "server", NotText, -4, NONE, Connection, TakesNone, "<command> <argument> [<argument> ...]", "", &[], "the keys in a request"),
        row(Verb::CommandGetkeysandflags, "COMMAND|GETKEYSANDFLAGS", "7.0.0", "server", NotText, -4, NONE, Connection, TakesNone, "<command> <argument> [<argument> ...]", "", &[], "the keys in a request, and what becomes of each"),
        row(Verb::CommandHelp, "COMMAND|HELP", "5.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::CommandInfo, "COMMAND|INFO", "2.8.13", "server", NotText, -2, NONE, Connection, TakesNone, "[<name> ...]", "", &[], "the arity, flags and key positions of commands"),
        row(Verb::CommandList, "COMMAND|LIST", "7.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "[FILTERBY <what> <value>]", "", &[], "the names of the commands"),
        row(Verb::ConfigGet, "CONFIG|GET", "2.0.0", "server", NotText, -3, NONE, Connection, TakesNone, "<pattern> [<pattern> ...]", "", &[("pattern", Pattern)], "the settings whose names match"),
        row(Verb::ConfigHelp, "CONFIG|HELP", "5.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::ConfigResetstat, "CONFIG|RESETSTAT", "2.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "reset the counters to 0"),
        row(Verb::ConfigSet, "CONFIG|SET", "2.0.0", "server", NotText, -4, NONE, Connection, TakesNone, "<name> <value> [<name> <value> ...]", "", &[], "change settings: all of them, or none"),
        row(Verb::SlowlogGet, "SLOWLOG|GET", "2.2.12", "server", NotText, -2, NONE, Connection, TakesNone, "[<count>]", "", &[("count", Integer)], "the slow requests: none"),
        row(Verb::SlowlogHelp, "SLOWLOG|HELP", "6.2.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::SlowlogLen, "SLOWLOG|LEN", "2.2.12", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "how many they are: 0"),
        row(Verb::SlowlogReset, "SLOWLOG|RESET", "2.2.12", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "forget them"),
        row(Verb::LatencyDoctor, "LATENCY|DOCTOR", "2.8.13", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "a report for people: that nothing is watched"),
        row(Verb::LatencyGraph, "LATENCY|GRAPH", "2.8.13", "server", NotText, 3, NONE, Connection, TakesNone, "<event>", "", &[], "refused: there are no samples"),
        row(Verb::LatencyHelp, "LATENCY|HELP", "2.8.13", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::LatencyHistogram, "LATENCY|HISTOGRAM", "7.0.0", "server", NotText, -2, NONE, Connection, TakesNone, "[<command> ...]", "", &[], "the distribution of times by command: none"),
        row(Verb::LatencyHistory, "LATENCY|HISTORY", "2.8.13", "server", NotText, 3, NONE, Connection, TakesNone, "<event>", "", &[], "the samples of an event: none"),
        row(Verb::LatencyLatest, "LATENCY|LATEST", "2.8.13", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "the latest sample of each event: none"),
        row(Verb::LatencyReset, "LATENCY|RESET", "2.8.13", "server", NotText, -2, NONE, Connection, TakesNone, "[<event> ...]", "", &[], "forget the samples; returns of how many events: 0"),
        row(Verb::ModuleHelp, "MODULE|HELP", "5.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::ModuleList, "MODULE|LIST", "4.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "the modules: none"),
        row(Verb::AclHelp, "ACL|HELP", "6.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "this list"),
        row(Verb::AclWhoami, "ACL|WHOAMI", "6.0.0", "server", NotText, 2, NONE, Connection, TakesNone, "", "", &[], "the user of this connection: default"),
    ]
};

#[allow(clippy::too_many_arguments)] // a table row, written as one
const fn row(
    verb: Verb,
    name: &'static str,
    since: &'static str,
    group: &'static str,
    line: LineSyntax,
    arity: i8,
    keys: KeyRange,
    access: Access,
    memory: MemoryEffect,
    arguments: &'static str,
    options: &'static str,
    kinds: &'static [(&'static str, ArgumentKind)],
    summary: &'static str,
) -> Command {
    Command {
        verb,
        name,
        since,
        group,
        line,
        arity,
        keys,
        access,
        memory,
        arguments,
        options,
        kinds,
        summary,
    }
}
