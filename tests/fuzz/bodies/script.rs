//! What an input of the session targets says, so that people can read and write it too.
//!
//! ```text
//! s b RS            the setting, see `Setting`
//! 0GET k\r\n RS     client 0 (to 3) sends this; it connects if it is not there
//! f0 RS             it half-closes      r0 RS    it leaves with a reset
//! q0 RS             it stops reading    a0 RS    it reads again
//! w4 RS             time passes: see `WAITS`
//! d RS              the program is told to stop
//! u+OK\r\n RS       an upstream by hand says this, on its newest connection
//! x RS              the newest connection to the upstream breaks
//! c1 RS             what becomes of those who connect to the upstream: see `REACHES`
//! ```
//!
//! RS, the byte 0x1E, ends a record. Within what is sent, GS (0x1D) and a byte `n` are `n` times
//! 256 bytes.

use super::world::{Reach, Weather};
use std::time::Duration;

pub const CLIENTS: usize = 4;

#[rustfmt::skip]
const WAITS: [Duration; 8] = [
    Duration::from_millis(1), Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(6),
    Duration::from_secs(31), Duration::from_secs(61), Duration::from_secs(101), Duration::from_secs(301),
];

const REACHES: [Reach; 4] = [Reach::Accept, Reach::Refuse, Reach::RefuseAtOnce, Reach::Ignore];

#[derive(Clone, Debug)]
pub enum Act {
    Send(usize, Vec<u8>),
    Finish(usize),
    Reset(usize),
    StopReading(usize),
    ReadAgain(usize),
    Wait(Duration),
    Drain,
    UpstreamSays(Vec<u8>),
    UpstreamBreaks,
    UpstreamIs(Reach),
}

impl Act {
    /// How many bytes are said.
    fn len(&self) -> usize {
        if let Act::Send(_, bytes) | Act::UpstreamSays(bytes) = self { bytes.len() } else { 0 }
    }
}

/// The letters of the first record.
#[derive(Clone, Debug)]
pub struct Setting(Vec<u8>);

impl Setting {
    fn has(&self, letter: u8) -> bool {
        self.0.contains(&letter)
    }

    /// `t`: outputs are limited so that an input reaches it.
    pub fn is_tight(&self) -> bool {
        self.has(b't')
    }

    /// `p`: PUT replaces.
    pub fn put_replaces(&self) -> bool {
        self.has(b'p')
    }

    /// `h`: the upstream is the input's, not a server.
    pub fn upstream_by_hand(&self) -> bool {
        self.has(b'h')
    }

    /// `n`: the proxy has no cache.
    pub fn has_cache(&self) -> bool {
        !self.has(b'n')
    }

    /// What the links are like the second time. No time passes on them. The more is said, the
    /// larger are the pieces, or a second would not do.
    pub fn weather(&self, acts: &[Act]) -> Weather {
        let least = least_piece(acts);
        Weather {
            // `b`: byte by byte; `m`: in somewhat larger pieces; `g`: several come together.
            piece: self.choose([(b'b', 1), (b'm', 7)], 100).max(least),
            together: self.choose([(b'g', 50)], 0),
            // `o`: only so much is taken at a time.
            window: self.choose([(b'o', 9 * least)], usize::MAX / 2),
            // `u`: reads stop at urgent bytes; `s`: events that mean nothing.
            urgent: self.has(b'u'),
            spurious: self.choose([(b's', 30)], 0),
            ..Weather::CALM
        }
    }

    /// `1`: one read brings but a few bytes; `2`: some more.
    pub fn scratch(&self, acts: &[Act]) -> usize {
        self.choose([(b'1', 1), (b'2', 50)], 100_000).max(least_piece(acts))
    }

    fn choose<const N: usize>(&self, choices: [(u8, usize); N], usual: usize) -> usize {
        let chosen = choices.into_iter().find(|&(letter, _)| self.has(letter));
        chosen.map_or(usual, |(_, number)| number)
    }
}

fn least_piece(acts: &[Act]) -> usize {
    1 + acts.iter().map(Act::len).sum::<usize>() / 500
}

/// The setting, and what happens one after the other.
pub fn read(input: &[u8]) -> (Setting, Vec<Act>) {
    let mut records = input.split(|&byte| byte == 0x1e);
    let setting = Setting(records.next().unwrap_or_default().to_vec());
    (setting, records.filter_map(act).collect())
}

fn act(record: &[u8]) -> Option<Act> {
    let (&first, rest) = record.split_first()?;
    let digit = |limit: usize| rest.first().map_or(0, |&byte| usize::from(byte)) % limit;
    let client = digit(CLIENTS);
    Some(match first {
        b'0'..=b'3' => Act::Send(usize::from(first - b'0'), unfolded(rest)),
        b'f' => Act::Finish(client),
        b'r' => Act::Reset(client),
        b'q' => Act::StopReading(client),
        b'a' => Act::ReadAgain(client),
        b'w' => Act::Wait(WAITS[digit(WAITS.len())]),
        b'd' => Act::Drain,
        b'u' => Act::UpstreamSays(unfolded(rest)),
        b'x' => Act::UpstreamBreaks,
        b'c' => Act::UpstreamIs(REACHES[digit(REACHES.len())]),
        _ => return None,
    })
}

/// Has many bytes stand where few say so.
fn unfolded(bytes: &[u8]) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), bytes.iter());
    while let Some(&byte) = rest.next() {
        match byte {
            0x1d => all.resize(all.len() + 256 * usize::from(*rest.next().unwrap_or(&1)), b'v'),
            byte => all.push(byte),
        }
    }
    all
}
