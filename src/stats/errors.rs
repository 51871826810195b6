//! Error replies, counted by their codes.

/// The most bytes of a code.
const MAX_CODE: usize = 32;

/// The most codes that are counted one by one. Ours are few; an upstream's modules may have any.
pub const MAX_KINDS: usize = 64;

/// The code under which all further ones are counted, as in Redis.
const OVERFLOW: &str = "ERRORSTATS_OVERFLOW";

/// How often each code of an error was sent.
#[derive(Debug, Default)]
pub struct ErrorCounts(Vec<(Box<str>, u64)>);

impl ErrorCounts {
    /// Counts an error: a code, or a code and a blank and a message. What has no code counts as
    /// `ERR`.
    pub fn count(&mut self, error: &[u8]) {
        let code = code(error);
        let found = self.0.iter().position(|(it, _)| **it == *code);
        let (code, found) = match found {
            None if self.0.len() >= MAX_KINDS => {
                (OVERFLOW, self.0.iter().position(|(it, _)| **it == *OVERFLOW))
            }
            found => (code, found),
        };
        match found {
            Some(place) => self.0[place].1 += 1,
            None => self.0.push((code.into(), 1)),
        }
    }

    /// Returns the codes with their counts, in the order in which they came first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(code, count)| (&**code, *count))
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Returns the code of an error.
fn code(error: &[u8]) -> &str {
    let word = error.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is_code = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    match std::str::from_utf8(word) {
        Ok(code) if (1..=MAX_CODE).contains(&code.len()) && word.iter().all(is_code) => code,
        _ => "ERR",
    }
}

#[cfg(test)]
mod tests;
