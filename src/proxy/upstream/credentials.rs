//! Who the proxy is to its upstream: a user's name and a password, which never show.

use std::fmt;
use std::sync::Arc;

/// The user whose name nobody gives.
const DEFAULT_USER: &[u8] = b"default";

/// A user and a password. What is printed of them is nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `None`: the upstream's default user.
    pub user: Option<Vec<u8>>,
    /// Not empty.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Reads a file of one or two lines: the password; or the user, then the password. The user of
    /// a file that names none is the one given.
    ///
    /// # Errors
    /// What is wrong with it, without anything that stands in it.
    pub fn read(text: &[u8], user: Option<Vec<u8>>) -> Result<Credentials, &'static str> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let lines: Vec<&[u8]> = text
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .collect();
        match lines[..] {
            [] | [.., b""] => Err("it holds no password"),
            [password] => Ok(Credentials { user, password: password.to_vec() }),
            [b"", _] => Err("its first line, the user, is empty"),
            [user, password] => {
                Ok(Credentials { user: Some(user.to_vec()), password: password.to_vec() })
            }
            _ => Err("it is to have one line, the password, or two, the user and the password"),
        }
    }

    /// The user's name, also where it is the default one.
    pub fn user_name(&self) -> &[u8] {
        self.user.as_deref().unwrap_or(DEFAULT_USER)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Where credentials come from. It is asked for each connection anew, so that a password that was
/// changed is found without a restart.
#[derive(Clone, Default)]
pub struct Source(Option<Arc<Ask>>);

type Ask = dyn Fn() -> Result<Credentials, String> + Send + Sync;

impl Source {
    /// Asks `ask`, which fails with one line that says why. The event loop waits for it: it may
    /// read a small file, and nothing slower.
    pub fn new(ask: impl Fn() -> Result<Credentials, String> + Send + Sync + 'static) -> Source {
        Source(Some(Arc::new(ask)))
    }

    /// The credentials, if there is any need of them.
    ///
    /// # Errors
    /// One line that says why they cannot be had.
    pub fn ask(&self) -> Result<Option<Credentials>, String> {
        self.0.as_ref().map(|ask| ask()).transpose()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[cfg(test)]
mod tests;
