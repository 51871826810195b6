//! `CLIENT TRACKING` and related commands: whether a client receives invalidations of the keys that
//! it has read, and which of its reads count. The keys themselves are in the server.

use super::{RequestError, Session};
use crate::protocol::resp::{Version, Writer};
use crate::protocol::{Request, command::Command};

/// The modes that a client has chosen, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TrackingModes(u8);

impl TrackingModes {
    /// The program can send invalidations: a server can.
    const OFFERED: u8 = 1;
    const ON: u8 = 2;
    /// Only reads after `CLIENT CACHING YES` count.
    const OPTIN: u8 = 4;
    /// All reads count but those after `CLIENT CACHING NO`.
    const OPTOUT: u8 = 8;
    /// The client receives no invalidations of its own changes.
    const NOLOOP: u8 = 16;
    /// `CLIENT CACHING` holds for the next request or transaction.
    const CACHING: u8 = 32;

    fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

impl Session {
    /// Allows the client to track; without this it is refused.
    pub fn offer_tracking(&mut self) {
        self.tracking.0 |= TrackingModes::OFFERED;
    }

    /// Returns whether the client receives invalidations.
    pub fn is_tracking(&self) -> bool {
        self.tracking.has(TrackingModes::ON)
    }

    /// Returns whether the keys that the current request reads are tracked.
    pub fn tracks_reads(&self) -> bool {
        let tracking = self.tracking;
        let caching = tracking.has(TrackingModes::CACHING);
        let is_left_out = tracking.has(TrackingModes::OPTIN) && !caching
            || tracking.has(TrackingModes::OPTOUT) && caching;
        self.is_tracking() && !is_left_out
    }

    /// Returns whether the client receives invalidations of its own changes.
    pub fn tracks_own_changes(&self) -> bool {
        !self.tracking.has(TrackingModes::NOLOOP)
    }

    /// Ends the effect of `CLIENT CACHING` on one request, which is done or refused. A request of
    /// `CLIENT` does not count, and a transaction is one request with its `EXEC`.
    pub fn end_caching(&mut self, command: Option<&Command>) {
        let is_of_client = || command.is_some_and(|it| it.name.starts_with("CLIENT|"));
        if self.tracking.has(TrackingModes::CACHING)
            && self.transaction.is_none()
            && !is_of_client()
        {
            self.tracking.0 &= !TrackingModes::CACHING;
        }
    }

    pub(super) fn stop_tracking(&mut self) {
        self.tracking.0 &= TrackingModes::OFFERED;
    }

    /// Executes `CLIENT TRACKING`.
    pub(super) fn set_tracking(&mut self, request: &Request<'_>) -> Result<(), RequestError> {
        let mut chosen = 0;
        for word in request.words().skip(3) {
            chosen |= match word.to_ascii_uppercase().as_slice() {
                b"OPTIN" => TrackingModes::OPTIN,
                b"OPTOUT" => TrackingModes::OPTOUT,
                b"NOLOOP" => TrackingModes::NOLOOP,
                b"BCAST" => {
                    return Err("BCAST is not supported: keys are tracked as read".into());
                }
                b"PREFIX" => return Err("PREFIX is not supported: it belongs to BCAST".into()),
                b"REDIRECT" => {
                    return Err("REDIRECT is not supported: use RESP3 on this connection".into());
                }
                _ => return Err(RequestError::SYNTAX),
            };
        }
        let word = request.word(2);
        if word.eq_ignore_ascii_case(b"OFF") {
            self.stop_tracking();
            return Ok(());
        }
        if !word.eq_ignore_ascii_case(b"ON") {
            return Err(RequestError::SYNTAX);
        }
        let both = TrackingModes::OPTIN | TrackingModes::OPTOUT;
        if chosen & both == both {
            return Err("You can't specify both OPTIN mode and OPTOUT mode".into());
        }
        if (chosen | self.tracking.0) & both == both {
            return Err("You can't switch OPTIN/OPTOUT mode before disabling tracking for this \
                        client, and then re-enabling it with a different mode."
                .into());
        }
        if !self.tracking.has(TrackingModes::OFFERED) {
            return Err("CLIENT TRACKING is not available through the proxy".into());
        }
        if self.version == Version::Two {
            return Err("CLIENT TRACKING needs RESP3: say HELLO 3 first".into());
        }
        let kept = self.tracking.0 & (TrackingModes::OFFERED | TrackingModes::CACHING);
        self.tracking.0 = kept | TrackingModes::ON | chosen;
        Ok(())
    }

    /// Executes `CLIENT CACHING`.
    pub(super) fn set_caching(&mut self, word: &[u8]) -> Result<(), RequestError> {
        if !self.is_tracking() {
            return Err("CLIENT CACHING can be called only when the client is in tracking \
                        mode with OPTIN or OPTOUT mode enabled"
                .into());
        }
        let (word, mode) = match word.to_ascii_uppercase().as_slice() {
            b"YES" => (("YES", "OPTIN"), TrackingModes::OPTIN),
            b"NO" => (("NO", "OPTOUT"), TrackingModes::OPTOUT),
            _ => return Err(RequestError::SYNTAX),
        };
        if !self.tracking.has(mode) {
            let (word, mode) = word;
            return Err(format!(
                "CLIENT CACHING {word} is only valid when tracking is enabled in {mode} mode."
            )
            .into());
        }
        self.tracking.0 |= TrackingModes::CACHING;
        Ok(())
    }

    /// Writes the reply to `CLIENT TRACKINGINFO`.
    pub(super) fn write_tracking(&self, reply: &mut Writer<'_>) {
        const OPTIN_NOW: u8 = TrackingModes::OPTIN | TrackingModes::CACHING;
        const OPTOUT_NOW: u8 = TrackingModes::OPTOUT | TrackingModes::CACHING;
        let all = [
            (TrackingModes::ON, "on"),
            (TrackingModes::OPTIN, "optin"),
            (OPTIN_NOW, "caching-yes"),
            (TrackingModes::OPTOUT, "optout"),
            (OPTOUT_NOW, "caching-no"),
            (TrackingModes::NOLOOP, "noloop"),
        ];
        let mut flags: Vec<&str> = Vec::new();
        flags.extend((!self.is_tracking()).then_some("off"));
        let is_so = |bits: u8| self.tracking.0 & bits == bits;
        flags.extend(all.iter().filter(|(bits, _)| is_so(*bits)).map(|(_, name)| *name));
        reply.map(3);
        reply.bulk(b"flags");
        reply.set(flags.len());
        reply.bulks(&flags);
        reply.bulk(b"redirect");
        reply.integer(self.redirection());
        reply.bulk(b"prefixes");
        reply.array(0);
    }

    /// Returns the client that receives the invalidations; 0: this one, −1: none.
    pub(super) fn redirection(&self) -> i64 {
        if self.is_tracking() { 0 } else { -1 }
    }
}
