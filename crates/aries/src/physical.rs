//! The engine's own resource manager: changes of bytes, whatever they mean.
//!
//! What restructures pages (a split, a page taken from the free ones) is thought out on copies of the pages, and logged
//! as what became different. Such changes are taken back page by page, byte by byte: only a nested top action that a
//! crash cut short ever is.
//!
//! ```text
//! change  = 1 (at:u16 len:u16 before:[u8; len] after:[u8; len])*
//!         | 2 head:u16 tail:u16 head... tail...      the page anew: head from byte 16 on, tail at the end, zeros between
//!         | 3 (at:u16 len:u16 after:[u8; len])*      a change of kind 1 or 4, taken back
//!         | 4 (at:u16 len:u16 by:i8 range)*          as kind 1, where some ranges have moved within the page
//! range   = before:[u8; len] after:[u8; len]         by 0
//!         | crc:u32 out:[u8; |by|] in:[u8; |by|]     else: bytes go out at one end, all others move by so many, and bytes come in
//!                                                    at the other; crc is of what was there before
//! ```
//!
//! Ranges are in order and do not overlap. What a change says was there before must be there when it is done: if it
//! is not, the page is not the one that the record was written for, as after a write that the disk lost.
//!
//! Bytes move where a node's directory gets a row or loses one. Logged before and after, they were 33 of the 420 bytes of log that a new
//! row of 100 bytes cost (`benches/storage`).

use crate::engine::check_page;
use crate::error::Error;
use crate::manager::{ResourceManager, Undo};
use crate::page::{ManagerId, PAGE_BYTES, Page, PageId, u16_at};

use moved::Moved;

mod moved;

/// The manager's number.
pub const PHYSICAL: ManagerId = ManagerId(0);

const RANGES: u8 = 1;
const FORMAT: u8 = 2;
const UNDONE: u8 = 3;
const MOVED: u8 = 4;
/// Checksum, page number and LSN are not what is changed.
const FROM: usize = 16;
const NO_CHANGE: &str = "it is no change of bytes";
/// Two differences that are nearer to each other are logged as one.
const GAP: usize = 8;

/// See the module.
pub struct Physical;

/// The change that makes `old` into `new`; `None` if they are the same.
pub fn between(old: &Page, new: &Page) -> Option<Vec<u8>> {
    let (old, new) = (old.bytes(), new.bytes());
    let mut ranges = Vec::new();
    let mut from = FROM;
    while let Some((start, end)) = difference(old, new, from) {
        let (before, after) = (&old[start..end], &new[start..end]);
        ranges.push((start, before, after, Moved::between(before, after)));
        from = end;
    }
    let moves = ranges.iter().any(|(.., moved)| moved.is_some());
    let mut out = vec![if moves { MOVED } else { RANGES }];
    for (start, before, after, moved) in &ranges {
        out.extend_from_slice(&(*start as u16).to_le_bytes());
        out.extend_from_slice(&(after.len() as u16).to_le_bytes());
        if let Some(moved) = moved {
            moved.encode(&mut out);
            continue;
        }
        if moves {
            out.push(0);
        }
        out.extend_from_slice(before);
        out.extend_from_slice(after);
    }
    (out.len() > 1).then_some(out)
}

/// The change that makes any page into `new`.
pub fn format(new: &Page) -> Vec<u8> {
    let bytes = &new.bytes()[FROM..];
    let zeros = longest_zeros(bytes);
    let (head, tail) = (&bytes[..zeros.start], &bytes[zeros.end..]);
    let mut out = vec![FORMAT];
    out.extend_from_slice(&(head.len() as u16).to_le_bytes());
    out.extend_from_slice(&(tail.len() as u16).to_le_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    out
}

/// Whether the change makes the page anew, so that it need not be read.
pub fn is_format(change: &[u8]) -> bool {
    change.first() == Some(&FORMAT)
}

/// The first bytes from `at` on that differ, and those that follow closely.
fn difference(old: &[u8], new: &[u8], at: usize) -> Option<(usize, usize)> {
    let differs = |at: &usize| old[*at] != new[*at];
    let mut start = at;
    // Most of a page is the same: look at eight bytes at once.
    while start + 8 <= PAGE_BYTES && old[start..start + 8] == new[start..start + 8] {
        start += 8;
    }
    let start = (start..PAGE_BYTES).find(differs)?;
    let mut end = start + 1;
    while let Some(next) = (end..PAGE_BYTES.min(end + GAP)).find(differs) {
        end = next + 1;
    }
    Some((start, end))
}

/// The first of the longest runs of zeros.
fn longest_zeros(bytes: &[u8]) -> std::ops::Range<usize> {
    let (mut best, mut from) = (0..0, 0);
    loop {
        // A longer run that begins here or later has this byte in it, or begins behind it.
        let at = from + best.len();
        let Some(byte) = bytes.get(at) else { return best };
        if *byte != 0 {
            from = at + 1;
            continue;
        }
        let is_other = |byte: &u8| *byte != 0;
        let start = bytes[from..at].iter().rposition(is_other).map_or(from, |last| from + last + 1);
        let end = bytes[at..].iter().position(is_other).map_or(bytes.len(), |next| at + next);
        if end - start > best.len() {
            best = start..end;
        }
        from = end;
    }
}

/// A range of a change.
struct Range<'a> {
    at: usize,
    len: usize,
    what: What<'a>,
}

/// What becomes of its bytes.
enum What<'a> {
    /// What was there, if the change says so, and what will be.
    Bytes(Option<&'a [u8]>, &'a [u8]),
    Moved(Moved<'a>),
}

