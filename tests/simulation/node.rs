//! One node of a `World`: a handler, with all that the reactor would keep for it, and the reactor's
//! tick over fake streams.

use super::network::{End, FakeStream, LinkId, Network, Parcel, Reach, Side};
use larder::base::buffer::Buffer;
use larder::base::buffer::SCRATCH_BYTES;
use larder::base::clock::WallClock;
use larder::handler::{CloseMode, CloseReason, ConnId, Connect, Handler, Next, Outbox, Via};
use larder::reactor::MIN_WRITE;
use larder::reactor::connection::{Connection, Kind, Readiness, Step};
use larder::reactor::connection_table::ConnectionTable;
use larder::settings::limits::Limits;
use larder::stats::Stat;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Where clients come from, as far as handlers are told.
pub const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);

/// Any handler.
pub struct Policy(pub Box<dyn Handler>);

#[rustfmt::skip]
impl Handler for Policy {
    fn opened(&mut self, out: &mut Outbox, conn: ConnId, via: Via, now: Instant) { self.0.opened(out, conn, via, now); }
    fn received(&mut self, out: &mut Outbox, conn: ConnId, input: &mut Buffer, now: Instant) -> Next { self.0.received(out, conn, input, now) }
    fn expected_len(&self, conn: ConnId) -> usize { self.0.expected_len(conn) }
    fn input_ended(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) { self.0.input_ended(out, conn, now); }
    fn timed_out(&mut self, out: &mut Outbox, conn: ConnId, now: Instant) -> Option<Instant> { self.0.timed_out(out, conn, now) }
    fn closed(&mut self, out: &mut Outbox, conn: ConnId, why: CloseReason, now: Instant) { self.0.closed(out, conn, why, now); }
    fn next_deadline(&self) -> Option<Instant> { self.0.next_deadline() }
    fn deadline_reached(&mut self, out: &mut Outbox, now: Instant) { self.0.deadline_reached(out, now); }
}

/// A handler and what the reactor would keep for it.
pub struct Node {
    index: usize,
    /// None: stopped.
    pub policy: Option<Policy>,
    /// Those who connect to it get the test's own hand.
    by_hand: bool,
    pub out: Outbox,
    pub connections: ConnectionTable<FakeStream>,
    deadlines: BTreeSet<(Instant, ConnId)>,
    blocked: Vec<ConnId>,
    /// Connections whose name is looked up, with the time when that ends and their deadline.
    lookups: Vec<(Instant, Connect, Instant)>,
    /// Events that poll had no room for.
    unreported: Vec<(ConnId, Readiness)>,
    /// The connection that went last: an event for it may have been reported before.
    gone: Option<ConnId>,
    pub scratch: Buffer,
    pub ticks: u64,
    /// Those of its connections.
    pub limits: Limits,
    pub order: Order,
}

/// In which order a tick goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the reactor's does.
    UpstreamsFirst,
    /// Wrongly: clients are served before what has come from upstream is read.
    ClientsFirst,
    /// Wrongly: upstreams are read only if poll has reported them, also when it could not report
    /// all.
    UpstreamsIfReported,
}

