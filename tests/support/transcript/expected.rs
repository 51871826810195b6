//! What a transcript expects, and whether it is what came.

#[derive(Clone, Debug)]
pub enum Expected {
    /// These.
    Bytes(Vec<u8>),
    /// A line of the words of this one, in any order.
    Words(Vec<u8>),
    /// These lines, in any order.
    Lines(Vec<Vec<u8>>),
    /// Lines up to and with this one.
    LinesThrough(Vec<u8>),
    /// The first, then the others in any order.
    Pieces(Vec<u8>, Vec<Vec<u8>>),
    /// A RESP bulk string that holds this.
    BulkWith(Vec<u8>),
}

/// How what came compares with what is expected.
pub enum Match {
    /// So many bytes of it are what is expected.
    Whole(usize),
    NeedsMore,
    Differs,
}

impl Expected {
    /// Compares it with what has come so far.
    pub fn compare(&self, got: &[u8]) -> Match {
        let whole_if = |same: bool, count| if same { Match::Whole(count) } else { Match::Differs };
        match self {
            Expected::Bytes(bytes) if got.len() >= bytes.len() => {
                whole_if(got.starts_with(bytes), bytes.len())
            }
            Expected::Bytes(bytes) if bytes.starts_with(got) => Match::NeedsMore,
            Expected::Bytes(_) => Match::Differs,
            Expected::Words(expected) => {
                let Some(end) = end_of_line(got, 1) else { return Match::NeedsMore };
                let words = |line| sorted(line, |&byte| byte == b' ' || byte == b'\r');
                whole_if(words(&got[..end]) == words(expected), end)
            }
            Expected::Lines(expected) => {
                let Some(end) = end_of_line(got, expected.len()) else { return Match::NeedsMore };
                let expected = [expected.join(&b"\r\n"[..]), b"\r\n".to_vec()].concat();
                let lines = |bytes| sorted(bytes, |&byte| byte == b'\n');
                whole_if(lines(&got[..end]) == lines(&expected), end)
            }
            Expected::LinesThrough(last) => {
                let lines = got.split_inclusive(|&byte| byte == b'\n');
                let before: usize = lines.take_while(|line| line != last).map(<[u8]>::len).sum();
                if before < got.len() {
                    Match::Whole(before + last.len())
                } else {
                    Match::NeedsMore
                }
            }
            Expected::Pieces(head, pieces) => {
                let count = head.len() + pieces.iter().map(Vec::len).sum::<usize>();
                if got.len() < count {
                    return Match::NeedsMore;
                }
                whole_if(are_pieces(&got[..count], head, pieces), count)
            }
            Expected::BulkWith(text) => {
                let Some(end) = end_of_line(got, 1) else { return Match::NeedsMore };
                let length = got[..end].strip_prefix(b"$").and_then(|digits| {
                    std::str::from_utf8(digits).ok()?.trim_end().parse::<usize>().ok()
                });
                let Some(length) = length else { return Match::Differs };
                if got.len() < end + length + 2 {
                    return Match::NeedsMore;
                }
                let mut windows = got[end..end + length].windows(text.len());
                whole_if(windows.any(|window| window == text), end + length + 2)
            }
        }
    }

    /// Says what it is.
    pub fn describe(&self) -> String {
        match self {
            Expected::Bytes(bytes) => shown(bytes),
            Expected::Words(line) => format!("in any order: {}", shown(line)),
            Expected::Lines(lines) => format!("in any order: {}", shown(&lines.join(&b"\r\n"[..]))),
            Expected::LinesThrough(last) => format!("lines up to {}", shown(last)),
            Expected::Pieces(head, pieces) => {
                format!("{} and in any order: {}", shown(head), shown(&pieces.concat()))
            }
            Expected::BulkWith(part) => format!("a bulk string with {}", shown(part)),
        }
    }
}

/// Where the line number `count` ends.
fn end_of_line(bytes: &[u8], count: usize) -> Option<usize> {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(count - 1).map(|(at, _)| at + 1)
}

fn sorted(bytes: &[u8], separates: impl FnMut(&u8) -> bool) -> Vec<&[u8]> {
    let mut parts: Vec<_> = bytes.split(separates).collect();
    parts.sort_unstable();
    parts
}

/// Whether `bytes` are `head` and all the pieces, each once. No piece begins with another one.
fn are_pieces(bytes: &[u8], head: &[u8], pieces: &[Vec<u8>]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(head) else { return false };
    let mut left: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    while let Some(index) = left.iter().position(|piece| rest.starts_with(piece)) {
        rest = &rest[left.swap_remove(index).len()..];
    }
    left.is_empty()
}

/// Bytes as a report shows them: escaped, and not without end.
pub fn shown(bytes: &[u8]) -> String {
    let more = if bytes.len() > 1000 { "…" } else { "" };
    format!("{}{more}", bytes[..bytes.len().min(1000)].escape_ascii())
}
