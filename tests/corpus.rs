//! Runs what fuzzing has found, and the corpora that it begins with, through the bodies of the fuzz
//! targets (`tests/fuzz`), with the usual compiler and without libFuzzer.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// What all corpora may take together, in bytes.
const MOST_BYTES: u64 = 300 << 10;

/// The files of a folder, if there is such a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
    let entries = folder.read_dir().into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files
}

/// Runs every input of a target; names the first that fails.
#[track_caller]
fn check(target: &str) {
    let (_, run) = bodies::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let corpus = files(&format!("corpus/{target}"));
    assert!(!corpus.is_empty(), "there is nothing to begin with");
    let all = [corpus, files(&format!("found/{target}"))].concat();
    for file in &all {
        let input = std::fs::read(file).expect("it can be read");
        assert!(catch_unwind(|| run(&input)).is_ok(), "{} fails", file.display());
    }
    println!("{target}: {} inputs", all.len());
}

#[test]
fn requests_hold_what_they_promise() {
    check("request");
}

#[test]
fn lines_hold_what_they_promise() {
    check("text");
}

#[test]
fn replies_hold_what_they_promise() {
    check("reply");
}

#[test]
fn sessions_hold_what_they_promise() {
    check("session");
}

#[test]
fn sessions_with_the_proxy_hold_what_they_promise() {
    check("proxy_session");
}

#[test]
fn every_target_has_its_corpus_and_its_words_and_all_is_small() {
    let manifest = include_str!("fuzz/Cargo.toml");
    let mut bytes = 0;
    for (name, _) in bodies::TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
        let words = files("dictionaries").iter().any(|file| file.ends_with(format!("{name}.dict")));
        assert!(words, "{name} has no dictionary");
        let all = [files(&format!("corpus/{name}")), files(&format!("found/{name}"))].concat();
        bytes += all.iter().map(|it| it.metadata().expect("it is there").len()).sum::<u64>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes: have them minimised, see tests/fuzz/run");
}
