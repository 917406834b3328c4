//! Giving space back.
//!
//! A vnode's records are a queue of files: new ones go into the last. What is overwritten or removed stays where it
//! is, until the files are so much larger than what is alive that the *oldest* is given up:
//!
//! 1. A job reads it piece by piece, on a thread that may wait.
//! 2. The device stores again what the index still points at, in the last file, as it stores everything; what is not
//!    pointed at is passed over. A removal is passed over too: nothing older is left that it would have to hide. Hence
//!    always the oldest.
//! 3. The commit that has the last of it names the file. When that commit is durable, and some more have come together,
//!    the writer notes which file is the first of each vnode now (`manifest`), and removes those before. A replay of the
//!    log passes over what belongs to files before the first.
//!
//! A crash in between finds the old file, the moved records, or both: the later record of a key counts.
//!
//! Files of large values are given up one by one, the one with the least alive first: the vnode knows which keys
//! point into each.

use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{DiskFile, Partition};

use super::header::HEADER_BYTES;
use super::read::read_large;
use super::record::{Body, HEAD_BYTES, Head, Place, Pointer};
use super::scan::{Seen, Value, examine};
use super::strand::Files;
use super::window::Window;

/// What one job reads at most; the device moves so much in one go.
const PIECE_BYTES: u64 = 256 * 1024;

/// Files may be so much larger than what is alive in them, in percent, and by one file. While the oldest is being moved,
/// what is alive in it is there twice: all together stays below 160 percent.
const BLOATED_PERCENT: u64 = 145;

/// Whether a vnode's files are so much larger than what is alive in them that one should be given up.
pub(crate) const fn is_bloated(bytes: u64, live_bytes: u64, file_bytes: u64) -> bool {
    100 * bytes > BLOATED_PERCENT * live_bytes + 100 * file_bytes
}

/// What was read, to be stored again if it is still what the index points at.
#[derive(Debug)]
pub(crate) enum Moving {
    Piece(Piece),
    Large(LargeMove),
}

/// A piece of a file of records.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) file: u32,
    pub(crate) records: Vec<Moved>,
    pub(crate) then: Then,
}

/// What comes after a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// The piece that begins here.
    Next(u64),
    End,
    /// What cannot be read. The rest of the file is left alone.
    Damage,
}

/// A record that may have to be moved.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) place: Place,
    pub(crate) key: Bytes,
    pub(crate) tag: u64,
    /// `None`: the value is damaged.
    pub(crate) body: Option<Body>,
}

/// A large value that may have to be moved.
#[derive(Debug)]
pub(crate) struct LargeMove {
    pub(crate) key: Bytes,
    pub(crate) pointer: Pointer,
    /// `None`: it is damaged.
    pub(crate) value: Option<Bytes>,
}

/// Reads records of a file from `from` on: those that one read of the disk has whole, and one at least.
pub(crate) fn read_piece<F: DiskFile>(
    partition: Partition,
    number: u32,
    file: &Arc<F>,
    len: u64,
    from: u64,
) -> Piece {
    let mut window = Window::sized(&**file, len, PIECE_BYTES as usize);
    let mut records = Vec::new();
    let mut at = from.max(HEADER_BYTES as u64);
    let (begin, mut then) = (at, Then::End);
    while at < len {
        let place = Place { partition, file: number, offset: at as u32 };
        if at > begin && !has_record(&mut window, at) {
            then = Then::Next(at);
            break;
        }
        let Some(seen) = examine(&mut window, place) else {
            then = Then::Damage;
            break;
        };
        at += seen.len as u64;
        if !seen.is_removed {
            let body = body_of(&mut window, &seen);
            records.push(Moved { place, key: seen.key, tag: seen.tag, body });
        }
    }
    Piece { file: number, records, then }
}

/// Whether the record at `at` is in the window already.
fn has_record<F: DiskFile>(window: &mut Window<'_, F>, at: u64) -> bool {
    let head_end = at + HEAD_BYTES as u64;
    window.reaches(head_end)
        && Head::read(window.get(at, HEAD_BYTES))
            .is_some_and(|head| window.reaches(at + head.record_len() as u64))
}

fn body_of<F: DiskFile>(window: &mut Window<'_, F>, seen: &Seen) -> Option<Body> {
    match seen.value.as_ref()? {
        Value::Pointer(pointer) => Some(Body::Pointer(*pointer)),
        Value::Inline => {
            let end = u64::from(seen.place.offset) + seen.len as u64;
            Some(Body::Value(window.share(end - seen.value_len as u64, seen.value_len)))
        }
    }
}

/// Reads one large value.
pub(crate) fn read_value<F: DiskFile>(
    partition: Partition,
    files: &Files<F>,
    key: Bytes,
    pointer: Pointer,
) -> LargeMove {
    let place = Place { partition, file: 0, offset: 0 };
    LargeMove { key, pointer, value: read_large(files, place, pointer).ok() }
}
