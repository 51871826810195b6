//! Tests of `output.rs`.

use super::*;
use std::io::{BufRead, BufReader};

#[test]
fn what_nobody_takes_is_left_out_and_told_of() {
    let (reader, pipe) = io::pipe().expect("a descriptor");
    let mut output = LogOutput::start(pipe);
    let line = [b"x".repeat(999), b"\n".to_vec()].concat();
    for _ in 0..1_000 {
        output.write_all(&line).expect("it never fails");
    }
    assert!(output.lost > 700, "{}", output.lost);
    let (lost, mut lines) = (output.lost, BufReader::new(reader).lines().map_while(Result::ok));
    let written: Vec<_> = lines.by_ref().take(1_000 - lost as usize).collect();
    assert!(written.iter().all(|line| line.len() == 999));
    output.write_all(b"last\n").expect("it never fails");
    output.finish();
    assert_eq!(lines.next(), Some(format!("lines of the log lost: {lost}")));
    assert_eq!(lines.next(), Some("last".to_string()));
}
