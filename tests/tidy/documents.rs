//! The rules for documents, and for what no file may hold. Each returns a line for every place
//! where it is broken.

use crate::plot;
use crate::tree::{Tree, is_word};
use std::collections::BTreeSet;
use std::process::Command;

/// So many characters a line of prose may have.
const COLUMNS: usize = 120;

/// Relative links lead to files of the project, and anchors to headings.
pub fn links(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.documents() {
        for (at, target) in targets(&file.text) {
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && let Err(what) = follow(tree, &file.path, &target) {
                broken.push(file.at(at, format!("`{target}`: {what}")));
            }
        }
    }
    broken
}

fn follow(tree: &Tree, from: &str, target: &str) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        from.to_string()
    } else {
        let mut place: Vec<&str> = from.split('/').collect();
        place.pop();
        for word in path.split('/') {
            match word {
                "." | "" => {}
                ".." if place.pop().is_none() => return Err("leaves the project".to_string()),
                ".." => {}
                word => place.push(word),
            }
        }
        place.join("/")
    };
    if target.starts_with('/') || !tree.has(&path) {
        return Err(format!("there is no `{path}` in the project"));
    }
    let document = tree.file(&path).filter(|file| file.path.ends_with(".md"));
    if let Some(document) = document.filter(|_| !anchor.is_empty())
        && !anchors(&document.text).contains(anchor)
    {
        return Err(format!("`{path}` has no heading for `#{anchor}`"));
    }
    Ok(())
}

/// The lines of a document, its fenced blocks apart: whether it is in one, number and text.
fn fenced(text: &str) -> impl Iterator<Item = (bool, usize, &str)> {
    let mut fence = None;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (mark, fence) {
            (Some(mark), None) => fence = Some(mark),
            (Some(mark), Some(open)) if mark == open => fence = None,
            _ => return Some((fence.is_some(), at, line)),
        }
        None
    })
}

/// Where the links of a document lead: `[text](target)` and `[name]: target`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (_, at, line) in fenced(text).filter(|(in_block, ..)| !in_block) {
        // Every second piece stands between backquotes.
        let prose: Vec<&str> = line.split('`').step_by(2).collect();
        let prose = prose.join("`");
        let inline = prose.match_indices("](").map(|(start, _)| {
            let rest = &prose[start + 2..];
            &rest[..rest.find([')', ' ']).unwrap_or(rest.len())]
        });
        let named = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let named = named.and_then(|(_, target)| target.split_whitespace().next());
        found.extend(inline.chain(named).map(|it| (at, it.trim_matches(['<', '>']).to_string())));
    }
    found
}

/// The anchors that GitHub gives the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let headings = fenced(text).filter(|(in_block, _, line)| !in_block && line.starts_with('#'));
    for (_, _, line) in headings {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|&it| is_word(it) || it == '-' || it == ' ');
        let anchor: String = kept.map(|it| if it == ' ' { '-' } else { it }).collect();
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let mut names = std::iter::once(anchor.clone()).chain(numbered);
        let free = names.find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// Returns the lines of prose that are too long. Tables, fenced blocks and definitions of links are
/// as long as they have to be, and so is a line of one piece that cannot be broken.
pub fn lines(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in tree.documents() {
        for (_, at, line) in fenced(&file.text).filter(|(in_block, ..)| !in_block) {
            let columns = line.chars().count();
            let is_free = line.starts_with('|') || line.starts_with('[') && line.contains("]: ");
            if columns > COLUMNS && !is_free && pieces(line) > 1 {
                broken.push(file.at(at, format!("{columns} columns, at most {COLUMNS}")));
            }
        }
    }
    broken
}

/// Returns how many pieces a line of prose has that can stand on lines of their own: words, and
/// what stands between backquotes; its mark, if it is one of a list, is none.
fn pieces(line: &str) -> usize {
    let line = line.trim().trim_start_matches(['-', '*', '>', ' ']);
    let prose = line.split('`').step_by(2);
    1 + prose.map(|prose| prose.matches(' ').count()).sum::<usize>()
}

/// The picture of the figures is the one that they draw.
pub fn pictures(tree: &Tree) -> Vec<String> {
    let [csv, picture] = ["csv", "svg"].map(|end| format!("docs/performance/peers.{end}"));
    let (Some(csv), Some(picture)) = (tree.file(&csv), tree.file(&picture)) else {
        return vec![format!("{picture}:1: it or its figures are missing")];
    };
    match plot::svg(&csv.text) {
        Ok(drawn) if drawn == picture.text => Vec::new(),
        Ok(_) => {
            let again = "cargo bench --bench peers -- --plot";
            vec![picture.at(0, format!("is not what {} draws: `{again}`", csv.path))]
        }
        Err(missing) => vec![csv.at(0, missing)],
    }
}

/// Documents that tell what to type, in fenced blocks.
const WITH_COMMANDS: [&str; 3] = ["README.md", "docs/CONTRIBUTING.md", "docs/performance.md"];

/// What the documents tell to type exists: programs, scripts, cargo's targets, flags.
pub fn commands(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    if tree.file("README.md").is_none() {
        broken.push("README.md:1: there is none".to_string());
    }
    for file in WITH_COMMANDS.iter().filter_map(|path| tree.file(path)) {
        for (_, at, line) in fenced(&file.text).filter(|(in_block, ..)| *in_block) {
            let line = line.trim().trim_start_matches("$ ");
            let line = line.split(" #").next().unwrap_or(line);
            for command in line.split(['&', '|', ';']) {
                let words: Vec<&str> = command.split_whitespace().collect();
                if let Err(what) = runs(tree, &words) {
                    broken.push(file.at(at, format!("`{}`: {what}", command.trim())));
                }
            }
        }
    }
    broken
}

