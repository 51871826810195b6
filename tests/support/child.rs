//! A program as a child process: on pipes, or on a terminal whose screen is read through a
//! terminal emulator. Nothing waits without a limit.

use super::process::PATIENCE;
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

/// What a program left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

/// Runs `command` with `input` on a pipe, to its end.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Exit {
    let mut child = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // In a thread: the program may print much before it has read all.
    thread::spawn(move || stdin.write_all(&input));
    child.ended()
}

/// A program on pipes that is running; killed when dropped.
pub struct Running {
    pub stdin: Option<std::process::ChildStdin>,
    pub stdout: Option<std::process::ChildStdout>,
    id: u32,
    output: Receiver<Output>,
    ended: bool,
}

impl Running {
    /// Starts `command`; its stdout is collected.
    pub fn start(command: &mut Command) -> Running {
        Running::new(command.stdout(Stdio::piped()), false)
    }

    /// Starts `command`; its stdout is the caller's.
    pub fn start_watched(command: &mut Command) -> Running {
        Running::new(command.stdout(Stdio::piped()), true)
    }

    fn new(command: &mut Command, watched: bool) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = if watched { child.stdout.take() } else { None };
        let id = child.id();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let output = child.wait_with_output().expect("it is a child");
            let _ = sender.send(output);
        });
        Running { stdin, stdout, id, output, ended: false }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(mut self) -> Exit {
        self.stdin = None;
        let output = self.output.recv_timeout(PATIENCE).expect("the program does not end");
        self.ended = true;
        Exit {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            kill(self.id);
        }
    }
}

fn kill(id: u32) {
    let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
}

const ROWS: NonZero<u16> = NonZero::new(40).expect("not zero");
const COLUMNS: NonZero<u16> = NonZero::new(80).expect("not zero");

/// A program on a terminal; killed when dropped.
pub struct Terminal {
    prompt: String,
    id: u32,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
    exit: Receiver<ExitStatus>,
    ended: bool,
}

impl Terminal {
    /// Starts `command` on a new terminal; it asks for a line with `prompt`.
    pub fn start(command: &mut Command, prompt: &str) -> Terminal {
        let size = nix::pty::Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = nix::pty::openpty(&size, None).expect("the system has pseudo-terminals");
        let line = File::from(pair.slave);
        let stdio = || Stdio::from(line.try_clone().expect("a descriptor is free"));
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().expect("the program starts");
        let id = child.id();
        let keyboard = File::from(pair.master);
        let output = follow(keyboard.try_clone().expect("a descriptor is free"));
        let emulator = vt100::Parser::new(ROWS, COLUMNS, 0);
        let prompt = prompt.to_string();
        Terminal { prompt, id, keyboard, output, emulator, exit: exit_of(child), ended: false }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes them");
    }

    /// Types a request, one character after the other as each is shown, and Enter.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        for end in 1..=line.len() {
            self.press(&line[end - 1..end]);
            self.wait_for(|screen| screen.ends_with_request(&line[..end]));
        }
        self.press("\r");
    }

    /// Waits until the screen is exactly this.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        self.wait_for(|screen| screen.text() == expected);
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub fn wait_for(&mut self, wanted: impl Fn(&Screen<'_>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&Screen(self.emulator.screen(), &self.prompt)) {
            let patience = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(patience) {
                Ok(bytes) => self.emulator.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the screen stays at:\n{}", self.text());
                }
            }
        }
    }

    /// What a user sees, now.
    fn text(&self) -> String {
        Screen(self.emulator.screen(), &self.prompt).text()
    }

    /// Waits for the program's end; its exit code.
    #[track_caller]
    pub fn exit_code(mut self) -> Option<i32> {
        let status = self.exit.recv_timeout(PATIENCE).expect("the program does not end");
        self.ended = true;
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.ended {
            kill(self.id);
        }
    }
}

/// What a user sees.
pub struct Screen<'a>(&'a vt100::Screen, &'a str);

impl Screen<'_> {
    /// Its lines, without the blanks at their ends and the empty ones at the bottom.
    pub fn text(&self) -> String {
        let lines: Vec<String> =
            self.0.rows(0, COLUMNS.get()).map(|row| row.trim_end().to_string()).collect();
        lines.join("\n").trim_end().to_string()
    }

    /// Returns whether what is written next begins a line.
    pub fn is_at_the_start_of_a_line(&self) -> bool {
        self.0.cursor_position().1 == 0
    }

    /// Whether the last line is a prompt with `typed` after it, hints aside, and the cursor behind.
    pub fn ends_with_request(&self, typed: &str) -> bool {
        let shown = format!("{}{typed}", self.1);
        let (row, column) = self.0.cursor_position();
        let line = self.0.rows(0, COLUMNS.get()).nth(row.into()).unwrap_or_default();
        line.starts_with(shown.trim_end()) && usize::from(column) == shown.len()
    }
}

fn follow(mut screen: File) -> Receiver<Vec<u8>> {
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // It ends with an error once nobody has the terminal open.
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    output
}

fn exit_of(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, exit) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(child.wait().expect("it is a child"));
    });
    exit
}
