//! `redis-cli`: one command, a session, its terminal, and its tools over whole keyspaces.

use crate::places::everywhere;
use crate::support::child::{Exit, Screen, Terminal, run};
use crate::support::place::Place;
use crate::support::resp::resp_request;
use crate::support::rounds;
use std::net::SocketAddr;
use std::process::Command;

fn redis_cli(address: SocketAddr, words: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string()]).args(words);
    // No history and no settings of whoever runs the tests.
    command.env("HOME", env!("CARGO_TARGET_TMPDIR")).env("REDISCLI_HISTFILE", "/dev/null");
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command
}

/// What it prints; nothing goes to stderr, and it exits with 0.
#[track_caller]
fn printed(address: SocketAddr, words: &[&str], input: &[u8]) -> String {
    let Exit { stdout, stderr, code } = run(&mut redis_cli(address, words), input);
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "{stdout}");
    stdout
}

#[test]
fn a_command() {
    everywhere(|address, _| {
        assert_eq!(printed(address, &["set", "name", "Derek Moss"], b""), "OK\n");
        assert_eq!(printed(address, &["get", "name"], b""), "Derek Moss\n");
        assert_eq!(printed(address, &["-3", "get", "name"], b""), "Derek Moss\n");
        assert_eq!(printed(address, &["--no-raw", "get", "nothing"], b""), "(nil)\n");
        assert_eq!(
            printed(address, &["-3", "--no-raw", "mget", "name"], b""),
            "1) \"Derek Moss\"\n"
        );
        assert_eq!(printed(address, &["-x", "set", "name"], b"from stdin"), "OK\n");
        assert_eq!(printed(address, &["--json", "get", "name"], b""), "\"from stdin\"\n");
        let hello = printed(address, &["-3", "hello"], b"");
        assert!(hello.contains("\nproto 3\n"), "{hello}");
    });
}

#[test]
fn a_session_with_transactions() {
    everywhere(|address, _| {
        let session = "multi\nset n 2\nincr n\nexec\nmulti\nset n 9\ndiscard\nget n\nquit\n";
        let replies = "OK\nQUEUED\nQUEUED\nOK\n3\nOK\nQUEUED\nOK\n3\n";
        assert_eq!(printed(address, &[], session.as_bytes()), replies);
        let aborted = printed(address, &[], b"multi\nset n 9\nget\nexec\nget n\n");
        let refused = "ERR wrong number of arguments for 'get' command\n\n\
            EXECABORT Transaction discarded because of previous errors.\n\n3\n";
        assert_eq!(aborted, format!("OK\nQUEUED\n{refused}"));
    });
}

#[test]
fn a_terminal_with_hints() {
    everywhere(|address, _| {
        for flags in [&[][..], &["-3"]] {
            let prompt = format!("{address}> ");
            let mut terminal = Terminal::start(&mut redis_cli(address, flags), &prompt);
            terminal.wait_for(|screen| screen.ends_with_request(""));
            terminal.press("set ");
            let hint = format!("{prompt}set key value");
            terminal.wait_for(|screen| last_line(screen).starts_with(&hint));
            terminal.press("n 5\r");
            terminal.wait_for(|screen| screen.text().ends_with(&format!("OK\n{}", prompt.trim())));
            terminal.type_line("get n");
            terminal.wait_for(|screen| screen.text().contains("\"5\""));
            terminal.wait_for(|screen| screen.ends_with_request(""));
            terminal.type_line("quit");
            assert_eq!(terminal.exit_code(), Some(0));
        }
    });
}

fn last_line(screen: &Screen<'_>) -> String {
    screen.text().lines().last().unwrap_or_default().to_string()
}

/// A file for `--pipe`: so many keys, and one with a longer value.
fn mass(keys: usize) -> Vec<u8> {
    let set = |key: &str, value: &str| resp_request(&["SET", key, value]);
    let sets = (0..keys).map(|at| set(&format!("key:{at}"), "v"));
    sets.chain([set("big", "lengthy")]).flatten().collect()
}

#[test]
fn mass_insertion_and_scans() {
    everywhere(|address, _| {
        let keys = rounds(100_000);
        let report = printed(address, &["--pipe"], &mass(keys));
        let expected = format!(
            "All data transferred. Waiting for the last reply...\n\
             Last reply received from server.\nerrors: 0, replies: {}\n",
            keys + 1
        );
        assert_eq!(report, expected);

        let scanned = printed(address, &["--scan", "--pattern", "key:*"], b"");
        let mut scanned: Vec<&str> = scanned.lines().collect();
        scanned.sort_unstable();
        scanned.dedup();
        assert_eq!(scanned.len(), keys);
        let scanned = printed(address, &["--scan", "--pattern", "b[hi]?"], b"");
        assert_eq!(scanned, "big\n");

        let report = printed(address, &["--bigkeys"], b"");
        for line in [
            format!("Sampled {} keys in the keyspace!", keys + 1),
            "Biggest string found '\"big\"' has 7 bytes".to_string(),
            format!(
                "{} strings with {} bytes (100.00% of keys, avg size 1.00)",
                keys + 1,
                keys + 7
            ),
        ] {
            assert!(report.contains(&line), "no '{line}' in:\n{report}");
        }
    });
}

/// It asks for `INFO` again and again, and prints what it reads there.
#[test]
fn statistics() {
    everywhere(|address, place| {
        assert_eq!(printed(address, &["mset", "a", "1", "b", "2", "c", "3"], b""), "OK\n");
        let command = &mut redis_cli(address, &["--stat", "-i", "0.1"]);
        let mut terminal = Terminal::start(command, "");
        terminal.wait_for(|screen| {
            let text = screen.text();
            let rows = text.lines().filter(|line| line.starts_with(|it: char| it.is_ascii_digit()));
            let rows: Vec<Vec<&str>> = rows.map(|row| row.split_whitespace().collect()).collect();
            rows.len() >= 4 && rows[1..].iter().all(|row| is_row(row, place))
        });
    });
}

/// `keys mem clients blocked requests (+more) connections`; asking is a request too.
fn is_row(row: &[&str], place: Place) -> bool {
    let numbers = [0, 2, 3, 4, 6].map(|at| row.get(at).and_then(|it| it.parse::<u64>().ok()));
    let [Some(keys), Some(clients), Some(0), Some(requests), Some(connections)] = numbers else {
        return false;
    };
    let counts = clients >= 1 && requests >= 1 && connections >= 2;
    counts && row[5] != "(+0)" && (keys == 3 || place.is_proxy())
}