fn runs(tree: &Tree, words: &[&str]) -> Result<(), String> {
    let Some((&first, rest)) = words.split_first() else { return Ok(()) };
    if first == "cargo" {
        return cargo_runs(tree, rest);
    }
    let name = first.strip_prefix("./").unwrap_or(first);
    let name = name.strip_prefix("target/release/").unwrap_or(name);
    if tree.has(&format!("src/bin/{name}.rs")) {
        return flags_exist(name, rest);
    }
    if !first.contains('/') || first.starts_with('/') {
        // A program of the system's, or not a command at all but what one says.
        return Ok(());
    }
    let script = tree.file(name).ok_or("there is no such program or script")?;
    let unknown = rest.iter().find(|it| it.starts_with('-') && !script.text.contains(**it));
    unknown.map_or(Ok(()), |flag| Err(format!("`{flag}` does not stand in {name}")))
}

fn cargo_runs(tree: &Tree, words: &[&str]) -> Result<(), String> {
    let own = words.iter().position(|&word| word == "--").unwrap_or(words.len());
    let (cargo, passed) = (&words[..own], words.get(own + 1..).unwrap_or_default());
    let mut program = "server"; // `default-run`
    for pair in cargo.windows(2) {
        let folder = match pair[0] {
            "--bin" => "src/bin",
            "--test" => "tests",
            "--bench" => "benches",
            _ => continue,
        };
        let places = [".rs", "/main.rs"].map(|end| format!("{folder}/{}{end}", pair[1]));
        if !places.iter().any(|place| tree.has(place)) {
            return Err(format!("there is no {folder}/{}.rs", pair[1]));
        }
        program = pair[1];
    }
    if cargo.first() == Some(&"run") { flags_exist(program, passed) } else { Ok(()) }
}

fn flags_exist(program: &str, words: &[&str]) -> Result<(), String> {
    let known = flags(program);
    for word in words {
        let is_flag = word.len() > 1 && word.starts_with('-');
        if !is_flag && program == "client" {
            // What follows is a host, or a command with words of its own.
            return Ok(());
        }
        let name = word.split('=').next().unwrap_or(word);
        if is_flag && !known.contains(name) {
            return Err(format!("{program} has no flag `{name}`"));
        }
    }
    Ok(())
}

/// Returns the flags of a program, with their dashes, as its help tells them.
fn flags(program: &str) -> BTreeSet<String> {
    let path = match program {
        "client" => env!("CARGO_BIN_EXE_client"),
        "server" => env!("CARGO_BIN_EXE_server"),
        _ => env!("CARGO_BIN_EXE_proxy"),
    };
    let output = Command::new(path).arg("--help").output().expect("it runs");
    let help = String::from_utf8_lossy(&output.stdout);
    words(&help).filter(|word| word.starts_with('-')).map(str::to_string).collect()
}

/// Returns the words of a text; dashes belong to them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_alphanumeric() && it != '-')
}

/// Every flag of server and proxy is told in docs/operating.md.
pub fn flags_told(tree: &Tree) -> Vec<String> {
    let path = "docs/operating.md";
    let Some(file) = tree.file(path) else {
        return vec![format!("{path}:1: there is none, and it is to tell every flag")];
    };
    let told: BTreeSet<&str> = words(&file.text).collect();
    let all = &flags("server") | &flags("proxy");
    let missing = all.iter().filter(|flag| flag.starts_with("--") && !told.contains(&flag[..]));
    missing.map(|flag| file.at(0, format!("`{flag}` is not told"))).collect()
}

/// No file knows the machine that it was written on: no folders of its user, no registry of its
/// network.
pub fn machines(tree: &Tree) -> Vec<String> {
    let folders = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let mut broken = Vec::new();
    for file in &tree.files {
        for (at, line) in file.text.lines().enumerate() {
            for folder in &folders {
                let absolute = line.match_indices(&folder[..]).any(|(column, _)| {
                    !line[..column].ends_with(|it| is_word(it) || matches!(it, '.' | '-' | '/'))
                });
                if absolute {
                    broken.push(file.at(at, format!("`{folder}` is a place on one machine")));
                }
            }
            broken.extend(registry(line).map(|what| file.at(at, what)));
        }
    }
    broken
}

/// Whether a line names the host of a registry or of a private network.
fn registry(line: &str) -> Option<String> {
    let hosts = line.match_indices("://").map(|(at, _)| {
        let host = &line[at + 3..];
        &host[..host.find(|it: char| !is_word(it) && !"-.".contains(it)).unwrap_or(host.len())]
    });
    let words = ["registry", "index", "mirror", "pypi", "npmjs", "crates", "artifactory", "nexus"];
    let is_registry = |host: &&str| {
        let private = host.starts_with("10.")
            || host.starts_with("192.168.")
            || (16..32).any(|second| host.starts_with(&format!("172.{second}.")));
        private || host.split(['.', '-']).any(|label| words.contains(&label))
    };
    hosts.into_iter().find(is_registry).map(|host| format!("`{host}` is a registry or private"))
}
