//! The documents have what the tables have: the defaults of settings, their reasons and limits, the
//! texts of errors, and in the changelog what is new and what has gone.

use crate::support::run_by;
use larder::program::flags;
use larder::protocol::command::TABLE;
use larder::settings::{SETTINGS, Settings};
use larder::stats::ROWS;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const OPERATING: &str = include_str!("../../docs/operating.md");
const PROTOCOL: &str = include_str!("../../docs/protocol.md");

/// Returns what stands in a document between a heading and the next one.
fn section(document: &'static str, heading: &str) -> &'static str {
    let (_, rest) = document.split_once(&format!("\n{heading}\n")).expect("there is that heading");
    rest.split_once("\n#").map_or(rest, |(section, _)| section)
}

/// Returns the cells of the rows of a table in which flags stand first.
fn rows(section: &str) -> impl Iterator<Item = Vec<String>> {
    section.lines().filter(|line| line.starts_with("| `-")).map(|row| {
        // A bar within a cell has a backslash before it.
        let row = row.replace("\\|", "\\");
        row.split('|').skip(1).map(|cell| cell.trim().replace('\\', "|")).collect()
    })
}

/// Returns the rows of the flags of server and proxy: the name, what stands for the value, and the
/// default.
fn documented() -> BTreeMap<String, (String, String)> {
    let tables = ["### server and proxy", "### server", "### proxy"];
    let rows = tables.into_iter().flat_map(|heading| rows(section(OPERATING, heading)));
    let rows = rows.map(|cells| {
        let (_, flag) = cells[0].split_once("--").expect("a long flag");
        let flag = flag.split('`').next().unwrap_or(flag);
        let (name, hint) = flag.split_once(' ').unwrap_or((flag, ""));
        (name.to_string(), (hint.to_string(), cells[1].replace('`', "")))
    });
    rows.collect()
}

#[test]
fn documents_give_each_setting_the_default_of_the_code() {
    let (documented, defaults) = (documented(), Settings::default());
    let mut wrong = Vec::new();
    for row in SETTINGS {
        let name = row.name;
        let mut check_default = |heading: &str, default: &str| {
            let mut settings = defaults;
            let place = format!("docs/operating.md, {heading}: `--{name}`");
            if let Err(wanted) = row.set(&mut settings, default) {
                wrong.push(format!("{place} takes {wanted}, not '{default}'"));
            } else if row.show(&settings) != row.show(&defaults) {
                wrong.push(format!(
                    "{place} is {default} by default; code: {}",
                    row.show(&defaults)
                ));
            }
        };
        let why = rows(section(OPERATING, "### Why these defaults"))
            .find(|cells| cells[0] == format!("`--{name}`"));
        if let Some(cells) = &why {
            check_default("Why these defaults", &cells[1].replace('`', ""));
        }
        let flag = documented.get(name);
        if let Some((_, default)) = flag {
            check_default("Flags", default);
        }
        match flag {
            None => wrong.push(format!("docs/operating.md, Flags: no row for `--{name}`")),
            Some((hint, _)) if *hint != row.hint() => wrong
                .push(format!("docs/operating.md, Flags: `--{name} {hint}`; help: {}", row.hint())),
            Some(_) => {}
        }
        if why.is_none() {
            wrong.push(format!("docs/operating.md, Why these defaults: no row for `--{name}`"));
        }
        let is_live = section(OPERATING, "### While they run").contains(&format!("`{name}`"));
        if row.is_live && !is_live {
            wrong.push(format!("docs/operating.md, While they run: `{name}` is not among them"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn documents_give_the_addresses_of_the_code() {
    let (server, proxy) = (run_by(flags::server(&[])), run_by(flags::proxy(&[])));
    let documented = documented();
    let listen = format!("server {}, proxy {}", server.listen[0], proxy.common.listen[0]);
    assert_eq!(documented["listen"].1, listen);
    assert_eq!(documented["server-listen"].1, proxy.server_listen.to_string());
}

/// Settings beyond which nothing is refused or closed.
const NO_LIMITS: [&str; 7] =
    ["put", "inline", "ttl", "trust", "cache-bytes", "upstream-timeout", "drain-timeout"];

/// Where a limit is gone beyond, and its counter looked at.
const LIMITS_TRIED: [&str; 6] = [
    include_str!("../sockets/each_limit.rs"),
    include_str!("../sockets/limits.rs"),
    include_str!("../sockets/memory.rs"),
    include_str!("../sockets/readers.rs"),
    include_str!("../sockets/slow.rs"),
    include_str!("../transcripts/resp-tracking-limit.txt"),
];

#[test]
fn each_limit_has_a_row_a_counter_and_a_test() {
    let mut wrong = Vec::new();
    let limits = section(PROTOCOL, "## Limits");
    // A line that wants the counter to be 0 shows nothing.
    let lines = LIMITS_TRIED.iter().flat_map(|text| text.lines());
    let tried: Vec<_> = lines.filter(|line| !line.ends_with(" 0);")).collect();
    for setting in SETTINGS.iter().filter(|row| !NO_LIMITS.contains(&row.name)) {
        let flag = format!("| `--{}` |", setting.name);
        let rows: Vec<_> = limits.lines().filter(|row| row.contains(&flag)).collect();
        if rows.is_empty() {
            wrong.push(format!(
                "docs/protocol.md, Limits: no row has {flag} (if it is no limit: NO_LIMITS in \
                 tests/tables/documents.rs)"
            ));
        }
        for row in rows {
            let counter = row.trim_end_matches([' ', '|']).rsplit("| ").next().unwrap_or_default();
            let counter = counter.trim_matches('`');
            if !ROWS.iter().any(|it| it.name == counter) {
                wrong.push(format!("docs/protocol.md, Limits: no counter `{counter}`: {row}"));
            } else if !tried.iter().any(|line| line.contains(counter)) {
                wrong.push(format!(
                    "`--{}`: no row of tests/sockets/each_limit.rs and no test in limits.rs beside \
                     it has the counter {counter}",
                    setting.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Files of which every text is an error.
const FILES_OF_ERRORS: [&str; 2] = ["protocol/refusal.rs", "proxy/no_reply.rs"];

/// Adds what stands between quotation marks in the code of errors below a folder.
fn add_errors(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            add_errors(&path, found);
        } else if !path.ends_with("tests.rs") {
            let (text, name) = (fs::read_to_string(&path).expect("text"), path.display());
            let is_error = |lines: &[&str]| lines[2].contains("RequestError::counted(");
            let lines: Vec<&str> = text.lines().collect();
            let near = lines.windows(4).filter(|it| is_error(it)).map(|it| it.join("\n"));
            let whole = FILES_OF_ERRORS.iter().any(|end| path.ends_with(end));
            for code in near.chain(whole.then(|| text.clone())) {
                let literals = code.split('"').skip(1).step_by(2);
                found.extend(literals.map(|it| (name.to_string(), it.to_string())));
            }
        }
    }
}

#[test]
fn errors_of_limits_and_refusals_stand_in_the_documents() {
    let mut errors = Vec::new();
    add_errors(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut errors);
    for file in FILES_OF_ERRORS {
        assert!(errors.iter().any(|(name, _)| name.ends_with(file)), "{file} is where it was");
    }
    errors.retain(|(_, text)| {
        let fixed = text.split(['{', '}']).step_by(2).max_by_key(|it| it.len());
        fixed.is_some_and(|it| it.trim().contains(' ') && !PROTOCOL.contains(it.trim()))
    });
    assert!(errors.is_empty(), "no row of Errors in docs/protocol.md has: {errors:#?}");
}

/// Names from before there was a changelog.
const OLD_NAMES: &str = include_str!("old-names.txt");

#[test]
fn the_changelog_has_every_name_that_has_come_or_gone() {
    let changelog = include_str!("../../docs/CHANGELOG.md");
    let commands = TABLE.iter().map(|row| row.name.replace('|', " "));
    let settings = SETTINGS.iter().map(|row| format!("--{}", row.name));
    let counters = ROWS.iter().map(|row| row.name.to_string());
    let now: BTreeSet<String> = commands.chain(settings).chain(counters).collect();
    let old = OLD_NAMES.lines().map(str::to_string).collect();
    let changed = now.symmetric_difference(&old);
    let missing: Vec<_> = changed.filter(|it| !changelog.contains(&format!("`{it}`"))).collect();
    assert!(missing.is_empty(), "docs/CHANGELOG.md has no line for {missing:?}");
}
