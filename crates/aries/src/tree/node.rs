//! A node of the tree on its page: sorted slots that grow from the front, cells that grow from the back.
//!
//! ```text
//! body = level:u8 0:u8 count:u16 heap:u16 garbage:u16 slot*count ... free ... cells
//! slot = cell:u16 head:[u8; 4]                                head: the key's first bytes, big-endian, zeros behind
//! cell = key_len:u16 len:u16 key value                        of a leaf; highest bit of len: a ghost
//! cell = key_len:u16 4:u16 key child:u32                      above; the first key is empty: below all
//! ```
//!
//! Most comparisons of a search end at the head, without a look at the cell. A **ghost** is a row that was deleted and
//! may have to come back: by a rollback, or for a reader with an older snapshot.
//!
//! What a function here does depends on nothing but the bytes of the page, so that a restart that does it again comes to
//! the same bytes.

use std::cmp::Ordering;

use crate::page::{BODY_BYTES, Page, PageId, put_u16, u16_at, u32_at};

const SLOTS: usize = 8;
const SLOT_BYTES: usize = 6;
const CELL_HEAD: usize = 4;
const GHOST: u16 = 0x8000;

/// A cell takes at most a quarter of a page, so that a split always makes room.
pub const CELL_BYTES_MAX: usize = (BODY_BYTES - SLOTS) / 4 - SLOT_BYTES;
/// The longest key.
pub const KEY_BYTES_MAX: usize = 1024;
/// Key and value together.
pub const ROW_BYTES_MAX: usize = CELL_BYTES_MAX - CELL_HEAD;
/// What a node above the leaves must have room for before one below it may be split.
pub const SEPARATOR_BYTES_MAX: usize = SLOT_BYTES + CELL_HEAD + KEY_BYTES_MAX + 4;

/// A node, to be read.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    body: &'a [u8],
}

impl<'a> Node<'a> {
    pub fn of(page: &'a Page) -> Node<'a> {
        Node { body: page.body() }
    }

    /// 0: a leaf.
    pub fn level(self) -> u8 {
        self.body[0]
    }

    pub fn count(self) -> usize {
        usize::from(u16_at(self.body, 2))
    }

    fn heap(self) -> usize {
        usize::from(u16_at(self.body, 4))
    }

    fn garbage(self) -> usize {
        usize::from(u16_at(self.body, 6))
    }

    fn cell(self, slot: usize) -> usize {
        usize::from(u16_at(self.body, SLOTS + slot * SLOT_BYTES))
    }

    fn head(self, slot: usize) -> u32 {
        let at = SLOTS + slot * SLOT_BYTES + 2;
        self.body[at..].first_chunk().map_or(0, |head| u32::from_be_bytes(*head))
    }

    pub fn key(self, slot: usize) -> &'a [u8] {
        let cell = self.cell(slot);
        let len = usize::from(u16_at(self.body, cell));
        &self.body[cell + CELL_HEAD..cell + CELL_HEAD + len]
    }