/// The ranges of a change of a kind. An error ends them.
fn ranges(kind: u8, mut bytes: &[u8]) -> impl Iterator<Item = Result<Range<'_>, &'static str>> {
    let mut free = FROM;
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let taken = take_range(kind, bytes, free);
        bytes = taken.as_ref().map_or(&[][..], |(_, rest)| *rest);
        let range = taken.map(|(range, _)| range).ok_or(NO_CHANGE);
        free = range.as_ref().map_or(free, |range| range.at + range.len);
        Some(range)
    })
}

/// A range that begins at `free` or behind, and what is left behind it.
fn take_range(kind: u8, bytes: &[u8], free: usize) -> Option<(Range<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let (at, len) = (u16_at(head, 0) as usize, u16_at(head, 2) as usize);
    let inside = at >= free && at + len <= PAGE_BYTES && len > 0;
    let (what, rest) = match (kind, rest.split_first()) {
        (UNDONE, _) => {
            let (after, rest) = rest.split_at_checked(len)?;
            (What::Bytes(None, after), rest)
        }
        (MOVED, Some((by, rest))) if *by != 0 => {
            let (moved, rest) = Moved::take(rest, *by as i8, len)?;
            (What::Moved(moved), rest)
        }
        (MOVED, by) => take_both(by?.1, len)?,
        _ => take_both(rest, len)?,
    };
    inside.then_some((Range { at, len, what }, rest))
}

fn take_both(bytes: &[u8], len: usize) -> Option<(What<'_>, &[u8])> {
    let (before, rest) = bytes.split_at_checked(len)?;
    let (after, rest) = rest.split_at_checked(len)?;
    Some((What::Bytes(Some(before), after), rest))
}

fn redo_ranges(page: &mut Page, kind: u8, bytes: &[u8]) -> Result<(), &'static str> {
    for range in ranges(kind, bytes) {
        let Range { at, len, what } = range?;
        let there = &mut page.bytes_mut()[at..at + len];
        let is_done = match what {
            What::Bytes(before, after) => {
                let is_as_it_was = before.is_none_or(|before| before == there);
                if is_as_it_was {
                    there.copy_from_slice(after);
                }
                is_as_it_was
            }
            What::Moved(moved) => moved.redo(there),
        };
        if !is_done {
            return Err("the page is not as it was when this was logged");
        }
    }
    Ok(())
}

fn redo_format(page: &mut Page, bytes: &[u8]) -> Option<()> {
    let (head, tail) = (u16_at(bytes.get(..4)?, 0) as usize, u16_at(bytes, 2) as usize);
    let (head, rest) = bytes[4..].split_at_checked(head)?;
    if rest.len() != tail || FROM + head.len() + tail > PAGE_BYTES {
        return None;
    }
    page.clear(page.id());
    page.bytes_mut()[FROM..FROM + head.len()].copy_from_slice(head);
    page.bytes_mut()[PAGE_BYTES - tail..].copy_from_slice(rest);
    Some(())
}

/// What takes a change of kind 1 or 4 back, which was the last of this page; `None`: it is none.
pub fn undone(change: &[u8], page: &Page) -> Option<Vec<u8>> {
    let (kind, bytes) = change.split_first().filter(|(kind, _)| [RANGES, MOVED].contains(kind))?;
    let mut out = vec![UNDONE];
    for range in ranges(*kind, bytes) {
        let Range { at, len, what } = range.ok()?;
        out.extend_from_slice(&(at as u16).to_le_bytes());
        out.extend_from_slice(&(len as u16).to_le_bytes());
        match what {
            What::Bytes(before, _) => out.extend_from_slice(before?),
            What::Moved(moved) => out.extend(moved.undone(&page.bytes()[at..at + len])?),
        }
    }
    Some(out)
}

impl ResourceManager for Physical {
    fn id(&self) -> ManagerId {
        PHYSICAL
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        match change.split_first() {
            Some((&FORMAT, image)) => redo_format(page, image).ok_or(NO_CHANGE),
            Some((kind @ &(RANGES | UNDONE | MOVED), ranges)) => redo_ranges(page, *kind, ranges),
            _ => Err(NO_CHANGE),
        }
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let malformed = || undo.corrupt(page, "a change of bytes that can't be taken back");
        match change.first() {
            Some(&(RANGES | MOVED)) => {
                let mut page = undo.write(page)?;
                let change = undone(change, &page).ok_or_else(malformed)?;
                undo.apply(&mut page, PHYSICAL, &[&change])?;
                Ok(())
            }
            // It was one of the free ones, and the record before this one makes it free again, or it is beyond all pages again.
            Some(&FORMAT) => Ok(()),
            _ => Err(malformed()),
        }
    }

    fn describe(&self, change: &[u8]) -> String {
        let (kind, rest) = match change.split_first() {
            Some((&FORMAT, image)) => {
                return format!("anew, {} bytes", image.len().saturating_sub(4));
            }
            Some((kind @ &(RANGES | UNDONE | MOVED), rest)) => (*kind, rest),
            _ => return "?".to_string(),
        };
        let mut text = if kind == UNDONE { "bytes back" } else { "bytes" }.to_string();
        for Range { at, len, what } in ranges(kind, rest).flatten() {
            text += &format!(" {at}+{len}");
            if let What::Moved(moved) = what {
                text += &format!(" moved by {}", moved.by());
            }
        }
        text
    }

    fn check(&self, page: &Page) -> Result<(), &'static str> {
        check_page(page)
    }
}

#[cfg(test)]
mod tests;
