//! The rules for code. Each returns a line for every place where it is broken.

use crate::tree::{File, Tree, holds_word, is_word, paths};
use std::collections::{BTreeMap, BTreeSet};

const FILE_LINES: usize = 620;
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
            place.truncate(place.len().saturating_sub(ups));
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

/// Between the files of a room: floors see to those between rooms. A module and those in its folder
/// are one: they may name each other.
pub fn circles(tree: &Tree) -> Vec<String> {
    let mut edges: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let is_in = |inner: &str, outer: &str| format!("{inner}/").starts_with(&format!("{outer}/"));
    for file in tree.sources() {
        let from = file.module();
        for (at, to) in imports(tree, file) {
            if top(from) == top(&to) && !is_in(from, &to) && !is_in(&to, from) {
                let place = file.at(at, format!("`{from}` imports `{to}`"));
                edges.entry(from.to_string()).or_default().entry(to).or_insert(place);
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
    for file in tree.programs().filter(|file| file.module() != POLL) {
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
            if is_outside && !matches!(path.as_str(), "std::net::SocketAddr" | "std::net::IpAddr") {
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

/// How the doc comment of a function that returns a value does not begin: it says what is returned.
const QUESTIONS: &[&str] =
    &["Whether", "What", "How", "The same", "Where", "Which", "Who", "When", "Why"];

/// The doc comment of a function that returns a value begins with *Returns*, or with a verb.
pub fn results(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.programs() {
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
    for file in tree.programs() {
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
        let lines = file.code.lines().enumerate();
        let inline = lines.filter(|(_, line)| line.starts_with("mod tests {"));
        let what = format!("tests are to stand in `src/{}/tests.rs`", file.module());
        broken.extend(inline.map(|(at, _)| file.at(at, &what)));
    }
    broken
}

/// A file begins with what it is.
pub fn heads(tree: &Tree) -> Vec<String> {
    let headless = tree.rust().filter(|file| !file.text.starts_with("//! "));
    headless.map(|file| file.at(0, "does not begin with a `//!` comment on what it is")).collect()
}

/// Tests and benches print what they measure; sources log.
pub fn leftovers(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.rust() {
        broken.extend(file.lines_with(&["#[ignore"]));
        if file.is_source() {
            broken.extend(file.lines_with(&["println!", "eprintln!", "print!", "eprint!"]));
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
