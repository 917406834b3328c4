//! What any bytes at all must satisfy where the engine reads them: from the log, and from the page files.
//!
//! The fuzz targets in `fuzz/` and this crate's tests call the same functions. They panic where a promise is broken.
//! Checksums would keep nearly all bytes out, so most functions also put the right ones in and look again.

use std::io::{self, ErrorKind, IoSlice};

use crc32fast::Hasher;
use ombak_base::DiskFile;

use crate::engine::Meta;
use crate::error::Error;
use crate::inspect::{Record, Words};
use crate::manager::ResourceManager;
use crate::named::NamedFile;
use crate::page::{self, PAGE_BYTES, Page, PageId, u32_at};
use crate::physical::{self, Physical};
use crate::pool::{DoubleWrite, Kept};
use crate::queue::{self, QUEUE, QueueManager};
use crate::tree::node::{self, Node};
use crate::tree::{NODE, TREE, TreeManager, begin_node, change};
use crate::txn::record::Head;

pub use crate::log::fuzz::{batch, batch_records, segment_header};

const IDENTITY: u64 = 7;
/// The bytes of a page before its body that are not for a manager to change: checksum and number.
const FIXED: std::ops::Range<usize> = 0..8;
/// So many slots of a node are changed.
const SLOTS_TRIED: usize = 6;

/// What the engine reads from the log. The first byte says what the rest is.
pub fn logged(input: &[u8]) {
    let Some((&which, bytes)) = input.split_first() else { return };
    match which % 4 {
        0 => record(bytes),
        1 => row_change(bytes),
        2 => queue_change(bytes),
        _ => byte_change(bytes),
    }
}

/// What the engine reads from its page files. The first byte says what the rest is.
pub fn stored(input: &[u8]) {
    let Some((&which, bytes)) = input.split_first() else { return };
    match which % 4 {
        0 => tree_node(bytes),
        1 => copies(bytes),
        2 => meta(bytes),
        _ => queue_page(bytes),
    }
}

/// A record that can be read is what would have been written, and can be put into words.
fn record(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    assert_eq!(encoded(&record), bytes);
    Words::new(Vec::new()).say(&record);
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let (head, rest) = match record {
        Record::Update { link, change } => {
            (Head::update(*link, change.manager, change.page), change.bytes)
        }
        Record::Clr { link, undo_next, change } => {
            (Head::clr(*link, *undo_next, change.manager, change.page), change.bytes)
        }
        Record::NestedEnd { link, undo_next } => (Head::nested_end(*link, *undo_next), &[][..]),
        Record::Commit(link) => (Head::commit(*link), &[][..]),
        Record::Rollback(link) => (Head::rollback(*link), &[][..]),
        Record::End(link) => (Head::end(*link), &[][..]),
        Record::Prepare { link, name } => (Head::prepare(*link), *name),
        Record::Locked { link, names } => (Head::locked(*link), names.as_bytes()),
        Record::Single(change) => (Head::single(change.manager, change.page), change.bytes),
        Record::BeginCheckpoint { identity } => (Head::begin_checkpoint(*identity), &[][..]),
        Record::EndCheckpoint(tables) => return tables.encode(),
    };
    [head.as_bytes(), rest].concat()
}

/// A change of a leaf: on a leaf that is right it is refused, or leaves one that is right.
fn row_change(bytes: &[u8]) {
    if let Some(change) = change::Change::decode(bytes) {
        assert_eq!(change.with_parts(|parts| parts.concat()), bytes);
    }
    try_change(&TreeManager, some_leaf(), bytes);
}

/// A change of a page of a queue: the same.
fn queue_change(bytes: &[u8]) {
    if let Some(change) = queue::Change::decode(bytes) {
        assert_eq!(change.encode(), bytes);
    }
    try_change(&QueueManager, some_items(), bytes);
}

