//! Tests of `handler.rs`.

use super::*;
use crate::base::clock::WallClock;

#[test]
fn a_slot_used_again_is_another_connection() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let first = out.admit();
    out.output(first).expect("it is open").push(b"late");
    out.release(first);
    let second = out.admit();
    assert_eq!(first.slot(), second.slot());
    assert!(out.output(first).is_none(), "a late reply finds nobody");
    assert_eq!(out.pop_touched(), None);
    assert_eq!(out.unsent(second), 0);
}

#[test]
fn a_connection_told_to_close_takes_no_more_output_and_keeps_what_it_has() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let conn = out.admit();
    out.output(conn).expect("it is open").push(b"bye");
    out.close(conn);
    assert!(out.output(conn).is_none());
    assert_eq!(out.pending(conn).map(|output| output.len()), Some(3));
    out.abort(conn);
    out.close(conn);
    assert_eq!(out.ending(conn), CloseMode::Now, "an abort is not taken back");
}

#[test]
fn turn_by_turn_all_addresses_of_a_name_are_tried_in_whatever_order_they_come() {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let all = ["[::1]:6379", "10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.1:6379"].map(address);
    let (mut out, mut chosen) =
        (Outbox::new(WallClock::new(Instant::now(), Duration::ZERO)), Vec::new());
    for turn in 0..4 {
        out.connect("name:6379", turn, Duration::ZERO);
        let connect = out.pop_connect().expect("it was asked for");
        let mut answer = all.to_vec();
        answer.rotate_left(turn);
        chosen.extend(connect.choose(answer).map(|address| address.to_string()));
        assert_eq!(connect.choose(Vec::new()), None);
    }
    assert_eq!(chosen, ["10.0.0.1:6379", "10.0.0.2:6379", "[::1]:6379", "10.0.0.1:6379"]);
}

#[test]
fn names_pack_into_one_number() {
    let conn = ConnId { slot: 7, generation: u32::MAX };
    assert_eq!(ConnId::unpack(conn.pack()), conn);
}
