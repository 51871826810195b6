//! Every transcript of `tests/transcripts` and of `docs/protocol.md`, run against the handlers in
//! memory, against a real server, and through a real proxy in front of one; and all of that again
//! with the clients' bytes cut: in memory at every position, in the real programs at every position
//! with `tests/all --full`, else at a twentieth. `support/transcript.rs` tells the format.

mod support;

use larder::program::flags::{self as config, Common, ProxyConfig};
use larder::protocol::command::{LineSyntax, TABLE};
use larder::proxy::upstream::credentials::Source;
use larder::proxy::{Proxy, UpstreamOptions};
use larder::server::Server;
use larder::settings::Program as Shown;
use larder::stats::{ROWS, StatKind};
use std::collections::BTreeMap;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::io::{Error, Write};
use std::path::PathBuf;
use std::time::Duration;
use support::generated::{self, Part};
use support::process::{self, PATIENCE, Process};
use support::random::Random;
use support::tools::wait_until_asleep;
use support::transcript::{Cut, Program, Received, Stage, Transcript};
use support::world::{ClientId, NodeId, World};
use support::{is_quick, rounds, run_by, seed};

/// Above so many bytes of one client, only some positions are tried.
const EVERY_POSITION: usize = 4096;

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All transcripts for a program.
fn transcripts(program: Program) -> Vec<Transcript> {
    let mut found = Transcript::read_folder(&project().join("tests/transcripts"));
    let document = Transcript::read_document(&project().join("docs/protocol.md"));
    assert!(found.len() > 20 && document.len() > 10, "the transcripts are where they were");
    found.extend(document);
    found.retain(|transcript| transcript.is_for(program));
    found
}

/// Runs each on a stage of its own, cut in each of the ways given; reports all that fail.
fn run_all(
    transcripts: &[Transcript],
    mut cuts: impl FnMut(&Transcript) -> Vec<Cut>,
    stage: fn(&Transcript) -> Box<dyn Stage>,
) {
    let mut failures = Vec::new();
    for transcript in transcripts {
        // One failure of each is enough: the others say the same.
        let failure = cuts(transcript).iter().find_map(|cut| {
            let failure = transcript.run(stage(transcript).as_mut(), cut).err()?;
            Some(if matches!(cut, Cut::None) { failure } else { format!("{failure}\n  {cut:?}") })
        });
        failures.extend(failure);
    }
    let (count, report) = (failures.len(), failures.join("\n"));
    assert!(failures.is_empty(), "{count} of {} failed:\n{report}", transcripts.len());
}

fn whole(_: &Transcript) -> Vec<Cut> {
    vec![Cut::None]
}

/// Not cut; each client's bytes in two, at every position; and every byte alone.
fn every_cut(transcript: &Transcript) -> Vec<Cut> {
    let mut cuts = vec![Cut::None];
    for (client, sent) in transcript.sent() {
        let positions = if sent > 1 << 20 { 8 } else { 64 };
        let step = if sent > EVERY_POSITION { sent / positions } else { 1 };
        let positions = (1..sent).step_by(step);
        cuts.extend(positions.map(|at| Cut::At(client.clone(), at)));
    }
    if transcript.sent().values().all(|&sent| sent < 512 * 1024) {
        cuts.push(Cut::Bytes);
    }
    cuts
}

/// Every position, or some of them with `tests/quick`.
fn cuts() -> impl FnMut(&Transcript) -> Vec<Cut> {
    let mut some = some_cuts();
    move |transcript| if is_quick() { some(transcript) } else { every_cut(transcript) }
}

/// A share of the positions, unless all are wanted.
fn some_cuts() -> impl FnMut(&Transcript) -> Vec<Cut> {
    let mut random = Random(seed());
    move |transcript| {
        let mut cuts = every_cut(transcript);
        cuts.retain(|cut| !matches!(cut, Cut::At(..)) || random.below(100) < rounds(100));
        cuts
    }
}

