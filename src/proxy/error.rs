//! Why a request is not answered as it was asked.

/// Why a request has no reply of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    /// It was never sent: there is no connection.
    Unavailable,
    /// The connection was lost after it was sent.
    Lost,
    /// It was not answered in time.
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

/// Why a request cannot be carried out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The upstream can take no more for now, or has not told its commands.
    Upstream,
    /// A cached value is not known to be still true.
    Confirmation,
}

/// A reply of the upstream that cannot belong to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedReply;
