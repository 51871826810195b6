//! What joins the nodes of a `World`: links made of two pipes, and the streams at their ends.

use super::Random;
use larder::handler::ConnId;
use larder::reactor::connection::Stream;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Names a link for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub usize);

/// One end of a link: who asked for the connection, or who accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Initiator,
    Acceptor,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Initiator => Side::Acceptor,
            Side::Acceptor => Side::Initiator,
        }
    }
}

/// What happens to bytes on a link.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The shortest and the longest time that a parcel takes; they never overtake each other.
    pub delay: (Duration, Duration),
    /// The longest parcel; shorter ones are as likely. 0: what is written at once stays together.
    pub piece: usize,
    /// Bytes on their way or unread above which a writer has to wait.
    pub window: usize,
    /// How often, in percent, parcels that are due together also arrive in one step.
    pub together: usize,
    /// Reads stop between parcels though there is more, as at TCP's urgent data; the events say so.
    pub urgent: bool,
    /// How often, in percent, a tick of the node behind it sees events that mean nothing.
    pub spurious: usize,
}

impl Weather {
    /// Nothing is delayed or split.
    pub const CALM: Weather = Weather {
        delay: (Duration::ZERO, Duration::ZERO),
        piece: 0,
        window: usize::MAX / 2,
        together: 0,
        urgent: false,
        spurious: 0,
    };
}

/// What becomes of an attempt to connect to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Accept,
    /// Refused after the link's delay.
    Refuse,
    /// The attempt fails before it begins.
    RefuseAtOnce,
    /// Nobody answers.
    Ignore,
}

/// What travels on a link.
#[derive(Debug)]
pub enum Parcel {
    Connect,
    Connected,
    Refused,
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// Who is at one end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The test itself.
    Hand,
    Node(usize, ConnId),
    /// A node that has not heard of it yet.
    Listening(usize),
    Gone,
}

/// When something happened; the step tells the order of what happened at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    pub step: u64,
    pub at: Instant,
}

/// What the test has received on a link.
#[derive(Debug, Default)]
pub struct Hand {
    pub arrivals: Vec<(Stamp, Vec<u8>)>,
    /// The other side sent FIN or a reset, or refused.
    pub ended: bool,
}

#[derive(Debug)]
pub struct Pipe {
    parcels: VecDeque<(Instant, Parcel)>,
    /// Bytes in the parcels, and bytes that arrived and were not read.
    in_transit: usize,
    pub unread: usize,
    /// What is on its way is held back.
    pub silent: bool,
    latest: Instant,
    /// FIN is on its way, or has arrived.
    finished: bool,
}

#[derive(Debug)]
pub struct Link {
    target: usize,
    ends: [End; 2],
    /// By the side that they lead to.
    pub pipes: [Pipe; 2],
    pub weather: Weather,
    pub hand: Hand,
}

/// All links, and the time.
#[derive(Debug)]
pub struct Network {
    pub now: Instant,
    /// When the world began.
    pub began: Instant,
    pub step: u64,
    pub random: Random,
    /// Each node's address, and what becomes of those who ask for it.
    pub sites: Vec<Site>,
    /// What names stand for, and how long it takes to find out.
    pub names: HashMap<String, (Vec<SocketAddr>, Duration)>,
    links: Vec<Link>,
    live: Vec<LinkId>,
}

#[derive(Debug)]
pub struct Site {
    pub address: SocketAddr,
    pub reach: Reach,
    pub weather: Weather,
    pub pulse: Pulse,
    /// When it was frozen last.
    pub frozen_at: Instant,
}

/// Whether a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    Runs,
    /// It was told to stop (SIGSTOP): what comes for it waits.
    Frozen,
    /// It goes on in the next step, and finds all at once that came meanwhile; in the middle of the
    /// tick that began then, if there is one.
    Wakes(Option<Instant>),
}

impl Network {
    pub fn new(seed: u64) -> Network {
        // Any moment will do: only differences matter.
        let now = Instant::now();
        Network {
            now,
            began: now,
            step: 0,
            random: Random(seed),
            sites: Vec::new(),
            names: HashMap::new(),
            links: Vec::new(),
            live: Vec::new(),
        }
    }

    pub fn stamp(&self) -> Stamp {
        Stamp { step: self.step, at: self.now }
    }

