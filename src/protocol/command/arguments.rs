//! The arguments of a command as a tree, read from the line that shows them to people. `COMMAND
//! DOCS` sends it to Redis's clients, whose hints come from there.
//!
//! ```text
//!   <key> [<key> ...]                 key, multiple
//!   <key> [NX|XX] [EX <seconds>]      key; optional one of NX, XX; optional seconds after EX
//!   <cursor> [AUTH <user> <password>] cursor; optional block of user and password after AUTH
//! ```

use super::{ArgumentKind, Command};

/// An argument, or several that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Redis's name of its kind: `key`, `integer`, `pure-token`, `oneof`, `block` and so on.
    pub kind: &'static str,
    /// The word before it, or the word that it is; empty: none.
    pub token: &'static str,
    /// It may be left out.
    pub optional: bool,
    /// It may come several times.
    pub multiple: bool,
    /// The parts of a block, or the alternatives of a choice.
    pub parts: Vec<Argument>,
}

impl Command {
    /// Returns its arguments in RESP.
    pub fn argument_tree(&self) -> Vec<Argument> {
        let mut found = Parser { command: self, rest: self.arguments }.alternatives();
        // Values that come again fold into those before them.
        let mut options = Parser { command: self, rest: self.options };
        options.sequence(&mut found);
        found
    }
}

impl Argument {
    fn value(name: &str, kind: ArgumentKind) -> Argument {
        Argument { name: name.to_string(), kind: kind.name(), ..Argument::default() }
    }

    fn token(token: &'static str) -> Argument {
        Argument { name: token.to_lowercase(), kind: "pure-token", token, ..Argument::default() }
    }

    fn group(kind: &'static str, parts: Vec<Argument>) -> Argument {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        Argument { name: names.join("-"), kind, parts, ..Argument::default() }
    }

    /// Returns several as one.
    fn one(mut arguments: Vec<Argument>) -> Argument {
        match arguments.len() {
            1 => arguments.remove(0),
            _ => Argument::group("block", arguments),
        }
    }

    /// Adds a value after the token, or after the values there.
    fn add_value(&mut self, value: Argument) {
        let token = std::mem::take(&mut self.token);
        let whole = match self.kind {
            "pure-token" => value,
            "block" => Argument::group("block", [&self.parts[..], &[value]].concat()),
            _ => Argument::group("block", vec![self.clone(), value]),
        };
        *self = Argument { token, ..whole };
    }
}

enum SyntaxPiece {
    Name(&'static str),
    Word(&'static str),
    Open,
    Close,
    Or,
    Again,
}

struct Parser<'a> {
    command: &'a Command,
    rest: &'static str,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<SyntaxPiece> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let (len, piece): (usize, fn(&'static str) -> SyntaxPiece) = match first {
            '[' => (1, |_| SyntaxPiece::Open),
            ']' => (1, |_| SyntaxPiece::Close),
            '|' => (1, |_| SyntaxPiece::Or),
            '.' => (3, |_| SyntaxPiece::Again),
            '<' => {
                let end = self.rest.find('>').map_or(self.rest.len(), |end| end + 1);
                (end, |text| SyntaxPiece::Name(text.trim_matches(['<', '>'])))
            }
            _ => (self.rest.find([' ', '|', ']']).unwrap_or(self.rest.len()), SyntaxPiece::Word),
        };
        let (piece_text, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(piece(piece_text))
    }

    /// Reads up to the closing bracket, or the end.
    fn alternatives(&mut self) -> Vec<Argument> {
        let mut all = Vec::new();
        loop {
            let mut one = Vec::new();
            let goes_on = self.sequence(&mut one);
            if all.is_empty() && !goes_on {
                return one;
            }
            all.push(Argument::one(one));
            if !goes_on {
                return vec![Argument::group("oneof", all)];
            }
        }
    }

    /// Reads up to `|`, or the end of the alternatives, and returns whether it was `|`.
    fn sequence(&mut self, found: &mut Vec<Argument>) -> bool {
        let mut after_token = false;
        while let Some(piece) = self.next() {
            match piece {
                SyntaxPiece::Word(word) => found.push(Argument::token(word)),
                SyntaxPiece::Name(name) => {
                    let value = Argument::value(name, self.command.kind_of(name));
                    match found.last_mut() {
                        Some(last) if after_token => last.add_value(value),
                        _ => found.push(value),
                    }
                }
                SyntaxPiece::Open => {
                    let inner = self.alternatives();
                    push_optional(found, inner);
                }
                SyntaxPiece::Again => {
                    let last = Argument::one(std::mem::take(found));
                    found.push(Argument { multiple: true, ..last });
                }
                SyntaxPiece::Or => return true,
                SyntaxPiece::Close => return false,
            }
            after_token = match piece {
                SyntaxPiece::Word(_) => true,
                SyntaxPiece::Name(_) => after_token,
                _ => false,
            };
        }
        false
    }
}

/// Adds the arguments between brackets. If they repeat those before them, these are multiple.
fn push_optional(found: &mut Vec<Argument>, inner: Vec<Argument>) {
    let inner = Argument::one(inner);
    let again = if inner.kind == "block" { inner.parts.len() } else { 1 };
    let start = found.len().saturating_sub(again);
    let before: Vec<&str> = found[start..].iter().map(|argument| argument.name.as_str()).collect();
    if inner.multiple && before.join("-") == inner.name {
        let whole = Argument::one(found.split_off(start));
        found.push(Argument { multiple: true, ..whole });
    } else {
        found.push(Argument { optional: true, ..inner });
    }
}

#[cfg(test)]
mod tests;
