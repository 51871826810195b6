//! Tests of `command.rs`.

use super::*;

#[test]
fn rows_stand_in_the_order_of_the_verbs() {
    for (index, command) in TABLE.iter().enumerate() {
        assert_eq!(command.index(), index, "{}", command.name);
    }
}

#[test]
fn a_name_is_found_in_any_case() {
    for command in Command::all() {
        let lower = command.name.to_ascii_lowercase();
        assert_eq!(Command::find(lower.as_bytes()).map(|c| c.verb), Some(command.verb));
    }
    assert!(Command::find(b"FOO").is_none());
    assert!(Command::find(b"CLIENT|ID").is_none(), "a subcommand is no command");
    assert!(Command::find(b"").is_none());
}

#[test]
fn subcommands_are_found_in_their_containers_only() {
    let find = |name: &[u8], word: &[u8]| {
        Command::find(name).and_then(|command| command.subcommand(word)).map(|found| found.verb)
    };
    assert_eq!(find(b"client", b"List"), Some(Verb::ClientList));
    assert_eq!(find(b"CONFIG", b"get"), Some(Verb::ConfigGet));
    assert_eq!(find(b"CONFIG", b"list"), None);
    assert_eq!(find(b"CLIENT", b""), None);
    assert_eq!(find(b"GET", b"list"), None);
    for row in &TABLE[FIRST_SUBCOMMAND..] {
        let (container, name) = row.split_name();
        assert_eq!(find(container.as_bytes(), name.as_bytes()), Some(row.verb));
        let container = Command::find(container.as_bytes()).expect("it has a container");
        assert!(container.is_container(), "{}", row.name);
    }
}

#[test]
fn keys_stand_where_the_table_says() {
    let places = |name: &[u8], words| {
        let words: Vec<usize> = (0..words).collect();
        Command::find(name).map(|command| command.keys.of(&words).copied().collect::<Vec<_>>())
    };
    assert_eq!(places(b"GET", 2), Some(vec![1]));
    assert_eq!(places(b"DEL", 4), Some(vec![1, 2, 3]));
    assert_eq!(places(b"MSET", 5), Some(vec![1, 3]));
    assert_eq!(places(b"RENAME", 3), Some(vec![1, 2]));
    assert_eq!(places(b"SET", 5), Some(vec![1]));
    assert_eq!(places(b"PING", 2), Some(vec![]));
}
