//! Handlers in plain memory, on virtual time: no socket, no clock, no thread.
//!
//! A [`World`] holds *nodes*, each a `Handler` with its outbox and real `Connection`s, and the
//! test's own *hands*, joined by links: two pipes of parcels, each with the time at which it
//! arrives.
//!
//! ```text
//!   hand ══ link ══ node (Proxy) ══ link ══ node (Server)
//!           │ to the acceptor:  Bytes("GET k\r\n") at 3 ms, Fin at 5 ms
//!           └ to the initiator: Bytes("v\r\n") at 9 ms
//! ```
//!
//! A *step* lets what is due arrive, and gives each node one tick of the reactor's own loop.
//! [`World::run`] steps until nothing moves;
//! [`World::advance`] goes from one due moment to the next. Everything follows from the seed.
//!
//! ```text
//! let mut world = World::new(1);
//! let server = world.add_server(Server::new(Settings::default(), world.now()));
//! let client = world.connect(server);
//! assert_eq!(world.exchange(client, [b"PUT a 1\r\n", b"GET a\r\n"]), b"OK\r\n1\r\n");
//! ```

#[path = "../simulation/network.rs"]
pub mod network;

#[path = "../simulation/node.rs"]
mod node;

pub use super::random::Random;
use larder::base::buffer::Buffer;
use larder::handler::{CloseReason, Handler, Next, Outbox, Via};
use larder::proxy::Proxy;
use larder::reactor::Exit;
use larder::server::Server;
use larder::settings::limits::Limits;
use larder::stats::Stat;
use network::{End, Network, Parcel, Pulse, Site};
pub use network::{LinkId, Reach, Side, Stamp, Weather};
pub use node::Order;
use node::{CALLER, Node, Policy};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Steps at one moment after which nobody believes that it will ever be quiet.
const MOST_STEPS: usize = 1_000_000;

/// Names a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(usize);

/// A test's own connection to a node: a link whose initiator is the test.
pub type ClientId = LinkId;

/// Nodes, links and the time.
pub struct World {
    nodes: Vec<Node>,
    net: Network,
}

/// Building it, and time.
impl World {
    pub fn new(seed: u64) -> World {
        World { nodes: Vec::new(), net: Network::new(seed) }
    }

    pub fn now(&self) -> Instant {
        self.net.now
    }

    pub fn stamp(&self) -> Stamp {
        self.net.stamp()
    }

    /// The source of all that is random here.
    pub fn random(&mut self) -> &mut Random {
        &mut self.net.random
    }

    pub fn add_server(&mut self, server: Server) -> NodeId {
        self.add_node(server)
    }

    /// Any other handler.
    pub fn add_node(&mut self, handler: impl Handler + 'static) -> NodeId {
        self.add(Some(Box::new(handler)))
    }

    /// The proxy's upstream is the [`World::address`] of another node.
    pub fn add_proxy(&mut self, proxy: Proxy) -> NodeId {
        self.add_node(proxy)
    }

    /// A node played by the test: each connection to it is a hand, see [`World::hands`].
    pub fn add_by_hand(&mut self) -> NodeId {
        self.add(None)
    }

    fn add(&mut self, handler: Option<Box<dyn Handler>>) -> NodeId {
        let index = self.nodes.len();
        let address = SocketAddr::from(([127, 0, 0, 1], 5000 + index as u16));
        let (reach, weather, pulse) = (Reach::Accept, Weather::CALM, Pulse::Runs);
        let frozen_at = self.net.now;
        self.net.sites.push(Site { address, reach, weather, pulse, frozen_at });
        self.nodes.push(Node::new(index, handler.map(Policy), &mut self.net));
        NodeId(index)
    }

    /// The made-up address of a node.
    pub fn address(&self, node: NodeId) -> SocketAddr {
        self.net.sites[node.0].address
    }

    /// What a name stands for from now on, and how long it takes to find out. One that stands for
    /// nothing has no address.
    pub fn set_name(&mut self, name: &str, nodes: &[NodeId], takes: Duration) {
        let addresses = nodes.iter().map(|&node| self.address(node)).collect();
        self.net.names.insert(name.to_string(), (addresses, takes));
    }

    /// What becomes of nodes that connect to a node from now on; a test's own clients always can.
    pub fn set_reach(&mut self, node: NodeId, reach: Reach) {
        self.net.sites[node.0].reach = reach;
    }

    /// The weather of links to a node that are made from now on.
    pub fn set_weather(&mut self, node: NodeId, weather: Weather) {
        self.net.sites[node.0].weather = weather;
    }

    /// The weather of one link, from now on.
    pub fn weather(&mut self, link: LinkId) -> &mut Weather {
        &mut self.net.link_mut(link).weather
    }