/// The same for real programs. Time in a transcript is real there: one that waits is run once.
fn real_cuts() -> impl FnMut(&Transcript) -> Vec<Cut> {
    let mut some = some_cuts();
    move |transcript| if transcript.waits() { vec![Cut::None] } else { some(transcript) }
}

fn pipelined(transcripts: &[Transcript]) -> Vec<Transcript> {
    transcripts.iter().filter_map(Transcript::pipelined).collect()
}

#[test]
fn a_server_replies_as_written_however_the_bytes_are_cut() {
    run_all(&transcripts(Program::Server), cuts(), server_in_memory);
}

#[test]
fn a_proxy_replies_as_written_however_the_bytes_are_cut() {
    run_all(&transcripts(Program::Proxy), cuts(), proxy_in_memory);
}

#[test]
fn a_real_server_replies_as_written_however_the_bytes_are_cut() {
    run_all(&transcripts(Program::Server), real_cuts(), real_server);
}

#[test]
fn a_real_proxy_replies_as_written_however_the_bytes_are_cut() {
    run_all(&transcripts(Program::Proxy), real_cuts(), real_proxy);
}

#[test]
fn a_server_replies_the_same_when_all_requests_come_at_once() {
    run_all(&pipelined(&transcripts(Program::Server)), whole, real_server);
}

#[test]
fn a_server_replies_the_same_when_a_pipeline_is_cut() {
    run_all(&pipelined(&transcripts(Program::Server)), cuts(), server_in_memory);
}

#[test]
fn a_wrong_reply_is_reported_with_its_place() {
    let script = "> PING\n< PONG\n> PING\n< PANG\n";
    let transcript = Transcript::parse("made-up.txt", 7, script);
    let failure = transcript.run(server_in_memory(&transcript).as_mut(), &Cut::None);
    let report = failure.expect_err("PANG is not what comes");
    assert_eq!(report, "made-up.txt:10: \n  expected PANG\\r\\n\n  got      PONG\\r\\n");
    for missing in ["> PING\n", "> PING\n< PONG\n< PONG\n", "> PING\n< PONG\n<!\n"] {
        let transcript = Transcript::parse("made-up.txt", 1, missing);
        let failure = transcript.run(server_in_memory(&transcript).as_mut(), &Cut::None);
        assert!(failure.is_err(), "{missing}");
    }
}

/// Handlers on virtual time.
struct InMemory {
    world: World,
    node: NodeId,
    clients: BTreeMap<String, ClientId>,
}

fn server_in_memory(transcript: &Transcript) -> Box<dyn Stage> {
    let mut world = World::new(1);
    let node = add_server(&mut world, transcript);
    Box::new(InMemory { world, node, clients: BTreeMap::new() })
}

fn proxy_in_memory(transcript: &Transcript) -> Box<dyn Stage> {
    let mut world = World::new(1);
    let server = add_server(&mut world, transcript);
    let flags = [&transcript.flags[..], &transcript.proxy_flags[..]].concat();
    let config: ProxyConfig = run_by(config::proxy(&flags));
    let options = UpstreamOptions {
        address: world.address(server).to_string(),
        credentials: Source::default(),
        database: 0,
        seed: 1,
    };
    let proxy = Proxy::new(config.common.settings, options, world.now());
    let node = world.add_proxy(proxy);
    world.run();
    Box::new(InMemory { world, node, clients: BTreeMap::new() })
}

fn add_server(world: &mut World, transcript: &Transcript) -> NodeId {
    let common: Common = run_by(config::server(&transcript.flags));
    let server = Server::new(common.settings, world.now());
    world.add_server(server)
}

impl InMemory {
    fn client(&mut self, name: &str) -> ClientId {
        let (world, node) = (&mut self.world, self.node);
        *self.clients.entry(name.to_string()).or_insert_with(|| world.connect(node))
    }
}

