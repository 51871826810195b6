//! A connection on a scripted stream: what it reads, what it leaves, and how it ends.

use super::*;
use crate::base::buffer::SCRATCH_BYTES;
use crate::base::clock::WallClock;
use crate::base::output::Block;
use crate::base::output::SHARED_FROM;
use crate::handler::{Outbox, Via};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// What the stream's next reads bring; with nothing left they would block.
enum Incoming {
    Bytes(Vec<u8>),
    /// It would block once, though more has come.
    Pause,
    Fin,
    /// A signal interrupts the call.
    Signal,
}

#[derive(Default)]
struct Script {
    incoming: VecDeque<Incoming>,
    reads: usize,
    written: Vec<u8>,
    /// How many bytes the stream takes before it would block.
    room: usize,
    /// How many writes a signal interrupts.
    signals: usize,
    shut: bool,
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        match self.incoming.pop_front() {
            None | Some(Incoming::Pause) => Err(ErrorKind::WouldBlock.into()),
            Some(Incoming::Fin) => Ok(0),
            Some(Incoming::Signal) => Err(ErrorKind::Interrupted.into()),
            Some(Incoming::Bytes(mut bytes)) => {
                let count = bytes.len().min(into.len());
                into[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    self.incoming.push_front(Incoming::Bytes(bytes.split_off(count)));
                }
                Ok(count)
            }
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.signals > 0 {
            self.signals -= 1;
            return Err(ErrorKind::Interrupted.into());
        }
        let before = self.room;
        for slice in slices {
            let count = slice.len().min(self.room);
            self.room -= count;
            self.written.extend_from_slice(&slice[..count]);
        }
        if self.room == before { Err(ErrorKind::WouldBlock.into()) } else { Ok(before - self.room) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A clock that is not to be read.
fn unread() -> TurnClock<fn() -> Instant> {
    TurnClock { is_fresh: false, measured: 0, read: || panic!("the clock is not read") }
}

impl Stream for Script {
    fn shutdown_write(&mut self) {
        self.shut = true;
    }

    fn is_connected(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// Echoes whole lines; does as `next` says.
struct Echo {
    /// How long a line says that it is.
    announced: usize,
    calls: usize,
    ended: usize,
    next: Next,
}

impl Handler for Echo {
    fn opened(&mut self, _: &mut Outbox, _: ConnId, _: Via, _: Instant) {}

    fn received(&mut self, out: &mut Outbox, conn: ConnId, input: &mut Buffer, _: Instant) -> Next {
        self.calls += 1;
        let whole = input.bytes().iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if let Some(output) = out.output(conn) {
            output.push(&input.bytes()[..whole]);
        }
        input.consume(whole);
        self.next
    }

    fn idle_timeout(&self) -> Duration {
        IDLE
    }

    fn expected_len(&self, _: ConnId) -> usize {
        self.announced
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, _: Instant) {
        self.ended += 1;
        out.close(conn);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, _: Instant) -> Option<Instant> {
        out.close(conn);
        None
    }

    fn closed(&mut self, _: &mut Outbox, _: ConnId, _: CloseReason, _: Instant) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn deadline_reached(&mut self, _: &mut Outbox, _: Instant) {}

    fn wants_fresh_time(&self) -> bool {
        false
    }

    fn check_invariants(&self) {}
}

struct Bench {
    handler: Echo,
    out: Outbox,
    scratch: Buffer,
    connection: Connection<Script>,
    now: Instant,
}

const IDLE: Duration = Duration::from_secs(60);
const READABLE: Readiness =
    Readiness { readable: true, writable: false, read_on: false, broken: false };
const OUTPUT_LIMIT: usize = 4 * limits::HIGH_WATER;

impl Bench {
    fn new() -> Bench {
        let mut out = Outbox::new(WallClock::new(Instant::now(), Duration::ZERO));
        let stream = Script { room: usize::MAX, ..Script::default() };
        Bench {
            handler: Echo { announced: 0, calls: 0, ended: 0, next: Next::Read(None) },
            connection: Connection::accepted(out.admit(), stream, Role::Client),
            out,
            scratch: Buffer::with_capacity(64),
            now: Instant::now(),
        }
    }

    fn arrive(&mut self, bytes: &[u8], event: Readiness) {
        self.connection.stream.incoming.push_back(Incoming::Bytes(bytes.to_vec()));
        self.connection.note(event).expect("the stream is well");
    }

    fn finish(&mut self) {
        self.connection.stream.incoming.push_back(Incoming::Fin);
        let event = Readiness { read_on: true, ..READABLE };
        self.connection.note(event).expect("the stream is well");
    }

    fn turn(&mut self) -> StepResult {
        let Bench { connection, handler, out, scratch, now, .. } = self;
        connection.take_turn(handler, out, scratch, *now, unread())?;
        connection.settle(out, OUTPUT_LIMIT, IDLE, usize::MAX, *now)
    }

    #[track_caller]
    fn check(&self, written: &[u8], reads: usize, ready: bool) {
        let stream = &self.connection.stream;
        let got = (stream.written.as_slice(), stream.reads, self.connection.is_ready());
        assert_eq!(got, (written, reads, ready), "written, reads, ready");
    }
}

#[test]
fn a_short_read_is_the_end_of_the_data() {
    let mut bench = Bench::new();
    bench.arrive(b"a\nb", READABLE);
    bench.turn().expect("it goes on");
    bench.check(b"a\n", 1, false);
    bench.arrive(b"c\n", READABLE);
    bench.turn().expect("it goes on");
    bench.check(b"a\nbc\n", 2, false);
}

#[test]
fn a_full_read_is_not_and_the_connection_stays_ready() {
    let mut bench = Bench::new();
    let lines = b"0123456\n".repeat(9);
    bench.arrive(&lines, READABLE);
    bench.turn().expect("it goes on");
    bench.check(&lines[..64], 1, true);
    bench.turn().expect("it goes on");
    bench.check(&lines, 2, false);
}

#[test]
fn a_long_request_is_read_to_where_it_stands_and_no_further() {
    let mut bench = Bench::new();
    bench.scratch = Buffer::with_capacity(SCRATCH_BYTES);
    let line = [&vec![b'v'; 1 << 20][..], b"\n"].concat();
    bench.handler.announced = line.len();
    // For the second time there is memory that has been used before.
    for most_reads in [6, 5] {
        bench.arrive(&[&line[..], b"next\n"].concat(), READABLE);
        let mut has = 0;
        while bench.connection.stream.written.is_empty() {
            let reads = bench.connection.stream.reads;
            bench.turn().expect("it goes on");
            assert_eq!(bench.connection.stream.reads, reads + 1);
            if let Some(input) = &bench.connection.input {
                assert!((has + 1..=has + LONG_READ).contains(&input.bytes.len()));
                assert_eq!(input.bytes.capacity(), line.len(), "it has grown once");
                has = input.bytes.len();
            }
        }
        bench.check(&line, bench.connection.stream.reads, true);
        assert!(bench.connection.stream.reads <= most_reads);
        assert!(bench.connection.input.is_none(), "its memory is given back");
        bench.turn().expect("it goes on");
        bench.check(&[&line[..], b"next\n"].concat(), bench.connection.stream.reads, false);
        bench.connection.stream.written.clear();
        bench.connection.stream.reads = 0;
    }
}

#[test]
fn a_long_request_keeps_the_memory_that_it_was_lent_until_it_is_whole() {
    let mut bench = Bench::new();
    bench.scratch = Buffer::with_capacity(SCRATCH_BYTES);
    let lent = 15 << 20;
    bench.out.pool.take_back_long(Buffer::with_capacity(lent));
    let line = [&vec![b'v'; 1 << 20][..], b"\n"].concat();
    bench.handler.announced = line.len();
    bench.arrive(&line, READABLE);
    while bench.connection.stream.written.is_empty() {
        bench.turn().expect("it goes on");
        let input = bench.connection.input.as_ref();
        assert!(input.is_none_or(|input| input.bytes.capacity() == lent));
    }
    assert_eq!(bench.out.pool.lend_long(1, 1).capacity(), lent);
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    let mut bench = Bench::new();
    bench.handler.announced = 64 << 20;
    for _ in 0..10 {
        bench.arrive(b"$67108864", READABLE);
        bench.turn().expect("it goes on");
    }
    let input = bench.connection.input.as_ref().expect("the line is not whole");
    assert!(input.bytes.capacity() <= 2 * input.bytes.len());
}

#[test]
fn after_urgent_data_it_is_read_until_it_would_block_twice() {
    let mut bench = Bench::new();
    bench.arrive(b"a\n", Readiness { read_on: true, ..READABLE });
    let rest = [Incoming::Pause, Incoming::Bytes(b"b\n".to_vec())];
    bench.connection.stream.incoming.extend(rest);
    while bench.connection.is_ready() {
        bench.turn().expect("it goes on");
    }
    bench.check(b"a\nb\n", 5, false);
}

#[test]
fn requests_before_a_fin_are_answered_then_it_is_closed() {
    let mut bench = Bench::new();
    bench.arrive(b"a\nb\n", READABLE);
    bench.finish();
    bench.turn().expect("it goes on");
    assert!(bench.connection.is_ready(), "the end is still to be read");
    assert_eq!(bench.turn(), Err(CloseReason::Closed));
    bench.check(b"a\nb\n", 2, false);
    assert!(bench.connection.stream.shut && bench.handler.ended == 1);
}

#[test]
fn an_end_is_told_only_when_the_handler_wants_bytes_again() {
    let mut bench = Bench::new();
    bench.handler.next = Next::Wait;
    bench.arrive(b"a\n", READABLE);
    bench.finish();
    bench.turn().expect("it goes on");
    assert!(!bench.connection.is_ready() && bench.handler.ended == 0);
    bench.handler.next = Next::Read(None);
    bench.connection.resume();
    while bench.connection.is_ready() && bench.handler.ended == 0 {
        let _ = bench.turn();
    }
    assert_eq!((bench.handler.ended, bench.handler.calls), (1, 2));
}

#[test]
fn what_the_peer_does_not_take_waits_for_an_event() {
    let mut bench = Bench::new();
    bench.connection.stream.room = 3;
    bench.arrive(b"abcdef\n", READABLE);
    bench.turn().expect("it goes on");
    assert_eq!(bench.out.unsent(bench.connection.id()), 4);
    bench.connection.stream.room = 100;
    bench
        .connection
        .settle(&mut bench.out, OUTPUT_LIMIT, IDLE, usize::MAX, bench.now)
        .expect("it goes on");
    bench.check(b"abc", 1, false);
    bench.connection.note(Readiness { writable: true, ..Readiness::default() }).expect("well");
    bench
        .connection
        .settle(&mut bench.out, OUTPUT_LIMIT, IDLE, usize::MAX, bench.now)
        .expect("it goes on");
    bench.check(b"abcdef\n", 1, false);
}

/// A reply with shared values goes out whole if the peer takes `most` bytes at a time, and a signal
/// interrupts so many writes before each.
fn check_in_pieces(most: usize, signals: usize, value: &Block) {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    let output = bench.out.output(id).expect("open");
    output.push(b"head\n");
    output.push_shared(value, 0..value.len());
    output.push(b"between\n");
    output.push_shared(value, 0..value.len());
    output.push(b"tail\n");
    let expected = [b"head\n", &value[..], b"between\n", &value[..], b"tail\n"].concat();
    let mut sent = 0;
    while sent < expected.len() {
        (bench.connection.stream.room, bench.connection.stream.signals) = (most, signals);
        let event = Readiness { writable: true, ..Readiness::default() };
        bench.connection.note(event).expect("the stream is well");
        bench
            .connection
            .settle(&mut bench.out, OUTPUT_LIMIT, IDLE, usize::MAX, bench.now)
            .expect("it goes on");
        sent = expected.len().min(sent + most);
        assert_eq!(bench.out.unsent(id), expected.len() - sent, "{most} bytes at a time");
    }
    assert!(bench.connection.stream.written == expected, "{most} bytes at a time");
    assert_eq!(Block::strong_count(value), 1, "nothing holds it any more");
}

#[test]
fn a_reply_goes_out_whole_however_little_the_peer_takes_at_a_time() {
    let value = Block::new((0..SHARED_FROM).map(|n| n as u8).collect());
    for most in 1..=2 * value.len() + 20 {
        check_in_pieces(most, most % 3, &value);
    }
}

#[test]
fn a_read_that_a_signal_interrupts_is_made_again() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.connection.stream.incoming.push_back(Incoming::Signal);
    }
    bench.arrive(b"a\n", READABLE);
    bench.turn().expect("it goes on");
    bench.check(b"a\n", 4, false);
}

#[test]
fn events_that_mean_nothing_do_no_harm() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    let every = Readiness { readable: true, writable: true, read_on: true, broken: false };
    let writable = Readiness { writable: true, ..Readiness::default() };
    for (reads, event) in [(2, READABLE), (4, every), (4, writable)] {
        bench.connection.note(event).expect("the stream is well");
        bench.turn().expect("it goes on");
        bench.check(b"", reads, false);
    }
    assert_eq!((bench.handler.calls, bench.handler.ended), (0, 0), "nothing has come");
    // There is something to write, and no room for it.
    bench.connection.stream.room = 0;
    bench.out.output(id).expect("open").push(b"reply\n");
    for _ in 0..3 {
        bench.connection.note(every).expect("the stream is well");
        bench.turn().expect("it goes on");
        assert_eq!(bench.out.unsent(id), 6);
    }
    bench.connection.stream.room = 100;
    bench.arrive(b"a\n", every);
    bench.turn().expect("it goes on");
    assert_eq!(bench.connection.stream.written, b"reply\na\n");
}

#[test]
fn what_is_beyond_the_share_of_a_tick_goes_out_in_the_next_ones() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.connection.stream.room = 1000;
    bench.out.output(id).expect("open").push(&[b'x'; 250]);
    bench.out.close(id);
    for sent in [100, 200] {
        let Bench { connection, out, now, .. } = &mut bench;
        assert_eq!(out.pop_touched(), Some(id));
        connection.settle(out, OUTPUT_LIMIT, IDLE, 100, *now).expect("it goes on");
        bench.check(&vec![b'x'; sent], 0, true);
        let Bench { connection, handler, out, scratch, now, .. } = &mut bench;
        connection.take_turn(handler, out, scratch, *now, unread()).expect("it goes on");
    }
    bench.turn().expect("it lingers");
    bench.check(&[b'x'; 250], 0, true);
}

#[test]
fn a_handler_that_has_more_to_say_is_called_when_the_output_has_drained() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.handler.next = Next::Drain;
    bench.connection.stream.room = 0;
    bench.out.output(id).expect("open").push(&vec![b'x'; limits::LOW_WATER]);
    bench.arrive(b"a\n", READABLE);
    bench.turn().expect("it goes on");
    assert!(!bench.connection.is_ready(), "the output is above the low-water mark");
    bench.connection.stream.room = 1000;
    bench.connection.note(Readiness { writable: true, ..Readiness::default() }).expect("well");
    bench
        .connection
        .settle(&mut bench.out, OUTPUT_LIMIT, IDLE, usize::MAX, bench.now)
        .expect("it goes on");
    assert!(bench.connection.is_ready());
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_after_the_idle_timeout() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.handler.next = Next::Drain;
    bench.connection.stream.room = 10;
    bench.out.output(id).expect("open").push(&vec![b'x'; limits::HIGH_WATER]);
    bench.arrive(b"a\n", READABLE);
    bench.turn().expect("it waits");
    let deadline = bench.connection.deadline.expect("not for ever");
    assert_eq!(deadline, bench.now + IDLE);
    let step = bench.connection.overdue(&mut bench.handler, &mut bench.out, deadline);
    assert_eq!(step, Err(CloseReason::Stuck));
}

