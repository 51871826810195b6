//! A session: a prompt, a request, a reply, until the user or the server ends it.
//!
//! From a pipe and on a terminal the session is the same; only where its lines come from differs.
//! On a terminal they are edited (`editor.rs`), and the editor shows the prompt.

use super::connection::ServerConnection;
use super::editor::{Editor, Entered};
use super::failure::{Failure, Verdict};
use super::lines::Lines;
use super::output::{ClientOutput, Look};
use super::request::{Encoder, Kind, Typed};
use super::{Exchanged, carry_out_line};
use std::io::{self, IsTerminal, Stdin};

const PROMPT: &str = "Enter request: ";

/// Runs a session to its end: after the user's BYE, or after one of our own at the end of input.
/// Returns the outcome: of one from a pipe, whether a reply was an error.
///
/// # Errors
/// [`Failure::Lost`] when the server closes first, [`Failure::Input`] and [`Failure::Output`] when
/// the user's side cannot be read or written.
pub fn run(connection: ServerConnection, output: ClientOutput) -> Result<Verdict, Failure> {
    let prompt = match output.look() {
        Look::Labelled => PROMPT,
        Look::Bare => "",
    };
    let input = match can_edit() {
        true => LineInput::Terminal(Box::new(Editor::new(prompt)?)),
        false => LineInput::Pipe(Lines::new(io::stdin()), prompt),
    };
    let encoder = Encoder::new(connection.is_larder());
    let mut session = InteractiveSession { connection, output, input, encoder, failed: false };
    let outcome = session.run();
    if let LineInput::Terminal(editor) = &mut session.input {
        editor.save_history();
        return outcome.map(|()| Verdict::Done);
    }
    outcome.map(|()| if session.failed { Verdict::Refused } else { Verdict::Done })
}

/// Returns whether a line can be edited where it is typed: on a terminal that can move its cursor.
fn can_edit() -> bool {
    const CANNOT: [&str; 3] = ["dumb", "emacs", "cons25"];
    let kind = std::env::var("TERM").unwrap_or_default();
    io::stdin().is_terminal() && io::stdout().is_terminal() && !CANNOT.contains(&kind.as_str())
}

enum LineInput {
    Pipe(Lines<Stdin>, &'static str),
    Terminal(Box<Editor>),
}

struct InteractiveSession {
    connection: ServerConnection,
    output: ClientOutput,
    input: LineInput,
    encoder: Encoder,
    /// A reply was an error.
    failed: bool,
}

impl InteractiveSession {
    fn run(&mut self) -> Result<(), Failure> {
        if self.output.look() == Look::Labelled {
            self.output.text("Connected to server\n")?;
        }
        loop {
            match self.next()? {
                Entered::Interrupt => {}
                Entered::End => break,
                Entered::Text(text) => {
                    // A terminal may paste many lines as one.
                    for line in text.split(|&byte| byte == b'\n') {
                        if self.exchange(line)? {
                            return self.output.flush();
                        }
                    }
                }
            }
        }
        self.connection.send_words(&[b"QUIT"]);
        self.output.reply(&mut self.connection, Kind::Farewell)?;
        self.output.flush()
    }

    /// Shows the prompt, waits for input, and returns it.
    fn next(&mut self) -> Result<Entered, Failure> {
        match &mut self.input {
            LineInput::Terminal(editor) => {
                self.output.flush()?;
                editor.read()
            }
            LineInput::Pipe(lines, prompt) => {
                self.output.text(prompt)?;
                self.output.flush()?;
                let line = lines.next_line();
                match line.map_err(|error| Failure::Input("standard input".to_string(), error))? {
                    Some(line) => Ok(Entered::Text(line.to_vec())),
                    None => {
                        if !prompt.is_empty() {
                            self.output.text("\n")?;
                        }
                        Ok(Entered::End)
                    }
                }
            }
        }
    }

    /// Sends the request in a line and shows its reply. Returns whether the session is over.
    fn exchange(&mut self, line: &[u8]) -> Result<bool, Failure> {
        let InteractiveSession { connection, output, encoder, .. } = self;
        let typed = encoder.encode(line);
        let is_login = matches!(typed, Typed::Request(_, Kind::Login));
        let Exchanged { verdict, is_last } = carry_out_line(connection, output, typed)?;
        self.failed |= verdict == Verdict::Error;
        if is_login && verdict == Verdict::Done {
            self.connection.greet()?;
            self.encoder = Encoder::new(self.connection.is_larder());
        }
        Ok(is_last)
    }
}
