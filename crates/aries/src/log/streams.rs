//! What each stream still needs.

use std::collections::BTreeMap;

use super::{Lsn, StreamId};

/// The streams that need something. One without records at or above its mark is not kept.
#[derive(Default)]
pub struct Streams {
    needs: BTreeMap<StreamId, Need>,
}

/// Records from `first` to `last` are needed; whether there is one exactly at `first` is not known.
#[derive(Clone, Copy)]
struct Need {
    first: Lsn,
    last: Lsn,
}

impl Streams {
    /// The stream has a new record.
    pub fn note(&mut self, stream: StreamId, lsn: Lsn) {
        let need = self.needs.entry(stream).or_insert(Need { first: lsn, last: lsn });
        need.last = lsn;
    }

    /// The stream needs nothing below `mark`. Marks only rise.
    pub fn set_mark(&mut self, stream: StreamId, mark: Lsn) {
        let Some(need) = self.needs.get_mut(&stream) else { return };
        need.first = need.first.max(mark);
        if need.first > need.last {
            self.needs.remove(&stream);
        }
    }

    /// The stream that reaches back farthest, and to where.
    pub fn oldest(&self) -> Option<(StreamId, Lsn)> {
        let firsts = self.needs.iter().map(|(stream, need)| (*stream, need.first));
        firsts.min_by_key(|(_, first)| *first)
    }

    /// Nothing below is needed by anyone.
    pub fn low_water(&self) -> Lsn {
        self.oldest().map_or(Lsn(u64::MAX), |(_, first)| first)
    }
}

#[cfg(test)]
mod tests;
