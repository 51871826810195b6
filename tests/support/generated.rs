//! Parts of files that follow from the program's tables: compared with them, and written anew by a
//! run with `LARDER_WRITE=1`.

use std::path::Path;

/// Lines of a file that are generated: those that begin with `mark`, behind the line `head` and
/// `skipped` other such lines.
pub struct Part {
    pub path: &'static str,
    pub head: &'static str,
    pub mark: char,
    pub skipped: usize,
}

impl Part {
    /// Returns how the part differs from `expected`, a line for each row; writes it instead, if
    /// that is wanted.
    pub fn differences(&self, expected: &[String]) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.path);
        let text = std::fs::read_to_string(&file).expect("the file is there");
        let lines: Vec<&str> = text.lines().collect();
        let Some(head) = lines.iter().position(|line| *line == self.head) else {
            return vec![format!("{}: there is no line `{}`", self.path, self.head)];
        };
        let is_row = |line: &&&str| line.starts_with(self.mark);
        let before = lines[head..].iter().position(|line| is_row(&line)).unwrap_or(1);
        let begin = head + before + self.skipped;
        let end = begin + lines[begin..].iter().take_while(is_row).count();
        let found = &lines[begin..end];
        if std::env::var_os("LARDER_WRITE").is_some() {
            let expected = expected.iter().map(String::as_str);
            let all: Vec<&str> = lines[..begin]
                .iter()
                .copied()
                .chain(expected)
                .chain(lines[end..].iter().copied())
                .collect();
            std::fs::write(&file, all.join("\n") + "\n").expect("the file can be written");
            return Vec::new();
        }
        let place = format!("{} under `{}`", self.path, self.head);
        let missing = expected.iter().filter(|line| !found.contains(&line.as_str()));
        let mut all: Vec<_> = missing.map(|line| format!("{place} lacks: {line}")).collect();
        let others = found.iter().filter(|line| !expected.iter().any(|it| it == *line));
        all.extend(others.map(|line| format!("{place} has too many: {line}")));
        if all.is_empty() && found != expected {
            all.push(format!("{place}: the lines stand in another order than in the table"));
        }
        all
    }
}

/// Fails with all differences, and tells how to mend them.
#[track_caller]
pub fn none_differs(differences: &[String], command: &str) {
    assert!(
        differences.is_empty(),
        "{}\n`LARDER_WRITE=1 {command}` writes them anew",
        differences.join("\n")
    );
}
