//! The rules for code. Each returns a line for every place where it is broken.

use crate::tree::{File, Tree, holds_word, is_word, paths};
use std::collections::{BTreeMap, BTreeSet};

const FILE_LINES: usize = 620;
const FUNCTION_LINES: usize = 80;
const COLUMNS: usize = 100;

/// The rooms, lowest floor first. Those that share a floor do not know each other.
#[rustfmt::skip]
const HOUSE: &[&[&str]] = &[
    &["base"],
    &["settings"],
    &["protocol"],
    &["stats"],
    &["handler"],
    &["reactor", "session"],
    &["server", "proxy"],
    &["program"],
    &["client"],
    &["bin", "lib"],
];

/// The first floor at the edges, where the system may be asked for things.
const EDGES: usize = 7;

/// The lowest room that reads the clock, and the one file that knows the poll library.
const REACTOR: &str = "reactor";
const POLL: &str = "reactor/poll";

/// Policy and mechanism meet at the boundary alone.
const WALLS: &[(&str, &str)] = &[("server", REACTOR), ("proxy", REACTOR)];

fn floor_of(room: &str) -> Option<usize> {
    HOUSE.iter().position(|rooms| rooms.contains(&room))
}

fn may_import(from: &str, to: &str) -> bool {
    from == to || (floor_of(to) < floor_of(from) && !WALLS.contains(&(from, to)))
}

/// The modules of ours that a file names: the line, and the module such as `protocol/text`.
fn imports(tree: &Tree, file: &File) -> Vec<(usize, String)> {
    let modules: BTreeSet<&str> = tree.sources().map(File::module).collect();
    let mut found = Vec::new();
    for (at, path) in paths(&file.code) {
        let mut words = path.split("::").peekable();
        let mut place: Vec<&str> = file.module().split('/').collect();
        if words.next_if(|it| matches!(*it, "crate" | "larder")).is_some() {
            place.clear();
        } else if words.peek() == Some(&"super") {
            let ups = std::iter::from_fn(|| words.next_if_eq(&"super")).count();
            // Seen from the test module within a file, the file itself is one up.
            let indented = file.code.lines().nth(at).is_some_and(|line| line.starts_with(' '));
            let inline = indented && at >= file.tests_from && file.tests_from > 0;
            place.truncate((place.len() + usize::from(inline)).saturating_sub(ups));
        } else {
            continue;
        }
        for word in words {
            let longer = [&place[..], &[word]].concat().join("/");
            if !modules.contains(longer.as_str()) {
                break;
            }
            place.push(word);
        }
        if !place.is_empty() {
            found.push((at, place.join("/")));
        }
    }
    found
}

fn top(module: &str) -> &str {
    module.split('/').next().unwrap_or(module)
}

pub fn floors(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.sources() {
        let from = top(file.module());
        if floor_of(from).is_none() {
            broken.push(file.at(0, format!("`{from}` has no floor: give it one in HOUSE")));
            continue;
        }
        for (at, module) in imports(tree, file) {
            let to = top(&module);
            if floor_of(to).is_some() && !may_import(from, to) {
                broken.push(file.at(at, format!("`{from}` may not import `{to}`")));
            }
        }
    }
    // One line may name several things of a module.
    broken.dedup();
    broken
}

/// Between modules, and between the files in a folder. A folder's `mod.rs` and its files are one
/// module: these may name each other.
pub fn circles(tree: &Tree) -> Vec<String> {
    let mut edges: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for file in tree.sources() {
        let from = file.module();
        for (at, to) in imports(tree, file) {
            let (a, b) =
                if top(from) == top(&to) { (from, &to[..]) } else { (top(from), top(&to)) };
            let (same, nested) = (a == b, |a: &str, b: &str| b.starts_with(&format!("{a}/")));
            if !same && !nested(a, b) && !nested(b, a) {
                let place = file.at(at, format!("`{a}` imports `{b}`"));
                edges.entry(a.to_string()).or_default().entry(b.to_string()).or_insert(place);
            }
        }
    }
    let leads = |from: &str, to: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_string()]);
        while let Some(module) = next.pop() {
            for module in edges.get(&module).into_iter().flat_map(|it| it.keys()) {
                if seen.insert(module.clone()) {
                    next.push(module.clone());
                }
            }
        }
        seen.contains(to)
    };
    let all = edges.iter().flat_map(|(a, to)| to.iter().map(move |(b, place)| (a, b, place)));
    let round = all.filter(|(a, b, _)| leads(b, a));
    round.map(|(a, b, place)| format!("{place}, and `{b}` leads back to `{a}`")).collect()
}