impl Stage for InMemory {
    fn send(&mut self, client: &str, bytes: &[u8]) {
        let client = self.client(client);
        self.world.send(client, bytes);
        self.world.run();
    }

    fn finish_sending(&mut self, client: &str) {
        let client = self.client(client);
        self.world.finish(client);
        self.world.run();
    }

    fn receive(&mut self, client: &str) -> Received {
        let client = self.client(client);
        match self.world.received(client) {
            bytes if !bytes.is_empty() => Received::Bytes(bytes),
            _ if self.world.is_closed(client) => Received::Closed,
            _ => Received::Nothing("nothing more came".to_string()),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.world.advance(time);
    }
}

/// Real programs, real sockets.
struct Real {
    /// The last is the one that clients talk to.
    processes: Vec<Process>,
    clients: BTreeMap<String, process::Client>,
}

fn real_server(transcript: &Transcript) -> Box<dyn Stage> {
    let processes = vec![start_server(transcript)];
    Box::new(Real { processes, clients: BTreeMap::new() })
}

fn real_proxy(transcript: &Transcript) -> Box<dyn Stage> {
    let server = start_server(transcript);
    let flags = [&transcript.flags[..], &transcript.proxy_flags[..]].concat();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let proxy = process::proxy(server.address(), &flags);
    Box::new(Real { processes: vec![server, proxy], clients: BTreeMap::new() })
}

fn start_server(transcript: &Transcript) -> Process {
    let flags: Vec<&str> = transcript.flags.iter().map(String::as_str).collect();
    process::server(&flags)
}

impl Real {
    fn client(&mut self, name: &str) -> &mut process::Client {
        let process = self.processes.last().expect("there is one");
        self.clients.entry(name.to_string()).or_insert_with(|| process.client())
    }
}

impl Stage for Real {
    fn send(&mut self, client: &str, bytes: &[u8]) {
        let sent = self.client(client).stream().write_all(bytes);
        // Who has closed takes the rest for a while only, and a busy machine may take longer.
        let is_taken = sent.as_ref().map_err(Error::kind);
        assert!(matches!(is_taken, Ok(()) | Err(BrokenPipe | ConnectionReset)), "{sent:?}");
        // What is sent next is not to be read together with this.
        wait_until_asleep(self.processes.last().expect("there is one").id());
    }

    fn finish_sending(&mut self, client: &str) {
        self.client(client).finish_sending();
    }

    fn receive(&mut self, client: &str) -> Received {
        match self.client(client).some_bytes() {
            Ok(bytes) if bytes.is_empty() => Received::Closed,
            Ok(bytes) => Received::Bytes(bytes),
            Err(error) if error.kind() == BrokenPipe => Received::Closed,
            Err(error) => Received::Nothing(format!("{error} within {PATIENCE:?}")),
        }
    }