    /// How many bytes one read of a node's clients or upstreams brings at most.
    pub fn set_scratch(&mut self, node: NodeId, bytes: usize) {
        if let Some(reactor) = self.nodes[node.0].reactor() {
            reactor.set_read_size(bytes);
        }
    }

    /// The limits of a node's connections; those of its handler are its own.
    pub fn set_limits(&mut self, node: NodeId, limits: Limits) {
        if let Some(reactor) = self.nodes[node.0].reactor() {
            reactor.set_limits(limits);
        }
    }

    /// Kills a node: its connections end, and it refuses new ones.
    pub fn stop(&mut self, node: NodeId) {
        self.net.sites[node.0].pulse = Pulse::Runs;
        self.nodes[node.0].stop(&mut self.net);
    }

    /// Starts a node that was stopped.
    pub fn start(&mut self, node: NodeId, handler: impl Handler + 'static) {
        self.nodes[node.0].start(Policy(Box::new(handler)), &mut self.net);
    }

    /// Freezes a node as SIGSTOP does: it gets no ticks, and what comes for it waits.
    pub fn freeze(&mut self, node: NodeId) {
        self.net.sites[node.0].pulse = Pulse::Frozen;
        self.net.sites[node.0].frozen_at = self.net.now;
    }

    /// Wakes a node that was frozen between two ticks: it finds everything at once that came
    /// meanwhile.
    pub fn wake(&mut self, node: NodeId) {
        self.wake_after(node, None);
    }

    /// Wakes a node that was frozen in the middle of a tick, before it read its clients: of what
    /// came meanwhile it finds their part, and goes on with the clock that it read before.
    pub fn wake_in_tick(&mut self, node: NodeId) {
        self.wake_after(node, Some(self.net.sites[node.0].frozen_at));
    }

    fn wake_after(&mut self, node: NodeId, tick_began: Option<Instant>) {
        if self.is_frozen(node) {
            self.net.sites[node.0].pulse = Pulse::Wakes(tick_began);
        }
    }

    pub fn is_frozen(&self, node: NodeId) -> bool {
        self.net.sites[node.0].pulse == Pulse::Frozen
    }

    /// Spoils the order of a node's ticks from now on.
    pub fn set_order(&mut self, node: NodeId, order: Order) {
        self.nodes[node.0].set_order(order);
    }

    /// Tells a node to answer what it has and to take no more, as a signal does.
    pub fn drain(&mut self, node: NodeId) {
        self.nodes[node.0].drain();
    }

    /// Returns how a node has ended that was told to stop; `None` if it has not.
    pub fn exit(&self, node: NodeId) -> Option<Exit> {
        self.nodes[node.0].exit
    }

    /// One step; whether anything happened.
    pub fn step(&mut self) -> bool {
        self.net.step += 1;
        let mut inboxes: Vec<Vec<_>> = self.nodes.iter().map(|_| Vec::new()).collect();
        let due = self.net.take_due();
        let mut moved = !due.is_empty();
        for (link, side, parcel) in due {
            match self.net.end(link, side) {
                End::Node(node, _) | End::Listening(node) => {
                    inboxes[node].push((link, side, parcel));
                }
                End::Hand | End::Gone => self.net.deliver_by_hand(link, side, parcel),
            }
        }
        for (index, (node, inbox)) in self.nodes.iter_mut().zip(inboxes).enumerate() {
            let mut stopped_at = None;
            match self.net.sites[index].pulse {
                Pulse::Frozen => continue,
                Pulse::Wakes(tick_began) => {
                    self.net.sites[index].pulse = Pulse::Runs;
                    stopped_at = tick_began;
                }
                Pulse::Runs => {}
            }
            if !inbox.is_empty() || node.has_work(&self.net) {
                moved = true;
                node.tick(&mut self.net, inbox, stopped_at);
            }
        }
        moved
    }

    /// Steps until nothing moves, without time passing.
    pub fn run(&mut self) {
        self.run_with(&mut |_| {});
    }

    /// The same; `observe` is called after each step.
    pub fn run_with(&mut self, observe: &mut dyn FnMut(&mut World)) {
        for _ in 0..MOST_STEPS {
            if !self.step() {
                return;
            }
            observe(self);
        }
        panic!("it is never quiet");
    }

    /// Lets time pass; whatever comes due meanwhile happens at its own moment.
    pub fn advance(&mut self, by: Duration) {
        self.advance_with(by, &mut |_| {});
    }

    /// The same; `observe` is called after each step.
    pub fn advance_with(&mut self, by: Duration, observe: &mut dyn FnMut(&mut World)) {
        let end = self.net.now + by;
        loop {
            self.run_with(observe);
            let running = self.nodes.iter_mut().zip(&self.net.sites);
            let running = running.filter(|(_, site)| site.pulse != Pulse::Frozen);
            let own = running.filter_map(|(node, _)| node.next_deadline());
            match own.chain(self.net.next_arrival()).min() {
                Some(next) if next <= end => self.net.now = next,
                _ => break,
            }
        }
        self.net.now = end;
        self.run_with(observe);
    }
}

