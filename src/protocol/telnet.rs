//! Telnet's own protocol (RFC 854, 1123), taken out of the input by a state machine that survives
//! any split of the bytes.
//!
//! Every command begins with the byte IAC (0xFF). We decline every option: the reply to `WILL x` is
//! `DONT x`, that to `DO x` is `WONT x`, but for `DO TIMING-MARK`, which a telnet client sends with
//! Ctrl-C, and after which it drops output until the reply. `DONT` and `WONT` need no reply.

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

/// The state of a stream within a telnet command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TelnetState {
    /// In plain data.
    #[default]
    Data,
    /// After IAC.
    Command,
    /// After IAC and WILL, WONT, DO or DONT, which is kept.
    Option(u8),
    /// Within IAC SB … IAC SE.
    Subnegotiation,
    /// Within IAC SB … IAC SE, after an IAC.
    SubnegotiationCommand,
}

/// The meaning of a byte of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelnetEvent {
    /// None yet, or none for us.
    None,
    /// A byte of data.
    Data(u8),
    /// A reply to be sent to the peer.
    Answer([u8; 3]),
    /// The peer erases this line.
    EraseLine,
    /// The peer erases the last character.
    EraseCharacter,
}

impl TelnetState {
    /// Takes the next byte, and returns its meaning.
    pub fn next(&mut self, byte: u8) -> TelnetEvent {
        use TelnetEvent as Event;
        use TelnetState::{Command, Data, Subnegotiation, SubnegotiationCommand};
        let (state, event) = match (*self, byte) {
            (Data, IAC) => (Command, Event::None),
            (Data, _) => (Data, Event::Data(byte)),
            (Command, IAC) => (Data, Event::Data(IAC)),
            (Command, WILL | WONT | DO | DONT) => (TelnetState::Option(byte), Event::None),
            (Command, SB) => (Subnegotiation, Event::None),
            (Command, INTERRUPT | ERASE_LINE) => (Data, Event::EraseLine),
            (Command, ERASE_CHARACTER) => (Data, Event::EraseCharacter),
            // IAC DM comes with its second byte sent urgently, outside the stream: the byte after
            // the IAC is then data.
            (Command, ..LOWEST_COMMAND) => (Data, Event::Data(byte)),
            (Command, _) => (Data, Event::None),
            (TelnetState::Option(DO), TIMING_MARK) => (Data, Event::Answer([IAC, WILL, byte])),
            (TelnetState::Option(DO), _) => (Data, Event::Answer([IAC, WONT, byte])),
            (TelnetState::Option(WILL), _) => (Data, Event::Answer([IAC, DONT, byte])),
            (TelnetState::Option(_), _) => (Data, Event::None),
            (Subnegotiation, IAC) => (SubnegotiationCommand, Event::None),
            (Subnegotiation, _) => (Subnegotiation, Event::None),
            (SubnegotiationCommand, SE) => (Data, Event::None),
            (SubnegotiationCommand, _) => (Subnegotiation, Event::None),
        };
        *self = state;
        event
    }
}

#[cfg(test)]
mod tests;
