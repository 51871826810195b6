//! Runs what fuzzing has found, and the corpora that it begins with, through the bodies of the fuzz
//! targets (`tests/fuzz`), with the usual compiler and without libFuzzer.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;
#[path = "support/generated.rs"]
mod generated;

use generated::Part;
use larder::protocol::command::arguments::Argument;
use larder::protocol::command::{Command, TABLE};
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

#[test]
fn every_input_holds_what_its_target_promises() {
    for (target, run) in bodies::TARGETS {
        let corpus = files(&format!("corpus/{target}"));
        assert!(!corpus.is_empty(), "{target} has nothing to begin with");
        let all = [corpus, files(&format!("found/{target}"))].concat();
        for file in &all {
            let input = std::fs::read(file).expect("it can be read");
            assert!(catch_unwind(|| run(&input)).is_ok(), "{} fails", file.display());
        }
        println!("{target}: {} inputs", all.len());
    }
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

/// Returns the words as bulk strings, in the form of a dictionary.
fn bulks(words: &[&str]) -> String {
    let bulk = |word: &&str| format!(r"${}\x0d\x0a{word}\x0d\x0a", word.len());
    words.iter().map(bulk).collect()
}

/// Adds the tokens of arguments, each once.
fn add_tokens(arguments: &[Argument], tokens: &mut Vec<&'static str>) {
    for argument in arguments {
        if !argument.token.is_empty() && !tokens.contains(&argument.token) {
            tokens.push(argument.token);
        }
        add_tokens(&argument.parts, tokens);
    }
}

#[test]
fn dictionaries_have_the_words_of_every_command() {
    let commands = Command::all().iter().map(|row| format!("\"{}\"", bulks(&[row.name])));
    let subcommands = TABLE[Command::all().len()..].iter().map(|row| {
        let (container, name) = row.split_name();
        format!(r#""*2\x0d\x0a{}""#, bulks(&[container, name]))
    });
    let mut tokens = Vec::new();
    TABLE.iter().for_each(|row| add_tokens(&row.argument_tree(), &mut tokens));
    let tokens = tokens.iter().map(|token| format!("\"{}\"", bulks(&[token])));
    let lines = Command::all().iter().filter(|row| row.is_text());
    let lines = lines.map(|row| format!("\"{} \"", row.name));
    let parts: [(&str, Vec<String>); 4] = [
        ("# Commands, generated", commands.collect()),
        ("# Subcommands, generated", subcommands.collect()),
        ("# Tokens, generated", tokens.collect()),
        ("# Verbs of lines, generated", lines.collect()),
    ];
    const REQUEST: &str = "tests/fuzz/dictionaries/request.dict";
    const SESSION: &str = "tests/fuzz/dictionaries/session.dict";
    const PROXY_SESSION: &str = "tests/fuzz/dictionaries/proxy_session.dict";
    const TEXT: &str = "tests/fuzz/dictionaries/text.dict";
    let mut differences = Vec::new();
    for (path, parts) in [
        (REQUEST, &parts[..3]),
        (SESSION, &parts[..]),
        (PROXY_SESSION, &parts[..]),
        (TEXT, &parts[3..]),
    ] {
        for (head, expected) in parts {
            let part = Part { path, head, mark: '"', skipped: 0 };
            differences.extend(part.differences(expected));
        }
    }
    generated::none_differs(&differences, "cargo test --test corpus dictionaries");
}
