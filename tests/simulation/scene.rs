//! The usual cast: a proxy, and behind it our server, or an upstream that the test plays by hand.

use crate::support::lives::Lives;
use crate::support::resp::take_request;
use crate::support::world::{ClientId, LinkId, NodeId, World};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::server::Server;
use larder::settings::Settings;
use std::collections::HashMap;

/// An upstream that is a node.
pub fn upstream_options(world: &mut World, node: NodeId) -> UpstreamOptions {
    UpstreamOptions {
        address: world.address(node).to_string(),
        credentials: Source::default(),
        database: 0,
        seed: world.random().next(),
    }
}

/// Returns a proxy so set, in front of a node.
pub fn proxy(world: &mut World, upstream: NodeId, settings: Settings) -> Proxy {
    let options = upstream_options(world, upstream);
    Proxy::new(settings, options, world.now())
}

pub struct Scene {
    pub world: World,
    pub proxy: NodeId,
    /// Our server, or a node by hand.
    pub upstream: NodeId,
    /// The connections to an upstream by hand whose greeting is answered.
    greeted: Vec<LinkId>,
    heard: HashMap<LinkId, Heard>,
}

/// What has come on one connection to an upstream by hand.
#[derive(Default)]
struct Heard {
    lives: Lives,
    /// Requests that the test has not asked for.
    requests: Vec<String>,
}

/// What every connection to an upstream begins with, and what an upstream by hand says to it.
const NEITHER: [&str; 2] = ["-ERR unknown command 'HELLO'\r\n", "*0\r\n"];

impl Scene {
    /// A proxy in front of our server.
    pub fn with_server(seed: u64, settings: Settings) -> Scene {
        let mut world = World::new(seed);
        let server = Server::new(Settings::default(), world.now());
        let upstream = world.add_server(server);
        let proxy = proxy(&mut world, upstream, settings);
        Scene::new(world, upstream, proxy)
    }

    /// A proxy whose upstream is the test's.
    pub fn by_hand(settings: Settings) -> Scene {
        let mut world = World::new(1);
        let upstream = world.add_by_hand();
        let proxy = proxy(&mut world, upstream, settings);
        let mut scene = Scene::new(world, upstream, proxy);
        scene.world.run();
        scene.link();
        scene
    }

    /// This proxy, and the upstream that it was made for.
    pub fn new(mut world: World, upstream: NodeId, proxy: Proxy) -> Scene {
        let proxy = world.add_proxy(proxy);
        Scene { world, proxy, upstream, greeted: Vec::new(), heard: HashMap::new() }
    }

    /// A client of the proxy.
    pub fn client(&mut self) -> ClientId {
        let client = self.world.connect(self.proxy);
        self.world.run();
        client
    }

    /// Sends a line, and lets everything happen that takes no time; what the client has then.
    #[track_caller]
    pub fn ask(&mut self, client: ClientId, line: &str) -> String {
        self.world.send(client, format!("{line}\r\n").as_bytes());
        self.world.run();
        self.heard(client)
    }

    /// What a client has received since it was last asked.
    pub fn heard(&mut self, client: ClientId) -> String {
        String::from_utf8(self.world.received(client)).expect("UTF-8")
    }

    /// The newest connection of the proxy to an upstream by hand, its greeting answered.
    #[track_caller]
    pub fn link(&mut self) -> LinkId {
        let link = *self.world.hands(self.upstream).last().expect("the proxy is connected");
        if !self.greeted.contains(&link) {
            self.greeted.push(link);
            NEITHER.iter().for_each(|answer| self.reply(link, answer));
        }
        link
    }

    /// The requests that came to an upstream by hand on one connection, after the greeting; their
    /// words joined. None after the life of a key: see [`Lives`].
    pub fn asked(&mut self, link: LinkId) -> Vec<String> {
        let mut requests = self.requests(link);
        requests.retain(|request| !is_greeting(request));
        requests
    }

    /// The same with the greeting.
    pub fn requests(&mut self, link: LinkId) -> Vec<String> {
        std::mem::take(&mut self.listen(link).requests)
    }

    /// Takes what has come on a connection to an upstream by hand.
    fn listen(&mut self, link: LinkId) -> &mut Heard {
        let text = String::from_utf8(self.world.received(link)).expect("UTF-8");
        let heard = self.heard.entry(link).or_default();
        let mut rest = text.as_str();
        while let Some(words) = take_request(&mut rest) {
            let request = words.join(" ");
            if is_greeting(&request) || heard.lives.note(&request) {
                heard.requests.push(request);
            }
        }
        heard
    }

    /// Replies from an upstream by hand.
    pub fn reply(&mut self, link: LinkId, bytes: &str) {
        let bytes = self.listen(link).lives.reply(bytes.as_bytes());
        self.world.send(link, &bytes);
        self.world.run();
    }

    /// How many requests of one kind our server has carried out: `count("get")`.
    pub fn count(&mut self, command: &str) -> usize {
        let stats = self.world.probe(self.upstream, b"STATS\r\n");
        let stats = String::from_utf8(stats).expect("UTF-8");
        let row = format!("requests_{command} ");
        let count = stats.lines().find_map(|line| line.strip_prefix(&row));
        count.map_or(0, |count| count.parse().expect("a number"))
    }
}

/// Whether a request is of those that a connection begins with.
fn is_greeting(request: &str) -> bool {
    ["HELLO", "AUTH", "SELECT", "CLIENT", "COMMAND"].iter().any(|word| request.starts_with(word))
}
