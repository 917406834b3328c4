//! A sorted run of keys, packed so that a search touches few cache lines.
//!
//! ```text
//!   prefix   what all keys begin with, once
//!   heads    of each key, the eight bytes (or more words of eight) behind the prefix: numbers that sort as they do
//!   slots    of each key, its length, its value, and where the rest of it is
//!   text     the bytes behind the heads, in no order
//! ```
//!
//! Keys of one bucket share most of their bytes, so the heads decide nearly always; a search is a binary search over
//! numbers that lie side by side. (The idea is that of *poor man's normalized keys* and prefix truncation: Graefe,
//! *Modern B-Tree Techniques*, 2011, sections 3.4 and 3.5.)

use std::cmp::Ordering;

/// Room for so many more is made at a time: a run is often full, and there are many of them.
const GROWTH: usize = 8;
/// Bytes of text that nobody needs, from which on they are squeezed out.
const GARBAGE_BYTES: usize = 512;

const WORD_BYTES: usize = 8;

/// More words of heads than these are searched, not counted.
const COUNT_WORDS_MAX: usize = 80;

/// The bytes behind the prefix, big-endian, padded with zeros.
type Head<const WORDS: usize> = [u64; WORDS];

/// Keys in order, each with a value, under heads of `WORDS` words.
#[derive(Clone, Debug)]
pub(crate) struct Packed<T, const WORDS: usize = 1> {
    prefix: Box<[u8]>,
    heads: Vec<Head<WORDS>>,
    slots: Vec<Slot<T>>,
    text: Vec<u8>,
    /// Bytes of `text` that no slot points at.
    garbage: usize,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    /// Bytes behind the prefix, those of the head included.
    len: u32,
    /// Where in `text` those behind the head are.
    at: u32,
    value: T,
}

impl<T, const WORDS: usize> Default for Packed<T, WORDS> {
    fn default() -> Packed<T, WORDS> {
        Packed {
            prefix: Box::default(),
            heads: Vec::new(),
            slots: Vec::new(),
            text: Vec::new(),
            garbage: 0,
        }
    }
}

