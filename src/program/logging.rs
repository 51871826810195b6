//! Logs: on stderr, through `env_logger`; one printable line each, and no more lines than a disk
//! can bear, whatever peers do.
//!
//! - `output.rs`: stderr that never blocks the caller

mod output;

use crate::base::escape::for_log;
use env_logger::{Builder, Env, Logger, Target};
use log::{Log, Metadata, Record};
use output::LogOutput;
use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most lines in any [`SPAN`], those about lines left out included: more than people read, and
/// at some 100 bytes each about a gigabyte a day.
const MAX_LINES: usize = 100;

/// The period of [`MAX_LINES`], and of the silence after so many.
const SPAN: Duration = Duration::from_secs(1);

/// Sends logs to stderr, at level `info` unless `RUST_LOG` sets another; to be called once. Returns
/// a guard that waits for the last lines when it is dropped.
pub fn start() -> impl Drop {
    let mut builder = Builder::from_env(Env::default().default_filter_or("info"));
    let output = LogOutput::start(io::stderr());
    let logger = builder.target(Target::Pipe(Box::new(output.clone()))).build();
    log::set_max_level(logger.filter());
    let bounded = Bounded { logger, pace: Mutex::default() };
    log::set_boxed_logger(Box::new(bounded)).expect("it is called once");
    LastLines(output)
}

struct LastLines(LogOutput);

impl Drop for LastLines {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// A logger that passes on at most [`MAX_LINES`] lines in a [`SPAN`].
struct Bounded {
    logger: Logger,
    pace: Mutex<Pace>,
}

impl Log for Bounded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.logger.matches(record) {
            return;
        }
        let write = |line: Arguments<'_>| {
            let metadata = record.metadata().clone();
            self.logger.log(&Record::builder().metadata(metadata).args(line).build());
        };
        // Locked while writing, so that the line about lines left out stands in their place.
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        match pace.admit(Instant::now()) {
            Fate::Written { left_out } => {
                if left_out > 0 {
                    write(format_args!("{left_out} lines were left out here"));
                }
                write(format_args!("{}", for_log(&record.args().to_string())));
            }
            Fate::First => {
                write(format_args!("too many lines: left out for a second, and counted"));
            }
            Fate::LeftOut => {}
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

/// The decision on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is written, after a line with the number of those left out.
    Written {
        left_out: u64,
    },
    /// It is the first that is left out: another line reports that in its place.
    First,
    LeftOut,
}

/// The times of lines written, and the number of those left out since.
#[derive(Debug, Default)]
struct Pace {
    /// The times of the lines of the last [`SPAN`].
    written: VecDeque<Instant>,
    left_out: u64,
}

impl Pace {
    fn admit(&mut self, now: Instant) -> Fate {
        let is_past = |time: &Instant| now.duration_since(*time) >= SPAN;
        if self.left_out > 0 && !self.written.back().is_none_or(is_past) {
            self.left_out += 1;
            return Fate::LeftOut;
        }
        while self.written.front().is_some_and(is_past) {
            self.written.pop_front();
        }
        self.written.push_back(now);
        if self.written.len() == MAX_LINES {
            self.left_out = 1;
            return Fate::First;
        }
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            self.written.push_back(now);
        }
        Fate::Written { left_out }
    }
}

#[cfg(test)]
mod tests;
