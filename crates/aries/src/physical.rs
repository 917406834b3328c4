//! The engine's own resource manager: changes of bytes, whatever they mean.
//!
//! What restructures pages (a split, a page taken from the free ones) is thought out on copies of the pages, and logged
//! as what became different. Such changes are taken back page by page, byte by byte: only a nested top action that a
//! crash cut short ever is.
//!
//! ```text
//! change  = 1 (at:u16 len:u16 before:[u8; len] after:[u8; len])*
//!         | 2 head:u16 tail:u16 head... tail...      the page anew: head from byte 16 on, tail at the end, zeros between
//!         | 3 (at:u16 len:u16 after:[u8; len])*      a change of kind 1, taken back
//! ```
//!
//! Ranges are in order and do not overlap. What a change of kind 1 says was there before must be there when it is done: if it
//! is not, the page is not the one that the record was written for, as after a write that the disk lost.

use crate::engine::check_page;
use crate::error::Error;
use crate::manager::{ResourceManager, Undo};
use crate::page::{ManagerId, PAGE_BYTES, Page, PageId, u16_at};

/// The manager's number.
pub const PHYSICAL: ManagerId = ManagerId(0);

const RANGES: u8 = 1;
const FORMAT: u8 = 2;
const UNDONE: u8 = 3;
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
    let mut out = vec![RANGES];
    let mut at = FROM;
    while let Some((start, end)) = difference(old, new, at) {
        out.extend_from_slice(&(start as u16).to_le_bytes());
        out.extend_from_slice(&((end - start) as u16).to_le_bytes());
        out.extend_from_slice(&old[start..end]);
        out.extend_from_slice(&new[start..end]);
        at = end;
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
    /// What was there, if the change says so, and what will be.
    before: Option<&'a [u8]>,
    after: &'a [u8],
}

/// The ranges of a change, each with what was there before, or without. An error ends them.
fn ranges(mut bytes: &[u8], sides: usize) -> impl Iterator<Item = Result<Range<'_>, &'static str>> {
    let mut free = FROM;
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let taken = take_range(bytes, sides, free);
        bytes = taken.as_ref().map_or(&[][..], |(_, rest)| *rest);
        let range = taken.map(|(range, _)| range).ok_or(NO_CHANGE);
        free = range.as_ref().map_or(free, |range| range.at + range.after.len());
        Some(range)
    })
}

/// A range that begins at `free` or behind, and what is left behind it. `sides`: how often its bytes are there.
fn take_range(bytes: &[u8], sides: usize, free: usize) -> Option<(Range<'_>, &[u8])> {
    let head = bytes.get(..4)?;
    let (at, len) = (u16_at(head, 0) as usize, u16_at(head, 2) as usize);
    let inside = at >= free && at + len <= PAGE_BYTES && len > 0;
    let (both, rest) = bytes[4..].split_at_checked(len * sides)?;
    let (before, after) = both.split_at(len * (sides - 1));
    inside.then_some((Range { at, before: (sides == 2).then_some(before), after }, rest))
}

fn redo_ranges(page: &mut Page, bytes: &[u8], sides: usize) -> Result<(), &'static str> {
    for range in ranges(bytes, sides) {
        let Range { at, before, after } = range?;
        let there = &mut page.bytes_mut()[at..at + after.len()];
        if before.is_some_and(|before| before != there) {
            return Err("the page is not as it was when this was logged");
        }
        there.copy_from_slice(after);
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

/// What takes a change of kind 1 back; `None`: it is none.
pub fn undone(change: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![UNDONE];
    for range in ranges(change.strip_prefix(&[RANGES])?, 2) {
        let Range { at, before, after } = range.ok()?;
        out.extend_from_slice(&(at as u16).to_le_bytes());
        out.extend_from_slice(&(after.len() as u16).to_le_bytes());
        out.extend_from_slice(before?);
    }
    Some(out)
}

impl ResourceManager for Physical {
    fn id(&self) -> ManagerId {
        PHYSICAL
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        match change.split_first() {
            Some((&RANGES, ranges)) => redo_ranges(page, ranges, 2),
            Some((&FORMAT, image)) => redo_format(page, image).ok_or(NO_CHANGE),
            Some((&UNDONE, ranges)) => redo_ranges(page, ranges, 1),
            _ => Err(NO_CHANGE),
        }
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let malformed = || undo.corrupt(page, "a change of bytes that can't be taken back");
        match change.first() {
            Some(&RANGES) => {
                let change = undone(change).ok_or_else(malformed)?;
                let mut page = undo.write(page)?;
                undo.apply(&mut page, PHYSICAL, &[&change])?;
                Ok(())
            }
            // It was one of the free ones, and the record before this one makes it free again, or it is beyond all pages again.
            Some(&FORMAT) => Ok(()),
            _ => Err(malformed()),
        }
    }

    fn describe(&self, change: &[u8]) -> String {
        let (what, rest, sides) = match change.split_first() {
            Some((&RANGES, rest)) => ("bytes", rest, 2),
            Some((&UNDONE, rest)) => ("bytes back", rest, 1),
            Some((&FORMAT, image)) => {
                return format!("anew, {} bytes", image.len().saturating_sub(4));
            }
            _ => return "?".to_string(),
        };
        let mut text = what.to_string();
        for range in ranges(rest, sides).flatten() {
            text += &format!(" {}+{}", range.at, range.after.len());
        }
        text
    }

    fn check(&self, page: &Page) -> Result<(), &'static str> {
        check_page(page)
    }
}

#[cfg(test)]
mod tests;
