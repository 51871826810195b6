//! Requests cost no memory: once warm, the server carries them out without asking the allocator for
//! any, and so does the proxy with what is in its cache.

mod support;

use allocation_counter::measure;
use larder::base::buffer::Buffer;
use larder::handler::{CloseReason, ConnId, Handler, Next, Outbox, Via};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::server::Server;
use larder::settings::Settings;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::resp::resp_request;
use support::world::{ClientId, World};

/// Requests in one piece of input.
const PIPELINE: usize = 50;
const VALUE: &str = "12345678901234567890123456789012";

/// A handler, and how often it has allocated memory for what it received.
struct Counted<H> {
    handler: H,
    allocations: Rc<Cell<u64>>,
}

impl<H: Handler> Handler for Counted<H> {
    fn received(
        &mut self,
        out: &mut Outbox,
        conn: ConnId,
        input: &mut Buffer,
        now: Instant,
    ) -> Next {
        let mut next = Next::Wait;
        let made = measure(|| next = self.handler.received(out, conn, input, now));
        self.allocations.set(self.allocations.get() + made.count_total);
        next
    }

    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) {
        self.handler.opened(out, conn, via, now);
    }

    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) {
        self.handler.input_ended(out, conn, now);
    }

    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> {
        self.handler.timed_out(out, conn, now)
    }

    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) {
        self.handler.closed(out, conn, why, now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.handler.next_deadline()
    }

    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) {
        self.handler.deadline_reached(out, now);
    }

    fn idle_timeout(&self) -> Duration {
        self.handler.idle_timeout()
    }

    fn expected_len(&self, conn: ConnId) -> usize {
        self.handler.expected_len(conn)
    }

    fn wants_fresh_time(&self) -> bool {
        self.handler.wants_fresh_time()
    }

    fn check_invariants(&self) {
        self.handler.check_invariants();
    }
}

/// A handler in a world, and a client of it.
struct Stage {
    world: World,
    client: ClientId,
    allocations: Rc<Cell<u64>>,
}

impl Stage {
    fn server() -> Stage {
        let mut world = World::new(1);
        let allocations = Rc::default();
        let handler = Server::new(Settings::default(), world.now());
        let node = world.add_node(Counted { handler, allocations: Rc::clone(&allocations) });
        let client = world.connect(node);
        Stage { world, client, allocations }
    }

    /// A proxy in front of a server.
    fn proxy() -> Stage {
        let mut world = World::new(1);
        let allocations = Rc::default();
        let server = Server::new(Settings::default(), world.now());
        let server = world.add_server(server);
        let settings = Settings {
            ttl: Duration::from_secs(3600),
            trust: Duration::from_secs(3600),
            ..Settings::default()
        };
        let options = UpstreamOptions {
            address: world.address(server).to_string(),
            credentials: Source::default(),
            database: 0,
            seed: 1,
        };
        let handler = Proxy::new(settings, options, world.now());
        let node = world.add_node(Counted { handler, allocations: Rc::clone(&allocations) });
        let client = world.connect(node);
        Stage { world, client, allocations }
    }

    /// Sends the same requests again and again, and sees that no memory is taken for the last.
    #[track_caller]
    fn check(&mut self, request: &[u8], reply: &str) {
        let input = request.repeat(PIPELINE);
        for _ in 0..3 {
            self.allocations.set(0);
            let replies = self.world.exchange(self.client, [&input]);
            assert_eq!(String::from_utf8_lossy(&replies), reply.repeat(PIPELINE));
        }
        let shown = request.escape_ascii();
        assert_eq!(self.allocations.get(), 0, "{shown} should take no memory");
    }
}

fn array(words: &str) -> Vec<u8> {
    resp_request(&words.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_warm_server_allocates_nothing() {
    let mut stage = Stage::server();
    let value = format!("${}\r\n{VALUE}\r\n", VALUE.len());
    stage.check(&array(&format!("SET key {VALUE}")), "+OK\r\n");
    stage.check(format!("set key {VALUE}\r\n").as_bytes(), "OK\r\n");
    stage.check(&array("GET key"), &value);
    stage.check(b"get key\r\n", &format!("{VALUE}\r\n"));
    stage.check(&array("GET none"), "$-1\r\n");
    stage.check(b"get none\r\n", "Key not found\r\n");
    stage.check(&array("MGET key none key"), &format!("*3\r\n{value}$-1\r\n{value}"));
    stage.check(&array("EXISTS key none"), ":1\r\n");
    stage.check(&array("DEL none"), ":0\r\n");
    stage.check(&array("TTL key"), ":-1\r\n");
}

#[test]
fn a_warm_proxy_allocates_nothing_for_hits() {
    let mut stage = Stage::proxy();
    let value = format!("${}\r\n{VALUE}\r\n", VALUE.len());
    let stored = stage.world.exchange(stage.client, [array(&format!("SET key {VALUE}"))]);
    assert_eq!(stored, b"+OK\r\n");
    stage.check(&array("GET key"), &value);
    stage.check(b"get key\r\n", &format!("{VALUE}\r\n"));
    stage.check(&array("GET none"), "$-1\r\n");
    stage.check(b"get none\r\n", "Key not found\r\n");
}
