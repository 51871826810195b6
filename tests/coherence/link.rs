//! A plain socket that speaks RESP to a proxy or to the upstream itself. An answer that does not
//! come within [`PATIENCE`] fails the test; that the peer has gone does not.

use crate::support::process::PATIENCE;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Word(String),
    Number(i64),
    Text(Option<String>),
    Error(String),
}

/// One connection.
pub struct Link {
    stream: BufReader<TcpStream>,
}

impl Link {
    pub fn connect(address: SocketAddr) -> io::Result<Link> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Link { stream: BufReader::new(stream) })
    }

    pub fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words)?;
        self.hear()
    }

    pub fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.get_mut().write_all(request.as_bytes())
    }

    pub fn hear(&mut self) -> io::Result<Reply> {
        let reply = self.read();
        if let Err(error) = &reply {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "no answer, and no end");
        }
        reply
    }

    fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let number = || line[1..].parse::<i64>().map_err(|_| ErrorKind::InvalidData);
        Ok(match line.as_bytes().first() {
            Some(b'+') => Reply::Word(line[1..].to_string()),
            Some(b'-') => Reply::Error(line[1..].to_string()),
            Some(b':') => Reply::Number(number()?),
            Some(b'$') if line == "$-1" => Reply::Text(None),
            Some(b'$') => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => panic!("no reply: {line:?}"),
        })
    }
}