fn try_change(manager: &dyn ResourceManager, mut page: Page, change: &[u8]) {
    assert_eq!(manager.check(&page), Ok(()));
    manager.describe(change);
    manager.lock(page.id(), change);
    let before = page.clone();
    if manager.redo(&mut page, change).is_ok() {
        assert_eq!(manager.check(&page), Ok(()));
        assert_eq!(page.bytes()[FIXED], before.bytes()[FIXED]);
    }
}

fn some_leaf() -> Page {
    let mut page = Page::blank(PageId(5));
    begin_node(&mut page, 0);
    for (slot, key) in [&b"a"[..], b"ab", b"b", b"bcdef", b"c"].into_iter().enumerate() {
        assert!(node::insert(&mut page, slot, key, &key.repeat(300)[..slot * 70]));
    }
    node::set_ghost(&mut page, 1, true);
    page
}

fn some_items() -> Page {
    let mut page = Page::blank(PageId(5));
    queue::begin_items(&mut page);
    for item in [&b"one"[..], b"", b"another one"] {
        let offset = queue::end(&page);
        assert!(queue::append(&mut page, offset, item));
    }
    page
}

/// A change of bytes: what is changed can be taken back.
fn byte_change(bytes: &[u8]) {
    let old = some_leaf();
    let mut page = old.clone();
    Physical.describe(bytes);
    if Physical.redo(&mut page, bytes).is_err() {
        return;
    }
    assert_eq!(page.bytes()[FIXED], old.bytes()[FIXED]);
    if let Some(back) = physical::undone(bytes, &page) {
        assert_eq!(Physical.redo(&mut page, &back), Ok(()));
        assert_eq!(page.bytes(), old.bytes());
    }
    let mut new = old.clone();
    if let Some(change) = physical::between(&old, &page) {
        assert_eq!(Physical.redo(&mut new, &change), Ok(()));
    }
    assert_eq!(new.bytes()[FIXED.end + 8..], page.bytes()[FIXED.end + 8..]);
}

/// A page with any body: refused, or read, searched and changed without harm.
fn tree_node(body: &[u8]) {
    let mut page = Page::blank(PageId(5));
    page.set_kind(TREE, NODE);
    fill(page.body_mut(), body);
    try_node(&page);
    node::mend(&mut page);
    try_node(&page);
}

/// As much of the bytes as fits; of more, the last ones stand at the end.
fn fill(to: &mut [u8], from: &[u8]) {
    let half = to.len() / 2;
    let (head, tail) = from.split_at(from.len().min(half));
    let tail = &tail[tail.len().saturating_sub(to.len() - half)..];
    to[..head.len()].copy_from_slice(head);
    let start = to.len() - tail.len();
    to[start..].copy_from_slice(tail);
}

fn try_node(page: &Page) {
    if TreeManager.check(page).is_err() {
        return;
    }
    let node = Node::of(page);
    for slot in 0..node.count() {
        assert_eq!(node.find(node.key(slot)), Ok(slot));
        assert!(node.value(slot).len() <= node.used());
        if node.level() > 0 {
            assert_eq!((node.towards(node.key(slot)), node.value(slot).len()), (slot, 4));
            assert!(node.below(node.key(slot)) <= slot);
        }
    }
    assert!(node.middle() <= node.count().max(1) && node.ghosts().count() <= node.count());
    let mut compacted = page.clone();
    node::compact(&mut compacted);
    assert_eq!(TreeManager.check(&compacted), Ok(()));
    assert_eq!(Node::of(&compacted).free(), node.free());
    if node.level() == 0 {
        (0..node.count().min(SLOTS_TRIED)).for_each(|slot| change_row(page, slot));
        let key = page.body()[..8].to_vec();
        if let Err(slot) = node.find(&key) {
            let mut more = page.clone();
            node::insert(&mut more, slot, &key, &key);
            assert_eq!(TreeManager.check(&more), Ok(()));
        }
    }
}

