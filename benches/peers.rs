//! Larder beside Redis, memcached and nutcracker, where they are installed, and beside the floor: a
//! program of this bench that makes the same system calls and does nothing else.
//!
//! All programs run on one processor and the load on another. In each round the programs take
//! turns, so that what else the machine does meets all of them; of the rounds the median is told.
//! The figure to compare is the processor time of a program for a request, and its ratio to the
//! floor: it hardly depends on the load's own speed, as the throughput does.
//!
//! It prints the tables of `docs/performance/tables.md`. `-- --csv=FILE.csv` writes every single
//! figure there, and draws them in FILE.svg. `-- --plot` measures nothing, and draws again what
//! `docs/performance/peers.csv` holds. Words choose rows: `-- "pipeline 16, 100,000"`, `-- proxy`,
//! `-- memory`.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};
use support::exchange::{Form, Verb};
use support::load::{Clients, Load, Run};
use support::plot;
use support::programs::{self, Cpu, Program, VALUE_BYTES, floor};
use support::report::{Report, median, micros};
use support::{Selection, grouped, key};

const CONNECTIONS: usize = 50;
const ROUNDS: usize = 3;
const SIZES: [usize; 2] = [100_000, 5_000_000];
/// Pipelines, and requests in a round: half a second each.
const PIPELINES: [(usize, usize); 3] = [(1, 60_000), (16, 500_000), (64, 1_000_000)];
/// For the proxies: all fit into a cache of 64 MiB, and few into one of 64 KiB.
const PROXY_KEYS: usize = 10_000;
/// What Redis and Larder allow unless told otherwise is 10,000.
const IDLE: usize = 9_000;

/// What is measured in a round.
const FIGURES: [&str; 8] =
    ["requests/s", "CPU µs", "user µs", "system µs", "p50 µs", "p99 µs", "p99.9 µs", "longest µs"];

/// The figures that the documents show.
const COMMITTED: &str = "docs/performance/peers.csv";

fn main() {
    floor::serve_if_asked();
    if env::args().any(|argument| argument == "--plot") {
        return draw(&Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED));
    }
    programs::pin_bench();
    let selection = Selection::from_arguments();
    if !selection.once() {
        programs::tell_what_is_missing();
    }
    let mut bench = Bench { selection, report: Report::from_arguments() };
    bench.servers();
    bench.proxies();
    bench.memory();
    let csv = env::args().find_map(|it| it.strip_prefix("--csv=").map(PathBuf::from));
    csv.iter().for_each(|csv| draw(csv));
}

/// Draws the figures of a file, beside it.
fn draw(csv: &Path) {
    let shown = csv.display();
    let text = fs::read_to_string(csv).unwrap_or_else(|error| panic!("{shown}: {error}"));
    match plot::svg(&text) {
        Ok(svg) => fs::write(csv.with_extension("svg"), svg).expect("there is room"),
        Err(missing) => println!("(left out: the picture, as {missing})"),
    }
}

struct Bench {
    selection: Selection,
    report: Report,
}

/// A row of a table, for each of some programs.
struct Comparison {
    table: &'static str,
    title: String,
    verb: Verb,
    keys: usize,
    pipeline: usize,
    /// In a round.
    requests: usize,
}

impl Comparison {
    fn load(&self, form: Form) -> Load {
        let &Comparison { verb, keys, pipeline, .. } = self;
        let (value_bytes, in_order, connections) = (VALUE_BYTES, false, CONNECTIONS);
        Load { form, verb, value_bytes, keys, in_order, pipeline, connections }
    }
}

/// What came of it: each program's name, and the medians of its [`FIGURES`].
struct Compared {
    title: String,
    programs: Vec<(String, [f64; FIGURES.len()])>,
}