pub fn purity(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.sources().filter(|file| file.module() != POLL) {
        broken.extend(file.lines_with(&["mio", "signal_hook_mio"]));
        if top(file.module()) == REACTOR
            || floor_of(top(file.module())).is_none_or(|floor| floor >= EDGES)
        {
            continue;
        }
        broken.extend(file.lines_with(&["Instant::now", "SystemTime", ".elapsed()"]));
        let outside = ["std::net", "std::thread", "std::fs", "std::env", "std::process"];
        for (at, path) in paths(&file.code) {
            let is_outside = outside.iter().any(|it| holds_word(&path, it));
            if at < file.tests_from
                && is_outside
                && !matches!(path.as_str(), "std::net::SocketAddr" | "std::net::IpAddr")
            {
                broken.push(file.at(at, format!("`{path}` below the reactor")));
            }
        }
    }
    broken
}

pub fn sizes(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        if file.is_source() && lines > FILE_LINES {
            broken.push(file.at(lines - 1, format!("{lines} lines, at most {FILE_LINES}")));
        }
        for (at, name, lines) in functions(&file.code) {
            if lines > FUNCTION_LINES {
                let what = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}");
                broken.push(file.at(at, what));
            }
        }
        // The rows of a table that rustfmt leaves alone may be wide.
        let mut in_table = false;
        for (at, line) in file.text.lines().enumerate() {
            in_table = in_table && !line.starts_with([']', '}'])
                || line == "#[rustfmt::skip]"
                || line.ends_with("! {");
            let columns = line.chars().count();
            if columns > COLUMNS && !in_table {
                broken.push(file.at(at, format!("{columns} columns, at most {COLUMNS}")));
            }
        }
    }
    broken
}

/// Line, name and number of lines of each function that has a body.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let line_of = |at: usize| code[..at].matches('\n').count();
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let name = &code[start + 3..];
        let name = &name[..name.find(|it| !is_word(it)).unwrap_or(0)];
        if name.is_empty() || code[..start].ends_with(is_word) {
            continue;
        }
        let (mut round, mut curly) = (0, 0);
        for (at, it) in code[start..].char_indices() {
            match it {
                '(' | '[' => round += 1,
                ')' | ']' => round -= 1,
                '{' => curly += 1,
                '}' => curly -= 1,
                ';' if round == 0 && curly == 0 => break,
                _ => continue,
            }
            if it == '}' && curly == 0 && round == 0 {
                let first = line_of(start);
                found.push((first, name, line_of(start + at) - first + 1));
                break;
            }
        }
    }
    found
}

/// How the doc comment of a function that returns a value does not begin: it says what is returned.
const QUESTIONS: &[&str] =
    &["Whether", "What", "How", "The same", "Where", "Which", "Who", "When", "Why"];

/// The doc comment of a function that returns a value begins with *Returns*, or with a verb.
pub fn results(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.sources().filter(|file| !file.path.contains("/tests")) {
        // The first line of the comment that is open.
        let mut head: Option<(usize, &str)> = None;
        for (at, (text, code)) in file.text.lines().zip(file.code.lines()).enumerate() {
            if let Some(comment) = text.trim_start().strip_prefix("/// ") {
                head = head.or(Some((at, comment)));
            } else if holds_word(code, "fn") {
                let rest = file.code.lines().skip(at);
                let signature = rest.take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>();
                let signature = signature.join(" ");
                let signature = signature.split(['{', ';']).next().unwrap_or_default();
                if let Some((at, comment)) = head.take().filter(|_| signature.contains("->")) {
                    let asks = QUESTIONS.iter().find(|it| {
                        comment.strip_prefix(**it).is_some_and(|rest| rest.starts_with(' '))
                    });
                    broken.extend(asks.map(|it| {
                        file.at(at, format!("begins with '{it}': say what is returned"))
                    }));
                }
            } else if !text.trim_start().starts_with("///") && !text.trim_start().starts_with('#') {
                head = None;
            }
        }
    }
    broken
}