/// Makes a row longer, shorter, a ghost, and nothing.
fn change_row(page: &Page, slot: usize) {
    let mut changed = page.clone();
    let is_right = |page: &Page| assert_eq!(TreeManager.check(page), Ok(()));
    let room = node::ROW_BYTES_MAX - Node::of(page).key(slot).len();
    for len in [0, 1, room, 20] {
        if node::replace(&mut changed, slot, &[9; 2048][..len], len == 1) {
            assert_eq!(Node::of(&changed).value(slot).len(), len);
        }
        is_right(&changed);
    }
    node::set_ghost(&mut changed, slot, true);
    is_right(&changed);
    node::remove(&mut changed, slot);
    is_right(&changed);
}

/// A page with any body, as a queue's: refused, or read and changed without harm. The first byte says what kind of page.
fn queue_page(bytes: &[u8]) {
    let Some((&kind, body)) = bytes.split_first() else { return };
    let mut page = Page::blank(PageId(5));
    page.set_kind(QUEUE, kind % 4);
    fill(page.body_mut(), body);
    if QueueManager.check(&page).is_err() || kind % 4 != 2 {
        return;
    }
    let end = queue::end(&page);
    let fits = queue::append(&mut page, end, b"one more");
    assert_eq!(fits, queue::end(&page) == end + 3 + 8);
    assert_eq!(QueueManager.check(&page), Ok(()));
}

/// The area of the copies: each copy that is found is a page that is whole.
fn copies(bytes: &[u8]) {
    check_copies(bytes.to_vec());
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(Kept::offset_of(0) as usize), 0);
    bytes[..8].copy_from_slice(b"OMBAKDBL");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    bytes[16..24].copy_from_slice(&IDENTITY.to_le_bytes());
    seal_copies(&mut bytes);
    check_copies(bytes);
}

/// Puts in the checksums of all pages and of the header.
fn seal_copies(bytes: &mut [u8]) {
    let (header, pages) = bytes.split_at_mut(Kept::offset_of(0) as usize);
    for (entry, page) in header[28..].chunks_exact_mut(8).zip(pages.chunks_exact_mut(PAGE_BYTES)) {
        page::seal(page, IDENTITY);
        entry[4..].copy_from_slice(&page[..4]);
    }
    let mut hasher = Hasher::new();
    [&header[..12], &header[16..]].iter().for_each(|part| hasher.update(part));
    header[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
}

fn check_copies(bytes: Vec<u8>) {
    let len = bytes.len();
    let Ok(Some((Kept { identity, .. }, copies))) = DoubleWrite::read(&in_memory(bytes)) else {
        return;
    };
    assert!(copies.len() * PAGE_BYTES <= len.next_multiple_of(PAGE_BYTES));
    for (id, bytes) in copies {
        assert_eq!(page::judge(&bytes, id, identity), Ok(()));
    }
}

/// Page 0: what is read of it is what stands there.
fn meta(bytes: &[u8]) {
    check_meta(bytes);
    let mut page = Meta::page(IDENTITY);
    let kept = page.bytes()[..48].to_vec();
    fill(page.bytes_mut(), bytes);
    page.bytes_mut()[..48].copy_from_slice(&kept);
    page::seal(page.bytes_mut(), IDENTITY);
    check_meta(page.bytes());
    if Physical.check(&page).is_ok() {
        assert!(u32_at(page.body(), 24) > u32_at(page.body(), 28));
    }
}

fn check_meta(bytes: &[u8]) {
    let file = in_memory(bytes.to_vec());
    let _newer = Meta::is_there(&file);
    match (Meta::parse("pages", bytes), Meta::read(&file)) {
        (Ok(meta), Ok(again)) => {
            assert_eq!(meta, again);
            assert_eq!(page::judge(&bytes[..PAGE_BYTES], PageId(0), meta.identity), Ok(()));
        }
        (Err(Error::Foreign { .. } | Error::Damaged { .. }), Err(_)) => {}
        (parsed, read) => panic!("parsed {parsed:?}, read {read:?}"),
    }
}

fn in_memory(bytes: Vec<u8>) -> NamedFile {
    NamedFile::new("memory", Box::new(Memory(bytes)))
}

/// A file that is only read.
struct Memory(Vec<u8>);

impl DiskFile for Memory {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, _buffers: &[IoSlice<'_>], _offset: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
