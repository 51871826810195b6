//! Requests cost no memory: once warm, the server carries them out without asking the allocator for
//! any, and so does the proxy with what is in its cache.

mod support;

use allocation_counter::measure;
use larder::handler::Handler;
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::server::Server;
use larder::settings::Settings;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use support::around::Around;
use support::resp::resp_request;
use support::world::{ClientId, World};

/// Requests in one piece of input.
const PIPELINE: usize = 50;
const VALUE: &str = "12345678901234567890123456789012";

/// A handler in a world, and a client of it.
struct Stage {
    world: World,
    client: ClientId,
    allocations: Rc<Cell<u64>>,
}

impl Stage {
    /// Counts how often the handler allocates memory for what it is told.
    fn new<H: Handler + 'static>(mut world: World, handler: H) -> Stage {
        let allocations = Rc::new(Cell::new(0));
        let sum = Rc::clone(&allocations);
        let around = move |handler: &mut H, call: &mut dyn FnMut(&mut H)| {
            let made = measure(|| call(handler));
            sum.set(sum.get() + made.count_total);
        };
        let node = world.add_node(Around { handler, around });
        let client = world.connect(node);
        Stage { world, client, allocations }
    }

    fn server() -> Stage {
        let world = World::new(1);
        let handler = Server::new(Settings::default(), world.now());
        Stage::new(world, handler)
    }

    /// A proxy in front of a server.
    fn proxy() -> Stage {
        let mut world = World::new(1);
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
        Stage::new(world, handler)
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
