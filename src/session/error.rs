//! Why a request is not carried out, in words that are fit to be sent.

use crate::stats::{Stat, Stats};
use std::borrow::Cow;
use std::fmt;

/// An error, and the counter of the limit that the request is beyond, if that is why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    message: Cow<'static, str>,
    over: Option<Stat>,
}

impl Fault {
    /// One that is no matter of limits.
    pub const fn plain(message: &'static str) -> Fault {
        Fault { message: Cow::Borrowed(message), over: None }
    }

    /// One for a limit that `counter` counts.
    pub fn over(counter: Stat, message: impl Into<Cow<'static, str>>) -> Fault {
        Fault { message: message.into(), over: Some(counter) }
    }

    /// Counts it, if there is a counter for it; what is to be sent.
    pub fn told(&self, stats: &mut Stats) -> &str {
        if let Some(counter) = self.over {
            stats.add(counter, 1);
        }
        &self.message
    }
}

impl From<&'static str> for Fault {
    fn from(message: &'static str) -> Fault {
        Fault::plain(message)
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Fault {
        Fault { message: message.into(), over: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
