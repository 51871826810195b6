//! The reply to a `DUMP` in text, as server and proxy write it an entry at a time.

use super::{Origin, Style};
use crate::base::output::Output;
use crate::protocol::{Request, text};

/// The reply to a `DUMP` in text that is being written: keys on one line, or a line for each key
/// and its value.
#[derive(Clone, Copy, Debug)]
pub struct TextDump {
    /// Whether it is one of pairs.
    pub pairs: bool,
    prefix: text::Prefix,
    begun: bool,
}

impl TextDump {
    /// Returns the reply to a request, without any entry.
    ///
    /// # Errors
    /// The request is wrong: returns the usage.
    pub fn new(style: Style, request: &Request<'_>) -> Result<TextDump, &'static str> {
        let pairs = request.dumps_pairs()?;
        Ok(TextDump { pairs, prefix: style.prefix(Origin::Server), begun: false })
    }

    /// Returns whether an entry was written.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Appends an entry: its key, or its key and value.
    pub fn write(&mut self, output: &mut Output, key: &[u8], value: &[u8]) {
        if self.pairs {
            text::push_pair(output, self.prefix, key, value);
        } else {
            output.push(if self.begun { b" " } else { self.prefix });
            text::push_key(output, key);
        }
        self.begun = true;
    }

    /// Appends the end, after all entries.
    pub fn write_end(&self, output: &mut Output) {
        if self.pairs || !self.begun {
            output.push(self.prefix);
        }
        output.push(if self.pairs { b"END\r\n" } else { b"\r\n" });
    }
}
