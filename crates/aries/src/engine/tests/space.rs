//! What becomes of pages: each is part of something, or free, through all crashes.

use std::collections::BTreeSet;

use super::world::abandon;
use super::*;
use crate::catalog;
use crate::error::Error;
use crate::page::{PAGE_BYTES, PageId, u32_at};
use crate::queue::QUEUE;
use crate::survivors::Survivors;
use crate::tree::TREE;
use crate::tree::node::Node;

/// The pages of a database.
pub struct Space {
    /// Free ones.
    pub free: usize,
    /// Those that nothing leads to: no structure, no dropped tree, not the list of free ones.
    pub lost: BTreeSet<PageId>,
}

/// Goes through all that leads to pages. Nobody may change anything meanwhile.
pub fn walk(engine: &Engine) -> Result<Space, Error> {
    let mut lost: BTreeSet<PageId> = (1..engine.0.pages()?).map(PageId).collect();
    let mut roots = catalog::dropped(engine)?;
    roots.push(catalog::CATALOG.root());
    for name in engine.names()? {
        let found = [TREE, QUEUE].map(|manager| engine.find_structure(&name, manager));
        roots.extend(found.into_iter().flatten().flatten());
    }
    for root in roots {
        take_below(engine, root, &mut lost)?;
    }
    let mut next = u32_at(engine.0.pool.read(PageId(0))?.body(), 28);
    let used = lost.len();
    while next != 0 {
        assert!(lost.remove(&PageId(next)), "page {next} is free, and in use or free twice");
        next = u32_at(engine.0.pool.read(PageId(next))?.owner(), 0);
    }
    Ok(Space { free: used - lost.len(), lost })
}

/// Takes what a page leads to, and the page.
fn take_below(engine: &Engine, id: PageId, lost: &mut BTreeSet<PageId>) -> Result<(), Error> {
    assert!(lost.remove(&id), "{id:?} is in two places");
    let page = engine.0.pool.read(id)?;
    let below: Vec<u32> = match page.manager() {
        TREE => {
            let node = Node::of(&page);
            let children = if node.level() > 0 { node.count() } else { 0 };
            (0..children).map(|slot| node.child(slot).0).collect()
        }
        // The first page of a queue leads to the oldest of the items, and each of those to the next.
        QUEUE => vec![u32_at(page.body(), 0)],
        _ => Vec::new(),
    };
    drop(page);
    below.into_iter().filter(|id| *id != 0).try_for_each(|id| take_below(engine, PageId(id), lost))
}

/// A tree some of whose pages are free again, all of it on the disk.
fn with_free_pages() -> (SimDisk, Engine) {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    for key in 0..60u8 {
        tree.put_now(&engine, &[key, 0], &[1; 1500]).unwrap();
    }
    for key in (0..60u8).filter(|key| key % 6 != 0) {
        tree.delete_now(&engine, &[key, 0]).unwrap();
    }
    engine.checkpoint().unwrap();
    assert_ne!(u32_at(engine.0.pool.read(PageId(0)).unwrap().body(), 28), 0, "a page is free");
    (disk, engine)
}

/// Puts many rows, which takes all free pages and some more, and makes it durable; until operation `n` of the disk fails. `None`:
/// it ended before.
fn split_until(n: u64) -> Option<SimDisk> {
    let (disk, engine) = with_free_pages();
    let count = engine.0.pages().unwrap();
    disk.cut_power(n);
    let tree = engine.tree("rows").unwrap();
    let mut txn = engine.begin();
    let put = |key| tree.put(&mut txn, &[key, 1], &[2; 1500]);
    let done = (0..60u8).try_for_each(put).and_then(|()| engine.sync());
    abandon(txn);
    if done.is_ok() {
        assert!(engine.0.pages().unwrap() > count, "pages were taken from beyond the last one");
        return None;
    }
    Some(disk)
}

/// Of the batch of the log that was being written, every beginning is left; so every split is cut short after each of its records.
#[test]
fn a_split_that_was_cut_short_loses_no_page() {
    let (mut crashes, mut before) = (0, Vec::new());
    for n in 1.. {
        let Some(disk) = split_until(n) else { break };
        let unsynced = disk.unsynced();
        let is_log = unsynced.iter().all(|part| part.path.starts_with("db/wal/"));
        let is_new = is_log && std::mem::replace(&mut before, unsynced.clone()) != unsynced;
        // Else it is other files, or the sync behind the write.
        let parts = if is_new { unsynced.len() as u32 } else { 0 };
        for len in 0..parts {
            let disk = split_until(n).unwrap();
            let mut is_left = Survivors::First(len).judge();
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| is_left());
            let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
            let Space { lost, .. } = walk(&engine).unwrap();
            assert!(lost.is_empty(), "{lost:?} are lost: {n} {len}");
            crashes += 1;
        }
    }
    assert!(crashes > 100, "{crashes}");
}

/// What was on it does not matter.
#[test]
fn a_free_page_that_is_used_again_need_not_be_readable_for_redo() {
    let (disk, engine) = with_free_pages();
    let free = u32_at(engine.0.pool.read(PageId(0)).unwrap().body(), 28);
    let tree = engine.tree("rows").unwrap();
    // The last batch of pages, of which there are copies, is another one.
    tree.put_now(&engine, &[0, 0], &[3; 1500]).unwrap();
    engine.checkpoint().unwrap();
    for key in 0..15u8 {
        tree.put_now(&engine, &[key, 1], &[2; 1500]).unwrap();
    }
    engine.sync().unwrap();
    assert_eq!(engine.0.pool.read(PageId(free)).unwrap().manager(), TREE, "it is used again");
    drop(engine);
    disk.crash_with(|_| true);
    disk.flip_bit("db/pages", u64::from(free) * PAGE_BYTES as u64 + 5000, 3);
    let (engine, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!((restart.repaired, rows(&engine, "rows").len()), (Vec::new(), 10 + 15));
    assert!(walk(&engine).unwrap().lost.is_empty());
}
