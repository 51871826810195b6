//! The real programs over the loopback interface: text and RESP, few and many connections, small
//! and large values.
//!
//! Program and load are two processes, each on a processor of its own. Each connection has one
//! batch of requests under way, and every byte of every reply is compared. The first columns are
//! wall time, of which more is the load's than the program's. The last is the processor time of the
//! program alone, as the system counts it.

mod support;

use support::Table;
use support::exchange::{Form, Verb};
use support::load::{Clients, Load};
use support::programs::{self, Program, VALUE_BYTES};

const CONNECTIONS: usize = 50;
const KEYS: usize = 100_000;
const ROUNDS: usize = 7;
/// About a quarter of a second each at pipeline 1 and 16.
const REQUESTS: [(usize, usize); 2] = [(1, 25_000), (16, 160_000)];
/// The proxy's own server has the same keys, and these are in the cache after the first round.
const CACHED_KEYS: usize = 1_000;
const MANY_CONNECTIONS: [(&str, usize); 2] = [("1,000", 1_000), ("10,000", 10_000)];
/// Few at a time, so that what is under way fits into the caches of a processor as the rest does.
const LARGE_CONNECTIONS: usize = 4;
const LARGE_KEYS: usize = 16;
/// Values of so many bytes, and requests that take about a quarter of a second.
const LARGE: [(&str, usize, usize); 3] =
    [("16 KiB", 16 << 10, 8_000), ("64 KiB", 64 << 10, 3_000), ("1 MiB", 1 << 20, 200)];

fn main() {
    let mut table = Table::new("loopback");
    programs::pin_bench();
    small(&mut table);
    many(&mut table);
    large(&mut table);
}

fn small(table: &mut Table) {
    let server = Program::server();
    server.fill(KEYS, VALUE_BYTES);
    let proxy = Program::proxy("proxy", server.address, &[]);
    for (pipeline, requests) in REQUESTS {
        for (form_name, form) in [("text", Form::Text), ("RESP", Form::Resp)] {
            let load = |verb, keys| Load {
                form,
                verb,
                value_bytes: VALUE_BYTES,
                keys,
                in_order: false,
                pipeline,
                connections: CONNECTIONS,
            };
            for verb in Verb::BOTH {
                let name = format!("server, {form_name} {}, pipeline {pipeline}", verb.name());
                measure(table, &name, &server, &load(verb, KEYS), requests);
            }
            let name = format!("proxy, {form_name} GET, cached, pipeline {pipeline}");
            measure(table, &name, &proxy, &load(Verb::Get, CACHED_KEYS), requests);
        }
    }
}

fn many(table: &mut Table) {
    let server = Program::server();
    server.fill(KEYS, VALUE_BYTES);
    for (count_name, connections) in MANY_CONNECTIONS {
        let connections = if table.once() { connections / 100 } else { connections };
        if !programs::can_open(connections) {
            println!("(left out: {count_name} connections, for which there are no descriptors)");
            continue;
        }
        for (pipeline, requests) in REQUESTS {
            let name = format!("{count_name} connections, RESP GET, pipeline {pipeline}");
            let load = Load {
                form: Form::Resp,
                verb: Verb::Get,
                value_bytes: VALUE_BYTES,
                keys: KEYS,
                in_order: false,
                pipeline,
                connections,
            };
            measure(table, &name, &server, &load, requests);
        }
    }
}

fn large(table: &mut Table) {
    for (size_name, value_bytes, requests) in LARGE {
        let name = |verb: Verb| format!("values of {size_name}, RESP {}", verb.name());
        if !Verb::BOTH.into_iter().any(|verb| table.wants(&name(verb))) {
            continue;
        }
        let server = Program::server();
        server.fill(LARGE_KEYS, value_bytes);
        for verb in Verb::BOTH {
            let load = Load {
                form: Form::Resp,
                verb,
                value_bytes,
                keys: LARGE_KEYS,
                in_order: false,
                pipeline: 1,
                connections: LARGE_CONNECTIONS,
            };
            measure(table, &name(verb), &server, &load, requests);
        }
    }
}

fn measure(table: &mut Table, name: &str, program: &Program, load: &Load, requests: usize) {
    if !table.wants(name) {
        return;
    }
    let (rounds, least) = if table.once() { (1, 1) } else { (ROUNDS, requests) };
    // Each connection has its part in what is measured.
    let requests = least.max(2 * load.connections * load.pipeline);
    let mut clients = Clients::connect(program.address, load);
    // What is fetched or allocated only once is not what is measured.
    clients.run(requests);
    let before = program.cpu();
    let runs: Vec<_> = (0..rounds).map(|_| clients.run(requests)).collect();
    let cpu = program.cpu().since(before).all.as_secs_f64() * 1e9;
    let each = |count: usize| count as f64 * requests as f64;
    let remark = format!("   {:.0} ns of CPU", cpu / each(rounds));
    let mut nanoseconds: Vec<f64> =
        runs.iter().map(|run| run.took.as_secs_f64() * 1e9 / each(1)).collect();
    table.print(name, &mut nanoseconds, &remark);
}