/// A type name means one thing in the whole crate. Associated types of traits are not names of
/// their own.
pub fn type_names(tree: &Tree) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in tree.sources().filter(|file| !file.path.contains("/tests")) {
        for (at, line) in file.code.lines().enumerate() {
            let words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
            let words: Vec<&str> = words.take(2).collect();
            if let [kind, name] = words[..]
                && (matches!(kind, "struct" | "enum" | "trait")
                    || kind == "type" && !line.starts_with(' '))
            {
                let name = &name[..name.find(|it| !is_word(it)).unwrap_or(name.len())];
                places.entry(name).or_default().push(format!("{}:{}", file.path, at + 1));
            }
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    twice.map(|(name, places)| format!("`{name}` is the name of {}", places.join(", "))).collect()
}

/// A module with files of its own is `foo.rs` with `foo/` beside it, and its tests are a file.
pub fn layout(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.sources() {
        if file.path.ends_with("/mod.rs") {
            broken.push(file.at(0, "is to stand beside its folder, under the folder's name"));
        }
        if !file.path.ends_with("/tests.rs") && file.tests_from != usize::MAX {
            let after = file.code.lines().enumerate().skip(file.tests_from);
            let inline = after.filter(|(_, line)| line.starts_with("mod ") && line.ends_with('{'));
            let name = file.module();
            broken.extend(inline.map(|(at, _)| {
                file.at(at, format!("tests are to stand in `src/{name}/tests.rs`"))
            }));
        }
    }
    broken
}

/// A file begins with what it is, and ends with its tests.
pub fn heads(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.rust() {
        if !file.text.starts_with("//! ") {
            broken.push(file.at(0, "does not begin with a `//!` comment on what it is"));
        }
        if file.tests_from > 0 {
            let tests = file.code.lines().enumerate().skip(file.tests_from);
            let after = tests.skip_while(|(_, line)| !line.starts_with("mod ")).skip(1);
            let after = after.skip_while(|(_, line)| line.starts_with(' ') || line.is_empty());
            let more = after.filter(|(_, line)| !line.is_empty() && *line != "}").take(1);
            broken.extend(more.map(|(at, _)| file.at(at, "comes after the tests")));
        }
    }
    broken
}

/// `unwrap`, `todo`, `dbg` and `unsafe` are refused by the lints in Cargo.toml; an `expect` without
/// words by none.
pub fn expectations(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.sources() {
        let lines = file.text.lines().zip(file.code.lines()).enumerate().take(file.tests_from);
        let empty = lines.filter(|(_, (text, code))| {
            text.contains(".expect(\"\")") && code.contains(".expect(")
        });
        broken.extend(empty.map(|(at, _)| file.at(at, "`expect` that does not say why it holds")));
    }
    broken
}

/// Tests and benches print what they measure; sources log.
pub fn leftovers(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.rust() {
        let whole = File { tests_from: usize::MAX, ..File::new(&file.path, &file.text) };
        broken.extend(whole.lines_with(&["#[ignore"]));
        if file.is_source() {
            broken.extend(whole.lines_with(&["println!", "eprintln!", "print!", "eprint!"]));
        }
    }
    broken
}

/// Where nothing can be awaited but the time itself, a comment above the sleep says so.
pub fn sleeps(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("benches/")) {
        let mut above = "";
        for (at, (text, code)) in file.text.lines().zip(file.code.lines()).enumerate() {
            if holds_word(code, "thread::sleep") && !above.trim_start().starts_with("//") {
                let what = "sleeps: await the event itself, or say above why there is none";
                broken.push(file.at(at, what));
            }
            above = text;
        }
        let imported = paths(&file.code).into_iter().filter(|(at, path)| {
            let line = file.code.lines().nth(*at).unwrap_or("");
            path == "std::thread::sleep" && !holds_word(line, "thread::sleep")
        });
        broken.extend(imported.map(|(at, _)| file.at(at, "call it as `thread::sleep`")));
    }
    broken
}
