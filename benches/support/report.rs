//! What the benches of whole programs print: tables in Markdown, as they stand in
//! `docs/performance/tables.md`, and each single figure as a line of CSV.

use std::fs::File;
use std::io::Write;
use std::time::Duration;
use std::{env, io};

/// Where it all goes.
pub struct Report {
    /// `--csv=FILE` on the command line.
    file: Option<File>,
}

impl Report {
    /// Creates the file that the command line names.
    pub fn from_arguments() -> Report {
        let path = env::args().find_map(|it| it.strip_prefix("--csv=").map(str::to_string));
        let file = path.map(|path| {
            let mut file = File::create(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            writeln!(file, "table,row,round,figure,value").expect("there is room");
            file
        });
        Report { file }
    }

    /// Begins a table; all columns but the first `names` hold numbers.
    pub fn table(&self, names: usize, columns: &[&str]) {
        println!("\n| {} |", columns.join(" | "));
        let lines = (0..columns.len()).map(|at| if at < names { "---" } else { "---:" });
        println!("| {} |", lines.collect::<Vec<_>>().join(" | "));
    }

    /// A row of it.
    pub fn row(&self, cells: &[String]) {
        println!("| {} |", cells.join(" | "));
        // A row may take a minute: show it when it is there, also through a pipe.
        let _ = io::stdout().flush();
    }

    /// Figures as they were measured, once or in one of several rounds.
    pub fn raw(&mut self, table: &str, row: &str, round: usize, figures: &[(&str, f64)]) {
        if let Some(file) = &mut self.file {
            for (figure, value) in figures {
                let line = format!("{table},\"{row}\",{round},{figure},{value:.3}");
                writeln!(file, "{line}").expect("there is room");
            }
        }
    }
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The middle one of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