impl<T, const WORDS: usize> Packed<T, WORDS> {
    const HEAD_BYTES: usize = WORDS * WORD_BYTES;

    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The place of a key, or where it would go.
    pub(crate) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let shared = key.len().min(self.prefix.len());
        match key[..shared].cmp(&self.prefix[..shared]) {
            Ordering::Less => return Err(0),
            Ordering::Greater => return Err(self.len()),
            Ordering::Equal if key.len() < self.prefix.len() => return Err(0),
            Ordering::Equal => {}
        }
        let (head, len, rest) = Self::cut(&key[shared..]);
        let from = self.smaller(&head);
        let same = self.heads[from..].iter().take_while(|other| **other == head).count();
        let slots = &self.slots[from..from + same];
        let found = slots.binary_search_by(|slot| self.order(slot, len, rest));
        found.map(|at| from + at).map_err(|at| from + at)
    }

    /// How many heads are smaller. A leaf's are counted one by one: that fetches their few cache lines at once, where a
    /// binary search waits for one after the other.
    fn smaller(&self, head: &Head<WORDS>) -> usize {
        if self.heads.len() * WORDS > COUNT_WORDS_MAX {
            return self.heads.partition_point(|other| other < head);
        }
        self.heads.iter().map(|other| usize::from(other < head)).sum()
    }

    /// How a key compares to another that has the same head. Heads are padded with zeros: of two keys that differ in
    /// nothing but that, the shorter one comes first.
    fn order(&self, slot: &Slot<T>, len: u32, rest: &[u8]) -> Ordering {
        if (slot.len.min(len) as usize) < Self::HEAD_BYTES {
            return slot.len.cmp(&len);
        }
        self.rest(slot).cmp(rest)
    }

    fn rest(&self, slot: &Slot<T>) -> &[u8] {
        let len = (slot.len as usize).saturating_sub(Self::HEAD_BYTES);
        &self.text[slot.at as usize..slot.at as usize + len]
    }

    pub(crate) fn value(&self, at: usize) -> &T {
        &self.slots[at].value
    }

    pub(crate) fn value_mut(&mut self, at: usize) -> &mut T {
        &mut self.slots[at].value
    }

    /// The key at a place, put together.
    pub(crate) fn key(&self, at: usize) -> Vec<u8> {
        let slot = &self.slots[at];
        let mut key = Vec::with_capacity(self.prefix.len() + slot.len as usize);
        key.extend_from_slice(&self.prefix);
        let words = self.heads[at].iter().flat_map(|word| word.to_be_bytes());
        key.extend(words.take(slot.len as usize));
        key.extend_from_slice(self.rest(slot));
        key
    }

    /// Puts a key where [`find`](Packed::find) said it would go.
    pub(crate) fn insert(&mut self, at: usize, key: &[u8], value: T) {
        if self.is_empty() {
            self.prefix = key.into();
        }
        let shared = common(&self.prefix, key);
        if shared < self.prefix.len() {
            self.rebuild(shared);
        }
        let (head, len, rest) = Self::cut(&key[shared..]);
        let slot = Slot { len, at: self.text.len() as u32, value };
        self.make_room(rest.len());
        self.text.extend_from_slice(rest);
        self.heads.insert(at, head);
        self.slots.insert(at, slot);
    }

    fn make_room(&mut self, text_bytes: usize) {
        if self.heads.len() == self.heads.capacity() {
            let more = GROWTH.max(self.heads.len() / 8);
            self.heads.reserve_exact(more);
            self.slots.reserve_exact(more);
        }
        if self.text.capacity() - self.text.len() < text_bytes {
            let more = (self.text.len() / 8).max(GROWTH * text_bytes.min(32));
            self.text.reserve_exact(more.max(text_bytes));
        }
    }

    /// Removes what is at a place.
    pub(crate) fn remove(&mut self, at: usize) -> T {
        self.heads.remove(at);
        let slot = self.slots.remove(at);
        self.garbage += (slot.len as usize).saturating_sub(Self::HEAD_BYTES);
        if self.garbage > GARBAGE_BYTES.max(self.text.len() / 2) {
            self.rebuild(self.prefix.len());
        }
        slot.value
    }

    /// Takes the keys from `at` on away.
    pub(crate) fn split_off(&mut self, at: usize) -> Packed<T, WORDS> {
        let keys: Vec<Vec<u8>> = (at..self.len()).map(|at| self.key(at)).collect();
        self.heads.truncate(at);
        let values = self.slots.split_off(at).into_iter().map(|slot| slot.value);
        let mut taken = Packed::default();
        taken.extend(keys.into_iter().zip(values));
        self.shrink();
        taken
    }

    /// Puts the keys of `next`, which are all greater, behind the own ones.
    pub(crate) fn append(&mut self, next: Packed<T, WORDS>) {
        let keys: Vec<Vec<u8>> = (0..next.len()).map(|at| next.key(at)).collect();
        self.extend(keys.into_iter().zip(next.slots.into_iter().map(|slot| slot.value)));
    }

    /// Adds keys in order, all greater than the own ones.
    fn extend(&mut self, entries: impl ExactSizeIterator<Item = (Vec<u8>, T)>) {
        self.heads.reserve_exact(entries.len());
        self.slots.reserve_exact(entries.len());
        for (key, value) in entries {
            self.insert(self.len(), &key, value);
        }
        self.shrink();
    }

    /// Finds the longest prefix again and gives unneeded memory back.
    fn shrink(&mut self) {
        let Some(last) = self.len().checked_sub(1) else { return *self = Packed::default() };
        self.rebuild(common(&self.key(0), &self.key(last)));
        self.heads.shrink_to(self.heads.len() + GROWTH);
        self.slots.shrink_to(self.slots.len() + GROWTH);
    }

    /// Writes heads and text anew for the first `prefix_len` bytes that all keys share.
    fn rebuild(&mut self, prefix_len: usize) {
        let mut text = Vec::with_capacity(self.text.len() - self.garbage);
        let mut prefix = None;
        for at in 0..self.len() {
            let key = self.key(at);
            let (head, len, rest) = Self::cut(&key[prefix_len..]);
            self.heads[at] = head;
            self.slots[at].len = len;
            // What is written anew is read no more: a key needs its own slot, head and text alone.
            let place = text.len() as u32;
            text.extend_from_slice(rest);
            self.slots[at].at = place;
            prefix.get_or_insert_with(|| key[..prefix_len].into());
        }
        self.prefix = prefix.unwrap_or_default();
        self.text = text;
        self.garbage = 0;
    }

    /// The head of what is behind the prefix, its length, and what is behind the head.
    fn cut(suffix: &[u8]) -> (Head<WORDS>, u32, &[u8]) {
        let (head, rest) = suffix.split_at(suffix.len().min(Self::HEAD_BYTES));
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(head.chunks(WORD_BYTES)) {
            let mut padded = [0; WORD_BYTES];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_be_bytes(padded);
        }
        (words, suffix.len() as u32, rest)
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.prefix.len()
            + self.heads.capacity() * Self::HEAD_BYTES
            + self.slots.capacity() * size_of::<Slot<T>>()
            + self.text.capacity()
    }
}

/// So many bytes are the same at the beginning.
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