    pub fn value(self, slot: usize) -> &'a [u8] {
        let cell = self.cell(slot);
        let start = cell + CELL_HEAD + usize::from(u16_at(self.body, cell));
        &self.body[start..start + usize::from(u16_at(self.body, cell + 2) & !GHOST)]
    }

    pub fn is_ghost(self, slot: usize) -> bool {
        u16_at(self.body, self.cell(slot) + 2) & GHOST != 0
    }

    pub fn child(self, slot: usize) -> PageId {
        PageId(u32_at(self.value(slot), 0))
    }

    /// Where the key is, or where it would be.
    pub fn find(self, key: &[u8]) -> Result<usize, usize> {
        let head = head_of(key);
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.compare(middle, key, head) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Whether a row of this key would stand there.
    pub fn is_place(self, slot: usize, key: &[u8]) -> bool {
        let head = head_of(key);
        slot <= self.count()
            && (slot == 0 || self.compare(slot - 1, key, head).is_lt())
            && (slot == self.count() || self.compare(slot, key, head).is_gt())
    }

    /// The key there, beside another whose head is this.
    fn compare(self, slot: usize, key: &[u8], head: u32) -> Ordering {
        self.head(slot).cmp(&head).then_with(|| self.key(slot).cmp(key))
    }

    /// The slot of the child that has the key.
    pub fn towards(self, key: &[u8]) -> usize {
        self.find(key).unwrap_or_else(|slot| slot.saturating_sub(1))
    }

    /// The slot of the last child that has keys below `key`.
    pub fn below(self, key: &[u8]) -> usize {
        self.find(key).unwrap_or_else(|slot| slot).saturating_sub(1)
    }

    fn cell_bytes(self, slot: usize) -> usize {
        let cell = self.cell(slot);
        let value = u16_at(self.body, cell + 2) & !GHOST;
        CELL_HEAD + usize::from(u16_at(self.body, cell)) + usize::from(value)
    }

    /// Bytes that are free, in one piece or not.
    pub fn free(self) -> usize {
        self.heap() + self.garbage() - SLOTS - self.count() * SLOT_BYTES
    }

    /// Bytes that are taken.
    pub fn used(self) -> usize {
        BODY_BYTES - SLOTS - self.free()
    }

    /// Whether another row fits.
    pub fn fits(self, key: &[u8], value: usize) -> bool {
        row_bytes(key.len(), value) <= self.free()
    }

    /// Whether a row's value may become so long.
    pub fn fits_instead(self, slot: usize, value: usize) -> bool {
        value <= self.value(slot).len() + self.free()
    }

    /// Whether a node below may be split.
    pub fn has_room_for_separator(self) -> bool {
        self.free() >= SEPARATOR_BYTES_MAX
    }

    pub fn ghosts(self) -> impl Iterator<Item = usize> + 'a {
        (0..self.count()).filter(move |slot| self.is_ghost(*slot))
    }

    /// From where on the rows take about half.
    pub fn middle(self) -> usize {
        let half = self.used() / 2;
        let mut bytes = 0;
        let before = (0..self.count()).take_while(|slot| {
            bytes += self.cell_bytes(*slot) + SLOT_BYTES;
            bytes <= half
        });
        before.count().clamp(1, self.count().max(2) - 1)
    }

    /// Says what is wrong with the bytes, if anything is. Of bytes that were found right nothing here panics, and what is
    /// changed stays right. Each page that is read goes through this: it looks at each cell once.
    pub fn check(self) -> Result<(), &'static str> {
        let (count, heap) = (self.count(), self.heap());
        if SLOTS + count * SLOT_BYTES > heap || heap > BODY_BYTES {
            return Err("slots and cells overlap");
        }
        let (mut bytes, mut seen) = (0, Seen::default());
        let mut last: Option<Cell<'_>> = None;
        for slot in 0..count {
            let cell = self.check_cell(slot, heap)?;
            if last.is_some_and(|last| (last.head, last.key) >= (cell.head, cell.key)) {
                return Err("keys that are not in order");
            }
            if !seen.add(cell.start, cell.end) {
                return Err("cells overlap");
            }
            bytes += cell.end - cell.start;
            last = Some(cell);
        }
        if bytes + self.garbage() != BODY_BYTES - heap {
            return Err("cells and garbage that do not add up");
        }
        if self.level() > 0 && (count == 0 || !self.key(0).is_empty()) {
            return Err("its first child is not below all");
        }
        Ok(())
    }

    fn check_cell(self, slot: usize, heap: usize) -> Result<Cell<'a>, &'static str> {
        let (start, head) = (self.cell(slot), self.head(slot));
        if start < heap || start + CELL_HEAD > BODY_BYTES {
            return Err("a slot that points nowhere");
        }
        let key_len = usize::from(u16_at(self.body, start));
        let value_len = usize::from(u16_at(self.body, start + 2) & !GHOST);
        let end = start + CELL_HEAD + key_len + value_len;
        if end > BODY_BYTES {
            return Err("a cell that goes over the end");
        }
        if end - start > CELL_BYTES_MAX || key_len > KEY_BYTES_MAX {
            return Err("a row that is too large");
        }
        let key = &self.body[start + CELL_HEAD..][..key_len];
        if head != head_of(key) {
            return Err("a slot whose head is not its key's");
        }
        if self.level() > 0 && value_len != 4 {
            return Err("a child that is none");
        }
        Ok(Cell { start, end, head, key })
    }
}

/// A cell that is one, and the head that leads to it.
#[derive(Clone, Copy)]
struct Cell<'a> {
    start: usize,
    end: usize,
    head: u32,
    key: &'a [u8],
}

/// Bytes of a body that are known to be some cell's, a bit for each.
struct Seen([u64; BODY_BYTES.div_ceil(64)]);

impl Default for Seen {
    fn default() -> Seen {
        Seen([0; BODY_BYTES.div_ceil(64)])
    }
}

impl Seen {
    /// Adds the bytes from `from` up to `to`. `false`: some were added before.
    fn add(&mut self, from: usize, to: usize) -> bool {
        (from / 64..to.div_ceil(64)).all(|word| {
            let (low, high) = (from.saturating_sub(word * 64), (to - word * 64).min(64));
            let bits = u64::MAX >> (64 - (high - low)) << low;
            let is_new = self.0[word] & bits == 0;
            self.0[word] |= bits;
            is_new
        })
    }
}

/// Bytes that a row takes.
pub fn row_bytes(key: usize, value: usize) -> usize {
    SLOT_BYTES + CELL_HEAD + key + value
}

fn head_of(key: &[u8]) -> u32 {
    if let Some(head) = key.first_chunk() {
        return u32::from_be_bytes(*head);
    }
    let mut head = [0; 4];
    head[..key.len()].copy_from_slice(key);
    u32::from_be_bytes(head)
}

/// An empty node.
pub fn clear(page: &mut Page, level: u8) {
    let body = page.body_mut();
    body.fill(0);
    body[0] = level;
    put_u16(body, 4, BODY_BYTES as u16);
}

