//! Changes of a queue, and who does and undoes them.

use super::page::{TAKEN, WAITS, append, check_first, check_items, items};
use super::*;
use crate::manager::{Locked, ResourceManager, Undo};
use crate::page::u16_at;

pub const ENQUEUE: u8 = 1;
pub const TAKE: u8 = 2;
const STATE: u8 = 3;

/// See the module `queue`.
pub(crate) struct QueueManager;

/// A change, read.
pub(crate) struct Change<'a> {
    kind: u8,
    root: PageId,
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Change<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Change<'a>> {
        let head = bytes.get(..7)?;
        let (root, offset) = (PageId(u32_at(head, 1)), usize::from(u16_at(head, 5)));
        let rest = &bytes[7..];
        let fits = match head[0] {
            ENQUEUE => rest.len() <= ITEM_BYTES_MAX,
            TAKE => rest.is_empty(),
            STATE => matches!(rest, [WAITS | TAKEN]),
            _ => false,
        };
        fits.then_some(Change { kind: head[0], root, offset, rest })
    }

    fn lock(&self, page: PageId) -> LockName {
        lock_name(self.root, page, self.offset)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        [&change_head(self.kind, self.root, self.offset), self.rest].concat()
    }
}

pub fn change_head(kind: u8, root: PageId, offset: usize) -> [u8; 7] {
    let mut out = [0; 7];
    out[0] = kind;
    out[1..5].copy_from_slice(&root.0.to_le_bytes());
    out[5..7].copy_from_slice(&(offset as u16).to_le_bytes());
    out
}

impl ResourceManager for QueueManager {
    fn id(&self) -> ManagerId {
        QUEUE
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        let change = Change::decode(change).ok_or("it is no change of a queue")?;
        if (page.manager(), page.kind()) != (QUEUE, ITEMS) {
            return Err("the page has no items");
        }
        if change.kind == ENQUEUE {
            return match append(page, change.offset, change.rest) {
                true => Ok(()),
                false => Err("the item does not fit"),
            };
        }
        if !items(page).any(|item| item.offset == change.offset) {
            return Err("there is no such item");
        }
        let state = if change.kind == TAKE { TAKEN } else { change.rest[0] };
        page.body_mut()[change.offset + 2] = state;
        Ok(())
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let malformed = || undo.corrupt(page, "a change of a queue that can't be taken back");
        let change = Change::decode(change).ok_or_else(malformed)?;
        let state = match change.kind {
            ENQUEUE => TAKEN,
            TAKE => WAITS,
            _ => return Ok(()),
        };
        // A page with an item that somebody has locked is not given away: it is still the one.
        let mut page = undo.write(page)?;
        undo.apply(&mut page, QUEUE, &[&change_head(STATE, change.root, change.offset), &[state]])?;
        Ok(())
    }

    fn describe(&self, change: &[u8]) -> String {
        let Some(change) = Change::decode(change) else { return "?".to_string() };
        let what = match change.kind {
            ENQUEUE => format!("enqueue {} bytes", change.rest.len()),
            TAKE => "dequeue".to_string(),
            _ if change.rest[0] == WAITS => "waits again".to_string(),
            _ => "never was".to_string(),
        };
        format!("queue {}: {what} at {}", change.root.0, change.offset)
    }

    fn check(&self, page: &Page) -> Result<(), &'static str> {
        match page.kind() {
            FIRST => check_first(page),
            ITEMS => check_items(page),
            _ => Err("no queue has such pages"),
        }
    }

    fn lock(&self, page: PageId, change: &[u8]) -> Option<Locked> {
        let change = Change::decode(change)?;
        Some(Locked { name: change.lock(page), before: None })
    }
}
