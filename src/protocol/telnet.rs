//! Telnet's own protocol (RFC 854, 1123), taken out of what the peer types by a state machine that
//! survives any split of the bytes.
//!
//! Every command begins with the byte IAC (0xFF). We want no option and say so: `WILL x` is
//! answered `DONT x`, `DO x` is answered `WONT x`, but for `DO TIMING-MARK`, which a telnet client
//! sends with Ctrl-C and holds its output back for. `DONT` and `WONT` need no answer.

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const ERASE_LINE: u8 = 248;
const ERASE_CHARACTER: u8 = 247;
const INTERRUPT: u8 = 244;
const SE: u8 = 240;
/// The lowest byte that is a command after IAC (RFC 1184).
const LOWEST_COMMAND: u8 = 236;
const TIMING_MARK: u8 = 6;

/// Where in a telnet command the stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// In plain data.
    #[default]
    Data,
    /// After IAC.
    Command,
    /// After IAC and WILL, WONT, DO or DONT, which is kept.
    Option(u8),
    /// Within IAC SB … IAC SE.
    Subnegotiation,
    /// The same, after an IAC.
    SubnegotiationCommand,
}

/// What a byte of the stream comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet, or nothing for us.
    None,
    /// A byte of data.
    Data(u8),
    /// To be sent to the peer.
    Answer([u8; 3]),
    /// The peer takes back what it typed of this line.
    EraseLine,
    /// The peer takes back the last character.
    EraseCharacter,
}

impl State {
    /// Takes the next byte.
    pub fn next(&mut self, byte: u8) -> Event {
        let (state, event) = match (*self, byte) {
            (State::Data, IAC) => (State::Command, Event::None),
            (State::Data, _) => (State::Data, Event::Data(byte)),
            (State::Command, IAC) => (State::Data, Event::Data(IAC)),
            (State::Command, WILL | WONT | DO | DONT) => (State::Option(byte), Event::None),
            (State::Command, SB) => (State::Subnegotiation, Event::None),
            (State::Command, INTERRUPT | ERASE_LINE) => (State::Data, Event::EraseLine),
            (State::Command, ERASE_CHARACTER) => (State::Data, Event::EraseCharacter),
            // IAC DM comes with its second byte sent urgently, outside the stream: what follows the
            // IAC is then data.
            (State::Command, ..LOWEST_COMMAND) => (State::Data, Event::Data(byte)),
            (State::Command, _) => (State::Data, Event::None),
            (State::Option(DO), TIMING_MARK) => {
                (State::Data, Event::Answer([IAC, WILL, TIMING_MARK]))
            }
            (State::Option(DO), _) => (State::Data, Event::Answer([IAC, WONT, byte])),
            (State::Option(WILL), _) => (State::Data, Event::Answer([IAC, DONT, byte])),
            (State::Option(_), _) => (State::Data, Event::None),
            (State::Subnegotiation, IAC) => (State::SubnegotiationCommand, Event::None),
            (State::Subnegotiation, _) => (State::Subnegotiation, Event::None),
            (State::SubnegotiationCommand, SE) => (State::Data, Event::None),
            (State::SubnegotiationCommand, _) => (State::Subnegotiation, Event::None),
        };
        *self = state;
        event
    }
}

#[cfg(test)]
mod tests;
