//! Values that are extended, or written over in part.

use super::Store;
use super::entry::Parts;
use crate::base::clock::Now;
use crate::base::output::Value;
use crate::protocol::Key;
use std::sync::Arc;

impl Store {
    /// Writes `piece` over a part of the value of a key, from `offset` on; `None`: at its end. A
    /// value that ends before is filled with zeros up to there. It lives as long as before; an
    /// absent one counts as empty, and lives for ever. Returns its new length in bytes.
    pub fn write_at<'k>(
        &mut self,
        key: impl Into<Key<'k>>,
        offset: Option<usize>,
        piece: &[u8],
        now: Now,
    ) -> usize {
        let (hash, key) = self.hashed(key.into());
        let found = self.find_to_write(hash, key, now);
        let handle = match (found, offset) {
            (Some(handle), _) => handle,
            (None, None | Some(0)) => {
                self.insert(hash, key, piece, None, now);
                return piece.len();
            }
            (None, Some(_)) => self.insert(hash, key, b"", None, now),
        };
        let old_length = self.pages.entry(handle).value().len();
        let offset = offset.unwrap_or(old_length);
        let length = old_length.max(offset + piece.len());
        self.value_bytes += (length - old_length) as u64;
        if !self.pages.set_range(handle, offset, piece) {
            let entry = self.pages.entry(handle);
            let (lease, value) = (entry.lease(), entry.value().to_vec());
            let new = self.pages.insert_padded(&Parts { key, value: &value, lease }, length);
            let has_room = self.pages.set_range(new, offset, piece);
            debug_assert!(has_room, "it was padded for that");
            self.relocate(hash, handle, new, lease);
        }
        length
    }

    /// Returns the memory that a value takes beyond what it has when it is written over or extended
    /// to `length` bytes, in bytes: all of it, if a reply still refers to what it was.
    pub fn growth(&self, key: Key<'_>, length: usize, now: Now) -> usize {
        match self.get(key, now) {
            Some(value @ Value::Long(block, ..)) if Arc::strong_count(block) > 1 => {
                length.max(value.len())
            }
            Some(value) => length.saturating_sub(value.len()),
            None => length,
        }
    }
}
