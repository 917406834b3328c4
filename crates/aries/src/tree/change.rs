//! What is done to a leaf, as the log has it.
//!
//! ```text
//! change = kind:u8 slot:u16 root:u32 key_len:u16 key rest
//! insert   1  value                           a row that was not there                 undo: remove
//! set      2  old_len:u16 old new_len:u16 new another value; highest bit: a ghost      undo: put
//! ghost    3  value                           the row is deleted, and keeps its value  undo: unghost
//! remove   4                                  the row goes                             compensation
//! put      5  new_len:u16 new                                                          compensation
//! unghost  6                                                                           compensation
//! purge    7                                  a ghost goes                             never undone
//! ```

use crate::page::{Page, PageId, u16_at, u32_at};

use super::node::{self, KEY_BYTES_MAX, Node, ROW_BYTES_MAX};

const GHOST: u16 = 0x8000;

/// A change, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    pub kind: Kind,
    pub slot: u16,
    pub root: PageId,
    pub key: &'a [u8],
    pub old: Value<'a>,
    pub new: Value<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Insert = 1,
    Set = 2,
    Ghost = 3,
    Remove = 4,
    Put = 5,
    Unghost = 6,
    Purge = 7,
}

/// A row's value, and whether the row is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Value<'a> {
    pub bytes: &'a [u8],
    pub ghost: bool,
}

impl<'a> Value<'a> {
    pub fn at(node: Node<'a>, slot: usize) -> Value<'a> {
        Value { bytes: node.value(slot), ghost: node.is_ghost(slot) }
    }

    pub fn alive(bytes: &'a [u8]) -> Value<'a> {
        Value { bytes, ghost: false }
    }

    fn mark(self) -> [u8; 2] {
        (self.bytes.len() as u16 | if self.ghost { GHOST } else { 0 }).to_le_bytes()
    }

    fn take(bytes: &'a [u8]) -> Option<(Value<'a>, &'a [u8])> {
        let mark = u16_at(bytes.get(..2)?, 0);
        let (value, rest) = bytes[2..].split_at_checked(usize::from(mark & !GHOST))?;
        Some((Value { bytes: value, ghost: mark & GHOST != 0 }, rest))
    }
}

/// What stands before the values.
fn head(kind: Kind, slot: usize, root: PageId, key: &[u8]) -> [u8; 9] {
    let mut out = [0; 9];
    out[0] = kind as u8;
    out[1..3].copy_from_slice(&(slot as u16).to_le_bytes());
    out[3..7].copy_from_slice(&root.0.to_le_bytes());
    out[7..9].copy_from_slice(&(key.len() as u16).to_le_bytes());
    out
}

impl<'a> Change<'a> {
    pub fn new(kind: Kind, slot: usize, root: PageId, key: &'a [u8]) -> Change<'a> {
        let (old, new) = (Value::default(), Value::default());
        Change { kind, slot: slot as u16, root, key, old, new }
    }

    /// Calls `f` with the bytes, in parts.
    pub fn with_parts<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        let head = head(self.kind, usize::from(self.slot), self.root, self.key);
        let (old, new) = (self.old.mark(), self.new.mark());
        match self.kind {
            Kind::Insert => f(&[&head, self.key, self.new.bytes]),
            Kind::Set => f(&[&head, self.key, &old, self.old.bytes, &new, self.new.bytes]),
            Kind::Put => f(&[&head, self.key, &new, self.new.bytes]),
            Kind::Ghost => f(&[&head, self.key, self.old.bytes]),
            Kind::Remove | Kind::Unghost | Kind::Purge => f(&[&head, self.key]),
        }
    }

    pub fn decode(bytes: &'a [u8]) -> Option<Change<'a>> {
        let head = bytes.get(..9)?;
        let kind = match head[0] {
            1 => Kind::Insert,
            2 => Kind::Set,
            3 => Kind::Ghost,
            4 => Kind::Remove,
            5 => Kind::Put,
            6 => Kind::Unghost,
            7 => Kind::Purge,
            _ => return None,
        };
        let (key, rest) = bytes[9..].split_at_checked(usize::from(u16_at(head, 7)))?;
        let mut change =
            Change::new(kind, usize::from(u16_at(head, 1)), PageId(u32_at(head, 3)), key);
        let rest = match kind {
            Kind::Insert => {
                change.new = Value::alive(rest);
                &[][..]
            }
            Kind::Ghost => {
                change.old = Value::alive(rest);
                &[][..]
            }
            Kind::Set => {
                let (old, rest) = Value::take(rest)?;
                let (new, rest) = Value::take(rest)?;
                (change.old, change.new) = (old, new);
                rest
            }
            Kind::Put => {
                let (new, rest) = Value::take(rest)?;
                change.new = new;
                rest
            }
            _ => rest,
        };
        rest.is_empty().then_some(change)
    }

    /// Does it, if the leaf is as it was when this was logged, as far as can be told: a disk may have lost a write.
    pub fn redo(&self, page: &mut Page) -> Result<(), &'static str> {
        let slot = usize::from(self.slot);
        let node = Node::of(page);
        if node.level() != 0 {
            return Err("the page is no leaf");
        }
        if self.key.len() > KEY_BYTES_MAX || self.key.len() + self.new.bytes.len() > ROW_BYTES_MAX {
            return Err("the row is too large");
        }
        if self.kind == Kind::Insert {
            if !node.is_place(slot, self.key) {
                return Err("the row does not belong there");
            }
            return match node::insert(page, slot, self.key, self.new.bytes) {
                true => Ok(()),
                false => Err("the row does not fit"),
            };
        }
        if slot >= node.count() || node.key(slot) != self.key {
            return Err("another row is there");
        }
        if matches!(self.kind, Kind::Set | Kind::Ghost) && Value::at(node, slot) != self.old {
            return Err("another value is there");
        }
        match self.kind {
            Kind::Remove | Kind::Purge => node::remove(page, slot),
            Kind::Ghost => node::set_ghost(page, slot, true),
            Kind::Unghost => node::set_ghost(page, slot, false),
            _ if node::replace(page, slot, self.new.bytes, self.new.ghost) => {}
            _ => return Err("the value does not fit"),
        }
        Ok(())
    }
}
