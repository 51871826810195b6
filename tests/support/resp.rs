//! RESP as the tests write and read it: requests, and replies of which all that counts is text.

/// Returns a request: an array of bulk strings.
pub fn resp_request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Returns a bulk string.
pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A reply in RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Word(String),
    Error(String),
    Number(i64),
    Text(String),
    Null,
    List(Vec<Reply>),
}

/// These bytes are no reply in RESP2.
#[derive(Debug)]
pub struct Broken;

impl Reply {
    /// Takes the reply at the front of `rest` off, and returns it; `None` if it is not whole.
    ///
    /// # Errors
    /// It is none.
    pub fn read(rest: &mut &str) -> Result<Option<Reply>, Broken> {
        let Some((head, after)) = rest.split_once("\r\n") else { return Ok(None) };
        let (kind, head) = head.split_at_checked(1).ok_or(Broken)?;
        let number = || head.parse::<i64>().map_err(|_| Broken);
        let mut after = after;
        let reply = match kind {
            "+" => Reply::Word(head.to_string()),
            "-" => Reply::Error(head.to_string()),
            ":" => Reply::Number(number()?),
            "$" if head == "-1" => Reply::Null,
            "$" => {
                let length = number()? as usize;
                let Some(text) = after.get(..length + 2) else { return Ok(None) };
                after = &after[length + 2..];
                Reply::Text(text.strip_suffix("\r\n").ok_or(Broken)?.to_string())
            }
            "*" => {
                let mut list = Vec::new();
                for _ in 0..number()? {
                    let Some(reply) = Reply::read(&mut after)? else { return Ok(None) };
                    list.push(reply);
                }
                Reply::List(list)
            }
            _ => return Err(Broken),
        };
        *rest = after;
        Ok(Some(reply))
    }
}
