//! The usual cast: a proxy, and behind it our server, or an upstream that the test plays by hand.

use crate::support::lives::Lives;
use crate::support::world::{ClientId, LinkId, NodeId, World};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, Rule, UpstreamOptions};
use larder::server::Server;
use larder::settings::{PutMode, Settings};
use std::collections::HashMap;
use std::time::Duration;

/// What the proxy is made with, where it matters.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub ttl: Duration,
    pub trust: Duration,
    pub upstream_timeout: Duration,
    pub cache_bytes: usize,
    pub put_mode: PutMode,
    /// The rule that the proxy does without.
    pub broken: Option<Rule>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            ttl: Duration::from_secs(60),
            trust: Duration::from_secs(1),
            upstream_timeout: Duration::from_secs(5),
            cache_bytes: 1 << 20,
            put_mode: PutMode::Create,
            broken: None,
        }
    }
}

impl Setup {
    /// What the proxy is set to.
    pub fn settings(self) -> Settings {
        Settings {
            put_mode: self.put_mode,
            upstream_timeout: self.upstream_timeout,
            ttl: self.ttl,
            trust: self.trust,
            cache_bytes: self.cache_bytes,
            ..Settings::default()
        }
    }

    /// A proxy so set, in front of `upstream`.
    pub fn proxy(self, world: &mut World, upstream: UpstreamOptions) -> Proxy {
        let proxy = Proxy::new(self.settings(), upstream, world.now());
        match self.broken {
            Some(rule) => proxy.without(rule),
            None => proxy,
        }
    }
}

/// An upstream that is a node.
pub fn upstream_options(world: &mut World, node: NodeId) -> UpstreamOptions {
    UpstreamOptions {
        address: world.address(node).to_string(),
        credentials: Source::default(),
        database: 0,
        seed: world.random().next(),
    }
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
    pub fn with_server(seed: u64, setup: Setup) -> Scene {
        let mut world = World::new(seed);
        let server = new_server(&world);
        let upstream = world.add_server(server);
        Scene::with(world, upstream, setup)
    }

    /// A proxy whose upstream is the test's.
    pub fn by_hand(setup: Setup) -> Scene {
        let mut world = World::new(1);
        let upstream = world.add_by_hand();
        let mut scene = Scene::with(world, upstream, setup);
        scene.world.run();
        scene.link();
        scene
    }

    fn with(mut world: World, upstream: NodeId, setup: Setup) -> Scene {
        let options = upstream_options(&mut world, upstream);
        Scene::with_options(world, upstream, setup, options)
    }

    /// A proxy so set, with these options, and the upstream that they mean.
    pub fn with_options(
        mut world: World,
        upstream: NodeId,
        setup: Setup,
        options: UpstreamOptions,
    ) -> Scene {
        let proxy = setup.proxy(&mut world, options);
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
        let mut lines = text.split("\r\n");
        while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')) {
            let count = count.parse().expect("a number of words");
            let words: Vec<_> = (0..count).filter_map(|_| lines.nth(1)).collect();
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

pub fn new_server(world: &World) -> Server {
    Server::new(Settings::default(), world.now())
}

/// Whether a request is of those that a connection begins with.
fn is_greeting(request: &str) -> bool {
    ["HELLO", "AUTH", "SELECT", "CLIENT", "COMMAND"].iter().any(|word| request.starts_with(word))
}