impl Bench {
    fn servers(&mut self) {
        let mut compared = Vec::new();
        for size in SIZES {
            let keys = if self.selection.once() { size / 1000 } else { size };
            let all = Verb::BOTH.into_iter().flat_map(|verb| {
                PIPELINES.map(|(pipeline, requests)| {
                    let size = grouped(size as u64);
                    let title = format!("{}, pipeline {pipeline}, {size} keys", verb.name());
                    Comparison { table: "servers", title, verb, keys, pipeline, requests }
                })
            });
            let wanted: Vec<_> = all.filter(|it| self.selection.wants(&it.title)).collect();
            if wanted.is_empty() {
                continue;
            }
            let running = [Some(Program::server()), Program::redis(), Program::memcached()];
            let running: Vec<Program> = running.into_iter().flatten().collect();
            running.iter().for_each(|program| program.fill(keys, VALUE_BYTES));
            for comparison in wanted {
                let floor = floor::start(comparison.verb);
                let mut programs = vec![(&floor, Form::Resp)];
                programs.extend(running.iter().map(|program| (program, program.form)));
                programs.push((&running[0], Form::Text));
                compared.push(self.compare(&comparison, &programs));
            }
        }
        self.print(&compared);
    }

    fn proxies(&mut self) {
        let keys = if self.selection.once() { 100 } else { PROXY_KEYS };
        let all = PIPELINES.into_iter().take(2).map(|(pipeline, requests)| {
            let title = format!("GET, proxy, pipeline {pipeline}");
            let (verb, requests) = (Verb::Get, requests / 2);
            Comparison { table: "proxies", title, verb, keys, pipeline, requests }
        });
        let wanted: Vec<_> = all.filter(|it| self.selection.wants(&it.title)).collect();
        if wanted.is_empty() {
            return;
        }
        let Some(redis) = Program::redis() else {
            return println!("(left out: proxies, which all have redis-server behind them)");
        };
        redis.fill(keys, VALUE_BYTES);
        let proxy = |name, cache| {
            let flags = ["--ttl", "3600", "--cache-bytes", cache];
            Program::proxy(name, redis.address, &flags)
        };
        let floor = floor::start(Verb::Get);
        let hit = proxy("Larder's proxy, all cached", "64MiB");
        let small = proxy("Larder's proxy, cache too small", "64KiB");
        let without = proxy("Larder's proxy, no cache", "0");
        let nutcracker = Program::nutcracker(redis.address);
        // The first fetch of each key is not what is measured.
        let fetch = Load { in_order: true, ..wanted[0].load(Form::Resp) };
        Clients::connect(hit.address, &fetch).run(keys);
        let all = [Some(&floor), Some(&redis), Some(&hit), Some(&small), Some(&without)];
        let all = all.into_iter().chain([nutcracker.as_ref()]).flatten();
        let programs: Vec<_> = all.map(|program| (program, Form::Resp)).collect();
        let compared: Vec<_> = wanted.iter().map(|it| self.compare(it, &programs)).collect();
        self.print(&compared);
    }

    /// Measures the programs in turn; the first is the floor.
    fn compare(&mut self, comparison: &Comparison, programs: &[(&Program, Form)]) -> Compared {
        let (rounds, requests) = match self.selection.once() {
            true => (1, 20 * comparison.pipeline),
            false => (ROUNDS, comparison.requests),
        };
        let title = comparison.title.clone();
        eprintln!("({title} …)");
        let clients = programs.iter().map(|&(program, form)| {
            let clients = Clients::connect(program.address, &comparison.load(form));
            let text = if form == Form::Text { ", in text" } else { "" };
            (program, format!("{}{text}", program.name), clients, Vec::new())
        });
        let mut all: Vec<_> = clients.collect();
        for round in 1..=rounds {
            for (program, name, clients, rounds) in &mut all {
                let before = program.cpu();
                let run = clients.run(requests);
                let figures = figures(&run, program.cpu().since(before));
                let named: Vec<_> = FIGURES.into_iter().zip(figures).collect();
                self.report.raw(comparison.table, &format!("{title}, {name}"), round, &named);
                rounds.push(figures);
            }
        }
        let medians = |rounds: &[[f64; FIGURES.len()]]| {
            std::array::from_fn(|at| median(rounds.iter().map(|figures| figures[at]).collect()))
        };
        let programs = all.into_iter().map(|(_, name, _, rounds)| (name, medians(&rounds)));
        Compared { title, programs: programs.collect() }
    }

