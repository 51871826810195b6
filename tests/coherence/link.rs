//! A plain socket that speaks RESP to a proxy or to the upstream itself. An answer that does not
//! come within [`PATIENCE`] fails the test; that the peer has gone does not.

use crate::support::process::{Client, PATIENCE};
use crate::support::resp::{Reply, resp_request};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

/// One connection.
pub struct Link {
    client: Client,
    input: Vec<u8>,
}

impl Link {
    pub fn connect(address: SocketAddr) -> io::Result<Link> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        Ok(Link { client: Client::over(stream), input: Vec::new() })
    }

    /// Sends a request, and returns the reply to it.
    pub fn request(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words)?;
        self.reply()
    }

    pub fn send(&mut self, words: &[&str]) -> io::Result<()> {
        self.client.stream().write_all(&resp_request(words))
    }

    /// Returns the next reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let text = std::str::from_utf8(&self.input).expect("keys and values are ASCII");
            let mut rest = text;
            if let Some(reply) = Reply::read(&mut rest).expect("it is a reply") {
                self.input.drain(..text.len() - rest.len());
                return Ok(reply);
            }
            match self.client.some_bytes() {
                Ok(bytes) if bytes.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.input.extend(bytes),
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::WouldBlock, "no answer, and no end");
                    return Err(error);
                }
            }
        }
    }
}
