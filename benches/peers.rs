//! Larder beside Redis, memcached and nutcracker, where they are installed, and beside the floor: a
//! program of this bench that makes the same system calls and does nothing else.
//!
//! All programs run on one processor and the load on another. In each round the programs take
//! turns, so that what else the machine does meets all of them; of the rounds the median is told.
//! The figure to compare is the processor time of a program for a request, and its ratio to the
//! floor: it hardly depends on the load's own speed, as the throughput does.
//!
//! It prints the tables of `docs/performance.md`. `-- --csv=FILE` writes every single figure there.
//! Words choose rows: `-- "pipeline 16, 100,000"`, `-- proxy`, `-- memory`.

mod support;

use std::thread;
use std::time::Duration;
use support::exchange::{Form, Verb};
use support::load::{Clients, Load, Run};
use support::programs::{self, Cpu, Program, VALUE_BYTES, floor};
use support::report::{Report, median, micros};
use support::{Selection, grouped, key};

const CONNECTIONS: usize = 50;
const ROUNDS: usize = 3;
const SIZES: [usize; 2] = [100_000, 5_000_000];
/// Pipelines, and requests in a round: one to two seconds each.
const PIPELINES: [(usize, usize); 3] = [(1, 200_000), (16, 1_500_000), (64, 2_500_000)];
/// For the proxies: all fit into a cache of 64 MiB, and few into one of 64 KiB.
const PROXY_KEYS: usize = 10_000;
/// What Redis and Larder allow unless told otherwise is 10,000.
const IDLE: usize = 9_000;

const FIGURES: [&str; 9] = [
    "requests/s",
    "CPU µs",
    "user µs",
    "system µs",
    "× floor",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "longest µs",
];

fn main() {
    floor::serve_if_asked();
    programs::pin_bench();
    let selection = Selection::from_arguments();
    if !selection.once() {
        programs::tell_what_is_missing();
    }
    let mut bench = Bench { selection, report: Report::from_arguments() };
    bench.servers();
    bench.proxies();
    bench.memory();
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

/// What is measured of a program in one round.
struct Figures {
    run: Run,
    cpu: Cpu,
}

impl Bench {
    fn servers(&mut self) {
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
            self.head();
            for comparison in wanted {
                let floor = floor::start(comparison.verb);
                let mut programs = vec![(&floor, Form::Resp)];
                programs.extend(running.iter().map(|program| (program, program.form)));
                programs.push((&running[0], Form::Text));
                self.compare(&comparison, &programs);
            }
        }
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
        self.head();
        for comparison in wanted {
            self.compare(&comparison, &programs);
        }
    }

    fn head(&self) {
        self.report.table(2, &[&["", "program"], &FIGURES[..]].concat());
    }

    /// Measures the programs in turn; the first is the floor.
    fn compare(&mut self, comparison: &Comparison, programs: &[(&Program, Form)]) {
        let (rounds, requests) = match self.selection.once() {
            true => (1, 20 * comparison.pipeline),
            false => (ROUNDS, comparison.requests),
        };
        let clients = programs.iter().map(|&(program, form)| {
            let clients = Clients::connect(program.address, &comparison.load(form));
            (program, clients, Vec::new())
        });
        let mut all: Vec<_> = clients.collect();
        for _ in 0..rounds {
            for (program, clients, figures) in &mut all {
                let before = program.cpu();
                let run = clients.run(requests);
                let cpu = program.cpu().since(before);
                figures.push(Figures { run, cpu });
            }
        }
        let mut floor = None;
        for ((program, _, rounds), (_, form)) in all.iter().zip(programs) {
            let text = if *form == Form::Text { ", in text" } else { "" };
            let name = format!("{}{text}", program.name);
            self.print(comparison, &name, rounds, &mut floor);
        }
    }

    /// A row; the first of all is the floor.
    fn print(
        &mut self,
        Comparison { table, title, .. }: &Comparison,
        name: &str,
        rounds: &[Figures],
        floor: &mut Option<f64>,
    ) {
        let mut raw = Vec::new();
        for (round, Figures { run, cpu }) in rounds.iter().enumerate() {
            let each = |time: Duration| micros(time) / run.requests as f64;
            let of = |share| micros(run.latencies.quantile(share));
            let figures = [
                run.requests as f64 / run.took.as_secs_f64(),
                each(cpu.all),
                each(cpu.user()),
                each(cpu.all - cpu.user()),
                of(0.5),
                of(0.99),
                of(0.999),
                micros(run.latencies.longest()),
            ];
            let names = FIGURES.into_iter().filter(|name| *name != "× floor");
            let named: Vec<_> = names.zip(figures).collect();
            self.report.raw(table, &format!("{title}, {name}"), round + 1, &named);
            raw.push(figures);
        }
        let figure = |at: usize| median(raw.iter().map(|figures| figures[at]).collect());
        let cpu = figure(1);
        let floor = *floor.get_or_insert(cpu);
        let mut cells = vec![title.to_string(), name.to_string(), grouped(figure(0) as u64)];
        cells.extend((1..4).map(|at| format!("{:.2}", figure(at))));
        cells.push(format!("{:.2}", cpu / floor));
        cells.extend((4..8).map(|at| grouped(figure(at) as u64)));
        self.report.row(&cells);
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
