//! The bytes of a queue's pages.

use super::QUEUE;
use crate::page::{BODY_BYTES, Page, PageId, put_u16, u16_at, u32_at};

pub const FIRST: u8 = 1;
pub const ITEMS: u8 = 2;

pub const HEAD: usize = 0;
pub const TAIL: usize = 4;
pub const NEXT: usize = 0;
pub const END: usize = 4;
pub const START: usize = 6;
pub const ITEM_HEAD: usize = 3;

pub const WAITS: u8 = 0;
pub const TAKEN: u8 = 1;

pub fn pointer(page: &Page, at: usize) -> PageId {
    PageId(u32_at(page.body(), at))
}

/// An item on its page.
pub struct Item<'a> {
    pub offset: usize,
    pub state: u8,
    pub bytes: &'a [u8],
}

pub fn end(page: &Page) -> usize {
    usize::from(u16_at(page.body(), END))
}

pub fn items(page: &Page) -> impl Iterator<Item = Item<'_>> {
    let body = page.body();
    let end = end(page).min(BODY_BYTES);
    let mut offset = START;
    std::iter::from_fn(move || {
        let head = body.get(offset..offset + ITEM_HEAD).filter(|_| offset < end)?;
        let start = offset + ITEM_HEAD;
        let bytes = body.get(start..start + usize::from(u16_at(head, 0)))?;
        let item = Item { offset, state: head[2], bytes };
        offset = start + bytes.len();
        Some(item)
    })
}

/// Adds an item where the last one ends.
pub fn append(page: &mut Page, offset: usize, item: &[u8]) -> bool {
    let start = offset + ITEM_HEAD;
    if end(page) != offset || start + item.len() > BODY_BYTES {
        return false;
    }
    let body = page.body_mut();
    put_u16(body, offset, item.len() as u16);
    body[offset + 2] = WAITS;
    body[start..start + item.len()].copy_from_slice(item);
    put_u16(body, END, (start + item.len()) as u16);
    true
}

pub fn begin_items(page: &mut Page) {
    page.set_kind(QUEUE, ITEMS);
    put_u16(page.body_mut(), END, START as u16);
}

pub fn check_first(page: &Page) -> Result<(), &'static str> {
    let nowhere = [PageId(0), page.id()];
    let ends = [pointer(page, HEAD), pointer(page, TAIL)];
    if ends.iter().any(|end| nowhere.contains(end)) {
        return Err("a queue whose items are nowhere");
    }
    Ok(())
}

/// Items that follow each other without a gap, up to where the page says that they end.
pub fn check_items(page: &Page) -> Result<(), &'static str> {
    if pointer(page, NEXT) == page.id() {
        return Err("the page of items behind it is itself");
    }
    if !(START..=BODY_BYTES).contains(&end(page)) {
        return Err("items that end beyond the page");
    }
    let mut reached = START;
    for item in items(page) {
        if ![WAITS, TAKEN].contains(&item.state) {
            return Err("an item that neither waits nor is taken");
        }
        reached = item.offset + ITEM_HEAD + item.bytes.len();
    }
    if reached == end(page) { Ok(()) } else { Err("items that do not end where they should") }
}
