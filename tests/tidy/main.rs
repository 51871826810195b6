//! Style, checked as a test: the tree is read as text, and each rule names all who break it.
//!
//! A rule that is in the way is changed here, in the open, and not worked around.

mod code;
mod dependencies;
mod documents;
#[path = "../../benches/support/plot.rs"]
mod plot;
mod tree;

use tree::Tree;

type Rule = fn(&Tree) -> Vec<String>;

/// Every rule, in words and as a function.
const RULES: &[(&str, Rule)] = &[
    ("files import from their own floor or lower ones", code::floors),
    ("doc comments say what is returned", code::results),
    ("each type name means one thing", code::type_names),
    ("modules stand beside their folders and tests in files", code::layout),
    ("modules do not import each other in a circle", code::circles),
    ("only the reactor and the edges touch the system", code::purity),
    ("files and lines are not too long", code::sizes),
    ("every file begins with what it is", code::heads),
    ("no test is left out and no module prints", code::leftovers),
    ("nobody sleeps", code::sleeps),
    ("links of documents lead somewhere", documents::links),
    ("lines of documents are not too long", documents::lines),
    ("the picture of the figures is what they draw", documents::pictures),
    ("commands of the documents exist", documents::commands),
    ("every flag is told", documents::flags_told),
    ("no file knows the machine it was written on", documents::machines),
    ("packages come from the usual registry", dependencies::sources),
    ("licences are among those that are allowed", dependencies::licences),
];

#[test]
fn nobody_breaks_a_rule() {
    let tree = Tree::of_project();
    let broken = RULES.iter().flat_map(|(words, rule)| {
        rule(&tree).into_iter().map(move |place| format!("{place}\n    rule: {words}"))
    });
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "broken in places: {}\n{}\n", broken.len(), broken.join("\n"));
}

/// The rules read these few files, and say exactly this.
#[track_caller]
fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(rule(&Tree::of(files)), expected);
}

#[test]
fn rules_for_imports_see_who_breaks_them() {
    let reactor = ("src/reactor.rs", "use crate::handler::Handler;\nuse mio::Poll;\n");
    let handler = |text| ("src/handler.rs", text);
    let two = |text| [handler(text), reactor];
    let up = "src/handler.rs:2: `handler` may not import `reactor`";
    check(code::floors, &two("//! `crate::reactor`\n"), &[]);
    check(code::floors, &two("\nuse crate::reactor::Reactor;\n"), &[up]);
    check(code::floors, &two("\nuse crate::{base, reactor::{self, Exit as E}, stats};\n"), &[up]);
    check(code::floors, &two("\nfn f() { super::reactor::run() }\n"), &[up]);
    check(code::floors, &two("\"a \\\" literal\";\nuse crate::reactor::Reactor;\n"), &[up]);
    check(
        code::floors,
        &[("src/new.rs", "")],
        &["src/new.rs:1: `new` has no floor: give it one in HOUSE"],
    );

    let server = ("src/server.rs", "use crate::stats::Stat;\n");
    let proxy = ("src/proxy.rs", "mod cache;\nuse crate::server;\n");
    let wall = "src/proxy.rs:2: `proxy` may not import `server`";
    check(code::floors, &[server, proxy], &[wall]);
    let connection = ("src/reactor/connection.rs", "use crate::server::Server;\n");
    let wall = "src/reactor/connection.rs:1: `reactor` may not import `server`";
    check(code::floors, &[server, connection], &[wall]);
    let server = ("src/server.rs", "use crate::reactor::Reactor;\n");
    let wall = "src/server.rs:1: `server` may not import `reactor`";
    check(code::floors, &[server, reactor], &[wall]);
    let session = ("src/session.rs", "use crate::reactor::Reactor;\n");
    let wall = "src/session.rs:1: `session` may not import `reactor`";
    check(code::floors, &[session, reactor], &[wall]);
}

#[test]
fn rules_for_circles_see_who_breaks_them() {
    let protocol = ("src/protocol.rs", "mod text;\nuse text::Line;\n");
    let text = |text| ("src/protocol/text.rs", text);
    check(code::circles, &[protocol, text("use super::Request;\n")], &[]);
    let resp = ("src/protocol/resp.rs", "\nuse crate::protocol::text::Line;\n");
    let round = [
        "src/protocol/resp.rs:2: `protocol/resp` imports `protocol/text`, \
         and `protocol/text` leads back to `protocol/resp`",
        "src/protocol/text.rs:1: `protocol/text` imports `protocol/resp`, \
         and `protocol/resp` leads back to `protocol/text`",
    ];
    check(code::circles, &[protocol, resp, text("use super::resp;\n")], &round);
    check(code::circles, &[protocol, resp, text("use super::Request;\n")], &[]);
}