    /// A link to a node, with the request to connect on its way.
    pub fn link(&mut self, initiator: End, node: usize) -> LinkId {
        let pipe = |latest| Pipe {
            parcels: VecDeque::new(),
            in_transit: 0,
            unread: 0,
            silent: false,
            latest,
            finished: false,
        };
        let id = LinkId(self.links.len());
        self.links.push(Link {
            target: node,
            ends: [initiator, End::Listening(node)],
            pipes: [pipe(self.now), pipe(self.now)],
            weather: self.sites[node].weather,
            hand: Hand::default(),
        });
        self.live.push(id);
        self.send(id, Side::Acceptor, Parcel::Connect);
        id
    }

    pub fn end(&self, link: LinkId, side: Side) -> End {
        self.links[link.0].ends[side as usize]
    }

    pub fn set_end(&mut self, link: LinkId, side: Side, end: End) {
        self.links[link.0].ends[side as usize] = end;
    }

    pub fn link_mut(&mut self, link: LinkId) -> &mut Link {
        &mut self.links[link.0]
    }

    /// How many bytes may be written towards `side`.
    pub fn room(&self, link: LinkId, side: Side) -> usize {
        let Link { pipes, weather, .. } = &self.links[link.0];
        let pipe = &pipes[side as usize];
        weather.window.saturating_sub(pipe.in_transit + pipe.unread)
    }

    /// The links in use that nodes have made to a node.
    pub fn links_to(&self, node: usize) -> impl Iterator<Item = LinkId> {
        self.live.iter().copied().filter(move |id| {
            let Link { target, ends: [from, _], .. } = &self.links[id.0];
            *target == node && matches!(from, End::Node(..))
        })
    }

    /// Sends a parcel towards `side`, bytes in pieces.
    pub fn send(&mut self, link: LinkId, side: Side, parcel: Parcel) {
        let Link { pipes, weather, .. } = &mut self.links[link.0];
        let pipe = &mut pipes[side as usize];
        let mut push = |random: &mut Random, parcel| {
            let due = self.now + random.between(weather.delay.0, weather.delay.1);
            pipe.latest = due.max(pipe.latest);
            pipe.parcels.push_back((pipe.latest, parcel));
        };
        let Parcel::Bytes(bytes) = parcel else { return push(&mut self.random, parcel) };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = if weather.piece == 0 { rest.len() } else { weather.piece };
            let length = if weather.piece == 0 { most } else { 1 + self.random.below(most) };
            let (piece, after) = rest.split_at(length.min(rest.len()));
            push(&mut self.random, Parcel::Bytes(piece.to_vec()));
            rest = after;
        }
        pipe.in_transit += bytes.len();
    }

    /// Sends FIN towards `side`, once.
    pub fn finish(&mut self, link: LinkId, side: Side) {
        if !std::mem::replace(&mut self.links[link.0].pipes[side as usize].finished, true) {
            self.send(link, side, Parcel::Fin);
        }
    }

    /// Breaks a link: both sides see a reset. Only what is on its way to `spared` still arrives.
    pub fn cut(&mut self, link: LinkId, spared: Option<Side>) {
        for side in [Side::Initiator, Side::Acceptor] {
            let pipe = &mut self.links[link.0].pipes[side as usize];
            if spared != Some(side) {
                pipe.parcels.clear();
                pipe.in_transit = 0;
                pipe.latest = self.now;
            }
            self.send(link, side, Parcel::Reset);
        }
    }

    /// Whether the node at the end of a link runs.
    fn pulse(&self, end: End) -> Pulse {
        match end {
            End::Node(node, _) | End::Listening(node) => self.sites[node].pulse,
            End::Hand | End::Gone => Pulse::Runs,
        }
    }

    /// What arrives now: a parcel of each pipe, or more where they come together, and all of them
    /// for a node that wakes.
    pub fn take_due(&mut self) -> Vec<(LinkId, Side, Parcel)> {
        let (mut due, live) = (Vec::new(), std::mem::take(&mut self.live));
        for &id in &live {
            for side in [Side::Initiator, Side::Acceptor] {
                let pulse = self.pulse(self.end(id, side));
                if pulse == Pulse::Frozen {
                    continue;
                }
                let Link { pipes, weather, .. } = &mut self.links[id.0];
                let together =
                    if matches!(pulse, Pulse::Wakes(_)) { 100 } else { weather.together };
                let pipe = &mut pipes[side as usize];
                while !pipe.silent && pipe.parcels.front().is_some_and(|&(at, _)| at <= self.now) {
                    let Some((_, parcel)) = pipe.parcels.pop_front() else { break };
                    if let Parcel::Bytes(bytes) = &parcel {
                        pipe.in_transit -= bytes.len();
                    }
                    // Nothing can be read before the connection is accepted.
                    let alone = together == 0 || matches!(parcel, Parcel::Connect);
                    due.push((id, side, parcel));
                    if alone || !self.random.chance(together) {
                        break;
                    }
                }
            }
        }
        self.live = live;
        self.live.retain(|id| {
            let Link { ends, pipes, .. } = &self.links[id.0];
            let is_used = |end: &End| matches!(end, End::Node(..) | End::Listening(_));
            pipes.iter().any(|pipe| !pipe.parcels.is_empty()) || ends.iter().any(is_used)
        });
        due
    }

    /// Gives a parcel that is not for a node to whom it is for.
    pub fn deliver_by_hand(&mut self, link: LinkId, side: Side, parcel: Parcel) {
        let stamp = self.stamp();
        let Link { ends, hand, .. } = &mut self.links[link.0];
        match (ends[side as usize], parcel) {
            (End::Hand, Parcel::Bytes(bytes)) if !hand.ended => {
                hand.arrivals.push((stamp, bytes));
            }
            (End::Hand, Parcel::Fin | Parcel::Reset | Parcel::Refused) => {
                hand.ended = true;
            }
            (End::Gone, Parcel::Bytes(_)) if ends[side.other() as usize] != End::Gone => {
                self.send(link, side.other(), Parcel::Reset);
            }
            _ => {}
        }
    }

    /// When the next parcel arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        let pipes = self.live.iter().flat_map(|id| {
            let Link { ends, pipes, .. } = &self.links[id.0];
            ends.iter().zip(pipes)
        });
        let open = pipes.filter(|(end, pipe)| !pipe.silent && self.pulse(**end) != Pulse::Frozen);
        open.filter_map(|(_, pipe)| Some(pipe.parcels.front()?.0)).min()
    }
}

