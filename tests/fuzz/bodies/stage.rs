//! Where a script is played: one handler, its clients, and perhaps an upstream, in a `World`. What
//! every client has said and heard is kept, and checked at the end.

use super::around::Around;
use super::decoding::{Event, decode};
use super::reply::{Found, scan};
use super::script::{Act, CLIENTS, Setting};
use super::world::{ClientId, NodeId, Side, Weather, World};
use ahash::random_state::{RandomSource, set_random_source};
use larder::handler::Handler;
use larder::protocol::resp::ReplyKind;
use larder::protocol::{Form, Midway};
use larder::settings::limits::Limits;
use larder::stats::Stat;
use std::fmt;
use std::sync::Once;
use std::time::Duration;

/// Longer than anybody is waited for who has nothing more to say.
const LONG: Duration = Duration::from_secs(60);

/// What an output may hold unread where that is tight.
const TIGHT: usize = 1000;

/// Limits that an input reaches, save those of outputs.
pub fn limits() -> Limits {
    Limits {
        max_line: 2000,
        max_value: 40_000,
        max_request: 80_000,
        idle_timeout: Duration::from_secs(100),
        tracking_keys: 3,
        ..Limits::default()
    }
}

/// Returns a handler that is checked after everything that it was told.
pub fn checked<H: Handler>(handler: H) -> impl Handler {
    let around = |handler: &mut H, call: &mut dyn FnMut(&mut H)| {
        call(handler);
        handler.check_invariants();
    };
    Around { handler, around }
}

/// One client from its coming to its going.
pub struct Life {
    link: ClientId,
    sent: Vec<u8>,
    pub heard: Vec<u8>,
    state: State,
    /// It did not read for a while, and may have been given up, and have gone on talking to nobody.
    is_blind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Reset,
    /// The other side closed the connection of its own accord.
    Closed,
}

pub struct Stage {
    pub world: World,
    pub node: NodeId,
    pub upstream: Option<NodeId>,
    clients: [Option<usize>; CLIENTS],
    pub lives: Vec<Life>,
    /// The program was told to stop: what is said later, nobody hears.
    is_stopping: bool,
}

impl Stage {
    pub fn new(
        mut world: World,
        node: NodeId,
        upstream: Option<NodeId>,
        setting: &Setting,
    ) -> Stage {
        if setting.is_tight() {
            world.set_limits(node, Limits { output_limit: TIGHT, ..limits() });
        }
        Stage {
            world,
            node,
            upstream,
            clients: [None; CLIENTS],
            lives: Vec::new(),
            is_stopping: false,
        }
    }

    /// Plays it to its end: all clients have gone, and a new one is served.
    pub fn play(&mut self, acts: &[Act]) {
        for act in acts {
            self.act(act);
            self.world.run();
            self.listen();
        }
        for index in 0..self.lives.len() {
            let life = &mut self.lives[index];
            self.world.silence(life.link, Side::Initiator, false);
            *self.world.weather(life.link) = Weather::CALM;
            if life.state == State::Open {
                life.state = State::Finished;
                self.world.finish(life.link);
            }
        }
        self.world.advance(LONG);
        self.listen();
        for life in &self.lives {
            let gone = life.state == State::Reset || self.world.is_closed(life.link);
            assert!(gone, "a client is left behind: {life:?}");
        }
        if self.is_stopping {
            return assert!(self.world.exit(self.node).is_some(), "it has ended");
        }
        let last = self.world.connect(self.node);
        assert_eq!(self.world.exchange(last, [b"PING\r\n"]), b"PONG\r\n");
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send(client, ref bytes) => {
                let index = self.clients[client].unwrap_or_else(|| self.enter(client));
                let life = &mut self.lives[index];
                life.sent.extend(bytes);
                self.world.send(life.link, bytes);
            }
            Act::Finish(client) => {
                if let Some(index) = self.clients[client].take() {
                    self.lives[index].state = State::Finished;
                    self.world.finish(self.lives[index].link);
                }
            }
            Act::Reset(client) => {
                if let Some(index) = self.clients[client].take() {
                    self.lives[index].state = State::Reset;
                    self.world.cut(self.lives[index].link);
                }
            }
            Act::StopReading(client) => {
                if let Some(index) = self.clients[client] {
                    let link = self.lives[index].link;
                    self.lives[index].is_blind = true;
                    self.world.silence(link, Side::Initiator, true);
                    self.world.weather(link).window = 100;
                }
            }
            Act::ReadAgain(client) => {
                if let Some(index) = self.clients[client] {
                    self.world.silence(self.lives[index].link, Side::Initiator, false);
                }
            }
            Act::Wait(time) => self.world.advance(time),
            Act::Drain => {
                self.is_stopping = true;
                self.world.drain(self.node);
            }
            _ => self.act_upstream(act),
        }
    }

    fn act_upstream(&mut self, act: &Act) {
        let Some(upstream) = self.upstream else { return };
        match *act {
            Act::UpstreamSays(ref bytes) => {
                if let Some(&link) = self.world.hands(upstream).last() {
                    self.world.send(link, bytes);
                }
            }
            Act::UpstreamBreaks => {
                if let Some(&link) = self.world.links_to(upstream).last() {
                    self.world.cut_link(link, None);
                }
            }
            Act::UpstreamIs(reach) => self.world.set_reach(upstream, reach),
            _ => {}
        }
    }

    fn enter(&mut self, client: usize) -> usize {
        let link = self.world.connect(self.node);
        self.clients[client] = Some(self.lives.len());
        let (sent, heard) = (Vec::new(), Vec::new());
        self.lives.push(Life { link, sent, heard, state: State::Open, is_blind: false });
        self.lives.len() - 1
    }

    /// Takes what has come to everybody.
    fn listen(&mut self) {
        for (index, life) in self.lives.iter_mut().enumerate() {
            life.heard.extend(self.world.received(life.link));
            if life.state == State::Open && self.world.is_closed(life.link) {
                life.state = State::Closed;
                self.clients.iter_mut().filter(|it| **it == Some(index)).for_each(|it| *it = None);
            }
        }
    }

    /// Checks what every client has heard.
    pub fn check_lives(&self) {
        let is_cut_short = self.world.stat(self.node, Stat::OutputLimitCloses) > 0;
        for life in self.lives.iter().filter(|life| life.state != State::Reset) {
            life.check(is_cut_short, self.is_stopping);
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, heard) = (self.sent.escape_ascii(), self.heard.escape_ascii());
        write!(f, "{:?} {:?}\n  said {sent}\n  heard {heard}", self.link, self.state)
    }
}

