//! Tests of the connection to the upstream.

use super::*;
use crate::base::clock::WallClock;

fn outbox() -> Outbox {
    Outbox::new(WallClock::new(Instant::now(), Duration::ZERO))
}

fn upstream(now: Instant) -> UpstreamConnection<u32> {
    UpstreamConnection::new("127.0.0.1:1".to_string(), Duration::from_secs(5), 7, now)
}

/// Has it connect, and answer its greeting.
fn bring_up(upstream: &mut UpstreamConnection<u32>, out: &mut Outbox, now: Instant) -> ConnId {
    assert_eq!(upstream.deadline_reached(out, now), Due::Connecting);
    let conn = out.pop_connect().expect("it connects").conn;
    upstream.connected(conn, now);
    upstream.greeted(out, now);
    conn
}

fn sent(out: &mut Outbox, conn: ConnId) -> String {
    let output = out.pending(conn).expect("it is open");
    let text = String::from_utf8_lossy(&output.to_vec()).into_owned();
    output.clear();
    text
}

#[test]
fn it_is_connected_at_once_and_replies_come_back_in_order() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    assert_eq!(upstream.send(&mut out, &[b"GET", b"a"], 1, now), Err(1), "it is down");
    bring_up(&mut upstream, &mut out, now);
    for (number, key) in [(1, b"a"), (2, b"b"), (3, b"c")] {
        assert_eq!(upstream.send(&mut out, &[b"GET", key], number, now), Ok(()));
    }
    let mut input = Buffer::new();
    input.push(b"$1\r\n");
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(None));
    input.push(b"v\r\n$100\r\n");
    let whole = Received::Reply { purpose: Some(1), length: Some(7) };
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(Some(whole)));
    input.consume(7);
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(None));
    input.push(&[b'x'; 100]);
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(None));
    assert!(input.is_empty(), "what is too large is not kept");
    input.push(b"\r\n+OK\r\n");
    let too_large = Received::Reply { purpose: Some(2), length: None };
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(Some(too_large)));
    let whole = Received::Reply { purpose: Some(3), length: Some(5) };
    assert_eq!(upstream.next_reply(&mut input, 99), Ok(Some(whole)));
    assert!(upstream.next_reply(&mut input, 99).is_err(), "nobody asked for this");
}

#[test]
fn requests_are_held_until_the_greeting_is_over_and_no_reply_is_taken_for_theirs() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    assert_eq!(upstream.deadline_reached(&mut out, now), Due::Connecting);
    let conn = out.pop_connect().expect("it connects").conn;
    upstream.greet(&mut out, &[b"HELLO"], 1).expect("it is being made");
    upstream.send(&mut out, &[b"PING"], 3, now).expect("it is being made");
    let later = now + Duration::from_secs(2);
    upstream.connected(conn, later);
    assert_eq!(sent(&mut out, conn), "*1\r\n$5\r\nHELLO\r\n");
    assert_eq!(upstream.deadline(), Some(later + Duration::from_secs(5)));
    let mut input = Buffer::new();
    input.push(b"+1\r\n+2\r\n");
    let answered = |purpose| Ok(Some(Received::Reply { purpose: Some(purpose), length: Some(4) }));
    assert_eq!(upstream.next_reply(&mut input, 99), answered(1));
    input.consume(4);
    upstream.greet(&mut out, &[b"AUTH"], 2).expect("it is up");
    assert_eq!(upstream.deadline(), Some(later + Duration::from_secs(5)), "one for it all");
    assert!(!upstream.is_up() && upstream.unanswered() == 2);
    assert_eq!(upstream.next_reply(&mut input, 99), answered(2));
    assert!(upstream.next_reply(&mut input, 99).is_err(), "PING was not sent");
    assert_eq!(sent(&mut out, conn), "*1\r\n$4\r\nAUTH\r\n");
    upstream.greeted(&mut out, later);
    assert_eq!(sent(&mut out, conn), "*1\r\n$4\r\nPING\r\n");
    assert_eq!(upstream.next_reply(&mut input, 99), answered(3));
    assert!(upstream.is_up());
    assert_eq!(upstream.greet(&mut out, &[b"HELLO"], 4), Err(4), "it is over");
}

