//! Telnet's own protocol (RFC 854, 1123), taken out of what the peer types by a state machine that
//! survives any split of the bytes.
//!
//! Every command begins with the byte IAC (0xFF). We decline every option: `WILL x` is
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

/// The outcome of a byte of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelnetEvent {
    /// No outcome yet, or none for us.
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

impl TelnetState {
    /// Takes the next byte, and returns its outcome.
    pub fn next(&mut self, byte: u8) -> TelnetEvent {
        let (state, event) = match (*self, byte) {
            (TelnetState::Data, IAC) => (TelnetState::Command, TelnetEvent::None),
            (TelnetState::Data, _) => (TelnetState::Data, TelnetEvent::Data(byte)),
            (TelnetState::Command, IAC) => (TelnetState::Data, TelnetEvent::Data(IAC)),
            (TelnetState::Command, WILL | WONT | DO | DONT) => {
                (TelnetState::Option(byte), TelnetEvent::None)
            }
            (TelnetState::Command, SB) => (TelnetState::Subnegotiation, TelnetEvent::None),
            (TelnetState::Command, INTERRUPT | ERASE_LINE) => {
                (TelnetState::Data, TelnetEvent::EraseLine)
            }
            (TelnetState::Command, ERASE_CHARACTER) => {
                (TelnetState::Data, TelnetEvent::EraseCharacter)
            }
            // IAC DM comes with its second byte sent urgently, outside the stream: what follows the
            // IAC is then data.
            (TelnetState::Command, ..LOWEST_COMMAND) => {
                (TelnetState::Data, TelnetEvent::Data(byte))
            }
            (TelnetState::Command, _) => (TelnetState::Data, TelnetEvent::None),
            (TelnetState::Option(DO), TIMING_MARK) => {
                (TelnetState::Data, TelnetEvent::Answer([IAC, WILL, TIMING_MARK]))
            }
            (TelnetState::Option(DO), _) => {
                (TelnetState::Data, TelnetEvent::Answer([IAC, WONT, byte]))
            }
            (TelnetState::Option(WILL), _) => {
                (TelnetState::Data, TelnetEvent::Answer([IAC, DONT, byte]))
            }
            (TelnetState::Option(_), _) => (TelnetState::Data, TelnetEvent::None),
            (TelnetState::Subnegotiation, IAC) => {
                (TelnetState::SubnegotiationCommand, TelnetEvent::None)
            }
            (TelnetState::Subnegotiation, _) => (TelnetState::Subnegotiation, TelnetEvent::None),
            (TelnetState::SubnegotiationCommand, SE) => (TelnetState::Data, TelnetEvent::None),
            (TelnetState::SubnegotiationCommand, _) => {
                (TelnetState::Subnegotiation, TelnetEvent::None)
            }
        };
        *self = state;
        event
    }
}

#[cfg(test)]
mod tests;
