//! Tests of `stats.rs`.

use super::*;

#[test]
fn no_name_stands_twice() {
    for row in ROWS {
        let name = row.name;
        assert_eq!(ROWS.iter().filter(|other| other.name == name).count(), 1, "{name}, twice");
    }
}

fn lines(stats: &Stats, program: Program) -> String {
    let mut out = Buffer::new();
    stats.write_lines(program, &mut out);
    String::from_utf8(out.bytes().to_vec()).expect("ASCII")
}

fn find(name: &[u8]) -> &'static Command {
    Command::find(name).expect("there is such a command")
}

#[test]
fn each_program_prints_its_own_rows() {
    let mut stats = Stats::default();
    stats.add(Stat::Hits, 2);
    stats.set(Stat::Keys, 7);
    let text = lines(&stats, Program::Server);
    assert!(text.contains("\nkeys 7\n") && text.contains("\nhits 2\n"));
    assert!(!text.contains("cache_bytes"));
}

#[test]
fn commands_are_printed_once_they_were_asked_for() {
    let mut stats = Stats::default();
    assert!(!lines(&stats, Program::Server).contains("requests_"));
    stats.count_request(find(b"GET"));
    stats.count_request(find(b"GET"));
    stats.count_request(find(b"CLIENT").subcommand(b"LIST").expect("it is one"));
    let text = lines(&stats, Program::Server);
    assert!(text.ends_with("\nrequests_get 2\nrequests_client_list 1\n"), "{text}");
}

#[test]
fn a_reset_takes_counters_to_zero_and_leaves_gauges() {
    let mut stats = Stats::default();
    stats.set(Stat::Hits, 5); // as a program does that counts by itself
    stats.set(Stat::Keys, 7);
    stats.count_request(find(b"GET"));
    stats.reset();
    assert_eq!((stats.get(Stat::Hits), stats.get(Stat::Keys)), (0, 7));
    assert!(!lines(&stats, Program::Server).contains("requests_"));
    stats.set(Stat::Hits, 8);
    stats.add(Stat::BytesIn, 1);
    stats.count_request(find(b"GET"));
    assert_eq!((stats.get(Stat::Hits), stats.get(Stat::BytesIn)), (3, 1));
    assert_eq!(stats.requests(find(b"GET")), 1);
}
