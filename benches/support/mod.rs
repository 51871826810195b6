//! Times closures over several rounds and prints one row of a table for each.
//!
//! A round repeats a closure for some tens of milliseconds, so that the clock's own cost vanishes.
//! The rounds of a row differ by what else the machine does: *min* is the code, *max* the others.
#![allow(dead_code)] // each bench uses a part of it

pub mod exchange;
pub mod histogram;
pub mod load;
pub mod plot;
pub mod programs;
pub mod report;

use nix::time::ClockId;
use std::io::Write;
use std::time::{Duration, Instant};

/// Enough for a median that stays put, odd so that there is one.
const ROUNDS: usize = 11;
/// A thousand times what a timer interrupt costs.
const ROUND: Duration = Duration::from_millis(40);

/// What the command line asks for.
pub struct Selection {
    /// Rows without any of these in their names are left out.
    filters: Vec<String>,
    /// `cargo test --benches` runs every row once, to see that it still works.
    once: bool,
}

impl Selection {
    /// `cargo bench -- WORD…` leaves rows without any of the words out. What `cargo bench` and
    /// habit add to the command line (`--bench`, `--nocapture`) is no word.
    pub fn from_arguments() -> Selection {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let once = !arguments.iter().any(|argument| argument == "--bench");
        let filters = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
        Selection { filters, once }
    }

    /// Whether a row is wanted; for those whose preparation takes long.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|word| name.contains(word.as_str()))
    }

    /// Whether a row only has to work, and its times do not matter.
    pub fn once(&self) -> bool {
        self.once
    }
}

/// A table that is measured row by row.
pub struct Table {
    selection: Selection,
}

impl Table {
    /// Prints the head of a table.
    pub fn new(title: &str) -> Table {
        let columns = format!("{:>10}{:>12}{:>12}{:>16}", "min", "median", "max", "operations/s");
        println!("{title:<42}{:>34}", "nanoseconds per operation");
        Table::with_head("", &columns)
    }

    /// The same with other columns, for rows that the bench prints itself.
    pub fn with_head(title: &str, columns: &str) -> Table {
        println!("{title:<42}{columns}");
        Table { selection: Selection::from_arguments() }
    }

    /// See [`Selection::wants`].
    pub fn wants(&self, name: &str) -> bool {
        self.selection.wants(name)
    }

    /// See [`Selection::once`].
    pub fn once(&self) -> bool {
        self.selection.once()
    }

    /// Measures a closure that carries out `operations` operations.
    pub fn row(&mut self, name: &str, operations: usize, mut work: impl FnMut()) {
        self.timed_row(name, operations, || {
            let start = Instant::now();
            work();
            start.elapsed()
        });
    }

    /// Measures a closure that carries out `operations` operations and says how long they took, so
    /// that it can prepare and clean up at no charge.
    pub fn timed_row(&mut self, name: &str, operations: usize, mut work: impl FnMut() -> Duration) {
        if !self.wants(name) {
            return;
        }
        // The first call warms caches and the allocator up, and tells how many make up a round.
        let first = work().max(work()).max(Duration::from_nanos(1));
        let calls = ROUND.as_nanos().div_ceil(first.as_nanos()).max(1) as u32;
        let (rounds, calls) = if self.once() { (1, 1) } else { (ROUNDS, calls) };
        let per_round = operations as f64 * f64::from(calls);
        let round = |_| (0..calls).map(|_| work()).sum::<Duration>().as_secs_f64();
        let nanoseconds = (0..rounds).map(round).map(|seconds| seconds * 1e9 / per_round);
        self.print(name, &mut nanoseconds.collect::<Vec<_>>(), "");
    }

    /// Prints a row of nanoseconds per operation, one for each round, and a remark behind it.
    pub fn print(&self, name: &str, rounds: &mut [f64], remark: &str) {
        rounds.sort_by(f64::total_cmp);
        let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
        let median = rounds[rounds.len() / 2];
        let per_second = grouped((1e9 / median) as u64);
        println!("{name:<42}{least:>10.1}{median:>12.1}{most:>12.1}{per_second:>16}{remark}");
        // A row takes half a second: show it when it is there, also through a pipe.
        let _ = std::io::stdout().flush();
    }
}

/// How long the processor has worked for this thread. For the longest of many calls: by any other
/// clock it would be one that was interrupted.
pub fn processor_time() -> Duration {
    let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().expect("every system of today has this clock").into()
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Numbers that look random and are the same in every run (Steele et al., *SplitMix*, 2014).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Puts `items` in another order, so that memory is not walked from front to back.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// The key of this number: 16 bytes, all of them text.
pub fn key(number: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    write_digits(&mut key[4..], number);
    key
}

/// Writes a number in decimal, at the end of a place that is full of zeros or digits.
pub fn write_digits(place: &mut [u8], mut number: usize) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The memory that a process has now, in bytes; `None` where the system does not tell.
pub fn resident_bytes(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// So many keys from this number on, in no order.
pub fn shuffled_keys(from: usize, count: usize) -> Vec<[u8; 16]> {
    let mut keys: Vec<_> = (from..from + count).map(key).collect();
    Numbers(1).shuffle(&mut keys);
    keys
}
