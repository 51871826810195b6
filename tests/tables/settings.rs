//! Every live setting is set on a running program, read back, and seen to act.

use crate::support::process::{Client, Process};
use crate::support::tools::stat;
use crate::{PROGRAMS, resp, start, tracking_client};
use larder::settings::{Program, settings_of};

/// How a live setting is tried.
struct Case {
    /// What it is set to, and what is read back.
    value: &'static str,
    shown: &'static str,
    acts: Acts,
}

/// How a setting is seen to act.
enum Acts {
    /// Returns whether the program behaves as the setting says: it does not before it is set. The
    /// words are for keys: others each time.
    Changes(fn(&Process, &str) -> bool),
    /// Returns whether the program behaves so. What it does before takes too long to see.
    Holds(fn(&Process) -> bool),
}

#[rustfmt::skip]
fn case(name: &str) -> Option<Case> {
    use Acts::{Changes, Holds};
    let row = |value, shown, acts| Some(Case { value, shown, acts });
    match name {
        "put" => row("replace", "replace", Changes(put_replaces)),
        "inline" => row("resp", "resp", Changes(|it, _| it.client().ask("PING") == "+PONG")),
        "ttl" => row("0", "0", Changes(nothing_is_cached)),
        "trust" => row("0", "0", Changes(hits_are_confirmed)),
        "idle-timeout" => row("0.05", "0.05", Holds(|it| is_closed_after(it, ""))),
        "line-timeout" => row("0.05", "0.05", Holds(|it| is_closed_after(it, "PI"))),
        "request-timeout" => row("0.05", "0.05", Holds(|it| is_closed_after(it, "*2\r\n$3\r\nGET\r\n"))),
        "max-line" => row("64", "64", Changes(a_line_is_too_long)),
        "max-value" => row("1KiB", "1024", Changes(a_value_is_too_long)),
        "max-request" => row("1KiB", "1024", Changes(a_request_is_too_long)),
        "max-memory" => row("1", "1", Changes(nothing_is_stored)),
        "tracking-keys" => row("1", "1", Changes(one_key_is_tracked)),
        _ => None,
    }
}

#[test]
fn every_live_setting_is_set_read_back_and_acts() {
    let mut wrong = Vec::new();
    for (program, whose) in PROGRAMS {
        for row in settings_of(program).filter(|row| row.is_live) {
            let name = row.name;
            match case(name) {
                Some(case) => wrong.extend(
                    try_case(program, name, &case).err().map(|why| format!("{whose}: {why}")),
                ),
                None => wrong.push(format!(
                    "{whose}: the live setting `{name}` has no case: add one to `case` in \
                     tests/tables/settings.rs that shows that CONFIG SET acts"
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn try_case(program: Program, name: &str, case: &Case) -> Result<(), String> {
    let process = start(program, &[]);
    if let Acts::Changes(acts) = case.acts
        && acts(&process, "before")
    {
        return Err(format!("the case of `{name}` cannot fail: it is so before it is set"));
    }
    let mut client = process.client();
    let reply = resp(&mut client, &["CONFIG", "SET", name, case.value]);
    if reply != "+OK" {
        return Err(format!("CONFIG SET {name} {}: {reply}", case.value));
    }
    let (read, shown) = (resp(&mut client, &["CONFIG", "GET", name]), case.shown);
    if read != format!("{name} {shown}") {
        return Err(format!("CONFIG GET {name}: {read}, not {name} {shown}"));
    }
    let acts = match case.acts {
        Acts::Changes(acts) => acts(&process, "after"),
        Acts::Holds(acts) => acts(&process),
    };
    if acts {
        return Ok(());
    }
    Err(format!("`{name}` is set to {} and does not act: see where it is applied", case.value))
}

fn put_replaces(process: &Process, key: &str) -> bool {
    let mut client = process.client();
    client.ask(&format!("PUT {key} 1"));
    client.ask(&format!("PUT {key} 2")) == "OK"
}

fn nothing_is_cached(process: &Process, key: &str) -> bool {
    let mut client = process.client();
    let before = stat(&mut client, "hits");
    read_twice(&mut client, key);
    stat(&mut client, "hits") == before
}

fn hits_are_confirmed(process: &Process, key: &str) -> bool {
    let mut client = process.client();
    let before = stat(&mut client, "held_for_confirmation");
    read_twice(&mut client, key);
    stat(&mut client, "held_for_confirmation") > before
}

fn read_twice(client: &mut Client, key: &str) {
    assert_eq!(client.ask(&format!("SET {key} 1")), "OK");
    assert_eq!(client.ask(&format!("GET {key}")), "1");
    assert_eq!(client.ask(&format!("GET {key}")), "1");
}

/// Returns whether a client that sends this and nothing more is closed.
fn is_closed_after(process: &Process, bytes: &str) -> bool {
    let mut client = process.client();
    client.send(bytes);
    let received = String::from_utf8(client.until_eof()).expect("text");
    received.is_empty() == bytes.is_empty()
}

fn a_line_is_too_long(process: &Process, key: &str) -> bool {
    process.client().ask(&format!("GET {key}{}", "k".repeat(100))).contains("line longer")
}

fn a_value_is_too_long(process: &Process, key: &str) -> bool {
    let reply = resp(&mut process.client(), &["SET", key, &"v".repeat(2_000)]);
    reply.starts_with("-ERR")
}

fn a_request_is_too_long(process: &Process, key: &str) -> bool {
    let values = ["v".repeat(600), "v".repeat(600)];
    let reply = resp(&mut process.client(), &["MSET", key, &values[0], key, &values[1]]);
    reply.contains("request too large")
}

fn nothing_is_stored(process: &Process, key: &str) -> bool {
    resp(&mut process.client(), &["SET", key, "1"]).starts_with("-OOM")
}

fn one_key_is_tracked(process: &Process, key: &str) -> bool {
    let mut client = tracking_client(process);
    assert_eq!(resp(&mut client, &["GET", key]), "_");
    assert_eq!(resp(&mut client, &["GET", "other"]), "_");
    stat(&mut process.client(), "tracking_dropped") > 0
}
