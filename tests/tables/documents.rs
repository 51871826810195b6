//! The defaults in `docs/operating.md` are those of the code.

use crate::support::run_by;
use larder::program::flags;
use larder::settings::{SETTINGS, Settings};
use std::collections::BTreeMap;

/// Returns the rows of the flags of server and proxy: the name, what stands for the value, and the
/// default.
fn documented() -> BTreeMap<String, (String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md");
    let text = std::fs::read_to_string(path).expect("it is there");
    let part = text.split("### client").next().expect("the flags of server and proxy come first");
    let rows = part.lines().filter(|line| line.starts_with("| `-"));
    let mut found = BTreeMap::new();
    for row in rows {
        // A bar within a cell has a backslash before it.
        let row = row.replace("\\|", "\\");
        let cells: Vec<&str> = row.split('|').skip(1).map(str::trim).collect();
        let (_, flag) = cells[0].split_once("--").expect("a long flag");
        let flag = flag.split('`').next().unwrap_or(flag).replace('\\', "|");
        let (name, hint) = flag.split_once(' ').unwrap_or((&flag, ""));
        // A later table gives reasons.
        let value = (hint.to_string(), cells[1].replace('`', ""));
        found.entry(name.to_string()).or_insert(value);
    }
    found
}

#[test]
fn documents_give_each_setting_the_default_of_the_code() {
    let documented = documented();
    let mut wrong = Vec::new();
    for row in SETTINGS {
        let name = row.name;
        let Some((hint, default)) = documented.get(name) else {
            wrong.push(format!("`--{name}` has no row in the tables of docs/operating.md"));
            continue;
        };
        if hint != row.hint() {
            wrong.push(format!("docs/operating.md: `--{name} {hint}`; help: {}", row.hint()));
        }
        let (mut settings, defaults) = (Settings::default(), Settings::default());
        if let Err(wanted) = row.set(&mut settings, default) {
            wrong.push(format!("docs/operating.md: `--{name}` takes {wanted}, not '{default}'"));
        }
        let (given, real) = (row.show(&settings), row.show(&defaults));
        if given != real {
            wrong
                .push(format!("docs/operating.md: `--{name}` is {given} by default; code: {real}"));
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
