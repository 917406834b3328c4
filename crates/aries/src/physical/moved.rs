//! Bytes that move within a range of a page.

/// Bytes move by so many at most: a place in a node's directory is two.
const BY_MAX: usize = 8;
/// A shorter range is logged as it was and as it is: that costs no more.
const LEN_MIN: usize = 32;

/// How a range has become another: some bytes went out at one end, all others moved there, and some came in at the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved<'a> {
    up: bool,
    /// Of what was there before.
    crc: u32,
    went: &'a [u8],
    came: &'a [u8],
}

impl<'a> Moved<'a> {
    /// How `before` has become `after`, which is as long, if its bytes have moved by a few.
    pub fn between(before: &'a [u8], after: &'a [u8]) -> Option<Moved<'a>> {
        if before.len() < LEN_MIN {
            return None;
        }
        let crc = crc32fast::hash(before);
        (1..=BY_MAX).find_map(|by| {
            let rest = before.len() - by;
            if after[by..] == before[..rest] {
                return Some(Moved { up: true, crc, went: &before[rest..], came: &after[..by] });
            }
            let down = Moved { up: false, crc, went: &before[..by], came: &after[rest..] };
            (after[..rest] == before[by..]).then_some(down)
        })
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let by = self.by();
        out.push(by as u8);
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(self.went);
        out.extend_from_slice(self.came);
    }

    /// How far its bytes move: up, or down if it is negative.
    pub fn by(&self) -> i8 {
        let by = self.went.len() as i8;
        if self.up { by } else { -by }
    }

    /// Of a range of this length, and what is left behind it.
    pub fn take(bytes: &'a [u8], by: i8, len: usize) -> Option<(Moved<'a>, &'a [u8])> {
        let count = usize::from(by.unsigned_abs());
        if !(1..=BY_MAX).contains(&count) || count >= len {
            return None;
        }
        let (crc, rest) = bytes.split_first_chunk()?;
        let (went, rest) = rest.split_at_checked(count)?;
        let (came, rest) = rest.split_at_checked(count)?;
        Some((Moved { up: by > 0, crc: u32::from_le_bytes(*crc), went, came }, rest))
    }

    /// Does it to the bytes of a range; `false`: they are not what they were when it was logged.
    pub fn redo(&self, there: &mut [u8]) -> bool {
        let is_as_it_was = crc32fast::hash(there) == self.crc;
        if is_as_it_was {
            shift(there, self.up, self.came);
        }
        is_as_it_was
    }

    /// What the bytes of a range were before; `None`: it was not done to them.
    pub fn undone(&self, there: &[u8]) -> Option<Vec<u8>> {
        let mut before = there.to_vec();
        shift(&mut before, !self.up, self.went);
        (crc32fast::hash(&before) == self.crc).then_some(before)
    }
}

/// Moves bytes by the length of `came`, which comes in behind them.
fn shift(bytes: &mut [u8], up: bool, came: &[u8]) {
    let (by, rest) = (came.len(), bytes.len() - came.len());
    if up {
        bytes.copy_within(..rest, by);
        bytes[..by].copy_from_slice(came);
    } else {
        bytes.copy_within(by.., 0);
        bytes[rest..].copy_from_slice(came);
    }
}