/// Clients, and what else a test does by hand.
impl World {
    /// A client; what it sends follows at once.
    pub fn connect(&mut self, node: NodeId) -> ClientId {
        self.net.link(End::Hand, node.0)
    }

    /// Sends from a hand.
    pub fn send(&mut self, hand: LinkId, bytes: &[u8]) {
        if let Some(side) = self.side_of(hand) {
            self.net.send(hand, side.other(), Parcel::Bytes(bytes.to_vec()));
        }
    }

    /// Half-closes: it sends no more and still reads.
    pub fn finish(&mut self, hand: LinkId) {
        if let Some(side) = self.side_of(hand) {
            self.net.finish(hand, side.other());
        }
    }

    /// Leaves with a reset; what it sent before is still on its way.
    pub fn cut(&mut self, hand: LinkId) {
        if let Some(side) = self.side_of(hand) {
            self.net.send(hand, side.other(), Parcel::Reset);
            self.net.set_end(hand, side, End::Gone);
        }
    }

    /// Breaks a link: both ends see a reset; only what is on its way to `spared` still arrives.
    pub fn cut_link(&mut self, link: LinkId, spared: Option<Side>) {
        self.net.cut(link, spared);
    }

    /// Holds back what is on its way to one side of a link, or lets it go.
    pub fn silence(&mut self, link: LinkId, towards: Side, silent: bool) {
        self.net.link_mut(link).pipes[towards as usize].silent = silent;
    }

    /// Takes what has come to a hand.
    pub fn received(&mut self, hand: LinkId) -> Vec<u8> {
        self.arrivals(hand).into_iter().flat_map(|(_, bytes)| bytes).collect()
    }

    /// The same, with the time of each piece.
    pub fn arrivals(&mut self, hand: LinkId) -> Vec<(Stamp, Vec<u8>)> {
        std::mem::take(&mut self.net.link_mut(hand).hand.arrivals)
    }

    /// Returns whether the other side closed, reset or refused the connection.
    pub fn is_closed(&mut self, hand: LinkId) -> bool {
        self.net.link_mut(hand).hand.ended
    }

    /// Sends each chunk after the one before has been dealt with; everything that comes back.
    pub fn exchange<C: AsRef<[u8]>>(
        &mut self,
        client: ClientId,
        chunks: impl IntoIterator<Item = C>,
    ) -> Vec<u8> {
        for chunk in chunks {
            self.send(client, chunk.as_ref());
            self.run();
        }
        self.received(client)
    }

    /// The hands of those who are connected to a node now, oldest first.
    pub fn hands(&self, node: NodeId) -> Vec<LinkId> {
        self.links_to(node).into_iter().filter(|&link| self.side_of(link).is_some()).collect()
    }

    /// The links that nodes have made to a node, in use now.
    pub fn links_to(&self, node: NodeId) -> Vec<LinkId> {
        self.net.links_to(node.0).collect()
    }

    /// What a node's handler answers to these bytes now, on a connection of their own that takes no
    /// time and touches no link.
    pub fn probe(&mut self, node: NodeId, bytes: &[u8]) -> Vec<u8> {
        let now = self.net.now;
        let Some(reactor) = self.nodes[node.0].reactor() else { return Vec::new() };
        let (policy, out) = reactor.handler_and_outbox();
        probe(policy, out, bytes, now)
    }

    /// How many ticks a node has had since it was started.
    pub fn ticks(&mut self, node: NodeId) -> u64 {
        self.nodes[node.0].reactor().map_or(0, |reactor| reactor.ticks())
    }

    /// A node's counter.
    pub fn stat(&self, node: NodeId, stat: Stat) -> u64 {
        self.nodes[node.0].stat(stat)
    }

    fn side_of(&self, hand: LinkId) -> Option<Side> {
        let sides = [Side::Initiator, Side::Acceptor];
        sides.into_iter().find(|&side| self.net.end(hand, side) == End::Hand)
    }
}

/// Returns what a handler answers to these bytes on a connection of their own.
pub fn probe(handler: &mut impl Handler, out: &mut Outbox, bytes: &[u8], now: Instant) -> Vec<u8> {
    let id = out.admit();
    handler.opened(out, id, Via::Listener(CALLER), now);
    let mut input = Buffer::new();
    input.push(bytes);
    let mut reply = Vec::new();
    loop {
        let next = handler.received(out, id, &mut input, now);
        if let Some(output) = out.pending(id) {
            reply.extend(output.to_vec());
            output.clear();
        }
        if next != Next::Drain {
            break;
        }
    }
    out.release(id);
    handler.closed(out, id, CloseReason::Closed, now);
    reply
}
