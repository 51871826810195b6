//! The reasons for which a request has no reply, or none yet.

/// The reason for which the upstream does not answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    /// The request was never sent: there is no connection.
    Unavailable,
    /// The connection was lost after it was sent.
    Lost,
    /// The request was not answered in time.
    TimedOut,
}

impl UpstreamError {
    /// Returns the message for the client, without a leading `ERR `.
    pub fn message(self, is_write: bool) -> &'static str {
        match (self, is_write) {
            (UpstreamError::Unavailable, _) => "upstream unavailable",
            (_, true) => "upstream lost, the write may or may not have happened",
            (UpstreamError::Lost, false) => "upstream lost",
            (UpstreamError::TimedOut, false) => "upstream timed out",
        }
    }
}

/// The reason for which a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The upstream has no room for it, or has not sent its commands yet.
    Upstream,
    /// A PING has to be answered first, behind which no earlier invalidation is missing.
    Unconfirmed,
}

/// Returns whether an error of the upstream is one of its present state, whatever it is asked: the
/// same request may be answered later.
pub fn is_passing(error: &[u8]) -> bool {
    let code = error.split(|&byte| byte == b' ').next().unwrap_or_default();
    matches!(
        code,
        b"BUSY" | b"LOADING" | b"MASTERDOWN" | b"CLUSTERDOWN" | b"TRYAGAIN" | b"MISCONF" | b"OOM"
    )
}

/// A reply of the upstream that cannot belong to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedReply;
