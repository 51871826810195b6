//! `CLIENT`.

use super::*;
use crate::session::commands::MAX_NAME;

#[test]
fn subcommands_and_their_words_are_checked_first() {
    Desk::new().check(&[
        ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
        ("CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
        ("CLIENT a\\r\\nb c", "-ERR unknown subcommand 'a\\r\\nb'. Try CLIENT HELP."),
        ("CLIENT ''", "-ERR unknown subcommand ''. Try CLIENT HELP."),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("client info x", "-ERR wrong number of arguments for 'client|info' command"),
        ("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT GETNAME x", "-ERR wrong number of arguments for 'client|getname' command"),
        ("CLIENT SETINFO LIB-VER", "-ERR wrong number of arguments for 'client|setinfo' command"),
        ("CLIENT REPLY", "-ERR wrong number of arguments for 'client|reply' command"),
        ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT TRACKING", "-ERR wrong number of arguments for 'client|tracking' command"),
    ]);
    let help = Desk::new().reply(1, "CLIENT HELP");
    let head = "*27 +CLIENT <subcommand> [<arg> ...]. Subcommands are: +CACHING YES|NO +    ";
    assert!(help.starts_with(head) && help.contains("+SETNAME <name> +    set"), "{help}");
}

#[test]
fn names_are_printable_words() {
    let bad = "cannot contain spaces, newlines or special characters.";
    let long = "n".repeat(MAX_NAME);
    Desk::new().check(&[
        ("CLIENT GETNAME", "$-1"),
        ("CLIENT SETNAME !~", "+OK"),
        ("CLIENT GETNAME", "$2 !~"),
        ("CLIENT SETNAME a\\_b", &format!("-ERR Client names {bad}")),
        ("CLIENT SETNAME a\\nb", &format!("-ERR Client names {bad}")),
        ("CLIENT SETNAME é", &format!("-ERR Client names {bad}")),
        ("CLIENT GETNAME", "$2 !~"),
        ("CLIENT SETNAME ''", "+OK"),
        ("CLIENT GETNAME", "$-1"),
        (&format!("CLIENT SETNAME {long}"), "+OK"),
        (&format!("CLIENT SETNAME {long}n"), "-ERR Client names cannot be longer than 1024 bytes"),
        ("CLIENT SETINFO LIB-NAME redis-py", "+OK"),
        ("CLIENT SETINFO lib-ver 8.1.0", "+OK"),
        ("CLIENT SETINFO lib-ver 8\\_1", &format!("-ERR lib-ver {bad}")),
        ("CLIENT SETINFO LIB\\n x", "-ERR Unrecognized option 'LIB\\n'"),
    ]);
}

#[test]
fn names_are_kept_only_while_there_are_any() {
    let mut desk = Desk::new();
    assert!(desk.session(1).names.is_none());
    desk.check(&[("CLIENT SETNAME ''", "+OK")]);
    assert!(desk.session(1).names.is_none());
    desk.check(&[("CLIENT SETNAME me", "+OK"), ("CLIENT SETINFO LIB-NAME lib", "+OK")]);
    assert!(desk.session(1).names.is_some());
    desk.check(&[("CLIENT SETNAME ''", "+OK"), ("CLIENT SETINFO LIB-NAME ''", "+OK")]);
    assert!(desk.session(1).names.is_none());
}

/// A verbatim string in RESP3, its lines as they are.
fn verbatim(lines: &[&str]) -> String {
    let text = format!("txt:{}\n", lines.join("\n"));
    format!("={} {text}", text.len())
}

#[test]
fn a_client_is_told_what_is_true_of_it() {
    let mut desk = Desk::new();
    desk.unix += Duration::from_secs(100);
    desk.enter("[::1]:4002");
    desk.check(&[("CLIENT SETINFO LIB-NAME lib", "+OK"), ("CLIENT SETINFO LIB-VER 1.2", "+OK")]);
    desk.reply(2, "HELLO 3 SETNAME two");
    desk.unix += Duration::from_secs(7);
    assert_eq!(desk.session(2).transaction_command(Verb::Multi), Ok(TransactionStep::Begun));
    let first = "id=1 addr=127.0.0.1:4001 name= age=107 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 \
                 multi=-1 cmd=client|info user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2";
    let reply = desk.reply(1, "CLIENT INFO");
    assert_eq!(reply, format!("${} {first}\n", first.len() + 1).trim_end());
    let second = "id=2 addr=[::1]:4002 name=two age=7 idle=0 flags=x db=0 sub=0 psub=0 ssub=0 \
                  multi=0 cmd=client|list user=default redir=-1 resp=3 lib-name= lib-ver=";
    let list = desk.reply(2, "CLIENT LIST");
    assert_eq!(list, verbatim(&[first, second]).trim_end());
    assert_eq!(desk.reply(2, "CLIENT LIST ID 2 7 2"), verbatim(&[second]).trim_end());
}

#[test]
fn some_clients_are_listed() {
    let mut desk = Desk::new();
    desk.enter("127.0.0.1:4002");
    desk.enter("127.0.0.1:4003");
    let mut listed = |line: &str| {
        let text = desk.reply(1, line);
        let ids = text.split(['\n', ' ']).filter_map(|field| field.strip_prefix("id="));
        ids.collect::<Vec<_>>().join(" ")
    };
    for (line, ids) in [
        ("CLIENT LIST", "1 2 3"),
        ("CLIENT LIST TYPE normal", "1 2 3"),
        ("CLIENT LIST type NORMAL", "1 2 3"),
        ("CLIENT LIST TYPE pubsub", ""),
        ("CLIENT LIST TYPE replica", ""),
        ("CLIENT LIST ID 3 1", "1 3"),
        ("CLIENT LIST ID 0 -1 9", ""),
    ] {
        assert_eq!(listed(line), ids, "{line}");
    }
    desk.check(&[
        ("CLIENT LIST TYPE slave", "$0"),
        ("CLIENT LIST TYPE a\\nb", "-ERR Unknown client type 'a\\nb'"),
        ("CLIENT LIST TYPE", "-ERR syntax error"),
        ("CLIENT LIST TYPE normal ID 1", "-ERR syntax error"),
        ("CLIENT LIST ID", "-ERR syntax error"),
        ("CLIENT LIST ID one", "-ERR Invalid client ID"),
        ("CLIENT LIST ALL", "-ERR syntax error"),
    ]);
}

#[test]
fn those_are_killed_that_pass_every_filter() {
    let id_error = "-ERR client-id should be greater than 0";
    let table: &[(&str, &str, &[u32])] = &[
        ("127.0.0.1:4002", "+OK", &[2]),
        ("127.0.0.1:4001", "+OK", &[1]),
        ("[::1]:4003", "+OK", &[3]),
        ("127.0.0.1:1", "-ERR No such client", &[]),
        ("somebody", "-ERR No such client", &[]),
        ("ID 2", ":1", &[2]),
        ("id 1", ":0", &[]),
        ("ID 1 SKIPME no", ":1", &[1]),
        ("ID 9", ":0", &[]),
        ("ID 0", id_error, &[]),
        ("ID two", id_error, &[]),
        ("TYPE normal", ":2", &[2, 3]),
        ("TYPE normal SKIPME NO", ":3", &[1, 2, 3]),
        ("TYPE master", ":0", &[]),
        ("TYPE person", "-ERR Unknown client type 'person'", &[]),
        ("USER default", ":2", &[2, 3]),
        ("USER some\\nbody", "-ERR No such user 'some\\nbody'", &[]),
        ("ADDR 127.0.0.1:4002 ID 2", ":1", &[2]),
        ("ADDR 127.0.0.1:4002 ID 3", ":0", &[]),
        ("SKIPME yes", ":2", &[2, 3]),
        ("SKIPME perhaps", "-ERR syntax error", &[]),
        ("LADDR 127.0.0.1:5000", "-ERR syntax error", &[]),
        ("AGE 5", "-ERR syntax error", &[]),
        ("ID 2 ADDR", "-ERR syntax error", &[]),
    ];
    for (filters, reply, killed) in table {
        let mut desk = Desk::new();
        desk.enter("127.0.0.1:4002");
        desk.enter("[::1]:4003");
        assert_eq!(desk.reply(1, &format!("CLIENT KILL {filters}")), *reply, "{filters}");
        assert_eq!(desk.closed, *killed, "{filters}");
    }
}
