//! How far one scan goes. All backends share it, so that they cut a partition into the same pieces.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use ombak_base::Scan;

/// First and last key, as ordered maps want them.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What is left of a scan's bounds.
pub(crate) struct Budget {
    entries_left: u32,
    bytes_left: u64,
    over: bool,
}

impl Budget {
    pub(crate) fn new(scan: &Scan) -> Budget {
        Budget {
            entries_left: scan.entries_max.max(1),
            bytes_left: u64::from(scan.bytes_max),
            over: false,
        }
    }

    /// Whether the piece ends before the next entry.
    pub(crate) fn is_spent(&self) -> bool {
        self.entries_left == 0 || self.over
    }

    /// Counts an entry that goes into the piece. The one that goes over the bytes is the last.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.entries_left -= 1;
        self.over = bytes as u64 > self.bytes_left;
        self.bytes_left = self.bytes_left.saturating_sub(bytes as u64);
    }
}

/// The keys of a scan as a range for an ordered map; `None` when it holds none.
pub(crate) fn range_of(scan: &Scan) -> Option<KeyRange<'_>> {
    if scan.to.is_empty() {
        return Some((Included(&scan.from), Unbounded));
    }
    (scan.from < scan.to).then_some((Included(&scan.from[..]), Excluded(&scan.to[..])))
}