impl Life {
    pub fn events(&self) -> Vec<Event> {
        decode(&[&self.sent], &limits()).0
    }

    /// A reply to every request, each whole; fewer if the connection was closed, and one more if
    /// the client was told why.
    fn check(&self, is_cut_short: bool, is_stopping: bool) {
        let (events, midway) = decode(&[&self.sent], &limits());
        let is_cut_short = is_cut_short || self.is_blind;
        let replies = if events.iter().all(is_resp) && midway != Midway::Line {
            let (found, error, left) = scan(&[&self.heard], usize::MAX / 2);
            assert!(error.is_none(), "{error:?} in {}", self.heard.escape_ascii());
            assert!(left == 0 || is_cut_short, "half a reply: {}", self.heard.escape_ascii());
            found.iter().filter(|it| matches!(it, Found::Kept(_, ReplyKind::Reply))).count()
        } else if events.iter().all(is_one_line) && midway != Midway::Array {
            assert!(self.heard.is_empty() || self.heard.ends_with(b"\r\n") || is_cut_short);
            self.heard.iter().filter(|&&byte| byte == b'\n').count()
        } else {
            return;
        };
        let is_all_said = |it: &Event| !matches!(it, Event::Request(_, "CLIENT|REPLY", _));
        let is_whole = self.state == State::Finished && events.iter().all(is_all_said);
        let why = format!("{replies} replies to {events:?}: {}", self.heard.escape_ascii());
        if is_whole && !events.iter().any(is_last) && !is_cut_short && !is_stopping {
            assert!(replies >= events.len(), "{why}");
        }
        // Of a request that did not come whole, that it took too long.
        let more = usize::from(self.state == State::Closed || midway != Midway::Nothing);
        assert!(replies <= events.len() + more, "{why}");
    }
}

fn is_resp(event: &Event) -> bool {
    match event {
        Event::Request(form, ..) | Event::Refused(form, _) => *form == Form::Resp,
        Event::Broken(_) => true,
        Event::Telnet(_) => false,
    }
}

/// A line whose reply is one line.
fn is_one_line(event: &Event) -> bool {
    match event {
        Event::Request(Form::Text, name, _) => {
            matches!(*name, "GET" | "PUT" | "SET" | "DEL" | "PING" | "BYE" | "QUIT" | "EXIT")
        }
        Event::Refused(Form::Text, _) => true,
        _ => false,
    }
}

/// After this, nothing is answered.
fn is_last(event: &Event) -> bool {
    match event {
        Event::Request(_, name, _) => matches!(*name, "BYE" | "QUIT" | "EXIT" | "CLIENT|KILL"),
        Event::Broken(_) => true,
        _ => false,
    }
}

/// The same hashes every time, so that an input means the same every time, the order of keys
/// included.
pub fn fix_hashes() {
    struct Fixed;
    impl RandomSource for Fixed {
        fn gen_hasher_seed(&self) -> usize {
            1
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_random_source(Fixed).expect("nothing was hashed before");
    });
}