#[test]
fn rules_for_code_see_who_breaks_them() {
    let store = |text| [("src/server/store.rs", text)];
    check(code::purity, &store("use std::net::SocketAddr;\n"), &[]);
    check(code::purity, &[("src/server/tests.rs", "use std::net::TcpStream;\n")], &[]);
    let purity = |text, what: &str| {
        check(code::purity, &store(text), &[&format!("src/server/store.rs:2: {what}")]);
    };
    purity("\nuse std::net::{SocketAddr, TcpStream};\n", "`std::net::TcpStream` below the reactor");
    purity("\nlet now = Instant::now();\n", "`Instant::now`");
    purity("\nuse mio::Token;\n", "`mio`");
    check(code::purity, &[("src/reactor/poll.rs", "use mio::Token;\nInstant::now();\n")], &[]);
    check(code::purity, &[("src/reactor.rs", "use mio::Token;\n")], &["src/reactor.rs:1: `mio`"]);
    check(code::purity, &[("src/program.rs", "Instant::now();\n")], &[]);

    let source = |text| [("src/buffer.rs", text)];
    let long = "//\n".repeat(621);
    check(code::sizes, &source(&long[..]), &["src/buffer.rs:621: 621 lines, at most 620"]);
    let wide = format!("#[rustfmt::skip]\nx = [\n{0}\n];\n{0}\n", "–".repeat(101));
    check(code::sizes, &source(&wide[..]), &["src/buffer.rs:5: 101 columns, at most 100"]);

    let head = "src/buffer.rs:1: does not begin with a `//!` comment on what it is";
    check(code::heads, &source("// A buffer\n"), &[head]);
    check(code::heads, &source("//! A buffer.\n"), &[]);

    let asks = "src/buffer.rs:1: begins with 'Whether': say what is returned";
    check(code::results, &source("/// Whether it is.\n#[inline]\nfn f() -> bool {}\n"), &[asks]);
    check(code::results, &source("/// Whatever it takes.\nfn f() -> bool {}\n"), &[]);
    check(code::results, &source("/// What it does.\nfn f() {}\n"), &[]);
    let twice = "`Kind` is the name of src/buffer.rs:1, src/buffer.rs:2";
    check(code::type_names, &source("pub enum Kind {}\nstruct Kind;\nenum Kinds {}\n"), &[twice]);
    check(code::type_names, &source("trait A {\n    type Kind;\n}\nenum Kind {}\n"), &[]);

    let inline = "src/buffer.rs:2: tests are to stand in `src/buffer/tests.rs`";
    check(code::layout, &source("#[cfg(test)]\nmod tests {\n}\n"), &[inline]);
    check(code::layout, &source("//! A buffer.\n#[cfg(test)]\nmod tests;\n"), &[]);
    let beside = "src/store/mod.rs:1: is to stand beside its folder, under the folder's name";
    check(code::layout, &[("src/store/mod.rs", "//! A store.\n")], &[beside]);

    let prints = "\"println!\";\neprintln!();\n";
    check(code::leftovers, &source(prints), &["src/buffer.rs:2: `eprintln!`"]);
    check(
        code::leftovers,
        &[("tests/a.rs", "println!();\n#[ignore]\n")],
        &["tests/a.rs:2: `#[ignore`"],
    );

    let sleeps =
        "use std::thread::{self, sleep};\nthread::sleep(x);\n// A second.\nthread::sleep(x);\n";
    let found = [
        "tests/a.rs:2: sleeps: await the event itself, or say above why there is none",
        "tests/a.rs:1: call it as `thread::sleep`",
    ];
    check(code::sleeps, &[("tests/a.rs", sleeps)], &found);
}

#[test]
fn rules_for_documents_see_who_breaks_them() {
    let design = ("docs/design.md", "# Why?\n## The `loop`, again\n## Why?\n");
    let readme = |text| [("README.md", text), design];
    let fine = "[a](docs/design.md#why) [b](docs#x) [c](docs/design.md#why-1) `[d](none)` \
                [e](#top) [f](https://redis.io/x)\n# Top\n[g]: docs/design.md#the-loop-again\n";
    check(documents::links, &readme(fine), &[]);
    let links = |text, what: &str| {
        check(documents::links, &readme(text), &[&format!("README.md:2: {what}")]);
    };
    links("\n[a](docs/none.md)\n", "`docs/none.md`: there is no `docs/none.md` in the project");
    links("\n[a](../x)\n", "`../x`: leaves the project");
    links("\n[a](#b)\n", "`#b`: `README.md` has no heading for `#b`");
    links(
        "\n[a]: docs/design.md#b\n",
        "`docs/design.md#b`: `docs/design.md` has no heading for `#b`",
    );

    let long = ["word"; 25].join(" ");
    let (fine, code) = (&long[5..], "–".repeat(121));
    let readme = |text: &str, expected: &[&str]| {
        check(documents::lines, &[("README.md", text)], expected);
    };
    readme(&format!("{fine}\n```\n{long}\n```\n| {long} |\n[a]: {long}\n- `{code}`.\n"), &[]);
    readme(&long, &["README.md:1: 124 columns, at most 120"]);
    readme(&format!("\n- `{code}` it\n"), &["README.md:2: 128 columns, at most 120"]);

    let mut csv = String::new();
    for pipeline in [1, 16, 64] {
        for name in plot::names() {
            let row = format!("GET, pipeline {pipeline}, 100,000 keys, {name}");
            csv += &format!("servers,\"{row}\",1,CPU µs,1.5\n");
        }
    }
    let pictures = |picture: &str, expected: &[&str]| {
        let [figures, drawn] = ["csv", "svg"].map(|end| format!("docs/performance/peers.{end}"));
        check(documents::pictures, &[(&figures, &csv), (&drawn, picture)], expected);
    };
    pictures(&plot::svg(&csv).expect("all rows are there"), &[]);
    let again =
        "is not what docs/performance/peers.csv draws: `cargo bench --bench peers -- --plot`";
    pictures("<svg/>", &[&format!("docs/performance/peers.svg:1: {again}")]);
}