impl Node {
    pub fn new(index: usize, policy: Option<Policy>, clock: WallClock) -> Node {
        Node {
            index,
            by_hand: policy.is_none(),
            policy,
            out: Outbox::new(clock),
            connections: ConnectionTable::default(),
            deadlines: BTreeSet::new(),
            blocked: Vec::new(),
            lookups: Vec::new(),
            unreported: Vec::new(),
            gone: None,
            scratch: Buffer::with_capacity(SCRATCH_BYTES),
            ticks: 0,
            limits: Limits::default(),
            order: Order::UpstreamsFirst,
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let own = self.policy.as_ref().and_then(Policy::next_deadline);
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        let lookup = self.lookups.iter().map(|it| it.0).min();
        [own, deadline, lookup].into_iter().flatten().min()
    }

    pub fn has_work(&mut self, net: &Network) -> bool {
        let mut has_room = |&id: &ConnId| {
            let stream = self.connections.get(id).map(|connection| &connection.stream);
            stream.is_some_and(|stream| net.room(stream.link, stream.side.other()) > 0)
        };
        self.blocked.iter().any(&mut has_room)
            || !self.unreported.is_empty()
            || self.connections.has_ready()
            || self.next_deadline().is_some_and(|at| at <= net.now)
    }

    /// One tick, in the order of the reactor's.
    pub fn tick(&mut self, net: &mut Network, inbox: Vec<(LinkId, Side, Parcel)>) {
        self.ticks += 1;
        let events_full = net.random.chance(net.sites[self.index].weather.spurious);
        let mut accepted = Vec::new();
        for (id, event) in std::mem::take(&mut self.unreported) {
            self.note(net, id, event);
        }
        for (link, side, parcel) in inbox {
            match (parcel, net.end(link, side)) {
                (Parcel::Connect, _) => accepted.push(link),
                (parcel, End::Node(_, id)) => self.arrived(net, id, parcel, events_full),
                _ => {}
            }
        }
        self.note_room(net);
        self.resolve(net);
        self.note_nothing(net);
        if self.order == Order::ClientsFirst {
            self.serve_clients(net);
        }
        self.read_upstreams(net, events_full && self.order != Order::UpstreamsIfReported);
        self.reach_deadlines(net);
        for link in accepted {
            self.accept(net, link);
        }
        self.serve_clients(net);
        self.settle(net);
    }

    fn serve_clients(&mut self, net: &mut Network) {
        let turns = self.connections.turns();
        for index in 0..turns {
            if let Some(id) = self.connections.turn(index) {
                self.take_turn(net, id);
                self.connections.list_if_ready(id);
            }
        }
        self.connections.end_turns(turns);
    }

    /// With `events_full`, poll reports what comes from upstream only next time.
    fn arrived(&mut self, net: &mut Network, id: ConnId, parcel: Parcel, events_full: bool) {
        let Some(connection) = self.connections.get(id) else { return };
        let (connecting, kind) = (connection.is_connecting(), connection.kind);
        let stream = &mut connection.stream;
        stream.urgent = net.weather(stream.link).urgent;
        let mut event = Readiness { readable: true, read_on: stream.urgent, ..Default::default() };
        match parcel {
            Parcel::Bytes(bytes) => stream.arrive(bytes),
            Parcel::Fin => {
                stream.fin = true;
                event.read_on = true;
                event.broken = stream.shut;
            }
            Parcel::Connected => {
                connection.connected();
                self.out.touch(id);
                if let Some(policy) = &mut self.policy {
                    policy.opened(&mut self.out, id, Via::Connect, net.now);
                }
                return;
            }
            Parcel::Refused | Parcel::Reset if connecting => {
                let why = CloseReason::ConnectFailed(ErrorKind::ConnectionRefused);
                return self.remove(net, id, why);
            }
            Parcel::Reset | Parcel::Refused | Parcel::Connect => {
                stream.reset = true;
                event.broken = true;
            }
        }
        if events_full && kind == Kind::Upstream {
            self.unreported.push((id, event));
        } else {
            self.note(net, id, event);
        }
    }

    fn note(&mut self, net: &mut Network, id: ConnId, event: Readiness) {
        let Some(connection) = self.connections.get(id) else { return };
        let step = connection.note(event);
        if step.is_ok() {
            let kind = connection.kind;
            if event.writable && self.out.unsent(id) > 0 {
                self.out.touch(id);
            }
            if kind != Kind::Upstream {
                self.connections.list_if_ready(id);
            }
        } else {
            self.conclude(net, id, step);
        }
    }

    /// Streams that could not take all that was written can take more.
    fn note_room(&mut self, net: &mut Network) {
        for id in std::mem::take(&mut self.blocked) {
            let Some(connection) = self.connections.get(id) else { continue };
            let stream = &mut connection.stream;
            if net.room(stream.link, stream.side.other()) == 0 {
                self.blocked.push(id);
            } else {
                stream.blocked = false;
                self.note(net, id, Readiness { writable: true, ..Default::default() });
            }
        }
    }

    /// Events that mean nothing, or come too late.
    fn note_nothing(&mut self, net: &mut Network) {
        let spurious = net.sites[self.index].weather.spurious;
        if spurious == 0 {
            return;
        }
        let all = self.connections.client_ids().into_iter();
        for id in all.chain(self.connections.upstream(0)).collect::<Vec<_>>() {
            if net.random.chance(spurious)
                && self.connections.get(id).is_some_and(|connection| !connection.is_connecting())
            {
                let (readable, writable) = (net.random.chance(50), net.random.chance(50));
                let read_on = readable && net.random.chance(50);
                self.note(net, id, Readiness { readable, writable, read_on, broken: false });
            }
        }
        if let Some(id) = self.gone {
            let every = Readiness { readable: true, writable: true, read_on: true, broken: true };
            self.note(net, id, every);
        }
    }

    fn read_upstreams(&mut self, net: &mut Network, events_full: bool) {
        for index in (0..self.connections.upstreams()).rev() {
            let Some(id) = self.connections.upstream(index) else { continue };
            if events_full && let Some(connection) = self.connections.get(id) {
                connection.suspect_readable();
            }
            while let Some(connection) = self.connections.get(id)
                && connection.is_ready()
                && self.out.ending(id) == CloseMode::None
            {
                self.take_turn(net, id);
            }
        }
    }

    fn reach_deadlines(&mut self, net: &mut Network) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= net.now
        {
            self.deadlines.pop_first();
            if let Some(connection) = self.connections.get(id)
                && connection.deadline.is_some_and(|deadline| deadline <= net.now)
                && let Some(policy) = &mut self.policy
            {
                let step = connection.overdue(policy, &mut self.out, net.now);
                self.conclude(net, id, step);
            }
        }
        if let Some(policy) = &mut self.policy
            && policy.next_deadline().is_some_and(|deadline| deadline <= net.now)
        {
            policy.deadline_reached(&mut self.out, net.now);
        }
    }