/// Nothing new is written then, that would have it looked at.
#[test]
fn one_that_took_nothing_before_it_was_asked_to_drain_is_given_up_too() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.connection.stream.room = 10;
    bench.out.output(id).expect("open").push(&vec![b'x'; limits::HIGH_WATER]);
    bench.turn().expect("it goes on");
    assert_eq!(bench.out.pop_touched(), Some(id));
    bench.handler.next = Next::Drain;
    bench.arrive(b"no line", READABLE);
    let Bench { connection, handler, out, scratch, now, .. } = &mut bench;
    connection.take_turn(handler, out, scratch, *now, unread()).expect("it waits");
    assert_eq!(out.pop_touched(), Some(id));
    connection.settle(out, OUTPUT_LIMIT, IDLE, usize::MAX, *now).expect("it waits");
    assert_eq!(connection.deadline, Some(*now + IDLE));
}

#[test]
fn too_much_unread_output_ends_it() {
    let mut bench = Bench::new();
    bench.connection.stream.room = 0;
    let id = bench.connection.id();
    bench.out.output(id).expect("open").push(&vec![b'x'; OUTPUT_LIMIT + 1]);
    let step = bench.connection.settle(&mut bench.out, OUTPUT_LIMIT, IDLE, usize::MAX, bench.now);
    assert_eq!(step, Err(CloseReason::OutputLimit));
}

