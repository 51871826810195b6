//! A table of values by connection.

use super::ConnId;

/// Values by connection: one lookup by slot, which finds nothing for another generation.
#[derive(Debug)]
pub struct ConnMap<T> {
    slots: Vec<Option<(u32, T)>>,
    len: usize,
}

impl<T> Default for ConnMap<T> {
    fn default() -> Self {
        ConnMap { slots: Vec::new(), len: 0 }
    }
}

impl<T> ConnMap<T> {
    /// Adds the value of a connection.
    pub fn insert(&mut self, conn: ConnId, value: T) {
        if self.slots.len() <= conn.slot() {
            self.slots.resize_with(conn.slot() + 1, || None);
        }
        self.len += usize::from(self.slots[conn.slot()].is_none());
        debug_assert!(self.get(conn).is_none(), "a connection has one value");
        self.slots[conn.slot()] = Some((conn.generation, value));
    }

    /// Returns the value of a connection, to be changed.
    #[inline]
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut T> {
        match self.slots.get_mut(conn.slot()) {
            Some(Some((generation, value))) if *generation == conn.generation => Some(value),
            _ => None,
        }
    }

    /// Returns the value of a connection.
    pub fn get(&self, conn: ConnId) -> Option<&T> {
        let (generation, value) = self.slots.get(conn.slot())?.as_ref()?;
        (*generation == conn.generation).then_some(value)
    }

    /// Removes a connection, and returns its value.
    pub fn remove(&mut self, conn: ConnId) -> Option<T> {
        let slot = self.slots.get_mut(conn.slot())?;
        let (_, value) = slot.take_if(|(generation, _)| *generation == conn.generation)?;
        debug_assert!(self.len > 0);
        self.len -= 1;
        Some(value)
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns all connections with their values, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &T)> {
        self.slots.iter().enumerate().filter_map(|(slot, entry)| {
            let (generation, value) = entry.as_ref()?;
            Some((ConnId { slot: slot as u32, generation: *generation }, value))
        })
    }
}

#[cfg(test)]
mod tests;
