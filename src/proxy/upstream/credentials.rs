//! The proxy's credentials at its upstream: a user's name and a password, which are never printed.

use std::fmt;
use std::sync::Arc;

/// The user of a client that gives no name.
const DEFAULT_USER: &[u8] = b"default";

/// A user and a password; `Debug` prints neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name of the user; `None`: the upstream's default user.
    pub user: Option<Vec<u8>>,
    /// The password, which is not empty.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Reads a file of one line, the password, or of two, the user and the password. Of one line,
    /// `user` is the user.
    ///
    /// # Errors
    /// It has another form: returns what is wrong, without any of its text.
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

    /// Returns the user's name, also if it is the default user.
    pub fn user_name(&self) -> &[u8] {
        self.user.as_deref().unwrap_or(DEFAULT_USER)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The source of the credentials, from which they are loaded for each connection: a password that
/// was changed is found without a restart.
#[derive(Clone, Default)]
pub struct Source(Option<Arc<Load>>);

type Load = dyn Fn() -> Result<Credentials, String> + Send + Sync;

impl Source {
    /// Returns a source that calls `load`, which fails with a reason of one line. The event loop
    /// waits for it, as for nothing else: it may read a small file, and do nothing slower.
    pub fn new(load: impl Fn() -> Result<Credentials, String> + Send + Sync + 'static) -> Source {
        Source(Some(Arc::new(load)))
    }

    /// Returns the credentials; `None`: the upstream needs none.
    ///
    /// # Errors
    /// They cannot be loaded: returns the reason, in one line.
    pub fn load(&self) -> Result<Option<Credentials>, String> {
        self.0.as_ref().map(|load| load()).transpose()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[cfg(test)]
mod tests;