/// Adds a row at its place. `false`: it does not fit, or the place is none.
pub fn insert(page: &mut Page, slot: usize, key: &[u8], value: &[u8]) -> bool {
    let node = Node::of(page);
    let count = node.count();
    if slot > count || !node.fits(key, value.len()) {
        return false;
    }
    if !fits_in_one_piece(node, row_bytes(key.len(), value.len())) {
        compact(page);
    }
    let cell = push_cell(page.body_mut(), key, value.len() as u16, value);
    let body = page.body_mut();
    let at = SLOTS + slot * SLOT_BYTES;
    body.copy_within(at..SLOTS + count * SLOT_BYTES, at + SLOT_BYTES);
    put_u16(body, at, cell as u16);
    body[at + 2..at + 6].copy_from_slice(&head_of(key).to_be_bytes());
    put_u16(body, 2, count as u16 + 1);
    true
}

/// Removes a row.
pub fn remove(page: &mut Page, slot: usize) {
    let node = Node::of(page);
    let (count, bytes, garbage) = (node.count(), node.cell_bytes(slot), node.garbage());
    let body = page.body_mut();
    let at = SLOTS + slot * SLOT_BYTES;
    body.copy_within(at + SLOT_BYTES..SLOTS + count * SLOT_BYTES, at);
    put_u16(body, 2, count as u16 - 1);
    put_u16(body, 6, (garbage + bytes) as u16);
}

/// Gives a row another value. `false`: it does not fit.
pub fn replace(page: &mut Page, slot: usize, value: &[u8], ghost: bool) -> bool {
    let node = Node::of(page);
    if !node.fits_instead(slot, value.len()) {
        return false;
    }
    let mark = value.len() as u16 | if ghost { GHOST } else { 0 };
    let cell = node.cell(slot);
    let key_len = node.key(slot).len();
    if node.value(slot).len() == value.len() {
        let body = page.body_mut();
        put_u16(body, cell + 2, mark);
        let start = cell + CELL_HEAD + key_len;
        body[start..start + value.len()].copy_from_slice(value);
        return true;
    }
    let key = node.key(slot).to_vec();
    remove(page, slot);
    let inserted = insert(page, slot, &key, value);
    set_ghost(page, slot, ghost);
    inserted
}

/// Makes a row a ghost, or alive.
pub fn set_ghost(page: &mut Page, slot: usize, ghost: bool) {
    let at = Node::of(page).cell(slot) + 2;
    let body = page.body_mut();
    let len = u16_at(body, at) & !GHOST;
    put_u16(body, at, if ghost { len | GHOST } else { len });
}

/// Moves the rows of `slots` to the end of another node of the same level.
pub fn copy_rows(from: Node<'_>, slots: std::ops::Range<usize>, to: &mut Page) -> bool {
    slots.into_iter().all(|slot| {
        let at = Node::of(to).count();
        let copied = insert(to, at, from.key(slot), from.value(slot));
        if copied && from.is_ghost(slot) {
            set_ghost(to, at, true);
        }
        copied
    })
}

fn fits_in_one_piece(node: Node<'_>, bytes: usize) -> bool {
    SLOTS + node.count() * SLOT_BYTES + bytes <= node.heap()
}

fn push_cell(body: &mut [u8], key: &[u8], len: u16, value: &[u8]) -> usize {
    let cell = usize::from(u16_at(body, 4)) - CELL_HEAD - key.len() - value.len();
    put_u16(body, 4, cell as u16);
    put_u16(body, cell, key.len() as u16);
    put_u16(body, cell + 2, len);
    let start = cell + CELL_HEAD;
    body[start..start + key.len()].copy_from_slice(key);
    body[start + key.len()..start + key.len() + value.len()].copy_from_slice(value);
    cell
}

/// Puts right what follows from the rest, as far as there is a rest: what heads and garbage of such a node would be.
pub fn mend(page: &mut Page) {
    let node = Node::of(page);
    let slots = node.count().min((BODY_BYTES - SLOTS) / SLOT_BYTES);
    let mut taken = 0;
    for slot in 0..slots {
        let node = Node::of(page);
        let cell = node.cell(slot);
        if cell + CELL_HEAD > BODY_BYTES || cell + node.cell_bytes(slot) > BODY_BYTES {
            return;
        }
        taken += node.cell_bytes(slot);
        let head = head_of(node.key(slot)).to_be_bytes();
        let at = SLOTS + slot * SLOT_BYTES + 2;
        page.body_mut()[at..at + 4].copy_from_slice(&head);
    }
    let garbage = BODY_BYTES.saturating_sub(Node::of(page).heap() + taken);
    put_u16(page.body_mut(), 6, garbage as u16);
}

/// Moves all cells together, so that what is free is in one piece.
pub fn compact(page: &mut Page) {
    let old = page.clone();
    let node = Node::of(&old);
    clear(page, node.level());
    copy_rows(node, 0..node.count(), page);
}

#[cfg(test)]
mod tests;
