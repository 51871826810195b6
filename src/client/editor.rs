//! Line editing on a terminal: history, completion of verbs, hints of arguments.
//!
//! What can be completed and hinted at is read from the table of commands, so that a new command
//! needs nothing here.

use super::failure::Failure;
use crate::protocol::command::Command;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// What the user entered.
pub enum Entered {
    /// A line, or several that were pasted as one.
    Text(Vec<u8>),
    /// The user wants a fresh prompt.
    Interrupt,
    /// There will be no more.
    End,
}

/// Requests that are remembered.
const HISTORY_ENTRIES: usize = 1000;

/// A prompt on the terminal.
pub struct Editor {
    inner: rustyline::Editor<Assistant, FileHistory>,
    prompt: &'static str,
    history: Option<PathBuf>,
}

impl Editor {
    /// Prepares the terminal. The history is read from `~/.larder_history`, if it is there.
    ///
    /// # Errors
    /// [`Failure::Input`] when the terminal cannot be used.
    pub fn new(prompt: &'static str) -> Result<Editor, Failure> {
        let config = Config::builder()
            .max_history_size(HISTORY_ENTRIES)
            .map_err(unusable)?
            // As in a shell: a line that begins with a space is not remembered.
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut inner = rustyline::Editor::with_config(config).map_err(unusable)?;
        inner.set_helper(Some(Assistant));
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let history = home.map(|home| PathBuf::from(home).join(".larder_history"));
        if let Some(path) = &history {
            // A history that cannot be read is no error.
            let _ = inner.load_history(path);
        }
        Ok(Editor { inner, prompt, history })
    }

    /// Shows the prompt, and returns a line. Ctrl-C drops it, Ctrl-D on an empty one is the end.
    ///
    /// # Errors
    /// [`Failure::Input`] when the terminal is gone.
    pub fn read(&mut self) -> Result<Entered, Failure> {
        match self.inner.readline(self.prompt) {
            Ok(line) => {
                let _ = self.inner.add_history_entry(line.as_str());
                Ok(Entered::Text(line.into_bytes()))
            }
            Err(ReadlineError::Interrupted) => Ok(Entered::Interrupt),
            Err(ReadlineError::Eof) => Ok(Entered::End),
            Err(error) => Err(unusable(error)),
        }
    }

    /// Saves the history for the next session, if that is possible.
    pub fn save_history(&mut self) {
        if let Some(path) = &self.history {
            let _ = self.inner.append_history(path);
        }
    }
}

fn unusable(error: ReadlineError) -> Failure {
    let error = match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    };
    Failure::Input("the terminal".to_string(), error)
}

/// Completes and hints at the commands.
struct Assistant;

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..position]))
    }
}

impl Hinter for Assistant {
    type Hint = ArgumentHint;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<ArgumentHint> {
        let at_end = position == line.len();
        if at_end { hint(line).map(ArgumentHint) } else { None }
    }
}

/// The arguments that are still to be typed, by name: no key inserts them.
struct ArgumentHint(String);

impl Hint for ArgumentHint {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

/// Returns the command of this name.
fn find(verb: &str) -> Option<&'static Command> {
    Command::find(verb.as_bytes())
}

/// Returns the start of the last word of `line`, and its completions.
fn complete(line: &str) -> (usize, Vec<String>) {
    let start = line.rfind([' ', '\t']).map_or(0, |separator| separator + 1);
    let (before, typed) = line.split_at(start);
    let words: Vec<&str> = before.split_whitespace().collect();
    let candidates: Vec<String> = match words.as_slice() {
        [] => {
            let commands = Command::all().iter();
            // A space where arguments follow: the next word can be typed at once.
            let end = |command: &Command| if command.arguments.is_empty() { "" } else { " " };
            commands.map(|command| format!("{}{}", command.name, end(command))).collect()
        }
        [verb] => find(verb).map_or_else(Vec::new, alternatives),
        _ => Vec::new(),
    };
    (start, candidates.iter().filter_map(|candidate| in_case_of(typed, candidate)).collect())
}

/// Returns the words of which an argument must be one, as in `[KEYS|PAIRS]`; none if it is free.
fn alternatives(command: &'static Command) -> Vec<String> {
    let words = command.arguments.trim_matches(['[', ']']);
    if words.is_empty() || words.contains('<') {
        return Vec::new();
    }
    words.split('|').map(str::to_string).collect()
}

/// Returns `candidate`, if it begins with what was typed; in small letters if that was.
fn in_case_of(typed: &str, candidate: &str) -> Option<String> {
    let start = candidate.get(..typed.len())?;
    if !start.eq_ignore_ascii_case(typed) {
        return None;
    }
    match typed.contains(|letter: char| letter.is_ascii_lowercase()) {
        true => Some(candidate.to_ascii_lowercase()),
        false => Some(candidate.to_string()),
    }
}

/// Returns the arguments that a line still lacks.
fn hint(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let command = find(words.next()?)?;
    let typed: Vec<&str> = words.collect();
    if typed.iter().any(|word| word.contains('=')) {
        // `PUT k=v`: all in one word.
        return None;
    }
    let missing: Vec<&str> = command.arguments.split_whitespace().skip(typed.len()).collect();
    if missing.is_empty() {
        return None;
    }
    let separator = if line.ends_with([' ', '\t']) { "" } else { " " };
    Some(format!("{separator}{}", missing.join(" ")))
}

#[cfg(test)]
mod tests;