#[test]
fn who_waits_for_a_greeting_that_fails_was_never_heard() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    upstream.deadline_reached(&mut out, now);
    let conn = out.pop_connect().expect("it connects").conn;
    upstream.connected(conn, now);
    upstream.send(&mut out, &[b"DEL", b"k"], 1, now).expect("it is up");
    let (why, waiting) = upstream.lose(&mut out, UpstreamError::Lost, now);
    assert_eq!((why, waiting.collect::<Vec<_>>()), (UpstreamError::Unavailable, vec![1]));
    upstream.deadline_reached(&mut out, now);
    let conn = out.pop_connect().expect("it connects again").conn;
    upstream.connected(conn, now);
    upstream.greeted(&mut out, now);
    assert_eq!(sent(&mut out, conn), "", "nothing is left of it");
}

#[test]
fn what_is_unanswered_for_too_long_costs_the_connection() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    let conn = bring_up(&mut upstream, &mut out, now);
    upstream.send(&mut out, &[b"PING"], 1, now).expect("it is up");
    let late = now + Duration::from_secs(5);
    assert_eq!(upstream.deadline(), Some(late));
    assert_eq!(upstream.deadline_reached(&mut out, late), Due::Overdue);
    let (why, waiting) = upstream.lose(&mut out, UpstreamError::TimedOut, late);
    assert_eq!((why, waiting.collect::<Vec<_>>()), (UpstreamError::TimedOut, vec![1]));
    assert!(!upstream.is(conn) && out.output(conn).is_none());
    assert_eq!(upstream.deadline(), Some(late), "the first attempt is made at once");
}

#[test]
fn an_address_that_fails_makes_room_for_the_next_and_one_that_answered_does_not() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    let mut turns = Vec::new();
    for answers in [false, false, true, true, false, true] {
        let until = upstream.deadline().expect("it is down");
        upstream.deadline_reached(&mut out, until);
        let connect = out.pop_connect().expect("it connects");
        turns.push(connect.turn);
        if answers {
            upstream.connected(connect.conn, until);
            upstream.greeted(&mut out, until);
            upstream.note_answered();
        }
        drop(upstream.lose(&mut out, UpstreamError::Lost, until));
    }
    assert_eq!(turns, [0, 1, 2, 2, 2, 3]);
}

#[test]
fn a_reason_is_told_once_until_it_answers_and_not_too_many_are() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    for number in 0..100 {
        upstream.log_failure("refused".to_string());
        upstream.log_failure(format!("reason {number}"));
    }
    assert_eq!(upstream.logged_failures.len(), MAX_LOGGED_FAILURES);
    drop(upstream.lose(&mut out, UpstreamError::Lost, now));
    upstream.note_answered();
    assert_eq!(upstream.logged_failures, [""; 0]);
}

#[test]
fn attempts_back_off_to_a_most() {
    let (mut now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    let mut waits = Vec::new();
    for _ in 0..20 {
        upstream.deadline_reached(&mut out, now);
        out.pop_connect().expect("it connects");
        drop(upstream.lose(&mut out, UpstreamError::Lost, now));
        let next = upstream.deadline().expect("it tries again");
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits[0], Duration::ZERO);
    assert!(waits[1] >= MIN_BACKOFF / 2 && waits[1] <= MIN_BACKOFF);
    assert!(waits[19] >= MAX_BACKOFF / 2 && waits[19] <= MAX_BACKOFF);
}

#[test]
fn a_reply_that_no_request_waits_for_is_called_so() {
    let (now, mut out) = (Instant::now(), outbox());
    let mut upstream = upstream(now);
    let mut reply = Buffer::new();
    reply.push(b"+OK\r\n");
    upstream.deadline_reached(&mut out, now);
    let conn = out.pop_connect().expect("it connects").conn;
    upstream.connected(conn, now);
    let requested = upstream.send(&mut out, &[b"PING"], 1, now);
    assert_eq!(requested, Ok(()), "it is held until the greeting is over");
    assert_eq!(upstream.next_reply(&mut reply, 100), Err(ProtocolError::Unrequested));
    upstream.greeted(&mut out, now);
    drop(upstream.lose(&mut out, UpstreamError::Lost, now));
    bring_up(&mut upstream, &mut out, now);
    let error = upstream.next_reply(&mut reply, 100).expect_err("nothing was requested");
    assert_eq!(error.to_string(), "no request waits for it");
}
