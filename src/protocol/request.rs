//! A decoded request, which borrows the bytes that it came in: its form, command and words.

use super::Refusal;
use super::command::{Command, KeyRange};
use std::num::NonZeroU64;

/// The position of a word among a request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        // A request is at most 2 GiB long: no flag allows more.
        Span { start: start as u32, end: end as u32 }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// The form a request came in, and its reply goes out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line of text.
    Text,
    /// A RESP array.
    Resp,
}

/// A key, and its hash if that has been computed: see [`KeyLookup`](super::KeyLookup).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    /// The rare hash that is 0 counts as not computed.
    pub(super) hash: Option<NonZeroU64>,
}

impl<'a> Key<'a> {
    /// Returns a key with its hash, for the store that computed it.
    pub fn hashed(bytes: &'a [u8], hash: u64) -> Key<'a> {
        Key { bytes, hash: NonZeroU64::new(hash) }
    }
}

impl Key<'_> {
    /// Returns the hash of the key, which `compute` computes unless it is known.
    #[inline]
    pub fn hash(self, compute: impl Fn(&[u8]) -> u64) -> u64 {
        match self.hash {
            Some(hash) => {
                debug_assert_eq!(hash.get(), compute(self.bytes), "a hash of another key");
                hash.get()
            }
            None => compute(self.bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Key<'a> {
    fn from(bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: None }
    }
}

impl<'a> From<&'a Vec<u8>> for Key<'a> {
    fn from(bytes: &'a Vec<u8>) -> Key<'a> {
        Key::from(&bytes[..])
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Key<'a> {
    fn from(bytes: &'a [u8; N]) -> Key<'a> {
        Key::from(&bytes[..])
    }
}

/// The words of a request, the verb first; there is always one.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    pub(super) spans: &'a [Span],
    pub(super) bytes: &'a [u8],
}

impl<'a> Words<'a> {
    /// Returns their number.
    #[allow(clippy::len_without_is_empty)] // there is always the verb
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Returns the word at `index`.
    #[inline]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.bytes))
    }

    /// Returns all of them.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.spans.iter().map(move |span| span.of(self.bytes))
    }

    /// Returns those that are keys.
    #[inline]
    pub fn keys(self, keys: KeyRange) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        keys.of(self.spans).map(move |span| span.of(self.bytes))
    }
}

/// A request of a known command, with a number of words that the command takes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The command: of `CLIENT LIST`, the subcommand.
    pub command: &'static Command,
    /// The form of the reply.
    pub form: Form,
    /// Its words.
    pub words: Words<'a>,
    /// The hash of its first key, if that has been touched ahead.
    pub(super) key_hash: Option<NonZeroU64>,
}

impl<'a> Request<'a> {
    /// Returns the number of its words, the verb included.
    #[allow(clippy::len_without_is_empty)] // there is always the verb
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns the word at `index`; the verb is at 0.
    #[inline]
    pub fn word(&self, index: usize) -> &'a [u8] {
        self.words.spans[index].of(self.words.bytes)
    }

    /// Returns all words, the verb first.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.words.iter()
    }

    /// Returns the words after the verb.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.words.iter().skip(1)
    }

    /// Returns the keys that it names.
    #[inline]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.words.keys(self.command.keys)
    }

    /// Returns its first key. It has one.
    #[inline]
    pub fn key(&self) -> Key<'a> {
        Key { bytes: self.word(usize::from(self.command.keys.first)), hash: self.key_hash }
    }

    /// Returns the keys that it names, the first with its hash.
    #[inline]
    pub fn hashed_keys(&self) -> impl ExactSizeIterator<Item = Key<'a>> + use<'a> {
        let mut first = self.key_hash;
        self.keys().map(move |bytes| Key { bytes, hash: first.take() })
    }

    /// Returns whether a `DUMP` is one of pairs.
    ///
    /// # Errors
    /// Its usage, if it is wrong.
    pub fn dumps_pairs(&self) -> Result<bool, &'static str> {
        let mut words = self.arguments();
        match (words.next(), words.next()) {
            (None, _) => Ok(false),
            (Some(word), None) if word.eq_ignore_ascii_case(b"KEYS") => Ok(false),
            (Some(word), None) if word.eq_ignore_ascii_case(b"PAIRS") => Ok(true),
            _ => Err("usage: DUMP [KEYS|PAIRS]"),
        }
    }
}

/// The result of decoding the front of the input.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// More bytes are needed.
    Incomplete,
    /// A request to execute.
    Request(Request<'a>),
    /// A request to refuse; the next one can be decoded.
    Refused(Form, Refusal<'a>),
    /// A request to refuse, after which nothing can be decoded any more.
    Broken(Refusal<'a>),
    /// A reply of telnet's own protocol, to be sent as it is.
    Telnet([u8; 3]),
}
