//! The rules for what the project is built from. `tests/dependencies/check` asks the same, and
//! more, of `cargo deny`; this is what can be asked every time.

use crate::tree::{File, Tree};
use std::collections::BTreeSet;
use std::process::Command;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
const ALLOWED: &str = "tests/dependencies/deny.toml";

/// Every package comes from the usual registry, and nothing else than what was looked at comes
/// under its name.
pub fn sources(tree: &Tree) -> Vec<String> {
    let is_lock = |file: &&File| file.path.rsplit('/').next() == Some("Cargo.lock");
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(is_lock) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(source) = line.strip_prefix("source = ") else { continue };
            if source.trim_matches('"') != REGISTRY {
                broken.push(file.at(at, "a package that is not from the usual registry"));
            }
            if !lines.get(at + 1).is_some_and(|next| next.starts_with("checksum = \"")) {
                broken.push(file.at(at, "a package without a checksum"));
            }
        }
    }
    broken
}

/// Every package of the project, for every system, may be used under a licence that is allowed.
pub fn licences(tree: &Tree) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--locked",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--no-dedupe",
    ]);
    cargo.args(["--prefix", "none", "--format", "{p}|{l}"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<(&str, &str)> =
        told.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|')).collect();
    assert!(packages.len() > 1, "{}", String::from_utf8_lossy(&output.stderr));
    packages_allowed(tree, packages)
}

/// The rule itself: of packages and their licences.
pub fn packages_allowed<'a>(
    tree: &Tree,
    packages: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<String> {
    let Some(file) = tree.file(ALLOWED) else { return vec![format!("{ALLOWED}:1: there is none")] };
    let after = file.text.lines().skip_while(|line| *line != "allow = [").skip(1);
    let allowed: BTreeSet<&str> = after
        .take_while(|line| *line != "]")
        .map(|line| line.trim_matches([' ', ',', '"']))
        .collect();
    let refused = packages.into_iter().filter(|(_, licence)| !is_allowed(licence, &allowed));
    refused.map(|(name, licence)| file.at(0, format!("`{name}` is under '{licence}'"))).collect()
}

/// Returns whether what an SPDX expression asks for is allowed: each of what `AND` stands between,
/// and one of what `OR` does, or `/` in older packages. `AND` is taken to bind less than `OR`, and
/// parentheses for nothing: that asks for no less than what is meant.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    let mut parts = expression.split(" AND ");
    parts.all(|part| part.split(" OR ").any(|licence| allowed.contains(licence)))
}
