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
    let (start, end) = longest_zeros(bytes);
    let (head, tail) = (&bytes[..start], &bytes[end..]);
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

fn longest_zeros(bytes: &[u8]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut start = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if *byte != 0 {
            start = i + 1;
        } else if i + 1 - start > best.1 - best.0 {
            best = (start, i + 1);
        }
    }
    best
}

/// A range, and what is left behind it. `sides`: how often its bytes are there.
fn take_range(bytes: &[u8], sides: usize) -> Option<(usize, &[u8], &[u8])> {
    let head = bytes.get(..4)?;
    let (at, len) = (u16_at(head, 0) as usize, u16_at(head, 2) as usize);
    let inside = at >= FROM && at + len <= PAGE_BYTES && len > 0;
    let (range, rest) = bytes[4..].split_at_checked(len * sides)?;
    inside.then_some((at, range, rest))
}

fn redo_ranges(page: &mut Page, mut bytes: &[u8], sides: usize) -> Option<()> {
    while !bytes.is_empty() {
        let (at, range, rest) = take_range(bytes, sides)?;
        let after = &range[range.len() / sides * (sides - 1)..];
        page.bytes_mut()[at..at + after.len()].copy_from_slice(after);
        bytes = rest;
    }
    Some(())
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

/// What takes the ranges of a change back.
fn undone(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![UNDONE];
    while !bytes.is_empty() {
        let (_, range, rest) = take_range(bytes, 2)?;
        out.extend_from_slice(&bytes[..4]);
        out.extend_from_slice(&range[..range.len() / 2]);
        bytes = rest;
    }
    Some(out)
}

impl ResourceManager for Physical {
    fn id(&self) -> ManagerId {
        PHYSICAL
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        let done = match change.split_first() {
            Some((&RANGES, ranges)) => redo_ranges(page, ranges, 2),
            Some((&FORMAT, image)) => redo_format(page, image),
            Some((&UNDONE, ranges)) => redo_ranges(page, ranges, 1),
            _ => None,
        };
        done.ok_or("it is no change of bytes")
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let malformed = Error::Corrupt { page, why: "a change of bytes that can't be taken back" };
        match change.split_first() {
            Some((&RANGES, ranges)) => {
                let change = undone(ranges).ok_or(malformed)?;
                let mut page = undo.write(page)?;
                undo.apply(&mut page, PHYSICAL, &[&change])?;
                Ok(())
            }
            // Whatever made the page anew took it from the free ones, and that is taken back as well.
            Some((&FORMAT, _)) => Ok(()),
            _ => Err(malformed),
        }
    }

    fn describe(&self, change: &[u8]) -> String {
        let (what, mut rest, sides) = match change.split_first() {
            Some((&RANGES, rest)) => ("bytes", rest, 2),
            Some((&UNDONE, rest)) => ("bytes back", rest, 1),
            Some((&FORMAT, image)) => {
                return format!("anew, {} bytes", image.len().saturating_sub(4));
            }
            _ => return "?".to_string(),
        };
        let mut text = what.to_string();
        while let Some((at, range, after)) = take_range(rest, sides) {
            text += &format!(" {at}+{}", range.len() / sides);
            rest = after;
        }
        text
    }
}

#[cfg(test)]
mod tests;