    /// A table for each thing that one wants to know, with the programs side by side.
    fn print(&self, compared: &[Compared]) {
        let Some(first) = compared.first() else { return };
        type Cell = fn(&[f64; FIGURES.len()], &[f64; FIGURES.len()]) -> String;
        let tables: [(&str, Cell); 3] = [
            ("CPU µs a request, × floor", |it, floor| {
                format!("{:.2}, × {:.2}", it[1], it[1] / floor[1])
            }),
            ("requests/s", |it, _| grouped(it[0] as u64)),
            ("p50 / p99 / p99.9, µs", |it, _| {
                it[4..7].iter().map(|&it| grouped(it as u64)).collect::<Vec<_>>().join(" / ")
            }),
        ];
        for (head, cell) in tables {
            let names = first.programs.iter().map(|(name, _)| &name[..]);
            self.report.table(1, &std::iter::once(head).chain(names).collect::<Vec<_>>());
            for Compared { title, programs } in compared {
                let cells = programs.iter().map(|(_, figures)| cell(figures, &programs[0].1));
                self.report.row(&std::iter::once(title.clone()).chain(cells).collect::<Vec<_>>());
            }
        }
    }

    fn memory(&mut self) {
        let keys = SIZES[1];
        let title = format!("memory, {} keys", grouped(keys as u64));
        if !self.selection.wants(&title) {
            return;
        }
        let (keys, idle) = if self.selection.once() { (1000, 100) } else { (keys, IDLE) };
        if !programs::can_open(idle) {
            return println!("(left out: memory, as there are no descriptors for {idle} clients)");
        }
        let columns = ["program", "bytes a key", "over key and value", "bytes a connection"];
        self.report.table(1, &columns);
        type Start = fn() -> Option<Program>;
        let servers: [Start; 3] = [|| Some(Program::server()), Program::redis, Program::memcached];
        for start in servers {
            let (Some(for_keys), Some(for_connections)) = (start(), start()) else { continue };
            let before = for_keys.memory();
            for_keys.fill(keys, VALUE_BYTES);
            // memcached frees its old table in the background.
            thread::sleep(Duration::from_millis(500));
            let each = (for_keys.memory() as f64 - before as f64) / keys as f64;
            let over = each - (key(0).len() + VALUE_BYTES) as f64;
            let connection = memory_of_connections(&for_connections, idle);
            self.print_memory(&for_keys.name, Some([each, over]), connection);
        }
        let Some(redis) = Program::redis() else { return };
        let proxy = Program::proxy("Larder's proxy", redis.address, &[]);
        for proxy in [Some(proxy), Program::nutcracker(redis.address)].into_iter().flatten() {
            let connection = memory_of_connections(&proxy, idle);
            self.print_memory(&proxy.name, None, connection);
        }
    }

    fn print_memory(&mut self, name: &str, keys: Option<[f64; 2]>, connection: f64) {
        let mut cells = vec![name.to_string()];
        match keys {
            Some(figures) => cells.extend(figures.map(|figure| format!("{figure:.1}"))),
            None => cells.extend(["".to_string(), "".to_string()]),
        }
        cells.push(grouped(connection as u64));
        self.report.row(&cells);
        let each = keys.map_or(f64::NAN, |[each, _]| each);
        let figures = [("bytes a key", each), ("bytes a connection", connection)];
        self.report.raw("memory", name, 1, &figures);
    }
}

/// In the order of [`FIGURES`].
fn figures(run: &Run, cpu: Cpu) -> [f64; FIGURES.len()] {
    let each = |time: Duration| micros(time) / run.requests as f64;
    let of = |share| micros(run.latencies.quantile(share));
    [
        run.requests as f64 / run.took.as_secs_f64(),
        each(cpu.all),
        each(cpu.user()),
        each(cpu.all - cpu.user()),
        of(0.5),
        of(0.99),
        of(0.999),
        micros(run.latencies.longest()),
    ]
}

/// What each of so many connections costs that has asked for one key and stays.
fn memory_of_connections(program: &Program, connections: usize) -> f64 {
    program.fill(1, VALUE_BYTES);
    let before = program.memory();
    let load = Load {
        form: program.form,
        verb: Verb::Get,
        value_bytes: VALUE_BYTES,
        keys: 1,
        in_order: false,
        pipeline: 1,
        connections,
    };
    let mut clients = Clients::connect(program.address, &load);
    clients.run(connections);
    (program.memory() as f64 - before as f64) / connections as f64
}
