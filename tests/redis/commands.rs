//! What is generated: a line for each form of a command, in the grammar of `grammar.rs`, with the
//! words of `words.rs`.

/// Values.
pub const STRINGS: &[&str] = &[
    "6 SET key value",
    "4 SET key value set-option",
    "4 SET key value set-option*",
    "2 SET key value life",
    "6 GET key",
    "SETNX key value",
    "SETEX key seconds value",
    "PSETEX key milliseconds value",
    "2 GETSET key value",
    "2 GETDEL key",
    "2 GETEX key getex-option?",
    "GETEX key getex-option*",
    "2 MGET key+",
    "2 MSET pair+",
    "2 MSETNX pair+",
    "MSET pair* key",
    "MSETNX pair* key",
    "2 APPEND key value",
    "2 STRLEN key",
];

/// Values as numbers.
pub const NUMBERS: &[&str] = &[
    "6 SET key number",
    "3 GET key",
    "4 INCR key",
    "4 DECR key",
    "6 INCRBY key number",
    "6 DECRBY key number",
    "APPEND key number",
    "STRLEN key",
    "DEL key",
];

/// How long keys live.
pub const LIVES: &[&str] = &[
    "12 SET key value",
    "8 SET key value life",
    "SET key value KEEPTTL",
    "4 EXPIRE key seconds relative-condition?",
    "EXPIRE key seconds relative-condition*",
    "3 PEXPIRE key milliseconds relative-condition?",
    "PEXPIRE key milliseconds relative-condition*",
    "3 EXPIREAT key unix-seconds condition?",
    "EXPIREAT key unix-seconds condition*",
    "3 PEXPIREAT key unix-milliseconds condition?",
    "PEXPIREAT key unix-milliseconds condition*",
    "3 TTL key",
    "3 PTTL key",
    "2 EXPIRETIME key",
    "2 PEXPIRETIME key",
    "2 PERSIST key",
    "GETEX key getex-option",
    "RENAME key key",
    "INCR key",
    "APPEND key value",
    "GETSET key value",
    "MSET pair+",
    "EXISTS key+",
    "GET key",
    // Those that are over by the next request.
    "2 SET key value PX {soon}",
    "PSETEX key {soon} value",
    "2 PEXPIRE key {soon}",
    "GETEX key PX {soon}",
];

/// The keys themselves.
pub const KEYS: &[&str] = &[
    "6 SET key value",
    "4 MSET pair+",
    "SET key value PX {soon}",
    "2 SET key value EX 10000",
    "2 DEL key+",
    "UNLINK key+",
    "EXISTS key+",
    "TOUCH key+",
    "TYPE key",
    "2 RENAME key key",
    "2 RENAMENX key key",
    "RANDOMKEY",
    "3 KEYS pattern",
    "3 SCAN 0 scan-option*",
    "SCAN 0 MATCH pattern",
    "SCAN cursor scan-option*",
    // First without those whose time is over, which either side may still count.
    "EXISTS every-key; DBSIZE",
    "EXISTS every-key; INFO KEYSPACE",
    "FLUSHDB flush-mode?",
    "FLUSHALL flush-mode?",
];

/// Several requests as one.
pub const TRANSACTIONS: &[&str] = &[
    "8 MULTI",
    "6 EXEC",
    "DISCARD",
    "8 WATCH key+",
    "UNWATCH",
    "3 WATCH key; MULTI; SET key value; EXEC",
    "MULTI; INCR key; GET key; NOSUCH; EXEC",
    "MULTI; INCR key; MGET key+; EXEC",
    "SET key value PX {soon}; WATCH key",
    "WATCH key; PEXPIRE key {soon}",
    "WATCH key; EXPIRE key seconds",
    "RESET",
];

/// The connection.
pub const CONNECTION: &[&str] = &[
    "2 PING",
    "2 PING value",
    "2 ECHO value",
    "2 SELECT database",
    "4 HELLO version hello-option*",
    "HELLO",
    "RESET",
    "AUTH value",
    "AUTH user value",
    "2 CLIENT ID",
    "2 CLIENT INFO",
    "CLIENT LIST",
    "3 CLIENT SETNAME name",
    "3 CLIENT GETNAME",
    "CLIENT unknown key*",
    "MULTI",
    "EXEC",
    "SET key value",
    "GET key",
    "MGET key+",
];

/// The program.
pub const PROGRAM: &[&str] = &[
    "INFO",
    "INFO SERVER",
    "INFO CLIENTS",
    "INFO STATS",
    "INFO MEMORY",
    "INFO REPLICATION",
    "INFO NOSUCH",
    "INFO SERVER NOSUCH STATS",
    "INFO EVERYTHING",
    "TIME",
    "ROLE",
    "CONFIG GET SAVE",
    "CONFIG GET APPENDONLY",
    "CONFIG GET NOSUCH",
    "CONFIG GET SAVE APPENDONLY",
    "CONFIG SET NOSUCH value",
    "CONFIG unknown key*",
    "COMMAND COUNT",
    "COMMAND INFO GET SET NOSUCH MGET DEL",
    "COMMAND unknown key*",
    "2 unknown key*",
];

/// Nothing here depends on time or on the program: where replies are held back it is not known
/// which request is answered.
pub const HUSHED: &[&str] = &[
    "3 CLIENT REPLY OFF",
    "4 CLIENT REPLY ON",
    "3 CLIENT REPLY SKIP",
    "CLIENT REPLY odd",
    "3 SET key value",
    "3 GET key",
    "MGET key+",
    "INCR key",
    "MULTI",
    "EXEC",
    "PING",
    "RESET",
    "unknown",
];