/// A node's end of a link, as its `Connection` sees it.
#[derive(Debug)]
pub struct FakeStream {
    pub link: LinkId,
    pub side: Side,
    incoming: VecDeque<Vec<u8>>,
    pub fin: bool,
    pub reset: bool,
    pub urgent: bool,
    /// What was written and has not been taken to the link.
    pub outgoing: Vec<u8>,
    /// How much more can be written.
    pub room: usize,
    /// The connection stands.
    pub is_open: bool,
    /// A write found too little room; an event is owed when there is some.
    pub is_blocked: bool,
    /// No more is written.
    pub is_shut: bool,
}

impl FakeStream {
    pub fn new(link: LinkId, side: Side) -> FakeStream {
        FakeStream {
            link,
            side,
            incoming: VecDeque::new(),
            fin: false,
            reset: false,
            urgent: false,
            outgoing: Vec::new(),
            room: 0,
            is_open: false,
            is_blocked: false,
            is_shut: false,
        }
    }

    pub fn arrive(&mut self, bytes: Vec<u8>) {
        self.incoming.push_back(bytes);
    }

    pub fn unread(&self) -> usize {
        self.incoming.iter().map(Vec::len).sum()
    }
}

impl Read for FakeStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        assert!(!into.is_empty(), "a read of nothing looks like the end");
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let mut count = 0;
        while let Some(piece) = self.incoming.front_mut()
            && count < into.len()
        {
            let length = piece.len().min(into.len() - count);
            into[count..count + length].copy_from_slice(&piece[..length]);
            count += length;
            piece.drain(..length);
            if piece.is_empty() {
                self.incoming.pop_front();
                if self.urgent {
                    break;
                }
            }
        }
        if count == 0 && !self.fin { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }
}

impl Write for FakeStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let count = bytes.len().min(self.room);
        self.is_blocked |= count < bytes.len();
        self.outgoing.extend_from_slice(&bytes[..count]);
        self.room -= count;
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for FakeStream {
    fn shutdown_write(&mut self) {
        self.is_shut = true;
    }

    fn is_connected(&self) -> io::Result<bool> {
        if self.reset { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(self.is_open) }
    }
}
