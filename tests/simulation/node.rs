//! One node of a `World`: a handler in the reactor's own loop, on a network of plain memory.
//!
//! Before each tick the node turns what has arrived on its links into bytes of streams and events;
//! the reactor's tick reads and writes streams; after it, what was written goes to the links.

use super::network::{End, FakeStream, LinkId, Network, Parcel, Reach, Side};
use larder::base::buffer::Buffer;
use larder::handler::{CloseReason, ConnId, Handler, Next, Outbox, Via};
use larder::reactor::connection::Readiness;
use larder::reactor::network::{self, Answer, NetworkEvent};
use larder::reactor::{Exit, Reactor};
use larder::settings::limits::Limits;
use larder::stats::Stat;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Where clients come from, as far as handlers are told.
pub const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);

/// The wall clock's time at the beginning of each world.
const TIME_OF_DAY: Duration = Duration::from_secs(1_800_000_000);

/// Any handler.
pub struct Policy(pub Box<dyn Handler>);

#[rustfmt::skip]
impl Handler for Policy {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) { self.0.opened(out, conn, via, now); }
    fn received(&mut self, out: &mut Outbox, conn: ConnId, input: &mut Buffer, now: Instant) -> Next { self.0.received(out, conn, input, now) }
    fn idle_timeout(&self) -> Duration { self.0.idle_timeout() }
    fn expected_len(&self, conn: ConnId) -> usize { self.0.expected_len(conn) }
    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) { self.0.input_ended(out, conn, now); }
    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> { self.0.timed_out(out, conn, now) }
    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) { self.0.closed(out, conn, why, now); }
    fn next_deadline(&self) -> Option<Instant> { self.0.next_deadline() }
    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) { self.0.deadline_reached(out, now); }
    fn wants_fresh_time(&self) -> bool { self.0.wants_fresh_time() }
    fn check_invariants(&self) { self.0.check_invariants(); }
}

/// What is wrong with a node's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    UpstreamsFirst,
    /// Clients are served before what has come from upstream is read.
    ClientsFirst,
    /// Upstreams are read only if poll has reported them, also when it could not report all.
    UpstreamsIfReported,
}

/// A node's end of all its links. It has the network of the whole world while the node's tick runs.
pub struct Surroundings {
    index: usize,
    net: Option<Box<Network>>,
    /// Its connections.
    ids: Vec<ConnId>,
    events: Vec<NetworkEvent>,
    /// Poll had no room for the events of upstreams, and says so.
    events_full: bool,
    /// When the tick that begins now seems to begin: the process was stopped since.
    seeming_now: Option<Instant>,
    is_stopped_in_tick: bool,
    /// Links whose initiators wait to be accepted.
    backlog: VecDeque<LinkId>,
    /// Its listeners are open.
    is_listening: bool,
    /// Names that are looked up, and when that ends.
    lookups: Vec<(Instant, String)>,
    /// The connection that went last: an event for it may have been reported before.
    gone: Option<ConnId>,
}

impl Surroundings {
    fn net(&mut self) -> &mut Network {
        self.net.as_mut().expect("it is lent while the node's tick runs")
    }
}

impl network::Network for Surroundings {
    type Stream = FakeStream;

    fn poll(&mut self, _: Option<Duration>, events: &mut Vec<NetworkEvent>) -> io::Result<bool> {
        events.append(&mut self.events);
        self.is_stopped_in_tick = self.seeming_now.is_some();
        Ok(std::mem::take(&mut self.events_full))
    }

    fn now(&mut self) -> Instant {
        let seeming = self.seeming_now.take_if(|_| self.is_stopped_in_tick);
        seeming.unwrap_or_else(|| self.net().now)
    }

    fn time_of_day(&self) -> Duration {
        let net = self.net.as_ref().expect("it is lent while the node's tick runs");
        TIME_OF_DAY + net.now.saturating_duration_since(net.began)
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        Ok(address)
    }