#[test]
fn rules_for_commands_and_machines_see_who_breaks_them() {
    let all = ("tests/all", "--full)\n");
    let suites = [("tests/whole.rs", ""), ("tests/parted/main.rs", "")];
    let commands = |command: &str, expected: &[&str]| {
        let text = format!("`./none`\n```\n{command}\nPUT ./x\n```\n");
        let programs = ["server", "proxy", "client"].map(|name| format!("src/bin/{name}.rs"));
        let mut files = vec![("README.md", &text[..]), all];
        files.extend(suites);
        files.extend(programs.iter().map(|path| (&path[..], "")));
        let expected = expected.iter().map(|what| format!("README.md:3: `{command}`: {what}"));
        assert_eq!(documents::commands(&Tree::of(&files)), expected.collect::<Vec<_>>());
    };
    commands(
        "$ cargo build --release; cd target/release; ./client --raw 127.0.0.1 5000 put 1 -3",
        &[],
    );
    commands("cargo run --release --bin proxy -- --ttl 2 & tests/all --full  # all of it", &[]);
    commands("cargo run --bin none", &["there is no src/bin/none.rs"]);
    commands("cargo run -- --ttl 2", &["server has no flag `--ttl`"]);
    commands("cargo test --test whole --test parted", &[]);
    commands("cargo test --test none", &["there is no tests/none.rs"]);
    commands("./server --none=1", &["server has no flag `--none`"]);
    commands("./client --ttl 2", &["client has no flag `--ttl`"]);
    commands("./none", &["there is no such program or script"]);
    commands("tests/all --none", &["`--none` does not stand in tests/all"]);

    let path = "docs/operating.md";
    let text = include_str!("../../docs/operating.md").replace("--ttl", "--ttl-x");
    let missing = "docs/operating.md:1: `--ttl` is not told";
    check(documents::flags_told, &[(path, &text)], &[missing]);
    let none = "docs/operating.md:1: there is none, and it is to tell every flag";
    check(documents::flags_told, &[], &[none]);

    // Put together here, since this file is read too.
    let place = format!("x\ncd /{}/x ../{0}/x\n", "root");
    let found = format!("a.py:2: `/{}/` is a place on one machine", "root");
    check(documents::machines, &[("a.py", &place[..])], &[&found]);
    let place = format!("http{}registry.example/x https://redis.io/docs", "://");
    check(
        documents::machines,
        &[("a", &place[..])],
        &["a:1: `registry.example` is a registry or private"],
    );
}

#[test]
fn rules_for_dependencies_see_who_breaks_them() {
    let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let lock =
        format!("{usual}\nchecksum = \"0\"\n\nsource = \"git+x\"\nchecksum = \"0\"\n{usual}\n");
    check(
        dependencies::sources,
        &[("a/Cargo.lock", &lock)],
        &[
            "a/Cargo.lock:4: a package that is not from the usual registry",
            "a/Cargo.lock:6: a package without a checksum",
        ],
    );

    let tree = Tree::of(&[(
        "tests/dependencies/deny.toml",
        "allow = [\n    \"MIT\",\n    \"Zlib\",\n]\n",
    )]);
    for licence in ["MIT", "X/MIT", "X OR MIT", "(X OR MIT) AND Zlib", "(MIT)"] {
        assert!(dependencies::packages_allowed(&tree, [("a", licence)]).is_empty(), "{licence}");
    }
    for licence in ["", "X", "MIT AND X", "(X OR MIT) AND Y", "X AND MIT OR Y", "MIT WITH X"] {
        let found = dependencies::packages_allowed(&tree, [("a", licence)]);
        assert_eq!(found, [format!("tests/dependencies/deny.toml:1: `a` is under '{licence}'")]);
    }
}
