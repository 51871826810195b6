//! Tests of `connection.rs`.

use super::*;

/// Reads one reply for each kind: its lines' texts and its outcome.
fn read(kinds: &[Kind], bytes: &[u8]) -> io::Result<Vec<(Vec<String>, Verdict)>> {
    let mut replies = ReplyReader::new(bytes);
    let mut all = Vec::new();
    for &kind in kinds {
        let mut lines = Vec::new();
        let verdict = loop {
            let (line, verdict) = replies.next_line(kind)?;
            lines.push(format!("{:?}:{}", line.origin, String::from_utf8_lossy(line.text)));
            if let Some(verdict) = verdict {
                break verdict;
            }
        };
        all.push((lines, verdict));
    }
    Ok(all)
}

#[track_caller]
fn check(kinds: &[Kind], bytes: &[u8], expected: &[(&[&str], Verdict)]) {
    let got = read(kinds, bytes).expect("whole replies");
    let got: Vec<(Vec<&str>, Verdict)> = got
        .iter()
        .map(|(lines, verdict)| (lines.iter().map(String::as_str).collect(), *verdict))
        .collect();
    let expected: Vec<(Vec<&str>, Verdict)> =
        expected.iter().map(|(lines, verdict)| (lines.to_vec(), *verdict)).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_verdict_is_read_from_the_line() {
    check(&[Kind::OneLine], b"OK\r\n", &[(&["Server:OK"], Verdict::Done)]);
    check(&[Kind::OneLine], b"\r\n", &[(&["Server:"], Verdict::Done)]);
    check(&[Kind::OneLine], b"proxy: a\r\n", &[(&["Server:proxy: a"], Verdict::Done)]);
    check(
        &[Kind::OneLine, Kind::OneLine],
        b"Key not found\r\nKey already exists\r\n",
        &[
            (&["Server:Key not found"], Verdict::Refused),
            (&["Server:Key already exists"], Verdict::Refused),
        ],
    );
    check(&[Kind::Farewell], b"ERR no\r\n", &[(&["Server:ERR no"], Verdict::Error)]);
}

#[test]
fn a_long_reply_ends_at_its_end_or_at_an_error() {
    check(
        &[Kind::UntilEnd, Kind::UntilEnd, Kind::OneLine],
        b"ERR = v\r\nEND = v\r\nEND\r\nERR upstream lost\r\nEND\r\n",
        &[
            (&["Server:ERR = v", "Server:END = v", "Server:END"], Verdict::Done),
            (&["Server:ERR upstream lost"], Verdict::Error),
            (&["Server:END"], Verdict::Done),
        ],
    );
}

#[test]
fn prefixes_are_taken_off_from_origin_on_to_origin_off() {
    check(
        &[
            Kind::Origin(true),
            Kind::OneLine,
            Kind::UntilEnd,
            Kind::Origin(true),
            Kind::Origin(false),
            Kind::OneLine,
        ],
        b"OK\r\nproxy: server: a\r\nserver: a = b\r\nserver: END\r\nOK\r\nOK\r\nproxy: a\r\n",
        &[
            (&["Server:OK"], Verdict::Done),
            (&["Proxy:server: a"], Verdict::Done),
            (&["Server:a = b", "Server:END"], Verdict::Done),
            (&["Server:OK"], Verdict::Done),
            (&["Server:OK"], Verdict::Done),
            (&["Server:proxy: a"], Verdict::Done),
        ],
    );
}

#[test]
fn half_a_reply_is_none() {
    assert!(read(&[Kind::OneLine], b"").is_err());
    assert!(read(&[Kind::OneLine], b"OK").is_err());
    assert!(read(&[Kind::UntilEnd], b"a = b\r\n").is_err());
}
