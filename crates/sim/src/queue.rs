//! What is going to happen, in order.

use std::collections::BTreeMap;

/// When something happens: the time in µs, and which of the things at that time it is.
pub type Key = (u64, u64);

/// Things by time; those of one time in the order in which they were pushed.
pub struct Queue<T> {
    /// In boxes, for a map moves what it holds whenever something is put in or taken out beside it.
    entries: BTreeMap<Key, Box<T>>,
    next: u64,
}

impl<T> Queue<T> {
    pub fn new() -> Queue<T> {
        Queue { entries: BTreeMap::new(), next: 0 }
    }

    pub fn push(&mut self, at: u64, what: T) -> Key {
        let key = (at, self.next);
        self.next += 1;
        self.entries.insert(key, Box::new(what));
        key
    }

    pub fn remove(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    pub fn first_at(&self) -> Option<u64> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn pop(&mut self) -> Option<(Key, T)> {
        self.entries.pop_first().map(|(key, what)| (key, *what))
    }
}

#[cfg(test)]
mod tests;
