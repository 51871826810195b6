//! The files of the project, and as much of Rust as the rules need to understand.

use std::path::Path;

pub struct File {
    /// From the root of the project, with slashes.
    pub path: String,
    pub text: String,
    /// For Rust: the text with comments and the insides of literals blanked, else empty.
    pub code: String,
    pub is_test: bool,
}

impl File {
    pub fn new(path: &str, text: &str) -> File {
        let code = if path.ends_with(".rs") { code_only(text) } else { String::new() };
        let is_test = !path.starts_with("src/") || path.contains("/tests");
        File { path: path.to_string(), text: text.to_string(), code, is_test }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn is_source(&self) -> bool {
        self.is_rust() && self.path.starts_with("src/")
    }

    /// `src/protocol/text.rs` is `protocol/text`, `src/protocol/mod.rs` is `protocol`.
    pub fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.strip_suffix("/mod").unwrap_or(path)
    }

    pub fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// The lines of code that hold one of these pieces.
    pub fn lines_with(&self, pieces: &[&str]) -> Vec<String> {
        let found = self.code.lines().enumerate().flat_map(|(at, line)| {
            let pieces = pieces.iter().filter(move |piece| holds_word(line, piece));
            pieces.map(move |piece| self.at(at, format!("`{piece}`")))
        });
        found.collect()
    }
}

pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| File::new(path, text)).collect() }
    }

    pub fn of_project() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut files, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the tree can be read") {
                let path = entry.expect("the tree can be read").path();
                let relative = path.strip_prefix(root).expect("it lies below the root");
                let relative = relative.to_str().expect("names are UTF-8").replace('\\', "/");
                if path.is_dir() {
                    // What git keeps for itself, and what .gitignore names.
                    if !matches!(relative.as_str(), ".git" | "target") {
                        folders.push(path);
                    }
                } else if let Ok(text) = std::fs::read_to_string(&path) {
                    files.push(File::new(&relative, &text));
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is a file or a folder of this name.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub fn sources(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_source())
    }

    /// The sources without their tests.
    pub fn programs(&self) -> impl Iterator<Item = &File> {
        self.sources().filter(|file| !file.is_test)
    }

    pub fn documents(&self) -> impl Iterator<Item = &File> {
        let is_document = |path: &str| path == "README.md" || path.starts_with("docs/");
        self.files.iter().filter(move |it| it.path.ends_with(".md") && is_document(&it.path))
    }
}

/// Rust without comments and without what stands in literals: blanks are put in their place.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is = |at: usize, wanted: char| chars.get(at) == Some(&wanted);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let in_word = at > 0 && is_word(chars[at - 1]) && !is(at - 1, 'b');
        let hashes = chars[at + 1..].iter().take_while(|&&it| it == '#').count();
        // How many characters open it, where its inside ends, how many close it.
        let (open, end, close) = match chars[at] {
            '/' if is(at + 1, '/') => (0, find(&chars, at, "\n"), 0),
            '/' if is(at + 1, '*') => (0, find(&chars, at + 2, "*/") + 2, 0),
            'r' if !in_word && is(at + 1 + hashes, '"') => {
                let mark = format!("\"{}", "#".repeat(hashes));
                (2 + hashes, find(&chars, at + 2 + hashes, &mark), 1 + hashes)
            }
            '"' => (1, closing(&chars, at), 1),
            '\'' if is(at + 1, '\\') || is(at + 2, '\'') => (1, closing(&chars, at), 1),
            _ => (1, at + 1, 0),
        };
        let end = end.min(chars.len());
        let next = (end + close).min(chars.len());
        out.extend(&chars[at..at + open]);
        out.extend(chars[at + open..end].iter().map(|&it| if it == '\n' { it } else { ' ' }));
        out.extend(&chars[end..next]);
        at = next;
    }
    out
}

fn find(chars: &[char], from: usize, wanted: &str) -> usize {
    let wanted: Vec<char> = wanted.chars().collect();
    let found = (from..chars.len()).find(|&at| chars[at..].starts_with(&wanted));
    found.unwrap_or(chars.len())
}

/// Where the literal ends that begins with the quote at `start`.
fn closing(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != chars[start] {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at
}

pub fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// Whether `piece` stands in the line, and not as a part of longer words.
pub fn holds_word(line: &str, piece: &str) -> bool {
    let ends = |text: &str| text.ends_with(is_word);
    let begins = |text: &str| text.starts_with(is_word);
    line.match_indices(piece).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + piece.len()..]);
        let goes_on = ends(before) && begins(piece) || ends(piece) && begins(after);
        !goes_on
    })
}

/// The line and text of each path from `crate`, `larder`, `super` or `std`, its braces written out.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let offset = line.as_ptr() as usize - code.as_ptr() as usize;
        for root in ["crate::", "larder::", "super::", "std::"] {
            for (column, _) in line.match_indices(root) {
                if !line[..column].ends_with(|it| is_word(it) || it == ':') {
                    let mut prefix = Vec::new();
                    let rest = &code[offset + column..];
                    write_out(rest, &mut prefix, &mut |path| found.push((at, path)));
                }
            }
        }
    }
    found
}

/// Calls `found` for each path of the `use` tree at the front of `text`; returns what follows it.
fn write_out<'a>(
    text: &'a str,
    prefix: &mut Vec<&'a str>,
    found: &mut impl FnMut(String),
) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = write_out(rest, prefix, found).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(more) => break more.trim_start().strip_prefix('}').unwrap_or(more),
                None => break rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    } else {
        let word = text.find(|it| !is_word(it)).unwrap_or(text.len());
        let (word, rest) = text.split_at(word);
        prefix.push(word);
        let rest = match rest.strip_prefix("::") {
            Some(more) if more.starts_with(|it| is_word(it) || it == '{') => {
                write_out(more, prefix, found)
            }
            _ => {
                found(prefix.join("::"));
                rest.trim_start()
                    .strip_prefix("as ")
                    .map_or(rest, |renamed| renamed.trim_start_matches(is_word))
            }
        };
        prefix.pop();
        rest
    }
}