    fn accept(&mut self, _: usize) -> io::Result<(FakeStream, SocketAddr)> {
        let index = self.index;
        while let Some(link) = self.backlog.pop_front() {
            let net = self.net();
            let reach = reach(net, index, link);
            if reach == Reach::Accept {
                return Ok((FakeStream::new(link, Side::Acceptor), CALLER));
            }
            net.set_end(link, Side::Acceptor, End::Gone);
            if reach != Reach::Ignore {
                net.send(link, Side::Initiator, Parcel::Refused);
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    fn close_listeners(&mut self) {
        self.is_listening = false;
        for link in std::mem::take(&mut self.backlog) {
            refuse(self.net(), link);
        }
    }

    fn register(&mut self, stream: &mut FakeStream, id: ConnId) -> io::Result<()> {
        let (index, link) = (self.index, stream.link);
        stream.is_open = true;
        stream.room = self.net().room(link, Side::Initiator);
        self.net().set_end(link, Side::Acceptor, End::Node(index, id));
        self.net().send(link, Side::Initiator, Parcel::Connected);
        self.ids.push(id);
        Ok(())
    }

    fn connect(&mut self, to: SocketAddr, id: ConnId) -> io::Result<FakeStream> {
        let (index, net) = (self.index, self.net());
        let site = net.sites.iter().position(|site| site.address == to).expect("a known address");
        if net.sites[site].reach == Reach::RefuseAtOnce {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let link = net.link(End::Node(index, id), site);
        self.ids.push(id);
        Ok(FakeStream::new(link, Side::Initiator))
    }

    fn look_up(&mut self, name: &str) -> io::Result<()> {
        let takes = self.net().names.get(name).map_or(Duration::ZERO, |it| it.1);
        let known_at = self.net().now + takes;
        self.lookups.push((known_at, name.to_string()));
        Ok(())
    }

    fn close(&mut self, mut stream: FakeStream) {
        if let End::Node(_, id) = self.net().end(stream.link, stream.side) {
            self.ids.retain(|&other| other != id);
            self.gone = Some(id);
        }
        leave(self.net(), &mut stream);
    }
}

/// A handler in a reactor, or the place of one.
pub struct Node {
    index: usize,
    /// None: stopped.
    reactor: Option<Box<Reactor<Policy, Surroundings>>>,
    /// Those who connect to it get the test's own hand.
    is_by_hand: bool,
    /// Connections that have more to write than their streams take.
    blocked: Vec<ConnId>,
    /// Events that poll had no room for, and parcels that it had not seen.
    unreported: Vec<(ConnId, Readiness)>,
    unseen: Vec<(LinkId, Side, Parcel)>,
    /// It was told to stop, and has ended so.
    pub exit: Option<Exit>,
    order: Order,
}

impl Node {
    pub fn new(index: usize, policy: Option<Policy>, net: &mut Network) -> Node {
        let mut node = Node {
            index,
            is_by_hand: policy.is_none(),
            reactor: None,
            blocked: Vec::new(),
            unreported: Vec::new(),
            unseen: Vec::new(),
            exit: None,
            order: Order::UpstreamsFirst,
        };
        if let Some(policy) = policy {
            node.start(policy, net);
        }
        node
    }

    /// Starts a handler where there is none.
    pub fn start(&mut self, policy: Policy, net: &mut Network) {
        assert!(self.reactor.is_none(), "it was stopped");
        let (index, address) = (self.index, net.sites[self.index].address);
        let surroundings = Surroundings {
            index,
            net: Some(Box::new(std::mem::replace(net, Network::new(0)))),
            ids: Vec::new(),
            events: Vec::new(),
            events_full: false,
            seeming_now: None,
            is_stopped_in_tick: false,
            backlog: VecDeque::new(),
            is_listening: true,
            lookups: Vec::new(),
            gone: None,
        };
        let mut reactor = Reactor::new(surroundings, policy, Limits::default());
        reactor.listen(address).expect("it can always listen");
        *net = *reactor.network().net.take().expect("it was lent");
        self.reactor = Some(Box::new(reactor));
    }

    pub fn reactor(&mut self) -> Option<&mut Reactor<Policy, Surroundings>> {
        self.reactor.as_deref_mut()
    }

    pub fn stat(&self, stat: Stat) -> u64 {
        self.reactor.as_ref().map_or(0, |reactor| reactor.stats().get(stat))
    }

    pub fn set_order(&mut self, order: Order) {
        self.order = order;
        if order == Order::ClientsFirst
            && let Some(reactor) = &mut self.reactor
        {
            reactor.serve_clients_first();
        }
    }

    pub fn next_deadline(&mut self) -> Option<Instant> {
        let reactor = self.reactor.as_mut()?;
        let lookup = reactor.network().lookups.iter().map(|it| it.0).min();
        [reactor.next_deadline(), lookup].into_iter().flatten().min()
    }

    pub fn has_work(&mut self, net: &Network) -> bool {
        let Some(reactor) = &mut self.reactor else { return false };
        let mut has_room = |&id: &ConnId| {
            let stream = reactor.stream(id);
            stream.is_some_and(|stream| net.room(stream.link, stream.side.other()) > 0)
        };
        self.blocked.iter().any(&mut has_room)
            || !self.unreported.is_empty()
            || !self.unseen.is_empty()
            || !reactor.network().events.is_empty()
            || reactor.has_work()
            || self.next_deadline().is_some_and(|at| at <= net.now)
    }

    /// Tells it to stop, as a signal does.
    pub fn drain(&mut self) {
        if let Some(reactor) = &mut self.reactor {
            reactor.network().events.push(NetworkEvent::Stop);
        }
    }

    /// Runs one tick with what has arrived. `stopped_at`: the process was stopped in the middle of
    /// this tick, which began then: what has come from upstream since then it has not seen.
    pub fn tick(
        &mut self,
        net: &mut Network,
        inbox: Vec<(LinkId, Side, Parcel)>,
        stopped_at: Option<Instant>,
    ) {
        let Some(mut reactor) = self.reactor.take() else { return self.turn_away(net, inbox) };
        let events_full = net.random.chance(net.sites[self.index].weather.spurious);
        for (id, event) in std::mem::take(&mut self.unreported) {
            reactor.network().events.push(NetworkEvent::Connection(id, event));
        }
        let unseen = std::mem::take(&mut self.unseen);
        for (link, side, parcel) in unseen.into_iter().chain(inbox) {
            match (parcel, net.end(link, side)) {
                (Parcel::Connect, _) if !reactor.network().is_listening => refuse(net, link),
                (Parcel::Connect, _) => {
                    reactor.network().backlog.push_back(link);
                    reactor.network().events.push(NetworkEvent::Listener(0));
                }
                (parcel, End::Node(..)) if stopped_at.is_some() && side == Side::Initiator => {
                    self.unseen.push((link, side, parcel));
                }
                (parcel, End::Node(_, id)) => {
                    self.arrived(&mut reactor, net, id, parcel, events_full);
                }
                _ => {}
            }
        }
        self.note_room(&mut reactor, net);
        resolve(reactor.network(), net);
        add_spurious_events(&mut reactor, net);
        let surroundings = reactor.network();
        surroundings.events_full = events_full && self.order != Order::UpstreamsIfReported;
        surroundings.seeming_now = stopped_at;
        surroundings.net = Some(Box::new(std::mem::replace(net, Network::new(0))));
        let exit = reactor.tick().expect("poll cannot fail");
        *net = *reactor.network().net.take().expect("it was lent");
        self.take_written(&mut reactor, net);
        self.reactor = Some(reactor);
        if exit.is_some() {
            self.stop(net);
            self.exit = exit;
        }
    }

    /// Nobody is there: who connects is refused, or gets the test's own hand.
    fn turn_away(&mut self, net: &mut Network, inbox: Vec<(LinkId, Side, Parcel)>) {
        for (link, side, parcel) in inbox {
            if !matches!(parcel, Parcel::Connect) {
                continue;
            }
            let reach = reach(net, self.index, link);
            let is_hand = self.is_by_hand && reach == Reach::Accept;
            net.set_end(link, side, if is_hand { End::Hand } else { End::Gone });
            if reach != Reach::Ignore {
                let answer = if is_hand { Parcel::Connected } else { Parcel::Refused };
                net.send(link, side.other(), answer);
            }
        }
    }

    /// With `events_full`, poll reports what comes from upstream only next time.
    fn arrived(
        &mut self,
        reactor: &mut Reactor<Policy, Surroundings>,
        net: &mut Network,
        id: ConnId,
        parcel: Parcel,
        events_full: bool,
    ) {
        let Some(stream) = reactor.stream(id) else { return };
        stream.urgent = net.link_mut(stream.link).weather.urgent;
        let mut event = Readiness { readable: true, read_on: stream.urgent, ..Default::default() };
        match parcel {
            Parcel::Bytes(bytes) => stream.arrive(bytes),
            Parcel::Fin => {
                stream.fin = true;
                event.read_on = true;
                event.broken = stream.is_shut;
            }
            Parcel::Connected => stream.is_open = true,
            Parcel::Reset | Parcel::Refused | Parcel::Connect => {
                stream.reset = true;
                event.broken = true;
            }
        }
        if events_full && stream.side == Side::Initiator {
            self.unreported.push((id, event));
        } else {
            reactor.network().events.push(NetworkEvent::Connection(id, event));
        }
    }

    /// Tells streams how much they can take now, and their owners of those that were full.
    fn note_room(&mut self, reactor: &mut Reactor<Policy, Surroundings>, net: &Network) {
        for index in 0..reactor.network().ids.len() {
            let id = reactor.network().ids[index];
            let Some(stream) = reactor.stream(id) else { continue };
            stream.room = net.room(stream.link, stream.side.other());
            if stream.room > 0 && std::mem::take(&mut stream.is_blocked) {
                let event = Readiness { writable: true, ..Default::default() };
                reactor.network().events.push(NetworkEvent::Connection(id, event));
            }
        }
    }

    /// Takes what was written to the links.
    fn take_written(&mut self, reactor: &mut Reactor<Policy, Surroundings>, net: &mut Network) {
        self.blocked.clear();
        for index in 0..reactor.network().ids.len() {
            let id = reactor.network().ids[index];
            let Some(stream) = reactor.stream(id) else { continue };
            take_outgoing(net, stream);
            net.link_mut(stream.link).pipes[stream.side as usize].unread = stream.unread();
            if stream.is_blocked {
                self.blocked.push(id);
            }
        }
    }

    /// Ends as a process does that is killed.
    pub fn stop(&mut self, net: &mut Network) {
        if let Some(mut reactor) = self.reactor.take() {
            for id in std::mem::take(&mut reactor.network().ids) {
                if let Some(stream) = reactor.stream(id) {
                    leave(net, stream);
                }
            }
            for link in std::mem::take(&mut reactor.network().backlog) {
                refuse(net, link);
            }
        }
        *self = Node::new(self.index, None, net);
        self.is_by_hand = false;
    }
}

/// Turns away who wants to connect.
fn refuse(net: &mut Network, link: LinkId) {
    net.set_end(link, Side::Acceptor, End::Gone);
    net.send(link, Side::Initiator, Parcel::Refused);
}

/// What becomes of those who connect to a node; the test's own hands always can.
fn reach(net: &Network, node: usize, link: LinkId) -> Reach {
    match net.end(link, Side::Initiator) {
        End::Hand => Reach::Accept,
        _ => net.sites[node].reach,
    }
}

/// Events that mean nothing, or come too late.
fn add_spurious_events(reactor: &mut Reactor<Policy, Surroundings>, net: &mut Network) {
    let spurious = net.sites[reactor.network().index].weather.spurious;
    if spurious == 0 {
        return;
    }
    for id in reactor.network().ids.clone() {
        let is_open = reactor.stream(id).is_some_and(|stream| stream.is_open);
        if net.random.chance(spurious) && is_open {
            let (readable, writable) = (net.random.chance(50), net.random.chance(50));
            let read_on = readable && net.random.chance(50);
            let event = Readiness { readable, writable, read_on, broken: false };
            reactor.network().events.push(NetworkEvent::Connection(id, event));
        }
    }
    if let Some(id) = reactor.network().gone {
        let every = Readiness { readable: true, writable: true, read_on: true, broken: true };
        reactor.network().events.push(NetworkEvent::Connection(id, every));
    }
}

/// Answers the lookups that have ended by now.
fn resolve(surroundings: &mut Surroundings, net: &Network) {
    for (_, name) in surroundings.lookups.extract_if(.., |it| it.0 <= net.now) {
        let addresses = net.names.get(&name).map_or(Vec::new(), |it| it.0.clone());
        surroundings.events.push(NetworkEvent::Resolved(Box::new(Answer { name, addresses })));
    }
}

/// Takes what a connection wrote to its link.
fn take_outgoing(net: &mut Network, stream: &mut FakeStream) {
    let other = stream.side.other();
    if !stream.outgoing.is_empty() {
        net.send(stream.link, other, Parcel::Bytes(std::mem::take(&mut stream.outgoing)));
    }
    if stream.is_shut {
        net.finish(stream.link, other);
    }
}

/// What closing a socket does: what was written still arrives, then the other side sees the end, or
/// a reset if something was left unread.
fn leave(net: &mut Network, stream: &mut FakeStream) {
    stream.is_shut |= stream.unread() == 0;
    take_outgoing(net, stream);
    if !stream.is_shut {
        net.send(stream.link, stream.side.other(), Parcel::Reset);
    }
    net.set_end(stream.link, stream.side, End::Gone);
}