    fn wait(&mut self, time: Duration) {
        // What is waited for is the time itself.
        std::thread::sleep(time);
    }
}

#[test]
fn the_documented_commands_are_those_of_the_table() {
    let rows = TABLE.iter().map(|command| {
        let text = match command.line {
            LineSyntax::NotText => "no".to_string(),
            LineSyntax::KeyAndRest => "key and rest".to_string(),
            LineSyntax::Words(least, most) => range(least, most),
        };
        let least = usize::from(command.arity.unsigned_abs()) - 1;
        let resp = if command.arity < 0 { format!("{least} or more") } else { least.to_string() };
        let resp = match command.options {
            "" => resp,
            options => format!("{resp}: `{}`", options.replace('|', "\\|")),
        };
        let usage = command.usage().replace('|', "\\|");
        format!("| `{usage}` | {text} | {resp} | {} |", command.summary)
    });
    let path = "docs/protocol.md";
    let part = Part { path, head: "## Commands", mark: '|', skipped: 2 };
    let differences = part.differences(&rows.collect::<Vec<_>>());
    generated::none_differs(&differences, "cargo test --test transcripts documented_commands");
}

/// A section of `docs/protocol.md` under a heading `#### NAME, NAME`.
struct Entry {
    names: Vec<String>,
    /// The lines of its first block, and of all others, and those that begin with `- `.
    syntax: Vec<String>,
    example: Vec<String>,
    replies: usize,
}

/// The entries of the chapter on commands in RESP.
fn documented_entries() -> Vec<Entry> {
    let text = std::fs::read_to_string(project().join("docs/protocol.md")).expect("it is there");
    let chapter = text.lines().skip_while(|line| *line != "## Commands in RESP").skip(1);
    let (mut entries, mut blocks) = (Vec::<Entry>::new(), 0);
    for line in chapter.take_while(|line| !line.starts_with("## ")) {
        if let Some(names) = line.strip_prefix("#### ") {
            let names = names.split(", ").map(str::to_string).collect();
            let (syntax, example) = (Vec::new(), Vec::new());
            entries.push(Entry { names, syntax, example, replies: 0 });
            blocks = 0;
        } else if let Some(entry) = entries.last_mut() {
            match blocks {
                _ if line.starts_with("```") => blocks += 1,
                1 => entry.syntax.push(line.to_string()),
                _ if blocks % 2 == 1 => entry.example.push(line.to_string()),
                _ => entry.replies += usize::from(line.starts_with("- ")),
            }
        }
    }
    entries
}

#[test]
fn every_command_has_an_entry_in_the_documents() {
    let entries = documented_entries();
    let entry_of =
        |name: &str| entries.iter().find(|entry| entry.names.iter().any(|it| it == name));
    let mut missing = Vec::new();
    for command in TABLE {
        let name = command.name.replace('|', " ");
        let syntax = format!("{} {}", command.usage(), command.options).trim_end().to_string();
        let Some(entry) = entry_of(&name) else {
            missing.push(format!("{name}: there is no entry `#### {name}`"));
            continue;
        };
        if !entry.syntax.contains(&syntax) {
            missing.push(format!("{name}: the first block of the entry has no line `{syntax}`"));
        }
        if entry.replies == 0 {
            missing.push(format!("{name}: the entry has no list of replies"));
        }
        let sends = |line: &String| {
            let request = line.split_once("*> ").map_or("", |(_, request)| request);
            request.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        if !entry.example.iter().any(sends) {
            missing.push(format!("{name}: no example of the entry has a line `*> {name} …`"));
        }
    }
    let rows = |name: &&String| TABLE.iter().any(|row| row.name.replace('|', " ") == **name);
    let names = entries.iter().flat_map(|entry| &entry.names);
    let unknown = names.filter(|name| !rows(name));
    missing.extend(unknown.map(|name| format!("{name}: an entry for what is no command")));
    assert!(missing.is_empty(), "docs/protocol.md:\n{}", missing.join("\n"));
}

fn range(least: usize, most: usize) -> String {
    match most {
        _ if most == least => format!("{least}"),
        _ if most > 1 << 20 => format!("{least} or more"),
        _ => format!("{least} or {most}"),
    }
}

#[test]
fn the_documented_counters_are_those_of_the_table() {
    let rows = ROWS.iter().map(|row| {
        let kind = if row.kind == StatKind::Gauge { "gauge" } else { "counter" };
        let shown_by = match row.program {
            Shown::Both => "both",
            Shown::Server => "server",
            Shown::Proxy => "proxy",
        };
        format!("| `{}` | {kind} | {shown_by} | {} |", row.name, row.help)
    });
    let path = "docs/protocol.md";
    let part = Part { path, head: "## Counters", mark: '|', skipped: 2 };
    let differences = part.differences(&rows.collect::<Vec<_>>());
    generated::none_differs(&differences, "cargo test --test transcripts documented_counters");
}
