//! `COMMAND`.

use super::*;
use crate::protocol::command::{Command, TABLE};
use crate::stats::Stat;

#[test]
fn commands_are_counted_and_named() {
    let all = Command::all().len();
    let mut desk = Desk::new();
    desk.check(&[
        ("COMMAND COUNT", &format!(":{all}")),
        ("COMMAND LIST FILTERBY PATTERN *bit*", "*0"),
        ("COMMAND LIST FILTERBY PATTERN MS*", "*2 $4 mset $6 msetnx"),
        ("COMMAND LIST FILTERBY PATTERN client|i*", "*2 $9 client|id $11 client|info"),
        ("COMMAND LIST FILTERBY MODULE json", "*0"),
        ("COMMAND LIST FILTERBY ACLCAT read", "*0"),
        ("COMMAND LIST FILTERBY NAME get", "-ERR syntax error"),
        ("COMMAND LIST FILTERBY PATTERN", "-ERR syntax error"),
        ("COMMAND LIST get", "-ERR syntax error"),
        ("COMMAND COUNT all", "-ERR wrong number of arguments for 'command|count' command"),
        ("COMMAND NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP."),
    ]);
    let (list, rows) = (desk.reply(1, "COMMAND LIST"), TABLE.len());
    assert!(list.starts_with(&format!("*{rows} $3 get $3 set ")), "{list}");
    assert!(list.contains(" $6 client $14 client|caching "), "{list}");
    assert!(desk.reply(1, "COMMAND HELP").contains(" +DOCS [<name> ...] +    the"));
}

/// Short requests that would take long, or much.
#[test]
fn what_is_asked_for_is_bounded() {
    let mut desk = Desk::new();
    let classes = format!("*[{}]", "x".repeat(crate::settings::limits::MAX_PATTERN));
    desk.check(&[
        (&format!("COMMAND LIST FILTERBY PATTERN {}", &classes[3..]), "*0"),
        (
            &format!("COMMAND LIST FILTERBY PATTERN {classes}"),
            "-ERR pattern longer than 1024 bytes",
        ),
        (&format!("COMMAND DOCS{}", " client".repeat(10_000)), "-ERR reply too large"),
        (&format!("COMMAND INFO{}", " client".repeat(10_000)), "-ERR reply too large"),
    ]);
    assert!(desk.reply(1, &format!("COMMAND INFO{}", " get".repeat(100))).starts_with("*100 *10"));
    let counted = [Stat::TooLargeRequests, Stat::TooLargeReplies].map(|it| desk.stats.get(it));
    assert_eq!(counted, [1, 2]);
}

#[test]
fn a_command_is_told_in_ten_parts() {
    let get = "*10 $3 get :2 *2 +readonly +fast :1 :1 :1 *0 *0 *0 *0";
    let mset = "*10 $4 mset :-3 *2 +write +denyoom :1 :-1 :2 *0 *0 *0 *0";
    let flush = "*10 $8 flushall :-1 *1 +write :0 :0 :0 *0 *0 *0 *0";
    let id = "*10 $9 client|id :2 *0 :0 :0 :0 *0 *0 *0 *0";
    let mut desk = Desk::new();
    desk.check(&[
        ("COMMAND INFO get", &format!("*1 {get}")),
        ("COMMAND INFO MSET nosuch flushall", &format!("*3 {mset} $-1 {flush}")),
        ("COMMAND INFO client|id client| |", &format!("*3 {id} $-1 $-1")),
        ("COMMAND INFO ''", "*1 $-1"),
    ]);
    let client = desk.reply(1, "COMMAND INFO client");
    assert!(
        client.starts_with("*1 *10 $6 client :-2 *0 :0 :0 :0 *0 *0 *0 *13 *10 $14 client|caching")
    );
    assert!(client.contains(id));
    let all = desk.reply(1, "COMMAND");
    assert!(all.starts_with(&format!("*{} {get} ", Command::all().len())));
    assert_eq!(desk.reply(1, "COMMAND INFO"), all);
    desk.reply(1, "HELLO 3");
    let get = "*10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~0 ~0 ~0 ~0";
    desk.check(&[("COMMAND INFO get nosuch", &format!("*2 {get} _"))]);
}

#[test]
fn a_command_is_documented_as_clients_show_it() {
    let get = "*2 $3 get *8 $7 summary $18 the value of a key $5 since $5 1.0.0 $5 group $6 string \
               $9 arguments *1 *4 $4 name $3 key $4 type $3 key";
    let ttl = "$7 persist %4 $7 summary $21 remove a key's expiry $5 since $5 2.2.0 $5 group \
               $7 generic $9 arguments *1 %2 $4 name $3 key $4 type $3 key";
    let config = "*2 $6 config *8 $7 summary $12 the settings $5 since $5 2.0.0 $5 group $6 server \
                  $11 subcommands *8 $10 config|get *8 $7 summary";
    let set = "*8 $4 name $5 nx-xx $4 type $5 oneof $5 flags *1 +optional $9 arguments *2 \
               *6 $4 name $2 nx $4 type $10 pure-token $5 token $2 NX \
               *6 $4 name $2 xx $4 type $10 pure-token $5 token $2 XX";
    let mut desk = Desk::new();
    desk.check(&[("COMMAND DOCS get nosuch", get), ("COMMAND DOCS nosuch", "*0")]);
    assert!(desk.reply(1, "COMMAND DOCS config").starts_with(config));
    assert!(desk.reply(1, "COMMAND DOCS set").contains(set));
    let all = desk.reply(1, "COMMAND DOCS");
    assert!(all.starts_with(&format!("*{} $3 get *8", 2 * Command::all().len())));
    desk.reply(1, "HELLO 3");
    desk.check(&[("COMMAND DOCS persist", &format!("%1 {ttl}")), ("COMMAND DOCS nosuch", "%0")]);
    assert!(desk.reply(1, "COMMAND DOCS exists").ends_with("$3 key $5 flags ~1 +multiple"));
    for (name, group) in [
        ("append", "string"),
        ("del", "generic"),
        ("exec", "transactions"),
        ("hello", "connection"),
        ("client|list", "connection"),
        ("config|set", "server"),
        ("stats", "server"),
        ("flushall", "server"),
    ] {
        let docs = desk.reply(1, &format!("COMMAND DOCS {name}"));
        assert!(docs.contains(&format!("$5 group ${} {group}", group.len())), "{docs}");
    }
}

#[test]
fn the_keys_of_a_request_are_found() {
    let invalid = "-ERR Invalid command specified";
    let no_keys = "-ERR The command has no key arguments";
    Desk::new().check(&[
        ("COMMAND GETKEYS get a", "*1 $1 a"),
        ("COMMAND GETKEYS SET a b EX 10", "*1 $1 a"),
        ("COMMAND GETKEYS del a b c", "*3 $1 a $1 b $1 c"),
        ("COMMAND GETKEYS mset a 1 b 2", "*2 $1 a $1 b"),
        ("COMMAND GETKEYS rename a b", "*2 $1 a $1 b"),
        ("COMMAND GETKEYS watch a", "*1 $1 a"),
        ("COMMAND GETKEYS nosuch a", invalid),
        ("COMMAND GETKEYS client nosuch", invalid),
        ("COMMAND GETKEYS client list", no_keys),
        ("COMMAND GETKEYS echo a", no_keys),
        ("COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command"),
        ("COMMAND GETKEYS ping", "-ERR wrong number of arguments for 'command|getkeys' command"),
    ]);
}
