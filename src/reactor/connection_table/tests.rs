//! Tests of `connection_table.rs`.

use super::*;
use crate::base::clock::WallClock;
use crate::handler::Outbox;
use crate::reactor::connection::Readiness;
use std::io::{self, Empty, empty};
use std::time::{Duration, Instant};

impl Stream for Empty {
    fn shutdown_write(&mut self) {}

    fn is_connected(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// An event may come with the name of a connection that has gone since it was reported.
#[test]
fn the_name_of_a_connection_that_has_gone_is_not_that_of_the_next_in_its_slot() {
    let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
    let mut table = ConnectionTable::default();
    let enter = |out: &mut Outbox, table: &mut ConnectionTable<Empty>| {
        let id = out.admit();
        let mut connection = Connection::accepted(id, empty(), Role::Client);
        let event = Readiness { readable: true, ..Readiness::default() };
        connection.note(event).expect("the stream is well");
        table.insert(connection);
        table.list_if_ready(id);
        id
    };
    let gone = enter(&mut out, &mut table);
    table.remove(gone);
    out.release(gone);
    let next = enter(&mut out, &mut table);
    assert_eq!(next.slot(), gone.slot());
    assert!(table.get(gone).is_none() && table.remove(gone).is_none());
    table.list_if_ready(gone);
    assert_eq!(table.turns(), 2, "both were ready once");
    assert_eq!((table.turn(0), table.turn(1)), (None, Some(next)));
    assert_eq!((table.clients(), table.client_ids()), (1, vec![next]));
}