#[test]
fn a_closed_connection_says_its_last_word_and_reads_on_until_the_peer_is_done() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.out.output(id).expect("open").push(b"bye\n");
    bench.out.close(id);
    bench.arrive(b"unread\n", READABLE);
    bench.turn().expect("it lingers");
    bench.check(b"bye\n", 0, true);
    assert!(bench.connection.stream.shut);
    while bench.connection.is_ready() {
        bench.turn().expect("it lingers");
    }
    assert_eq!(bench.handler.calls, 0, "nothing is handed over any more");
    assert_eq!(bench.connection.deadline, Some(bench.now + LINGER));
    bench.finish();
    assert_eq!(bench.turn(), Err(CloseReason::Closed));
}

#[test]
fn a_last_word_that_nobody_takes_is_given_up() {
    let mut bench = Bench::new();
    let id = bench.connection.id();
    bench.connection.stream.room = 0;
    bench.out.output(id).expect("open").push(b"bye\n");
    bench.out.close(id);
    bench.turn().expect("it waits");
    let deadline = bench.connection.deadline.expect("not for ever");
    assert_eq!(deadline, bench.now + FLUSH_PATIENCE);
    let step = bench.connection.overdue(&mut bench.handler, &mut bench.out, deadline);
    assert_eq!(step, Err(CloseReason::Stuck));
}

#[test]
fn after_the_end_of_input_new_events_make_no_turn() {
    let mut bench = Bench::new();
    bench.handler.next = Next::Wait;
    bench.connection.end_input();
    bench.turn().expect("it lingers");
    assert_eq!(bench.handler.ended, 1);
    let mut waiting = Bench::new();
    waiting.connection.end_input();
    waiting.connection.eof_delivered = true;
    waiting.arrive(b"late\n", READABLE);
    assert!(!waiting.connection.is_ready());
}

#[test]
fn an_idle_connection_is_small() {
    let own = size_of::<Option<Connection<u32>>>();
    assert!(own <= 80, "{own} bytes");
}
