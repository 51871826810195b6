//! Draws the figures of `peers` as a picture for the documents: SVG, from the lines of its CSV.

use std::fmt::Write;

/// One panel for each of these, side by side.
const PANELS: [(&str, &str); 3] = [
    ("GET, pipeline 1, 100,000 keys, ", "one request at a time"),
    ("GET, pipeline 16, 100,000 keys, ", "16 requests at a time"),
    ("GET, pipeline 64, 100,000 keys, ", "64 requests at a time"),
];
/// A bar in each panel for each of these: its name in the data, its label, its class.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("floor", "system calls alone", "floor"),
    ("Larder", "Larder", "larder"),
    ("redis-server", "Redis", "peer"),
    ("memcached -t 1", "memcached", "peer"),
];
const FIGURE: &str = "CPU µs";

/// What a bar at full length means, as a multiple of the third program's figure: a longer one is
/// cut, and ends in a point.
const SCALE: f64 = 1.5;
const SCALE_PROGRAM: usize = 2;

const LEFT: f64 = 140.0;
const PANEL: f64 = 205.0;
const BAR: f64 = 145.0;
const TOP: f64 = 62.0;
const ROW: f64 = 28.0;
const THICK: f64 = 18.0;

/// Colours that stand out from a white page and from a dark one.
const STYLE: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #6e7781; }
.title { font-size: 15px; font-weight: 600; }
.floor { fill: #9a9a9a; fill-opacity: .55; }
.larder { fill: #d9730d; }
.peer { fill: #5b8fc7; }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } }
";

/// Returns the names of the programs that the picture shows, as they stand in the data.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, ..)| *name)
}

/// Draws the picture from the lines of a CSV that `peers` has written.
///
/// # Errors
/// A row that the picture needs is missing.
pub fn svg(csv: &str) -> Result<String, String> {
    let mut panels = Vec::new();
    for (prefix, title) in PANELS {
        let figures = PROGRAMS.map(|(name, ..)| figure(csv, &format!("{prefix}{name}")));
        panels.push((title, figures.into_iter().collect::<Result<Vec<f64>, _>>()?));
    }
    let (width, height) =
        (LEFT + PANEL * PANELS.len() as f64, TOP + ROW * PROGRAMS.len() as f64 + 34.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<style>\n{STYLE}</style>\n"
    );
    text(&mut out, 8.0, 22.0, "title", "Processor time for a GET, in microseconds");
    for (at, (_, label, _)) in PROGRAMS.iter().enumerate() {
        text(&mut out, 8.0, TOP + ROW * at as f64 + 14.0, "label", label);
    }
    for (at, (title, figures)) in panels.iter().enumerate() {
        panel(&mut out, LEFT + PANEL * at as f64, title, figures);
    }
    let note = "100,000 keys, values of 32 bytes, 50 connections; each panel has its own scale, \
                and a bar with a point is cut";
    text(&mut out, 8.0, height - 14.0, "note", note);
    out.push_str("</svg>\n");
    Ok(out)
}

fn panel(out: &mut String, left: f64, title: &str, figures: &[f64]) {
    text(out, left, TOP - 10.0, "label", title);
    let full = figures[SCALE_PROGRAM] * SCALE;
    for (at, (figure, (_, _, class))) in figures.iter().zip(PROGRAMS).enumerate() {
        let (top, length) = (TOP + ROW * at as f64, (figure / full).min(1.0) * BAR);
        let (right, bottom, middle) = (left + length, top + THICK, top + THICK / 2.0);
        let tip = if *figure > full { right + THICK / 2.0 } else { right };
        let corners = format!(
            "{left:.1},{top:.1} {right:.1},{top:.1} {tip:.1},{middle:.1} {right:.1},{bottom:.1} \
             {left:.1},{bottom:.1}"
        );
        writeln!(out, "<polygon class=\"{class}\" points=\"{corners}\"/>").expect("there is room");
        // The data has three decimals; a half is rounded up, as it was before it got there.
        let shown = (figure * 100.0).round() / 100.0;
        text(out, tip + 5.0, top + 14.0, "value", &format!("{shown:.2}"));
    }
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>")
        .expect("there is room");
}

/// Returns the median of a row's figure over its rounds.
fn figure(csv: &str, row: &str) -> Result<f64, String> {
    let mut figures: Vec<f64> = csv
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once('"')?;
            let (name, rest) = rest.split_once('"')?;
            let (figure, value) = rest.rsplit_once(',')?;
            (name == row && figure.ends_with(&format!(",{FIGURE}"))).then_some(value.parse().ok()?)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().ok_or(format!("no row `{row}` has a figure `{FIGURE}`"))
}