    fn accept(&mut self, net: &mut Network, link: LinkId) {
        let reach = match net.end(link, Side::Initiator) {
            End::Hand => Reach::Accept,
            _ => net.sites[self.index].reach,
        };
        let end = match &mut self.policy {
            _ if reach == Reach::Ignore => return net.set_end(link, Side::Acceptor, End::Gone),
            _ if reach != Reach::Accept => End::Gone,
            None if self.by_hand => End::Hand,
            None => End::Gone,
            Some(policy) => {
                let id = self.out.admit();
                let stream = FakeStream::new(link, Side::Acceptor);
                let mut connection = Connection::accepted(id, stream, Kind::Client);
                connection.expect_by(self.limits.idle_timeout, net.now);
                self.deadlines.extend(connection.deadline.map(|deadline| (deadline, id)));
                self.connections.insert(connection);
                self.out.stats.add(Stat::ConnectionsTotal, 1);
                policy.opened(&mut self.out, id, Via::Listener(CALLER), net.now);
                End::Node(self.index, id)
            }
        };
        net.set_end(link, Side::Acceptor, end);
        let answer = if end == End::Gone { Parcel::Refused } else { Parcel::Connected };
        net.send(link, Side::Initiator, answer);
    }

    fn take_turn(&mut self, net: &mut Network, id: ConnId) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(policy) = &mut self.policy else { return };
        let step = connection.take_turn(policy, &mut self.out, &mut self.scratch, net.now, None);
        let FakeStream { link, side, .. } = connection.stream;
        net.set_unread(link, side, connection.stream.unread());
        self.conclude(net, id, step);
    }

    fn settle(&mut self, net: &mut Network) {
        loop {
            if let Some(connect) = self.out.pop_connect() {
                self.connect(net, connect);
            } else if let Some(id) = self.out.pop_touched() {
                if let Some(connection) = self.connections.get(id) {
                    let stream = &mut connection.stream;
                    stream.room = net.room(stream.link, stream.side.other());
                    let step = connection.settle(&mut self.out, &self.limits, MIN_WRITE, net.now);
                    take_outgoing(net, &mut connection.stream);
                    if connection.stream.blocked && !self.blocked.contains(&id) {
                        self.blocked.push(id);
                    }
                    self.conclude(net, id, step);
                    self.connections.list_if_ready(id);
                } else if self.out.ending(id) != CloseMode::None
                    && let Some(at) = self.lookups.iter().position(|it| it.1.conn == id)
                {
                    self.lookups.swap_remove(at);
                    self.connect_failed(net, id, CloseReason::Closed);
                }
            } else if let Some(id) = self.out.pop_resumed() {
                if let Some(connection) = self.connections.get(id) {
                    connection.resume();
                    self.connections.list_if_ready(id);
                }
            } else {
                return;
            }
        }
    }

    fn connect(&mut self, net: &mut Network, connect: Connect) {
        let deadline = net.now + connect.timeout;
        match connect.to.parse() {
            Ok(address) => self.connect_to(net, connect.conn, address, deadline),
            Err(_) => {
                let known = net.now + net.names.get(&connect.to).map_or(Duration::ZERO, |it| it.1);
                self.lookups.push((known.min(deadline), connect, deadline));
            }
        }
    }

    /// Goes on with the connections whose names are looked up by now.
    fn resolve(&mut self, net: &mut Network) {
        for (at, connect, deadline) in
            self.lookups.extract_if(.., |it| it.0 <= net.now).collect::<Vec<_>>()
        {
            let addresses = net.names.get(&connect.to).map_or(Vec::new(), |it| it.0.clone());
            match connect.choose(addresses) {
                Some(_) if at == deadline => {
                    self.connect_failed(
                        net,
                        connect.conn,
                        CloseReason::ConnectFailed(ErrorKind::TimedOut),
                    );
                }
                Some(address) => self.connect_to(net, connect.conn, address, deadline),
                None => self.connect_failed(net, connect.conn, CloseReason::NoAddress),
            }
        }
    }

    fn connect_failed(&mut self, net: &Network, conn: ConnId, why: CloseReason) {
        self.out.release(conn);
        if let Some(policy) = &mut self.policy {
            policy.closed(&mut self.out, conn, why, net.now);
        }
    }

    fn connect_to(&mut self, net: &mut Network, conn: ConnId, to: SocketAddr, deadline: Instant) {
        let site = net.sites.iter().position(|site| site.address == to).expect("a known address");
        if net.sites[site].reach == Reach::RefuseAtOnce {
            let why = CloseReason::ConnectFailed(ErrorKind::ConnectionRefused);
            return self.connect_failed(net, conn, why);
        }
        let link = net.link(End::Node(self.index, conn), site);
        let stream = FakeStream::new(link, Side::Initiator);
        self.connections.insert(Connection::connecting(conn, stream, deadline));
        self.conclude(net, conn, Ok(()));
    }

    fn conclude(&mut self, net: &mut Network, id: ConnId, step: Step) {
        match step {
            Ok(()) => {
                if let Some(deadline) = self.connections.get(id).and_then(|it| it.deadline) {
                    self.deadlines.insert((deadline, id));
                }
            }
            Err(why) => self.remove(net, id, why),
        }
    }

    fn remove(&mut self, net: &mut Network, id: ConnId, why: CloseReason) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        self.out.release(id);
        self.gone = Some(id);
        leave(net, &mut connection.stream);
        if let Some(policy) = &mut self.policy {
            policy.closed(&mut self.out, id, why, net.now);
        }
    }

    /// Ends as a process does that is killed.
    pub fn stop(&mut self, net: &mut Network) {
        let upstreams =
            (0..self.connections.upstreams()).filter_map(|at| self.connections.upstream(at));
        for id in upstreams.collect::<Vec<_>>().into_iter().chain(self.connections.client_ids()) {
            if let Some(mut connection) = self.connections.remove(id) {
                leave(net, &mut connection.stream);
            }
        }
        *self = Node { by_hand: false, ..Node::new(self.index, None, self.out.clock) };
    }
}

/// Takes what a connection wrote to its link.
fn take_outgoing(net: &mut Network, stream: &mut FakeStream) {
    let other = stream.side.other();
    if !stream.outgoing.is_empty() {
        net.send(stream.link, other, Parcel::Bytes(std::mem::take(&mut stream.outgoing)));
    }
    if stream.shut {
        net.finish(stream.link, other);
    }
}

/// What closing a socket does: what was written still arrives, then the other side sees the end, or
/// a reset if something was left unread.
fn leave(net: &mut Network, stream: &mut FakeStream) {
    stream.shut |= stream.unread() == 0;
    take_outgoing(net, stream);
    if !stream.shut {
        net.send(stream.link, stream.side.other(), Parcel::Reset);
    }
    net.set_end(stream.link, stream.side, End::Gone);
}
