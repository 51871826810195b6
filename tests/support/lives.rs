//! An upstream that a test plays by hand answers the questions after the life of a key by itself:
//! each lives for ever. The test sees the other requests only, and gives the other replies.

use larder::protocol::resp::{ReplyScanner, Scanned};
use std::collections::VecDeque;

/// The questions and replies of one connection.
#[derive(Default)]
pub struct Lives {
    /// What was asked and is not answered: whether it is after a life.
    asked: VecDeque<bool>,
    scanner: ReplyScanner,
    /// What of a reply has been given.
    begun: Vec<u8>,
}

impl Lives {
    /// Notes a request; whether it is for the test.
    pub fn note(&mut self, request: &str) -> bool {
        let is_life = request.starts_with("PTTL ");
        self.asked.push_back(is_life);
        !is_life
    }

    /// What the test replies, with the replies of its own before each.
    pub fn reply(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut said, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            if self.begun.is_empty() {
                while self.asked.front() == Some(&true) {
                    self.asked.pop_front();
                    said.extend(b":-1\r\n");
                }
            }
            let before = self.begun.len();
            self.begun.extend(rest);
            let scanned = self.scanner.advance(&self.begun, usize::MAX / 2);
            let Ok(Scanned::Whole(length, _)) = scanned else {
                said.extend(rest);
                break;
            };
            said.extend(&rest[..length - before]);
            rest = &rest[length - before..];
            self.begun.clear();
            self.asked.pop_front();
        }
        said
    }
}
