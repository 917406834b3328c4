//! The decisions of group commit: who writes, who waits where, and who is woken. No lock, no thread, no disk: whoever has the
//! end of the log asks here what to do, and does it. So all orders in which threads can come are tried (`tests/explored.rs`).

use super::Lsn;

/// Where those wait whose records are in an even batch, and those of an odd one.
pub const BELLS: usize = 2;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Turns {
    /// The number of the batch to which is appended.
    turn: u64,
    /// Somebody writes.
    leading: bool,
    /// A write or sync failed: nothing becomes durable any more.
    poisoned: bool,
}

/// What he does who needs a record durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Goes his way: it is.
    Served,
    /// Goes his way: it never will be.
    Poisoned,
    /// Writes, and asks again.
    Lead,
    /// Waits until this bell is rung, and asks again.
    Wait { bell: usize },
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    Durable,
    /// Nothing was written: it is to be tried again once there is room.
    Full,
    Failed,
}

/// Whom the leader wakes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rings {
    /// One who waits here, before all others: he leads next.
    pub one: Option<usize>,
    /// All who wait here.
    pub all: [Option<usize>; BELLS],
}

impl Turns {
    pub fn poisoned(poisoned: bool) -> Turns {
        Turns { poisoned, ..Turns::default() }
    }

    pub fn is_leading(&self) -> bool {
        self.leading
    }

    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// For who needs record `lsn` durable, which was appended. `batch`: the first record of the batch to which is appended.
    pub fn next(&self, lsn: Lsn, durable: Lsn, batch: Lsn) -> Next {
        if durable >= lsn {
            return Next::Served;
        }
        if self.poisoned {
            return Next::Poisoned;
        }
        if !self.leading {
            return Next::Lead;
        }
        let turn = if lsn >= batch { self.turn } else { self.turn.wrapping_sub(1) };
        Next::Wait { bell: bell(turn) }
    }

    /// Somebody begins to write. `fresh`: what he writes is the batch to which was appended, and another one is begun.
    pub fn begin(&mut self, fresh: bool) {
        self.leading = true;
        self.turn = self.turn.wrapping_add(fresh.into());
    }

    /// He has written. Those of the batch before are served. Of those who have come since one is enough to go on; after a
    /// failure everybody has to hear of it.
    pub fn end(&mut self, outcome: Outcome) -> Rings {
        self.leading = false;
        self.poisoned |= outcome == Outcome::Failed;
        let (before, now) = (bell(self.turn.wrapping_sub(1)), bell(self.turn));
        match outcome {
            Outcome::Durable => Rings { one: Some(now), all: [Some(before), None] },
            Outcome::Full | Outcome::Failed => Rings { one: None, all: [Some(now), Some(before)] },
        }
    }
}

fn bell(turn: u64) -> usize {
    (turn % BELLS as u64) as usize
}
